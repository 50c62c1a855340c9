"""A tool that is new, as a person reads it: its call, what it says, its arguments a line each.

Pure. Nothing of a definition is left out, because what is left out is where an attack would stand: a value that has no
place of its own is there as JSON. Everything is written as revealed.py writes it; a text of several lines has each
behind a bar, so that none can be taken for a line of ours. Refuses to know what was approved before.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from mcpgov.canonical_json import canonical
from mcpgov.pinning.diff import Change
from mcpgov.pinning.revealed import quoted, revealed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mcpgov.models import Json
    from mcpgov.pinning.diff import Difference

    Object = dict[str, Json]

BAR: Final = "  | "
_FIRST: Final = ("title", "description")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.$-]{1,64}")
_TYPE: Final = re.compile(r"[a-z]{1,20}")


def new_tool_lines(found: Sequence[Difference]) -> tuple[str, ...] | None:
    """The lines for a tool of which everything is new; None where something was there before."""
    if not found or any(one.change is not Change.ADDED for one in found):
        return None
    definition = rebuilt(found)
    return tuple(signature_lines(definition)) if isinstance(definition, dict) else None


def rebuilt(found: Sequence[Difference]) -> Json:
    """The value that these differences added one by one. They come in order: of a list, from the first item on."""
    root: Json = {}
    for one in found:
        if not one.path:
            return one.after
        at = root
        for step, following in zip(one.path, one.path[1:], strict=False):
            at = _inner(at, step, [] if isinstance(following, int) else {})
        _inner(at, one.path[-1], one.after)
    return root


def _inner(container: Json, step: str | int, otherwise: Json) -> Json:
    """What stands at a step; `otherwise`, which is put there, where there is nothing yet."""
    if isinstance(container, list):
        if len(container) <= cast("int", step):
            container.append(otherwise)
        return container[-1]
    return cast("Object", container).setdefault(cast("str", step), otherwise)


def signature_lines(definition: Mapping[str, Json]) -> Iterator[str]:
    """A definition: its call, title and description, its arguments, and all the rest."""
    left = dict(definition)
    name, schema = left.pop("name", ""), left.pop("inputSchema", None)
    properties, required, others = _arguments(schema)
    call = ", ".join(f"{_name(key)}{'' if key in required else '?'}: {_typed(one)[0]}" for key, one in properties)
    yield f"  {_name(name) if isinstance(name, str) else _json(name)}({call})"
    for key in _FIRST:
        if key in left:
            yield from _said(key, left.pop(key))
    for key, one in properties:
        yield from _argument(key, one, is_required=key in required)
    if others is not None:
        yield f"  inputSchema: {_json(others)}"
    for key in sorted(left):
        yield from _said(key, left[key])


def _arguments(schema: Json) -> tuple[list[tuple[str, Json]], frozenset[str], Json]:
    """The arguments, the names of those that are required, and what else a schema says; None where that is nothing."""
    if not isinstance(schema, dict) or not isinstance(schema.get("properties", {}), dict):
        return [], frozenset(), schema
    others = dict(schema)
    properties = cast("Object", others.pop("properties", {}))
    names = schema.get("required", [])
    required = (
        frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset[str]()
    )
    if isinstance(names, list) and len(names) == len(required) and required <= properties.keys():
        others.pop("required", None)
    if others.get("type") == "object":
        del others["type"]
    return sorted(properties.items(), key=lambda item: (item[0] not in required, item[0])), required, others or None


def _argument(key: str, schema: Json, *, is_required: bool) -> Iterator[str]:
    kind, left = _typed(schema)
    text = (
        left.pop("description", None) if isinstance(left, dict) and isinstance(left.get("description"), str) else None
    )
    more = f" {_json(left)}" if left not in (None, {}) else ""
    head = f"{_name(key)}: {kind}{', required' if is_required else ''}{more}"
    yield from _said(head, text, " - ") if text is not None else (f"  {head}",)


def _typed(schema: Json) -> tuple[str, Json]:
    """The type that a schema names, in words, and what else it says."""
    if not isinstance(schema, dict):
        return "any", schema
    left, kind = dict(schema), schema.get("type")
    if kind == "array" and isinstance(items := schema.get("items"), dict) and items.keys() == {"type"}:
        inner, rest = _typed(items)
        if not rest:
            del left["type"], left["items"]
            return f"array of {inner}", left
    kinds = kind if isinstance(kind, list) and kind else [kind]
    if all(isinstance(one, str) and _TYPE.fullmatch(one) for one in kinds):
        del left["type"]
        return " | ".join(map(str, kinds)), left
    return "any", left


def _said(head: str, value: Json, between: str = ": ") -> Iterator[str]:
    """What is said under a head: a text as it reads, anything else as JSON."""
    name = head if between != ": " else _name(head)
    if not isinstance(value, str):
        yield f"  {name}{between}{_json(value)}"
    elif "\n" not in value:
        yield f"  {name}{between}{revealed(value)}"
    else:
        yield f"  {name}:"
        yield from (f"{BAR}{revealed(line)}" for line in value.split("\n"))


def _name(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quoted(text)


def _json(value: Json) -> str:
    r"""JSON; its own escapes stay as they are, none of which begins as one of ours does (`\u{`)."""
    return "\\".join(map(revealed, canonical(value).split("\\")))
