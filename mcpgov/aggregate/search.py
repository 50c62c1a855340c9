"""The two tools that stand for all others, where `search_tools` is on: one finds tools, the other calls one. Pure.

Rule: a tool that was found is called by the name it was found under, and governed and recorded as itself.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from mcpgov.aggregate.merging import text_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mcpgov.aggregate.naming import Item
    from mcpgov.models import Json

SEARCH: Final = "search_tools"
CALL: Final = "call_tool"
MOST: Final = 20  # tools that are found at once
WORDS: Final = 32  # that are looked for; later ones are not
_WORD: Final = re.compile(r"[^\W_]+")
_IN_NAME: Final = 3  # how much a word counts there; elsewhere 1
_QUERY: Final[Mapping[str, Json]] = {"type": "string", "description": "What the tool should do, in a few words"}
_NAME: Final[Mapping[str, Json]] = {"type": "string", "description": "The tool's name, as search_tools gave it"}
_ARGUMENTS: Final[Mapping[str, Json]] = {"type": "object", "description": "Its arguments, as its inputSchema asks"}


def two_tools() -> Iterator[Json]:
    """How the two are listed."""
    found = f"Finds tools by what they do: the definitions of at most {MOST} that match best."
    yield _tool(SEARCH, found, {"query": dict(_QUERY)}, {"readOnlyHint": True, "openWorldHint": False})
    yield _tool(CALL, "Calls a tool that search_tools found.", {"name": dict(_NAME), "arguments": dict(_ARGUMENTS)}, {})


def _tool(name: str, description: str, properties: dict[str, Json], annotations: dict[str, Json]) -> Json:
    required: list[Json] = [key for key in properties if key != "arguments"]
    schema: dict[str, Json] = {"type": "object", "properties": properties, "required": required}
    tool: dict[str, Json] = {"name": name, "description": description, "inputSchema": schema}
    if annotations:
        tool["annotations"] = annotations
    return tool


def matching(items: Sequence[Item], query: str) -> list[Item]:
    """The tools that have most of the words, the best first; for no words, the first there are."""
    wanted = dict.fromkeys(islice((word[0] for word in _WORD.finditer(query.casefold())), WORDS))
    scored = [(_score(item, wanted), item) for item in items]
    ranked = sorted((one for one in scored if one[0] or not wanted), key=lambda one: -one[0])
    return [item for _, item in ranked[:MOST]]


def _score(item: Item, wanted: Collection[str]) -> int:
    told = f"{text_at(item.definition, 'title')} {text_at(item.definition, 'description')}"
    named, described = _words(item.name), _words(told)
    return sum(_IN_NAME if _among(one, named) else _among(one, described) for one in wanted)


def _among(wanted: str, words: set[str]) -> bool:
    """Whether a word is there, or begins one that is: `issue` finds `issues`."""
    return any(word.startswith(wanted) for word in words)


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))


def found_result(items: Sequence[Item]) -> dict[str, Json]:
    """The result of search_tools: each definition under the name at /mcp."""
    tools: list[Json] = [{**item.definition, "name": item.name} for item in items]
    text = json.dumps(tools, ensure_ascii=False) if tools else "No tool matches. Try other words."
    return {"content": [{"type": "text", "text": text}], "structuredContent": {"tools": tools}}
