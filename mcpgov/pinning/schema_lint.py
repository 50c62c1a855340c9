"""What in the schemas of a tool is dangerous to whoever reads them: clients validate, and write references out.

Pure. A reference that leads out of the schema is an error wherever it stands: a client might fetch it. So is a schema
that is too deep or too many, or whose references multiply or run in a circle. A pattern that needs backtracking, values
that no model should have to write, and schemas that contain themselves are warnings. Nothing is fetched, compiled or
written out here. Time: linear, but for references, of which there are at most MAX_SCHEMAS. Refuses to know what a
schema describes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen
from mcpgov.pinning.finding import Finding, Severity
from mcpgov.pinning.revealed import quoted
from mcpgov.policy.json_schema import reference_faults, reference_targets, subschemas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpgov.models import Json
    from mcpgov.pinning.finding import Path

MAX_DEPTH: Final = 32  # schemas inside one another
MAX_SCHEMAS: Final = 1_000
MAX_ENUM: Final = 1_000  # values
MAX_PATTERN: Final = 1_000  # characters
MAX_OPEN: Final = 4  # additionalProperties inside one another
MAX_LEAST: Final = 10_000  # of what a value must have at least
_LEAST: Final = ("minItems", "minLength", "minProperties", "minContains")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
# What of a pattern counts: what is escaped or a class, where groups begin and end, and what repeats without end.
_TOKEN: Final = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<open>\()|(?P<close>\))|(?P<endless>[*+]|\{\d*,\})", re.DOTALL
)
# A group that begins or ends with a mark, as in (-[a-z]+)*: there is one way to read what it repeats.
_DELIMITED: Final = re.compile(r"^(?:\?:)?(?:\\[^\w\s]|[-,:;/@#_ =&~%])|(?:\\[^\w\s]|[-,:;/@#_ =&~%])$")


@frozen
class _Place:
    """A schema inside of one, `depth` schemas down, of which the last `opened` are additionalProperties."""

    path: Path
    schema: dict[str, Json]
    depth: int = 0
    opened: int = 0


def schema_findings(tool: str, schema: Json, base: Path) -> Iterator[Finding]:
    """What is found in the schema that stands at `base` of a definition within the bounds."""
    if not isinstance(schema, dict):
        if not isinstance(schema, bool):
            yield Finding(Severity.ERROR, tool, base, "a schema is an object", "write at least {}")
        return
    outward = tuple(_outward(schema, base))
    yield from (Finding(Severity.ERROR, tool, path, message, "use #/$defs/name") for path, message in outward)
    bomb = _bomb(schema)
    if bomb is not None:
        yield Finding(Severity.ERROR, tool, (*base, *bomb[0]), bomb[1], "make it simpler")
        return
    for place in _walk(schema):
        yield from (
            Finding(Severity.WARNING, tool, (*base, *place.path, *step), message, mend)
            for step, message, mend in _keywords(place.schema, place.opened)
        )
    if not outward:
        yield from (_at(found, tool, base) for found in _references(schema))


def _bomb(schema: dict[str, Json]) -> tuple[Path, str] | None:
    """What makes a schema too large to go on with."""
    for count, place in enumerate(_walk(schema)):
        if count >= MAX_SCHEMAS:
            return (), f"more than {MAX_SCHEMAS} schemas"
        if place.depth > MAX_DEPTH:
            return place.path, f"schemas are nested deeper than {MAX_DEPTH} levels"
    return None


def _walk(schema: dict[str, Json]) -> Iterator[_Place]:
    """Every schema that is an object, the outer before the inner."""
    waiting = [_Place((), schema)]
    while waiting:
        place = waiting.pop()
        yield place
        for step, inner in subschemas(place.schema):
            if isinstance(inner, dict):
                opened = place.opened + 1 if step[0] == "additionalProperties" else 0
                waiting.append(_Place((*place.path, *step), inner, place.depth + 1, opened))


def _outward(schema: dict[str, Json], base: Path) -> Iterator[tuple[Path, str]]:
    """References that lead out, also where no schema should stand: not every client looks where it is."""
    waiting: list[tuple[Path, Json]] = [(base, schema)]
    while waiting:
        path, one = waiting.pop()
        members = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
        for step, child in members:
            if step in _REFERENCES and isinstance(child, str) and not child.startswith("#"):
                yield (*path, step), f"the reference {quoted(child)} leads out of the schema"
            waiting.append(((*path, step), child))


def _keywords(schema: dict[str, Json], opened: int) -> Iterator[tuple[Path, str, str]]:
    """What single keywords say that they should not."""
    pattern, enum, named = schema.get("pattern"), schema.get("enum"), schema.get("patternProperties")
    patterns: list[tuple[Path, Json]] = [(("pattern",), pattern)]
    patterns += [(("patternProperties", key), key) for key in named] if isinstance(named, dict) else []
    for path, text in patterns:
        if isinstance(text, str) and (fault := _pattern_fault(text)):
            yield path, fault, "repeat once, or give a bound"
    if isinstance(enum, list) and len(enum) > MAX_ENUM:
        yield ("enum",), f"{len(enum)} values, all of which a model is to read", "take a text, and check it"
    for keyword in _LEAST:
        least = schema.get(keyword)
        if isinstance(least, int | float) and least > MAX_LEAST:
            yield (keyword,), f"a value needs more than {MAX_LEAST}, all of which a model is to write", "ask for fewer"
    if opened == MAX_OPEN:
        yield (), f"additionalProperties are nested {MAX_OPEN} times", "name the properties"


def _pattern_fault(pattern: str) -> str:
    """Why an engine that backtracks may never end on a pattern; a rule of thumb, as every such is."""
    if len(pattern) > MAX_PATTERN:
        return f"a pattern of {len(pattern)} characters"
    begun, endless = [0], [False]  # where each open group begins, and whether something repeats without end in it
    closed = -1  # where a group ended in which something does
    for token in _TOKEN.finditer(pattern):
        if token["open"]:
            begun.append(token.end())
            endless.append(False)
        elif token["close"] and len(begun) > 1:
            inside, repeats = pattern[begun.pop() : token.start()], endless.pop()
            endless[-1] |= repeats
            closed = token.end() if repeats and not _DELIMITED.search(inside) else -1
        elif token["endless"]:
            if closed == token.start():
                return "a pattern repeats without end what itself repeats without end"
            endless[-1] = True
    return ""


def _references(schema: dict[str, Json]) -> Iterator[Finding]:
    """What is found in references that stay inside."""
    for fault in reference_faults(schema):
        severity = Severity.WARNING if fault.path else Severity.ERROR
        said = "the reference leads to no schema in here" if fault.path else fault.message  # which repeats it
        yield Finding(severity, "", fault.path, said, fault.mend)
    targets = {path: target for path, (_, target) in reference_targets(schema).items() if target is not None}
    circle = _circle(targets)
    if circle is not None:
        yield Finding(Severity.ERROR, "", (*circle, "$ref"), "references run in a circle", "refer to a schema")
    elif (again := _contains_itself(targets)) is not None:
        said = "a schema contains itself: who writes references out does not end"
        yield Finding(Severity.WARNING, "", (*again, "$ref"), said, "bound the depth, if clients have trouble")


def _circle(targets: dict[Path, Path]) -> Path | None:
    """A reference that leads through nothing but references back to itself."""
    for start, first in targets.items():
        at, steps = first, 0
        while at in targets and at != start and steps <= len(targets):
            at, steps = targets[at], steps + 1
        if at == start:
            return start
    return None


def _contains_itself(targets: dict[Path, Path]) -> Path | None:
    """A reference to something in which that very reference stands, also by way of others."""
    leads = {path: {other for other in targets if other[: len(to)] == to} for path, to in targets.items()}
    while ended := {path for path, others in leads.items() if not others}:
        leads = {path: others - ended for path, others in leads.items() if path not in ended}
    return min(leads, key=str, default=None)


def _at(found: Finding, tool: str, base: Path) -> Finding:
    return Finding(found.severity, tool, (*base, *found.path), found.message, found.mend)
