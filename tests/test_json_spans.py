"""Where a value stands in a JSON text: exactly its bytes, whatever stands around it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.json_spans import span_of, with_first_member, with_value

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_the_bytes_of_a_value_are_found_as_they_were_written() -> None:
    body = ' {"id" : 1, "params": {"_m\\u0065ta": {}, "arguments" : { "ü": 1.00,\n "b":[ ] } , "x":2}} '.encode()
    span = span_of(body, ("params", "arguments"))
    assert span is not None
    assert body[span] == '{ "ü": 1.00,\n "b":[ ] }'.encode()
    meta = span_of(body, ("params", "_meta"))
    assert meta is not None
    assert body[meta] == b"{}"


def test_the_whole_text_is_the_value_of_no_step() -> None:
    assert span_of(b' {"a":1} ', ()) == slice(1, 8)


@pytest.mark.parametrize("body", [b'{"params":{}}', b"{}", b"[]", b'"params"', b'{"params":[{"arguments":1}]}'])
def test_a_value_that_is_not_there_is_not_found(body: bytes) -> None:
    assert span_of(body, ("params", "arguments")) is None


@given(st.dictionaries(st.text(), values, min_size=1, max_size=4), st.data())
def test_each_value_of_an_object_is_found(members: dict[str, object], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(members)))
    for ascii_only in (True, False):
        body = json.dumps(members, ensure_ascii=ascii_only).encode("utf-8")
        span = span_of(body, (key,))
        assert span is not None
        assert json.loads(body[span]) == members[key]


def test_a_value_is_replaced_and_every_other_byte_stays() -> None:
    body = ' {"ü" : {"a": [ 1.0 ], "b":2}} '.encode()
    assert with_value(body, ("ü", "a"), '"x"') == ' {"ü" : {"a": "x", "b":2}} '.encode()
    assert with_value(body, ("ü", "c"), "1") is None


def test_a_member_is_put_in_at_the_front_of_an_object() -> None:
    body = ' {"ü" : {"a": [ 1.0 ]}, "e":{ }, "n":null} '.encode()
    put = ' {"ü" : {"k\\"":1,"a": [ 1.0 ]}, "e":{ }, "n":null} '.encode()
    assert with_first_member(body, ("ü",), 'k"', "1") == put
    assert with_first_member(body, ("e",), "k", "1") == ' {"ü" : {"a": [ 1.0 ]}, "e":{"k":1 }, "n":null} '.encode()
    for path in (("n",), ("none",), ("ü", "a")):
        assert with_first_member(body, path, "k", "1") is None
