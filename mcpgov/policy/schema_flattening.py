"""Rewrites the schema of a tool so that a client without alternatives can read it.

Azure AI Foundry answers "Invalid tool schema" to anyOf, allOf and lists of types. Decides what becomes of them: what
is optional by a null loses the null; alternatives that are objects become one object with the members of all; other
alternatives become the first. References to $defs are written out. The result tells a model what it may send; the
server still checks every argument by its own schema, so a constraint between members (if, not) can be left out.

What refers to itself, or grows too large, is Unfit. Refuses to know which client it is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.policy.json_paths import json_path
from mcpgov.policy.json_schema import subschemas

if TYPE_CHECKING:
    from mcpgov.models import Json

MAX_SCHEMAS: Final = 5_000  # references that are written out can grow without end
MAX_STEPS: Final = 64  # two for each level of objects
_ALTERNATIVES: Final = ("anyOf", "oneOf")
_LEFT_OUT: Final = frozenset({
    *("allOf", *_ALTERNATIVES, "$defs", "definitions", "if", "then", "else", "not", "dependentSchemas"),
    *("unevaluatedProperties", "unevaluatedItems"),  # they would count members that were merged in
})  # fmt: skip
_Schema = dict[str, "Json"]
_Path = tuple[str | int, ...]


class Unfit(ValueError):
    """A schema cannot be flattened. The text says where and why; it is the server's, and no secret."""


def flattened(schema: _Schema) -> _Schema:
    """The schema without alternatives, lists of types and references. Raises Unfit."""
    return _Flattening(schema).flat(schema, (), frozenset())


class _Flattening:
    """One schema's way; `left` is how many schemas may still be met."""

    def __init__(self, root: _Schema) -> None:
        self._root = root
        self._left = MAX_SCHEMAS

    def flat(self, schema: Json, path: _Path, inside: frozenset[str]) -> _Schema:
        """`schema`, which stands at `path`, `inside` the references that led there. Raises Unfit."""
        self._left -= 1
        if self._left < 0 or len(path) > MAX_STEPS:
            raise _unfit(path, "it is too large")
        if schema is True:
            return {}
        if not isinstance(schema, dict):
            raise _unfit(path, "it is no object")
        schema, inside = self._written_out(schema, path, inside)
        flat = self._members(schema, path, inside)
        kinds = schema.get("type")
        if isinstance(kinds, list):
            flat["type"] = next((kind for kind in kinds if kind != "null"), "null")
        for number, part in enumerate(_row(schema, "allOf", path)):
            flat = _both(flat, self.flat(part, (*path, "allOf", number), inside), path)
        for keyword in _ALTERNATIVES:
            row = enumerate(_row(schema, keyword, path))
            parts = [self.flat(part, (*path, keyword, number), inside) for number, part in row if not _is_null(part)]
            if keyword in schema:
                flat = _both(flat, _either(parts, path), path)
        return _without_null(flat)

    def _members(self, schema: _Schema, path: _Path, inside: frozenset[str]) -> _Schema:
        """What the schema says by itself, the schemas in it flattened."""
        own: _Schema = {key: value for key, value in schema.items() if key not in _LEFT_OUT}
        for (keyword, *step), inner in subschemas(own):
            if keyword == "additionalProperties" and isinstance(inner, bool):
                continue
            flat = self.flat(inner, (*path, keyword, *step), inside)
            held = own[str(keyword)]
            if not step:
                own[str(keyword)] = flat
            elif isinstance(held, dict):
                own[str(keyword)] = {**held, str(step[0]): flat}
            else:
                row = held if isinstance(held, list) else []
                own[str(keyword)] = [flat if number == step[0] else item for number, item in enumerate(row)]
        return own

    def _written_out(self, schema: _Schema, path: _Path, inside: frozenset[str]) -> tuple[_Schema, frozenset[str]]:
        """The schema with what it refers to in place of the reference; what stands beside it wins."""
        while "$ref" in schema or "$dynamicRef" in schema:
            reference = schema.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#"):
                raise _unfit(path, "it refers to something outside")
            if reference in inside:
                raise _unfit(path, "it refers to itself")
            inside |= {reference}
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**self._target(reference, path), **beside}
        return schema, inside

    def _target(self, reference: str, path: _Path) -> _Schema:
        at: Json = self._root
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            at = at.get(name) if isinstance(at, dict) else None
        if not isinstance(at, dict) or reference.partition("/")[0] != "#":
            raise _unfit(path, f"there is nothing at {reference[:80]}")
        return at


def _both(one: _Schema, other: _Schema, path: _Path) -> _Schema:
    """What both ask for; where they cannot be put together, what the first says."""
    merged = {**other, **one}
    kinds = [kind for kind in (one.get("type"), other.get("type")) if kind is not None]
    if len(kinds) > 1 and kinds[0] != kinds[1]:
        if not all(kind in ("integer", "number") for kind in kinds):
            raise _unfit(path, "it has to be of two types at once")
        merged["type"] = "integer"
    if "properties" in one and "properties" in other:
        first, second = _properties(one), _properties(other)
        shared = {name: _both(first[name], second[name], (*path, name)) for name in first if name in second}
        merged["properties"] = {**second, **first, **shared}
    if "required" in one and "required" in other:
        merged["required"] = list(dict.fromkeys([*_required(one), *_required(other)]))
    allowed, also = one.get("enum"), other.get("enum")
    if isinstance(allowed, list) and isinstance(also, list):
        merged["enum"] = [value for value in allowed if value in also]
    return merged


def _either(parts: list[_Schema], path: _Path) -> _Schema:
    """One schema for alternatives."""
    if not parts:
        raise _unfit(path, "it can only be null")
    if len(parts) > 1 and all(map(_is_object, parts)):
        return _any_object(parts, path)
    choices = [_choices(part) for part in parts]
    every = [value for some in choices for value in some]
    if all(choices) and all(part.get("type") == parts[0].get("type") for part in parts):
        rest = {key: value for key, value in parts[0].items() if key in ("type", "default")}
        return {**rest, "enum": [value for number, value in enumerate(every) if value not in every[:number]]}
    return parts[0]


def _any_object(parts: list[_Schema], path: _Path) -> _Schema:
    """An object with the members of all; what one does not need is not required."""
    found: dict[str, list[_Schema]] = {}
    for part in parts:
        for name, schema in _properties(part).items():
            if schema not in found.setdefault(name, []):
                found[name].append(schema)
    properties: _Schema = {name: _either(schemas, (*path, name)) for name, schemas in found.items()}
    required: list[Json] = [name for name in _required(parts[0]) if all(name in _required(part) for part in parts)]
    merged: _Schema = {"properties": properties} if properties else {}
    if any(part.get("type") == "object" for part in parts):
        merged["type"] = "object"
    if all(part.get("additionalProperties") is False for part in parts):
        merged["additionalProperties"] = False
    return {**merged, "required": required} if required else merged


def _without_null(schema: _Schema) -> _Schema:
    """A default or a choice of null makes no sense where null is no longer allowed."""
    if schema.get("type", "null") == "null":
        return schema
    kept = {key: value for key, value in schema.items() if key != "default" or value is not None}
    choices = kept.get("enum")
    return {**kept, "enum": [value for value in choices if value is not None]} if isinstance(choices, list) else kept


def _row(schema: _Schema, keyword: str, path: _Path) -> list[Json]:
    row = schema.get(keyword, [])
    if not isinstance(row, list):
        raise _unfit((*path, keyword), "it is no list")
    return row


def _is_null(schema: Json) -> bool:
    return isinstance(schema, dict) and (
        schema.get("type") in ("null", ["null"]) or ("const" in schema and schema["const"] is None)
    )


def _is_object(schema: _Schema) -> bool:
    return schema.get("type") == "object" or ("type" not in schema and bool({"properties", "required"} & schema.keys()))


def _choices(schema: _Schema) -> list[Json]:
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return values if isinstance(values, list) else []


def _properties(schema: _Schema) -> dict[str, _Schema]:
    held = schema.get("properties")
    members = held.items() if isinstance(held, dict) else ()
    return {name: inner for name, inner in members if isinstance(inner, dict)}


def _required(schema: _Schema) -> list[Json]:
    held = schema.get("required")
    return held if isinstance(held, list) else []


def _unfit(path: _Path, why: str) -> Unfit:
    return Unfit(f"{json_path(path)}: {why}")
