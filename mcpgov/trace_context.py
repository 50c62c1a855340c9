"""Which trace a call belongs to, and which span in it is ours (W3C Trace Context, levels 1 and 2). Pure.

What a caller claims is followed, never believed: it says where the records and spans of a call are filed, and decides
nothing. A claim in the message comes before one in the HTTP head (SEP-414); one that is not well formed is passed over,
and the record says so. Without a claim we begin a trace, under our correlation id.

Our span's id is the first half of the correlation id: whoever has the one finds the other, in the ledger too.
Refuses to know: where spans go.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from mcpgov.models import Headers, Json, MCPRequest, RequestHead

FIELD: Final = "traceparent"
SPAN_ID_LENGTH: Final = 16  # hex digits
SAMPLED: Final = 1
KNOWN_FLAGS: Final = 3  # sampled, and random-trace-id (level 2, section 3.2.2.5.2)
# Section 3.2.2. Of a version after 00 only its first four parts are known (section 3.2.4, "Versioning of traceparent").
_TRACEPARENT: Final = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<parent>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<rest>-[!-~]*)?"
)


@frozen
class Claims:
    """What a caller says of its trace: the traceparent that is followed, or the empty string, and each that is not."""

    followed: str = ""
    ignored: tuple[str, ...] = ()


_NO_CLAIMS: Final = Claims()


@frozen
class TraceContext:
    """A call's place in a trace. Ids are lower-case hex; `parent_span_id` is the caller's span, empty without one."""

    trace_id: str
    span_id: str
    parent_span_id: str = ""
    flags: int = SAMPLED

    @property
    def traceparent(self) -> str:
        """What the upstream is told: our span is the parent of its own."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def sampled(self) -> bool:
        """Whether spans of this trace are kept."""
        return bool(self.flags & SAMPLED)


def claims_of(headers: Headers, in_message: Json = None) -> Claims:
    """What the head and the message (`params._meta.traceparent`) of a request claim."""
    if in_message is None and FIELD not in headers:
        return _NO_CLAIMS
    claims: list[tuple[str, Json]] = [("_meta", in_message)] if in_message is not None else []
    if FIELD in headers:
        claims.append(("header", ", ".join(headers.all(FIELD)).strip(" \t")))
    followed, ignored = "", list[str]()
    for where, claim in claims:
        if not isinstance(claim, str) or _parsed(claim) is None:
            ignored.append(f"{where}, malformed: {claim if isinstance(claim, str) else type(claim).__name__}")
        elif not followed:
            followed = claim
        elif claim != followed:
            ignored.append(f"{where}, overruled: {claim}")
    return Claims(followed, tuple(ignored))


@lru_cache(maxsize=1024)  # the records of a call, its span and its upstream all ask, one soon after the other
def trace_context(correlation_id: str, claim: str = "") -> TraceContext:
    """The place of the call that has this correlation id (32 hex digits) and follows this claim."""
    span_id, found = span_id_of(correlation_id), _parsed(claim)
    if found is None:
        return TraceContext(correlation_id, span_id)
    return TraceContext(found["trace"], span_id, found["parent"], int(found["flags"], 16) & KNOWN_FLAGS)


def context_of(head: RequestHead, request: MCPRequest | None) -> TraceContext:
    """The place of a call; by its head alone where it was refused before its body was read."""
    claim = claims_of(head.headers).followed if request is None else request.traceparent
    return trace_context(head.correlation_id, claim)


def span_id_of(correlation_id: str) -> str:
    """The id of our span in a call."""
    return correlation_id[:SPAN_ID_LENGTH]


def _parsed(claim: str) -> re.Match[str] | None:
    found = _TRACEPARENT.fullmatch(claim)
    return None if found is None or (found["version"] == "00" and found["rest"]) else found
