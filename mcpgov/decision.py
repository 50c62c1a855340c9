"""What was decided, and why: the closed vocabulary of reasons, and the Decision that travels with a call.

A reason is one kebab-case string, the same in the audit record, the log, the metric label, the JSON-RPC error data
and the documentation. A reason that is not in this list cannot be given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reason(StrEnum):
    """Why a call was let through, refused, or ended as it did. docs/reasons.md explains each one."""

    ALLOWED = "allowed"

    # the caller is not known
    CREDENTIAL_MISSING = "credential-missing"
    CREDENTIAL_INVALID = "credential-invalid"
    CREDENTIAL_EXPIRED = "credential-expired"
    CREDENTIAL_REVOKED = "credential-revoked"
    CREDENTIAL_AMBIGUOUS = "credential-ambiguous"

    # the message is not one that two parsers would read alike
    INVALID_JSON = "invalid-json"
    INVALID_ENCODING = "invalid-encoding"
    INVALID_MESSAGE = "invalid-message"
    DUPLICATE_KEY = "duplicate-key"
    AMBIGUOUS_KEY = "ambiguous-key"
    TOO_DEEP = "too-deep"
    TOO_LARGE = "too-large"
    BATCH_REFUSED = "batch-refused"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    UNSUPPORTED_PROTOCOL_VERSION = "unsupported-protocol-version"
    HEADER_MISMATCH = "header-mismatch"
    HEADER_INVALID = "header-invalid"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    HOST_DENIED = "host-denied"
    ORIGIN_DENIED = "origin-denied"

    # there is no such thing for this caller
    UNKNOWN_CONNECTION = "unknown-connection"
    UNKNOWN_SESSION = "unknown-session"

    # a policy said no
    SOURCE_IP_DENIED = "source-ip-denied"
    RATE_LIMITED = "rate-limited"
    TOOL_HIDDEN = "tool-hidden"
    TOOL_DENIED = "tool-denied"
    POLICY_ERROR = "policy-error"

    # something that the call needs is not there
    CREDENTIAL_UNAVAILABLE = "credential-unavailable"
    COUNTERS_UNAVAILABLE = "counters-unavailable"
    KEYS_UNAVAILABLE = "keys-unavailable"
    AUDIT_UNAVAILABLE = "audit-unavailable"
    OVERLOADED = "overloaded"
    INTERNAL_ERROR = "internal-error"
    GATEWAY_STOPPING = "gateway-stopping"

    # the upstream did not answer as an MCP server should
    UPSTREAM_UNREACHABLE = "upstream-unreachable"
    UPSTREAM_ADDRESS_DENIED = "upstream-address-denied"
    UPSTREAM_TIMEOUT = "upstream-timeout"
    UPSTREAM_RESET = "upstream-reset"
    UPSTREAM_INVALID = "upstream-invalid"
    UPSTREAM_REDIRECTED = "upstream-redirected"
    UPSTREAM_UNAUTHORIZED = "upstream-unauthorized"
    UPSTREAM_RATE_LIMITED = "upstream-rate-limited"
    UPSTREAM_ERROR = "upstream-error"
    UPSTREAM_TOO_LARGE = "upstream-too-large"

    # the caller went away before the answer was complete
    CLIENT_GONE = "client-gone"


@dataclass(frozen=True, slots=True)
class Spend:
    """An effect: take one from the counter `key`, which allows `calls` in any `period` seconds (sliding window)."""

    key: str
    calls: int
    period: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What came of a Spend. In seconds: `reset` until the window is whole again, `retry_after` until one call fits."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    retry_after: int = 0


Effect = Spend  # each later kind of effect joins this union


@dataclass(frozen=True, slots=True)
class HeaderEdit:
    """One set-header of the request that goes upstream. `action` is override, skip, append or delete."""

    name: str
    action: str
    values: tuple[str, ...] = ()


class ToolFilter(Protocol):
    """Says which tools the caller may see; a rule that hides a tool from a list also denies its call."""

    def hides(self, tool: str, annotations: Mapping[str, object], /) -> bool:
        """Whether `tool` is to be left out of a tools/list answer."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict of the policies on one request, with everything the forward and the answer need from them.

    `rule` names the document and element that decided, `policy_hash` the exact text in force. `message` is told to the
    caller, `detail` is for the record and quotes no value of the request. `as_tool_result`: the refusal is a tools/call
    result with isError, so that the model reads why.
    """

    reason: Reason
    rule: str = ""
    policy_hash: str = ""
    message: str = ""
    detail: str = ""
    as_tool_result: bool = False
    header_edits: tuple[HeaderEdit, ...] = ()
    backend: str | None = None
    tool_filters: tuple[ToolFilter, ...] = ()
    limits: tuple[Spent, ...] = ()
    reply_headers: tuple[tuple[str, str], ...] = field(default=())

    @property
    def allowed(self) -> bool:
        """Whether the call may go on."""
        return self.reason is Reason.ALLOWED
