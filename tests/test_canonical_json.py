"""Equal values have one text, and different ones have two."""

from __future__ import annotations

import json
import struct
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.canonical_json import canonical, digest
from mcpgov.models import Json

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS.filter(lambda number: abs(number) < 2**53) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


@pytest.mark.parametrize(
    ("bits", "text"),
    [  # RFC 8785 appendix B
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_a_number_is_written_as_ecmascript_writes_it(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number) == text
    assert canonical([number, {"a": number}]) == f'[{text},{{"a":{text}}}]'


def test_members_are_sorted_by_utf_16() -> None:
    """RFC 8785 section 3.2.3."""
    names: dict[str, Json] = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert list(json.loads(canonical(names))) == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_text_is_written_with_the_fewest_escapes() -> None:
    """RFC 8785 section 3.2.2.2."""
    assert canonical('\u20ac$\u000f\nA\'B"\\\\"/\x7f') == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f"'


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, "1"), (2**53 + 1, 2**53), (None, "null"), ("\ud800", "?")])
def test_what_differs_is_written_differently(one: Json, other: Json) -> None:
    assert canonical([one]) != canonical([other])
    assert digest(canonical([one])) != digest(canonical([other]))


def test_a_whole_number_is_one_number_however_it_was_written() -> None:
    assert canonical(json.loads('{"a": 1.0, "b": 10E1, "c": -0.0}')) == '{"a":1,"b":100,"c":0}'


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_of_json_is_refused(number: float) -> None:
    for value in (number, [number], {"a": number}):
        with pytest.raises(ValueError, match="not a number"):
            canonical(cast("Json", value))


@given(VALUES)
def test_a_text_reads_back_as_the_value(value: Json) -> None:
    assert json.loads(canonical(value)) == value
    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(FLOATS)
def test_a_fraction_reads_back_as_the_same_double(number: float) -> None:
    assert float(canonical(number)) == number


def test_a_text_that_looks_like_a_fraction_changes_nothing() -> None:
    assert (
        canonical({"a": "[1.50, NaN]:1.0", "b": "\U0001f600\ufe0f"}) == '{"a":"[1.50, NaN]:1.0","b":"\U0001f600\ufe0f"}'
    )
