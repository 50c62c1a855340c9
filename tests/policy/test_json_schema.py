"""A schema that is taken checks what it says; one that could not is refused when it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcpgov.policy.json_schema import compile_schema, faults_of

if TYPE_CHECKING:
    from mcpgov.models import Json

Schema = dict[str, "Json"]


def nested(depth: int) -> Schema:
    schema: Schema = {}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        ({"required": ["a"]}, {}, "$.required"),
        ({"properties": {"a": {"maximum": 10}}}, {"a": 11}, "$.properties.a.maximum"),
        ({"properties": {"a": {"maximum": 10}}}, {"a": 10}, ""),
        (
            {"$defs": {"x": {"minimum": 3}}, "properties": {"a": {"$ref": "#/$defs/x"}}},
            {"a": 1},
            "$['$defs'].x.minimum",
        ),
        ({"prefixItems": [{"type": "string"}]}, [5], "$.prefixItems[0].type"),
        ({"format": "email"}, "nobody", "$.format"),
        ({"pattern": "^(a+)+$"}, "a" * 50_000 + "b", "$.pattern"),
        ({"$ref": "#"}, {"a": 1}, ""),
        (True, {"a": 1}, ""),
        (False, {}, "$"),
    ],
)
def test_fault_names_the_keyword_that_failed(schema: Any, value: Json, fault: str) -> None:
    assert faults_of(schema) == ()
    assert compile_schema(schema).fault(value) == fault


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 2**14_000, "a\ud800", [{"\udfff": 1}]])
def test_what_no_two_readers_agree_on_is_never_valid(value: Json) -> None:
    assert "64 bits" in compile_schema({}).fault({"a": [value]})


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), True, None, 1.5, "\U0001f600", {"a": []}])
def test_what_fits_is_valid(value: Json) -> None:
    assert compile_schema({"properties": {"a": {}}}).fault({"a": value}) == ""


def test_value_that_is_too_deep_for_the_engine_is_not_valid() -> None:
    value: Json = []
    for _ in range(2_000):
        value = [value]
    assert compile_schema({"const": 5}).fault(value) == "nested too deep to be checked"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ([], "$: a schema is a mapping, true or false"),
        ({"maximun": 5}, "$.maximun: there is no keyword maximun (did you mean maximum?)"),
        ({"properties": {"a": {"typ": "string"}}}, "$.properties.a.typ: there is no keyword typ (did you mean type?)"),
        ({"anyOf": [{"x-note": 1}, {"nothing": 1}]}, "$.anyOf[1].nothing: there is no keyword nothing"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "$['$schema']: only JSON Schema 2020-12 is read"),
        ({"properties": {"a": {"pattern": "(?=a)"}}}, '$.properties.a.pattern: "(?=a)" is not a "regex" (RE2 syntax'),
        ({"pattern": "a{1000}{1000}"}, '$.pattern: "a{1000}{1000}" is not a "regex"'),
        ({"type": "strin"}, '$.type: "strin" is not valid'),
        ({"format": "emial"}, "$.format: Unknown format: 'emial'"),
        ({"$ref": "https://example.com/s"}, "$: Resource 'https://example.com/s' is not present"),
        ({"$ref": "file:///etc/passwd"}, "$: Resource 'file:///etc/passwd' is not present"),
        ({"$ref": "#/$defs/nothing"}, "$: Pointer '/$defs/nothing' does not exist"),
        ({"anyOf": {"a": 1}, "properties": []}, "$.anyOf: "),
        (nested(65), "$: the schema is too large: Nested deeper"),
        ({"const": ["x"] * 20_000}, "$: the schema is too large: "),
    ],
)
def test_what_could_not_check_what_it_says_is_refused(schema: Json, expected: str) -> None:
    fault = faults_of(schema)[0]
    from_root = "$" + "".join(
        f"[{step}]" if isinstance(step, int) else f"['{step}']" if "$" in step else f".{step}" for step in fault.path
    )
    assert f"{from_root}: {fault.message} ({fault.mend})".startswith(expected)


def test_every_unknown_keyword_is_told() -> None:
    assert len(faults_of({"a": 1, "not": {"b": 1}, "items": True})) == 2
