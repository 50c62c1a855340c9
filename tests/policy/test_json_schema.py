"""A schema that is taken checks what it says; one that could not is refused when it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mcpgov.policy.json_schema import MAX_DEPTH, NAMED, ONE, PLAIN, ROW, compile_schema, faults_of

if TYPE_CHECKING:
    from mcpgov.models import Json

Schema = dict[str, "Json"]


def nested(depth: int) -> Schema:
    schema: Schema = {}
    for _ in range(depth):
        schema = {"not": schema}
    return schema


def graph(definitions: Schema) -> Schema:
    return {"$defs": definitions, "$ref": "#/$defs/d0"}


def chained(length: int, keyword: str = "anyOf") -> Schema:
    """Every definition refers to the next one twice."""
    twice: Schema = {}
    for n in range(length):
        after: Json = {"$ref": f"#/$defs/d{n + 1}"}
        twice[f"d{n}"] = {keyword: [after, after]}
    return graph({**twice, f"d{length}": {"type": "string"}})


def linked(*keywords: str) -> Schema:
    """Every definition refers to the next one by each of the keywords."""
    links: Schema = {f"d{n}": {keyword: {"$ref": f"#/$defs/d{n + 1}"} for keyword in keywords} for n in range(26)}
    return graph({**links, "d26": {}})


def everyone_to_everyone(size: int, **more: Json) -> Schema:
    return graph(
        {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{m}"} for m in range(size) if m != n], **more} for n in range(size)}
    )


def deep(levels: int, leaf: Json) -> Json:
    for _ in range(levels):
        leaf = {"child": leaf, "op": "or"}
    return leaf


def branches(keyword: str) -> Schema:
    """A tree whose every node could be one of two, which only its last member tells apart."""
    nodes: list[Json] = [
        {"type": "object", "properties": {"child": {"$ref": "#"}, "op": {"const": op}}, "required": ["child", "op"]}
        for op in ("and", "or")
    ]
    return {keyword: [{"type": "string"}, *nodes]}


@pytest.mark.parametrize(
    ("schema", "value", "valid"),
    [
        ({"required": ["a"]}, {}, False),
        ({"properties": {"a": {"maximum": 10}}}, {"a": 11}, False),
        ({"properties": {"a": {"maximum": 10}}}, {"a": 10}, True),
        ({"$defs": {"x": {"minimum": 3}}, "properties": {"a": {"$ref": "#/$defs/x"}}}, {"a": 1}, False),
        ({"$defs": {"a/b~ c": {"minimum": 3}}, "$ref": "#/$defs/a~1b~0%20c"}, 1, False),
        ({"anyOf": [{"minimum": 3}], "properties": {"a": {"$ref": "#/anyOf/0"}}}, {"a": 1}, False),
        ({"prefixItems": [{"type": "string"}]}, [5], False),
        ({"format": "email"}, "nobody", False),
        ({"pattern": "^(a+)+$"}, "a" * 50_000 + "b", False),
        ({"$ref": "#"}, {"a": 1}, True),
        ({"$id": "https://example.com/s", "$ref": "#/$defs/x", "$defs": {"x": False}}, 1, False),
        (True, {"a": 1}, True),
        (False, {}, False),
        (chained(9), 1, False),
        (chained(9, "oneOf"), "a", False),
        (everyone_to_everyone(5, type="string"), "a", True),
    ],
)
def test_value_is_valid_or_the_schema_does_not_hold(schema: Any, value: Json, *, valid: bool) -> None:
    assert faults_of(schema) == ()
    assert compile_schema(schema).fault(value) == ("" if valid else "the schema does not hold")


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf"])
@pytest.mark.parametrize(("leaf", "valid"), [(1, False), ("a", True)])
def test_recursive_schema_is_decided_however_deep_the_value(keyword: str, leaf: Json, *, valid: bool) -> None:
    """With one more step for each branch of each level, this would never end."""
    schema = branches(keyword)
    assert faults_of(schema) == ()
    assert (compile_schema(schema).fault(deep(64, leaf)) == "") is valid


@pytest.mark.parametrize(
    "schema",
    [
        chained(26),
        chained(26, "allOf"),
        chained(800),
        everyone_to_everyone(9),
        everyone_to_everyone(9, unevaluatedProperties=False),
        linked("not", "if"),
        linked("items", "additionalProperties"),
    ],
)
def test_schema_that_references_make_too_large_is_refused(schema: Schema) -> None:
    (fault,) = faults_of(schema)
    assert fault.message == "references lead to more than 10000 schemas, each counted as often as it is reached"
    assert fault.mend == "refer to a schema from fewer places"


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 2**14_000, "a\ud800", [{"\udfff": 1}]])
def test_what_no_two_readers_agree_on_is_never_valid(value: Json) -> None:
    assert "64 bits" in compile_schema({}).fault({"a": [value]})


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), True, None, 1.5, "\U0001f600", {"a": []}])
def test_what_fits_is_valid(value: Json) -> None:
    assert compile_schema({"properties": {"a": {}}}).fault({"a": value}) == ""


def test_value_that_is_too_deep_for_the_engine_is_not_valid() -> None:
    assert compile_schema({}).fault(deep(MAX_DEPTH, [])) == "nested too deep to be checked"
    assert compile_schema({"items": {"$ref": "#"}}).fault(deep(100_000, [])) == "nested too deep to be checked"
    deepest = deep(MAX_DEPTH - 2, {})
    assert compile_schema({"uniqueItems": True}).fault([deepest, deepest]) == "the schema does not hold"


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
        ({"$ref": "https://example.com/s"}, "$['$ref']: 'https://example.com/s' leads to no schema in here (write the"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "$['$ref']: 'https://json-schema.org/draft/2020"),
        ({"not": {"$ref": "file:///etc/passwd"}}, "$.not['$ref']: 'file:///etc/passwd' leads to no schema in here"),
        ({"$ref": "#/$defs/nothing"}, "$['$ref']: '#/$defs/nothing' leads to no schema in here"),
        ({"$ref": "#/x-hidden", "x-hidden": {"$id": "y"}}, "$['$ref']: '#/x-hidden' leads to no schema in here"),
        ({"$ref": "#a"}, "$['$ref']: '#a' leads to no schema in here"),
        ({"$ref": 5}, "$['$ref']: 5 is not of type"),
        ({"$anchor": "a"}, "$['$anchor']: a reference is a pointer from the root of the schema (write the reference"),
        ({"not": {"$id": "a"}}, "$.not['$id']: a reference is a pointer from the root of the schema"),
        ({"$dynamicRef": "#a"}, "$['$dynamicRef']: a reference is a pointer from the root of the schema"),
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


def test_the_keywords_are_those_of_the_draft() -> None:
    words = """
        $comment $defs $id $ref $schema additionalProperties allOf anyOf const contains contentEncoding contentMediaType
        contentSchema default definitions dependentRequired dependentSchemas deprecated description else enum examples
        exclusiveMaximum exclusiveMinimum format if items maxContains maxItems maxLength maxProperties maximum
        minContains minItems minLength minProperties minimum multipleOf not oneOf pattern patternProperties prefixItems
        properties propertyNames readOnly required then title type unevaluatedItems unevaluatedProperties uniqueItems
        writeOnly
    """
    assert words.split() == sorted(ONE | ROW | NAMED | PLAIN)
