"""Leaves hidden tools out of lists, and remembers what the server says of the others.

A list that depends on the caller must not be shared between callers: its `cacheScope` becomes private.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.messages import ENVELOPE_KEYS, exact, looks_alike
from mcpgov.models import Era, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mcpgov.models import Json, MCPRequest

LIST_METHOD: Final = "tools/list"
TOOLS: Final = frozenset({"tools"})


def _spelled(letter: str) -> bytes:
    """A letter in every way that JSON lets one write it, in either case: clients in Go and .NET know none in keys."""
    same = [letter, letter.upper(), *("\u017f" for _ in letter if letter == "s")]  # the long s is an s, too
    return b"|".join(b"%s|\\\\u(?i:%04x)" % (re.escape(one.encode()), ord(one)) for one in same)


_TOOLS_KEY: Final = re.compile(b'"' + b"".join(b"(?:%s)" % _spelled(letter) for letter in "tools") + b'"[ \\t\\r\\n]*:')


class ToolFilter(Protocol):
    """Says which tools the caller may see; a rule that hides a tool from a list also denies its call."""

    def hides(self, tool: str, annotations: Mapping[str, object], /) -> bool:
        """Whether `tool` is to be left out of a list. Raises Refusal."""
        ...


@frozen
class Listing:
    """The answer to one request, as far as it is a list of tools. `learn` is told of every list, before anything is
    left out; without a `filter` nothing is.
    """

    request: MCPRequest
    filter: ToolFilter | None
    learn: Callable[[Sequence[Json]], None] | None = None

    @property
    def only_learns(self) -> bool:
        """Whether nothing is left out, so that a list that cannot be read may pass as it is."""
        return self.filter is None

    def concerns(self, data: bytes) -> bool:
        """Whether a list of tools may be in `data`. Results of calls are large, and seldom hold one."""
        expected = self.request.method == LIST_METHOD or self.request.kind is Kind.STREAM
        return expected or (self.filter is not None and may_list_tools(data))

    def rewritten(self, message: dict[str, Json]) -> dict[str, Json]:
        """The message without hidden tools; on a stream also the answer to an earlier request may come again."""
        if self.filter is not None:
            require_exact(message, self.request)
        result = list_in(message, self.request)
        if result is None:
            return message
        tools = result.get("tools")
        if not isinstance(tools, list):
            if self.filter is not None and is_own(message, self.request):
                raise invalid("the result of tools/list has no list of tools")
            return message
        if self.learn is not None:
            self.learn(tools)
        if self.filter is None:
            return message
        shown: dict[str, Json] = {**result, "tools": [tool for tool in tools if not self._hides(tool)]}
        if self.request.era is Era.STATELESS or "cacheScope" in result:
            shown["cacheScope"] = "private"
        return {**message, "result": shown}

    def _hides(self, tool: Json) -> bool:
        name = tool.get("name") if isinstance(tool, dict) else None
        if self.filter is None or not isinstance(tool, dict) or not isinstance(name, str):
            return True  # nobody could say what it is
        annotations = tool.get("annotations")
        return self.filter.hides(name, annotations if isinstance(annotations, dict) else {})


def is_own(message: Mapping[str, Json], request: MCPRequest) -> bool:
    """Whether a message answers the request itself."""
    return request.kind is Kind.REQUEST and exact(message.get("id")) == exact(request.id)


def list_in(message: Mapping[str, Json], request: MCPRequest) -> dict[str, Json] | None:
    """The result that may be a list of tools; None where there is none, or it is that of something else."""
    result = message.get("result")
    other = is_own(message, request) and request.method != LIST_METHOD
    return result if isinstance(result, dict) and not other else None


def require_exact(message: Mapping[str, Json], request: MCPRequest) -> None:
    """Raise Refusal (upstream-invalid) where a client that knows no case in keys would read another list than we do."""
    if looks_alike(message, ENVELOPE_KEYS) or looks_alike(list_in(message, request) or {}, TOOLS):
        raise invalid("a key looks like another")


def may_list_tools(data: bytes) -> bool:
    """Whether a list of tools may be in a message: the key is, or what could be one in another encoding."""
    return b"\0" in data or _TOOLS_KEY.search(data) is not None


def invalid(detail: str) -> Refusal:
    """The upstream's answer cannot be checked, and is not passed on."""
    return Refusal(Reason.UPSTREAM_INVALID, "The upstream's answer could not be read.", detail=detail)
