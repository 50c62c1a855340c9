"""Which tools a server lists, as one digest: so that the day on which they changed can be found in the ledger.

Looks at the answer to a tools/list as the upstream gives it, before a policy hides anything, so that all callers of a
connection see the same digest for as long as the server lists the same. Touches nothing, and whatever cannot be read
has no digest. The digest has no key: it can be compared with that of a list got elsewhere. It is SHA-256 over the tools
as JSON without white space, in UTF-8, keys sorted by code point, the tools by their names.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from mcpgov.audit.watch import LARGEST, final_message
from mcpgov.models import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpgov.models import Answer, Event, Json, JSONRPCId, MCPRequest

LIST_METHOD: Final = "tools/list"
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)


@dataclass(frozen=True, slots=True)
class ToolSet:
    """What a server listed: `digest` as `sha256:<hex>`, how many tools. `page`: there are more of them elsewhere."""

    digest: str
    count: int
    page: bool = False


def listed(result: Json, cursor: Json = None) -> ToolSet | None:
    """The tools of a result of tools/list that was asked for with `cursor`; None where it has no list that is read."""
    tools = result.get("tools") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(tools, list):
        return None
    page = cursor is not None or result.get("nextCursor") is not None
    try:
        return ToolSet(digest_of(tools), len(tools), page)
    except RecursionError:  # writing goes as deep as reading, but not to the very same depth
        return None


def digest_of(tools: Sequence[Json]) -> str:
    """The digest of tools, in whatever order they are."""
    texts = (text for _, text in sorted((_name(tool), _ENCODER.encode(tool)) for tool in tools))
    whole = f"[{','.join(texts)}]".encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(whole).hexdigest()}"


def _name(tool: Json) -> str:
    return str(tool.get("name")) if isinstance(tool, dict) else ""


class ToolWatch:
    """The events of one answer to a tools/list, looked into as they pass."""

    def __init__(self, answer: Answer, request: MCPRequest) -> None:
        self.tools: ToolSet | None = None
        self._events = answer.events
        self._cursor = request.params.get("cursor")
        self._awaited = cast("JSONRPCId", request.id)

    @staticmethod
    def concerns(request: MCPRequest | None) -> bool:
        """Whether the answer to a request is a list of tools."""
        return request is not None and request.kind is Kind.REQUEST and request.method == LIST_METHOD

    def __aiter__(self) -> ToolWatch:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        events = await anext(self._events)
        for event in events:
            if self.tools is None and event.data is not None and len(event.data) <= LARGEST:
                final = final_message(event.data, self._awaited)
                self.tools = listed(final.body, self._cursor) if final else None
        return events
