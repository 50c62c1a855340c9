"""Which tools a server lists, as one digest: so that the day on which they changed can be found in the ledger.

Pure. The digest has no key: it can be compared with that of a list got elsewhere. It is SHA-256 over the tools as
canonical JSON (RFC 8785) in UTF-8, sorted by their names. What is no list that can be read has none. Refuses to know:
which answer it is of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.canonical_json import canonical, digest
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpgov.models import Json


@frozen
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
    except (RecursionError, ValueError):  # deeper than can be written, or a number that JSON does not have
        return None


def digest_of(tools: Sequence[Json]) -> str:
    """The digest of tools, in whatever order they are."""
    texts = (text for _, text in sorted((_name(tool), canonical(tool)) for tool in tools))
    return digest(f"[{','.join(texts)}]")


def _name(tool: Json) -> str:
    return str(tool.get("name")) if isinstance(tool, dict) else ""
