"""Leaves hidden tools out of lists, and remembers what the server says of the others.

A list that depends on the caller must not be shared between callers: its `cacheScope` becomes private.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Era, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mcpgov.models import Json, MCPRequest

LIST_METHOD: Final = "tools/list"
# The key "tools" in every way that JSON lets one write it.
_TOOLS_KEY: Final = re.compile(
    rb'"(?:t|\\u0074)(?:o|\\u006[fF])(?:o|\\u006[fF])(?:l|\\u006[cC])(?:s|\\u0073)"[ \t\r\n]*:'
)


class ToolFilter(Protocol):
    """Says which tools the caller may see; a rule that hides a tool from a list also denies its call."""

    def hides(self, tool: str, annotations: Mapping[str, object], /) -> bool:
        """Whether `tool` is to be left out of a list. Raises Refusal."""
        ...


@dataclass(frozen=True, slots=True)
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
        result = message.get("result")
        if not isinstance(result, dict):
            return message
        own = self.request.kind is Kind.REQUEST and message.get("id") == self.request.id
        tools = result.get("tools")
        if own and self.request.method != LIST_METHOD:
            return message
        if not isinstance(tools, list):
            if own and self.filter is not None:
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


def may_list_tools(data: bytes) -> bool:
    """Whether a list of tools may be in a message: the key is, or what could be one in another encoding."""
    return b"\0" in data or _TOOLS_KEY.search(data) is not None


def invalid(detail: str) -> Refusal:
    """The upstream's answer cannot be checked, and is not passed on."""
    return Refusal(Reason.UPSTREAM_INVALID, "The upstream's answer could not be read.", detail=detail)
