"""A schema that is dangerous to whoever reads it is found, without reading it as they would."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from mcpgov.pinning.finding import Finding, Path, Severity
from mcpgov.pinning.schema_lint import (
    MAX_DEPTH,
    MAX_ENUM,
    MAX_LEAST,
    MAX_OPEN,
    MAX_PATTERN,
    MAX_SCHEMAS,
    schema_findings,
)

if TYPE_CHECKING:
    from mcpgov.models import Json


def found(schema: Json) -> list[Finding]:
    return list(schema_findings("a", schema, ("inputSchema",)))


def errors(schema: Json) -> list[tuple[Path, str]]:
    return [(one.path[1:], one.message) for one in found(schema) if one.severity is Severity.ERROR]


def warnings(schema: Json) -> list[tuple[Path, str]]:
    return [(one.path[1:], one.message) for one in found(schema) if one.severity is Severity.WARNING]


def nested(depth: int, keyword: str) -> Json:
    schema: Json = {}
    for _ in range(depth):
        schema = {keyword: schema}
    return schema


@pytest.mark.parametrize("schema", [7, "x", None, []])
def test_what_is_no_schema_is_an_error(schema: Json) -> None:
    assert errors(schema) == [((), "a schema is an object")]


@pytest.mark.parametrize(
    "reference", ["http://evil.example/x", "https://x/#/a", "file:///etc/passwd", "other.json", "//x"]
)
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$recursiveRef"])
def test_a_reference_that_leads_out_is_an_error_wherever_it_stands(reference: str, keyword: str) -> None:
    for schema, path in (
        ({"properties": {"a": {keyword: reference}}}, ("properties", "a", keyword)),
        ({"default": [{keyword: reference}]}, ("default", 0, keyword)),
    ):
        assert errors(cast("Json", schema)) == [(path, f'the reference "{reference}" leads out of the schema')]


def test_a_property_of_that_name_is_no_reference() -> None:
    assert found({"properties": {"$ref": {"type": "string"}}}) == []


def test_a_schema_of_too_many_levels_or_schemas_is_an_error() -> None:
    ((path, message),) = errors(nested(MAX_DEPTH + 1, "items"))
    assert (len(path), message) == (MAX_DEPTH + 1, f"schemas are nested deeper than {MAX_DEPTH} levels")
    assert errors(nested(MAX_DEPTH, "items")) == []
    many: Json = {"anyOf": [{} for _ in range(MAX_SCHEMAS)]}
    assert errors(many) == [((), f"more than {MAX_SCHEMAS} schemas")]


def test_references_that_multiply_are_an_error() -> None:
    bomb = {f"a{at}": {"allOf": [{"$ref": f"#/$defs/a{at + 1}"}] * 2} for at in range(30)}
    ((path, message),) = errors(cast("Json", {"$defs": {**bomb, "a30": {}}, "$ref": "#/$defs/a0"}))
    assert (path, message[:29]) == ((), "references lead to more than ")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"$defs": {"x": {"$ref": "#/$defs/a"}, "a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    ],
)
def test_references_that_run_in_a_circle_are_an_error(schema: Json) -> None:
    assert [message for _, message in errors(schema)] == ["references run in a circle"]


def test_a_schema_that_contains_itself_is_warned_of() -> None:
    tree: Json = {"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"items": {"$ref": "#/$defs/a"}}, "c": {}}}
    ((path, message),) = warnings({**cast("dict[str, Json]", tree), "items": {"$ref": "#/$defs/c"}})
    assert (path, message[:24]) == (("$defs", "a", "items", "$ref"), "a schema contains itself")


def test_a_reference_to_nothing_is_warned_of() -> None:
    assert warnings({"items": {"$ref": "#/$defs/none"}}) == [
        (("items", "$ref"), "the reference leads to no schema in here")
    ]


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "(a*)*", r"(\w+\s?){2,}", "((a+)b?)*", "(?:[a-z]+)*", "(x|y+)+", "a" * 2_000]
)
def test_a_pattern_that_may_not_end_is_warned_of(pattern: str) -> None:
    assert [path for path, _ in warnings({"pattern": pattern})] == [("pattern",)]
    assert [path for path, _ in warnings({"patternProperties": {pattern: {}}})] == [("patternProperties", pattern)]


@pytest.mark.parametrize(
    "pattern",
    [
        *("^[a-z]+(-[a-z]+)*$", r"([a-z0-9-]+\.)+[a-z]{2,}", "(?:,\\d+)*", "(a{1,3}){2}", "(ab)+"),
        *(r"\(a+\)+", "[(+)]+", ")a+", "(a+)b+"),
    ],
)
def test_a_pattern_that_ends_is_not(pattern: str) -> None:
    assert warnings({"pattern": pattern, "patternProperties": {}}) == []


def test_what_no_model_should_read_or_write_is_warned_of() -> None:
    values: list[Json] = list(range(MAX_ENUM + 1))
    assert [path for path, _ in warnings({"enum": values})] == [("enum",)]
    for keyword in ("minItems", "minLength", "minProperties", "minContains"):
        assert [path for path, _ in warnings({keyword: MAX_LEAST + 1})] == [(keyword,)]
    assert warnings({"enum": values[1:], "minItems": MAX_LEAST, "pattern": "a" * MAX_PATTERN}) == []


def test_objects_that_are_open_without_end_are_warned_of_once() -> None:
    ((path, message),) = warnings(nested(MAX_OPEN + 2, "additionalProperties"))
    assert (len(path), message) == (MAX_OPEN, f"additionalProperties are nested {MAX_OPEN} times")
    assert warnings({"additionalProperties": {"properties": {"a": nested(MAX_OPEN - 1, "additionalProperties")}}}) == []


@pytest.mark.parametrize(
    "schema", [True, False, {}, {"items": True, "$ref": 7, "enum": 7, "minItems": "x", "pattern": 7}]
)
def test_what_is_plain_or_wrong_in_another_way_has_no_finding(schema: Json) -> None:
    assert found(schema) == []
