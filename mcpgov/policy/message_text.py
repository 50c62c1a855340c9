"""Where the text stands in what a server says: in results, in errors, in the parameters of its own messages.

Decides what is text and what is a file: base64 in the content blocks that hold images, sounds and resources is left
alone (MCP 2025-11-25, ContentBlock, ResourceContents; the same in 2026-07-28). A member that only bears such a name,
or that is no base64, is text like any other. Keys are never changed; numbers only for who asks, as they are written in
JSON, and one that is changed becomes a string. Refuses to know what is looked for.
"""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcpgov.models import Json

PAYLOADS: Final = ("result", "error", "params")  # what a message of a server carries
TRUNCATED: Final = "io.github.mcpgov/truncated"
MARK: Final = " [truncated]"  # nothing in it needs an escape: it is as long in JSON as here
_BLOCKS: Final = (("content",), ("contents",), ("messages", "content"))
_FILES: Final = frozenset((*_BLOCKS, *((*way, "resource") for way in _BLOCKS)))
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=_\r\n-]*+")


def with_texts(value: Json, change: Callable[[str], str], way: tuple[str, ...] = (), *, numbers: bool = False) -> Json:
    """A copy of what a message carries, with every text in it changed; `way` are the keys that led to it."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [with_texts(item, change, way, numbers=numbers) for item in value]
    if not isinstance(value, dict):
        return _changed_number(value, change) if numbers else value
    kept = {key for key in ("data", "blob") if way in _FILES and _is_file(value.get(key))}
    return {
        key: item if key in kept else with_texts(item, change, (*way, key), numbers=numbers)
        for key, item in value.items()
    }


def size_of(value: Json) -> int:
    """How many bytes `value` has as compact JSON in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def truncated(result: Json, limit: int) -> Json:
    """The result with its texts cut so that it has at most `limit` bytes, and says so; None where that is not enough.

    The longest strings of structuredContent go first (it seldom says what the text does not), then the last texts.
    """
    if not isinstance(result, dict):
        return None
    fresh = deepcopy(result)
    meta = fresh.get("_meta")
    fresh["_meta"] = {**(meta if isinstance(meta, dict) else {}), TRUNCATED: True}
    structured = sorted(_strings(fresh.get("structuredContent")), key=lambda slot: len(slot[0][slot[1]]), reverse=True)
    over = size_of(fresh) - limit
    for holder, key in (*structured, *reversed(list(_texts(fresh)))):
        if over > 0:
            text: str = holder[key]
            holder[key] = _cut(text, over)
            over -= size_of(text) - size_of(holder[key])
    return fresh if over <= 0 else None


def _cut(text: str, over: int) -> str:
    """At least `over` bytes less, as far as there are so many."""
    data = text.encode()
    if len(data) <= len(MARK):
        return text
    return data[: max(0, len(data) - over - len(MARK))].decode("utf-8", "ignore") + MARK


def _texts(result: dict[str, Json]) -> Iterator[tuple[Any, str]]:
    """Where the texts of the content blocks stand."""
    messages = result.get("messages")
    holders = [result, *(messages if isinstance(messages, list) else [])]
    for held in (holder.get(key) for holder in holders if isinstance(holder, dict) for key in ("content", "contents")):
        for block in held if isinstance(held, list) else [held]:
            resource = block.get("resource") if isinstance(block, dict) else None
            for one in (block, resource):
                if isinstance(one, dict) and isinstance(one.get("text"), str):
                    yield one, "text"


def _strings(value: Json) -> Iterator[tuple[Any, Any]]:
    """Where the strings inside `value` stand."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(item, str):
            yield value, key
        else:
            yield from _strings(item)


def _changed_number(value: Json, change: Callable[[str], str]) -> Json:
    if value is None or isinstance(value, bool):
        return value
    written = json.dumps(value)
    changed = change(written)
    return value if changed == written else changed


def _is_file(value: Json) -> bool:
    return isinstance(value, str) and _BASE64.fullmatch(value) is not None
