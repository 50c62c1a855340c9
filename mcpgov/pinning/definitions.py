"""A tool's definition as its server lists it, and the digest that it is approved by.

Pure. Every member counts, also one that no revision of MCP knows (`_meta`, `execution`, a vendor's): what a client or a
model may read is part of what a person approved. The order of members does not count, nor how a number is written; the
order of a list does. What is too large, too deep, or cannot be shown to a person has no digest, and a reason. Refuses
to know who approves it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import field
from typing import TYPE_CHECKING, Final

from mcpgov.canonical_json import canonical, digest
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.strict_json import JsonLimits, measure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.models import Json

LIMITS: Final = JsonLimits(1024 * 1024, depth=64, keys=10_000, values=50_000, string=256 * 1024)  # of one definition
MAX_TOOLS: Final = 5_000  # of one list
MAX_LIST: Final = 8 * 1024 * 1024  # characters of canonical JSON, of one list
MAX_NAME: Final = 128  # characters (MCP 2025-11-25, server/tools)
MAX_FAULT: Final = 200  # characters; a message names every key on the way
TWICE: Final = "the list has this name more than once"


@frozen
class Definition:
    """One tool of a list, at its place `at`. Either `digest` and `text`, the canonical JSON; or `fault`: why not.

    `name` is empty where the tool has none that could be said.
    """

    at: int
    name: str
    digest: str = ""
    text: str = field(default="", repr=False)
    fault: str = ""


def definitions_of(tools: Sequence[Json]) -> tuple[Definition, ...]:
    """The definitions in one whole list, in its order; of tools with one name, none has a digest.

    Raises Refusal (upstream-too-large) for a list of more than MAX_TOOLS or MAX_LIST. A tool that cannot be read stands
    with its fault and keeps no other from being read.
    """
    if len(tools) > MAX_TOOLS:
        raise _too_large(f"{len(tools)} tools; at most {MAX_TOOLS} are looked at")
    names = Counter(map(_name, tools))
    return tuple(_counted(tools, {name for name, count in names.items() if name and count > 1}))


def definition_digest(tool: Json) -> str:
    """`sha256:<hex>` over the canonical JSON of a tool. Raises Refusal: too-deep, too-large, invalid-encoding,
    invalid-json.
    """
    return digest(definition_text(tool))


def definition_text(tool: Json) -> str:
    """The canonical JSON of a tool within LIMITS. Raises Refusal as definition_digest() does."""
    measure(tool, LIMITS)
    try:
        text = canonical(tool)
    except ValueError:  # the depth is bounded, so what remains is a number
        raise Refusal(Reason.INVALID_JSON, "A number is not finite, or has more digits than are written.") from None
    if len(text) > LIMITS.body:
        raise Refusal(Reason.TOO_LARGE, f"The definition has {len(text)} characters; at most {LIMITS.body} are read.")
    return text


def _counted(tools: Sequence[Json], twice: set[str]) -> Iterator[Definition]:
    size = 0
    for at, tool in enumerate(tools):
        found = _definition(at, tool, twice)
        size += len(found.text)
        if size > MAX_LIST:
            raise _too_large(f"more than {MAX_LIST} characters; tool {at + 1} is past that")
        yield found


def _definition(at: int, tool: Json, twice: set[str]) -> Definition:
    name = _name(tool)
    if not name:
        return Definition(at, "", fault=f"a tool has a name of 1 to {MAX_NAME} characters")
    try:
        text = definition_text(tool)
    except Refusal as refusal:
        return Definition(at, name, fault=refusal.message[:MAX_FAULT])
    return Definition(at, name, fault=TWICE) if name in twice else Definition(at, name, digest(text), text)


def _name(tool: Json) -> str:
    """The name of a tool; empty where it is none that a record, a message or a person could repeat."""
    name = tool.get("name") if isinstance(tool, dict) else None
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        return ""
    return "" if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in name) else name


def _too_large(detail: str) -> Refusal:
    return Refusal(Reason.UPSTREAM_TOO_LARGE, "The upstream's list of tools is too large.", detail=detail)
