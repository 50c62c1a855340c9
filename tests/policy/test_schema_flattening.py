"""A flattened schema has no alternatives, and what a model sends by it the server takes as far as can be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.policy.schema_flattening import Unfit, flattened

if TYPE_CHECKING:
    from mcpgov.models import Json

Schema = dict[str, "Json"]
STRING: Schema = {"type": "string"}
NULL: Schema = {"type": "null"}


def obj(required: list[Json] | None = None, **properties: Json) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


FLAT: list[tuple[Any, Any]] = [
    ({}, {}),
    (STRING, STRING),
    (obj(a=True, b=STRING), obj(a={}, b=STRING)),
    # null goes
    ({"anyOf": [STRING, NULL], "default": None, "title": "T"}, {"type": "string", "title": "T"}),
    ({"oneOf": [{"const": None}, STRING], "default": "x"}, {"type": "string", "default": "x"}),
    ({"type": ["null", "integer"], "enum": [1, None]}, {"type": "integer", "enum": [1]}),
    ({"type": ["null"], "default": None}, {"type": "null", "default": None}),
    ({"type": []}, {"type": "null"}),
    ({"type": ["string", "number"]}, STRING),
    # alternatives
    ({"anyOf": [STRING, {"type": "array", "items": {"anyOf": [STRING, NULL]}}]}, STRING),
    ({"oneOf": [{"const": "a"}, {"const": "b"}, {"const": "a"}]}, {"enum": ["a", "b"]}),
    ({"anyOf": [{"type": "string", "enum": ["a"], "default": "a"}, {"type": "string", "enum": ["b"]}]},
     {"type": "string", "enum": ["a", "b"], "default": "a"}),
    ({"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "integer", "enum": [1]}]},
     {"type": "string", "enum": ["a"]}),
    ({"anyOf": [obj(["a", "b"], a=STRING, b=STRING), obj(["b"], b={"type": "integer"}, c=STRING)]},
     obj(["b"], a=STRING, b=STRING, c=STRING)),
    ({"anyOf": [{"type": "object", "additionalProperties": False}] * 2},
     {"type": "object", "additionalProperties": False}),
    (obj(["a"], a=STRING) | {"anyOf": [{"required": ["b"]}, {"required": ["c"]}]}, obj(["a"], a=STRING)),
    # everything together
    ({"allOf": [obj(["a"], a=STRING), obj(["b", "a"], b=STRING)]}, obj(["a", "b"], a=STRING, b=STRING)),
    ({"allOf": [obj(a=STRING), obj(a={"maxLength": 3})]}, obj(a={"maxLength": 3, "type": "string"})),
    ({"allOf": [{"enum": [1, 2]}], "enum": [2, 3]}, {"enum": [2]}),
    ({"allOf": [{"type": "number"}], "type": "integer"}, {"type": "integer"}),
    ({"type": "object", "allOf": [{"if": {}, "then": {}}], "not": {}}, {"type": "object"}),
    ({"type": "object", "if": {}, "then": {"title": "T"}, "else": {"title": "E"}}, {"type": "object"}),
    # references
    (obj(a={"$ref": "#/$defs/x~1y", "title": "T"}) | {"$defs": {"x/y": STRING}}, obj(a=STRING | {"title": "T"})),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": STRING}}, STRING),
    (obj(a={"$ref": "#/$defs/x"}, b={"$ref": "#/$defs/x"}) | {"$defs": {"x": STRING}}, obj(a=STRING, b=STRING)),
    # inside
    ({"prefixItems": [{"type": ["string", "null"]}, STRING]}, {"prefixItems": [STRING, STRING]}),
    ({"additionalProperties": {"anyOf": [STRING, NULL]}}, {"additionalProperties": STRING}),
    ({"additionalProperties": True}, {"additionalProperties": True}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "flat"), FLAT)
def test_schema_becomes_one_without_alternatives(schema: Schema, flat: Schema) -> None:
    assert flattened(schema) == flat


def test_schema_itself_is_never_changed() -> None:
    schema = obj(a={"anyOf": [STRING, NULL]}, b={"$ref": "#/properties/a"})
    before = repr(schema)
    flattened(schema)
    assert repr(schema) == before


def doubling(levels: int) -> Schema:
    """A schema that grows to 2 ** levels when its references are written out."""
    definitions: Schema = {
        f"d{n}": obj(a={"$ref": f"#/$defs/d{n + 1}"}, b={"$ref": f"#/$defs/d{n + 1}"}) for n in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{levels}": STRING}}


def deep(levels: int) -> Schema:
    schema = STRING
    for _ in range(levels):
        schema = obj(a=schema)
    return schema


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (obj(a={"$ref": "#"}), r"\$.properties.a.properties.a: it refers to itself"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "it refers to itself"),
        (obj(a={"$ref": "https://x.example/s"}), r"\$.properties.a: it refers to something outside"),
        (obj(a={"$ref": 5}), "it refers to something outside"),
        (obj(a={"$dynamicRef": "#x"}), "it refers to something outside"),
        ({"$ref": "#/$defs/nothing"}, "there is nothing at #/\\$defs/nothing"),
        ({"$ref": "#anchor"}, "there is nothing at #anchor"),
        ({"$ref": "#/a/b", "a": [1]}, "there is nothing at"),
        (obj(a=False), r"\$.properties.a: it is no object"),
        ({"anyOf": [NULL, NULL]}, "it can only be null"),
        ({"allOf": 5}, r"\$.allOf: it is no list"),
        ({"allOf": [STRING], "type": "object"}, "it has to be of two types at once"),
        (doubling(14), "it is too large"),
        (deep(40), "it is too large"),
    ],
)
def test_what_cannot_be_flattened_says_where_and_why(schema: Schema, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        flattened(schema)


def schemas() -> st.SearchStrategy[Any]:
    leaves: st.SearchStrategy[Any] = st.sampled_from(
        [STRING, NULL, {"type": ["integer", "null"]}, {"enum": ["a", None]}, {"const": "b"}, {}]
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)})
            | st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)})
            | st.fixed_dictionaries(
                {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("abc"), inner)}
            )
            | st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        ),
        max_leaves=12,
    )


@given(schemas())
def test_nothing_that_the_client_refuses_is_left(schema: Schema) -> None:
    try:
        flat = flattened(schema)
    except Unfit:
        return
    text = repr(flat)
    assert not any(word in text for word in ("anyOf", "oneOf", "allOf", "$ref", "'type': ["))
    assert flattened(flat) == flat
