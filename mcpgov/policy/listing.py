"""Leaves hidden tools out of what the upstream answers, in JSON and in server-sent events.

Nothing that could hold a list of tools passes unread: an answer that cannot be decoded is refused (a filter that gives
up and passes the original shows what it should hide: ToolHive 5257). What is no list of tools, or loses nothing, passes
byte for byte; a list that was changed keeps its unknown fields, its order and the other lines of its event.
A list that depends on the caller must not be shared between callers: its `cacheScope` becomes private.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Era, Event, Kind
from mcpgov.strict_json import JsonLimits, dumps, parse

if TYPE_CHECKING:
    from mcpgov.decision import ToolFilter
    from mcpgov.models import Json, MCPRequest

LIST_METHOD: Final = "tools/list"
LIMITS: Final = JsonLimits(64 * 1024 * 1024, depth=128, keys=2_000_000, values=4_000_000, string=64 * 1024 * 1024)
_LINE: Final = re.compile(rb"(?P<text>[^\r\n]*)(?P<end>\r\n|\r|\n|\Z)")
_BOM: Final = b"\xef\xbb\xbf"
# The key "tools" in every way that JSON lets one write it.
_TOOLS_KEY: Final = re.compile(
    rb'"(?:t|\\u0074)(?:o|\\u006[fF])(?:o|\\u006[fF])(?:l|\\u006[cC])(?:s|\\u0073)"[ \t\r\n]*:'
)


@dataclass(frozen=True, slots=True)
class Listing:
    """The filters in force for the answer to one request."""

    filters: tuple[ToolFilter, ...]
    request: MCPRequest
    streaming: bool

    def filtered(self, event: Event) -> Event:
        """The event without hidden tools; the same object where there were none. Raises Refusal (upstream-invalid)."""
        if event.data is None or not self._may_list(event.data):
            return event
        try:
            message = parse(event.data, LIMITS)
        except Refusal as refusal:
            raise _invalid(refusal.message) from None
        shown = [self._message(part) for part in message] if isinstance(message, list) else self._message(message)
        if shown == message:
            return event
        data = dumps(shown)
        return Event(_with_data(event.raw, data) if self.streaming else data, data)

    def _may_list(self, data: bytes) -> bool:
        """Whether a list of tools may be in `data`. Results of calls are large, and seldom hold one."""
        expected = self.request.method == LIST_METHOD or self.request.kind is Kind.STREAM
        return expected or b"\0" in data or _TOOLS_KEY.search(data) is not None

    def _message(self, message: Json) -> Json:
        """One JSON-RPC message; on a stream also the answer to an earlier request may come again."""
        result = message.get("result") if isinstance(message, dict) else None
        if not isinstance(message, dict) or not isinstance(result, dict):
            return message
        own = self.request.kind is Kind.REQUEST and message.get("id") == self.request.id
        tools = result.get("tools")
        if own and self.request.method != LIST_METHOD:
            return message
        if not isinstance(tools, list):
            if own:
                raise _invalid("the result of tools/list has no list of tools")
            return message
        shown: dict[str, Json] = {**result, "tools": [tool for tool in tools if not self._hides(tool)]}
        if self.request.era is Era.STATELESS or "cacheScope" in result:
            shown["cacheScope"] = "private"
        return {**message, "result": shown}

    def _hides(self, tool: Json) -> bool:
        name = tool.get("name") if isinstance(tool, dict) else None
        if not isinstance(tool, dict) or not isinstance(name, str):
            return True  # nobody could say what it is
        annotations = tool.get("annotations")
        known = annotations if isinstance(annotations, dict) else {}
        return any(filter_.hides(name, known) for filter_ in self.filters)


def _with_data(raw: bytes, data: bytes) -> bytes:
    """The same server-sent event with other data on one line; id, event, retry and comments stay as they were."""
    lines = [line for line in _LINE.finditer(raw.removeprefix(_BOM)) if line["text"] and not _is_data(line["text"])]
    return b"".join([line["text"] + b"\n" for line in lines]) + b"data: " + data + b"\n\n"


def _is_data(line: bytes) -> bool:
    return line == b"data" or line.startswith(b"data:")


def _invalid(detail: str) -> Refusal:
    return Refusal(Reason.UPSTREAM_INVALID, "The upstream's answer could not be read.", detail=detail)
