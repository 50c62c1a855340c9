"""JSON Schema 2020-12, as far as a guard can be trusted to it.

Decides which schemas are taken: small ones, of keywords that exist (a misspelt one would silently check nothing), of
formats that are checked, with regular expressions that run in linear time, and with references that are pointers to
a schema inside, followed from one to the next not too often. Nothing is ever fetched. What the engine cannot hold
exactly (an integer of more than 64 bits, half a surrogate pair) is not valid, whatever the schema says. It says that a
value is not valid, never why: the engine would collect the errors of every branch of every branch. Refuses to know what
is checked with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import jsonschema_rs

from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.strict_json import JsonLimits, dumps, parse
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpgov.models import Json

LIMITS: Final = JsonLimits(64 * 1024, depth=64, keys=5_000, values=10_000, string=16 * 1024)
MAX_DEPTH: Final = 200  # levels of a value; the engine gives up at 255, or overflows its stack at some more
MAX_EXPANDED: Final = 10_000  # schemas, each counted as often as references lead to it
DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
ONE: Final = frozenset({  # keywords that hold a schema
    *("additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then"),
    *("unevaluatedItems", "unevaluatedProperties"),
})  # fmt: skip
ROW: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})  # that hold a list of schemas
NAMED: Final = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})  # a mapping
PLAIN: Final = frozenset({  # that hold none
    *("$comment", "$id", "$ref", "$schema", "const", "contentEncoding"),
    *("contentMediaType", "default", "dependentRequired", "deprecated", "description", "enum", "examples"),
    *("exclusiveMaximum", "exclusiveMinimum", "format", "maxContains", "maxItems", "maxLength", "maxProperties"),
    *("maximum", "minContains", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern"),
    *("readOnly", "required", "title", "type", "uniqueItems", "writeOnly"),
})  # fmt: skip
_KEPT: Final = frozenset({"$defs", "definitions"})  # what stands there applies where a reference leads to it
_OTHER_REFERENCES: Final = frozenset({"$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef"})
_POINTER: Final = "write the reference as #/$defs/name"
_INTEGERS: Final = range(-(2**63), 2**64)
_Path = tuple[str | int, ...]
_Schema = dict[str, "Json"] | bool


@frozen
class Fault:
    """Something that keeps a schema from being taken, and where in it."""

    path: _Path
    message: str
    mend: str = ""


@frozen
class JsonSchema:
    """A schema that was found good."""

    _validator: jsonschema_rs.Draft202012Validator

    def fault(self, value: Json) -> str:
        """What speaks against `value`, without quoting it; "" where it is valid. Time: grows with the value."""
        unheld = _unheld(value)
        return unheld or ("" if self._validator.is_valid(value) else "the schema does not hold")


def compile_schema(schema: _Schema) -> JsonSchema:
    """The schema, of which faults_of() found none."""
    return JsonSchema(_validator(schema))


def faults_of(schema: Json) -> tuple[Fault, ...]:
    """Everything that keeps `schema` from being taken."""
    if not isinstance(schema, dict | bool):
        return (Fault((), "a schema is a mapping, true or false"),)
    try:
        parse(dumps(schema), LIMITS)
    except Refusal as refusal:
        return (Fault((), f"the schema is too large: {refusal.message}", "make it simpler"),)
    return tuple(_faults(schema, ())) or reference_faults(schema) or _engine_faults(schema)


def subschemas(schema: dict[str, Json]) -> Iterator[tuple[_Path, Json]]:
    """The schemas right inside `schema`, each with its path. What a keyword holds in a wrong shape is left out."""
    for keyword, held in schema.items():
        if keyword in ONE:
            yield (keyword,), held
        elif keyword in ROW and isinstance(held, list):
            yield from (((keyword, number), item) for number, item in enumerate(held))
        elif keyword in NAMED and isinstance(held, dict):
            yield from (((keyword, name), item) for name, item in held.items())


def _faults(schema: Json, path: _Path) -> Iterator[Fault]:
    if not isinstance(schema, dict):
        return
    known = ONE | ROW | NAMED | PLAIN
    for keyword in schema:
        if keyword in _OTHER_REFERENCES or (keyword == "$id" and path):
            yield Fault((*path, keyword), "a reference is a pointer from the root of the schema", _POINTER)
        elif keyword not in known and not keyword.startswith("x-"):
            yield Fault((*path, keyword), f"there is no keyword {keyword}", nearest(keyword, known))
    if schema.get("$schema", DRAFT) != DRAFT:
        yield Fault((*path, "$schema"), "only JSON Schema 2020-12 is read", f"remove $schema, or write {DRAFT}")
    for step, inner in subschemas(schema):
        yield from _faults(inner, (*path, *step))


def reference_faults(schema: _Schema) -> tuple[Fault, ...]:
    """References that lead to no schema, or to so many that a call could not be checked while somebody waits.

    Of the former the path ends in `$ref`; of the latter it is empty. The depth of `schema` is bounded by its caller.
    """
    found = reference_targets(schema)
    what = "{!r} leads to no schema in here"
    faults = [
        Fault((*path, "$ref"), what.format(reference), _POINTER)
        for path, (reference, target) in found.items()
        if target is None
    ]
    targets = {path: target for path, (_, target) in found.items() if target is not None}
    if not faults and _expanded(dict(_all_schemas(schema, ())), targets) > MAX_EXPANDED:
        what = f"references lead to more than {MAX_EXPANDED} schemas, each counted as often as it is reached"
        faults.append(Fault((), what, "refer to a schema from fewer places"))
    return tuple(faults)


def reference_targets(schema: _Schema) -> dict[_Path, tuple[str, _Path | None]]:
    """Where references stand, what they say, and to which schema each leads; None where to none in here.

    One that is no text is the engine's to refuse, and is left out.
    """
    schemas = dict(_all_schemas(schema, ()))
    by_pointer = {tuple(map(str, path)): path for path in schemas}
    return {
        path: (reference, by_pointer.get(_steps(reference)) if reference.startswith("#") else None)
        for path, inner in schemas.items()
        if isinstance(inner, dict) and isinstance(reference := inner.get("$ref"), str)
    }


def _all_schemas(schema: Json, path: _Path) -> Iterator[tuple[_Path, Json]]:
    yield path, schema
    for step, inner in subschemas(schema) if isinstance(schema, dict) else ():
        yield from _all_schemas(inner, (*path, *step))


def _steps(reference: str) -> tuple[str, ...]:
    """RFC 6901 section 6. An anchor (#name) becomes a step that no pointer has."""
    first, *steps = unquote(reference.removeprefix("#")).split("/")
    named = (first,) if first else ()
    return (*named, *(step.replace("~1", "/").replace("~0", "~") for step in steps))


def _expanded(schemas: dict[_Path, Json], targets: dict[_Path, _Path]) -> int:
    """How many schemas there are with every reference written out, as far as it does not lead back into itself.

    The engine remembers what it found where a schema leads back into itself, and nowhere else. Stops at MAX_EXPANDED.
    """
    count = 0
    inside: set[_Path] = set()
    waiting: list[tuple[_Path, bool]] = [((), True)]
    while waiting and count <= MAX_EXPANDED:
        path, enters = waiting.pop()
        if not enters:
            inside.remove(path)
            continue
        count += 1
        if path in inside:
            continue
        inside.add(path)
        waiting.append((path, False))
        schema = schemas[path]
        held = subschemas(schema) if isinstance(schema, dict) else ()
        waiting += [((*path, *step), True) for step, _ in held if step[0] not in _KEPT]
        waiting += [(targets[path], True)] if path in targets else []
    return count


def _engine_faults(schema: _Schema) -> tuple[Fault, ...]:
    try:
        _validator(schema)
    except jsonschema_rs.ValidationError as error:
        what, _, _ = error.message.partition("\n")
        mend = "RE2 syntax: no look-around, no back-references" if what.endswith('"regex"') else ""
        return (Fault(tuple(error.instance_path), what, mend),)
    return ()


def _validator(schema: _Schema) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        schema,
        validate_formats=True,
        ignore_unknown_formats=False,
        pattern_options=jsonschema_rs.RegexOptions(),  # the other engine backtracks
        offline=True,
    )


def _unheld(value: Json) -> str:
    """What keeps the engine from seeing the value that is there. Not recursive: a value may be deep."""
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Json] = []
        for one in level:
            if isinstance(one, dict):
                inner += one.keys()
                inner += one.values()
            elif isinstance(one, list):
                inner += one
            elif (isinstance(one, str) and not _is_text(one)) or (isinstance(one, int) and one not in _INTEGERS):
                return "an integer has more than 64 bits, or a text half a surrogate pair"
        if not inner:
            return ""
        level = inner
    return "nested too deep to be checked"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
