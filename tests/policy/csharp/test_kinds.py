"""Types, and how their values look."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mcpgov.errors import ExpressionError
from mcpgov.policy.csharp.kinds import (
    BOOL,
    DOUBLE,
    INT,
    JTOKEN,
    LONG,
    NULL,
    OBJECT,
    STRING,
    Guid,
    Type,
    Word,
    accepts,
    convert_token,
    default_of,
    joint_type,
    may_be,
    named_type,
    number_in_range,
    or_null,
    same,
    text_of,
    type_of,
    unboxed,
)

MOMENT = datetime(2026, 11, 21, 9, 5, 7, tzinfo=UTC)
MAYBE = Type("int", nullable=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((None, ""), (True, "True"), (False, "False"), (5, "5"), (-5, "-5"), ("a", "a")),
        *((1.0, "1"), (-0.0, "-0"), (0.5, "0.5"), (-2.25, "-2.25"), (123456789012345.0, "123456789012345")),
        *((1e15, "1E+15"), (1.5e300, "1.5E+300"), (0.0001, "0.0001"), (0.00001, "1E-05"), (1.25e-7, "1.25E-07")),
        *((0.1 + 0.2, "0.30000000000000004"), (100.0, "100"), (1.7976931348623157e308, "1.7976931348623157E+308")),
        *((Guid("0" * 32), "00000000-0000-0000-0000-000000000000"), (MOMENT, "11/21/2026 09:05:07")),
        *((Word("DayOfWeek", "Monday"), "Monday"), ({"a": [1, None]}, '{"a":[1,null]}'), ([], "[]")),
    ],
)
def test_a_value_has_the_text_that_it_has_in_dotnet(value: object, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize("value", [("a",), b"a", float("inf"), float("nan"), 2**63, object()])
def test_a_value_may_have_no_text(value: object) -> None:
    with pytest.raises(ExpressionError):
        text_of(value)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        *(
            (True, "bool"),
            (1, "int"),
            (2**31, "long"),
            (1.5, "double"),
            ("a", "string"),
            ({}, "JObject"),
            ([], "JArray"),
        ),
        *((("a",), "string[]"), (b"", "byte[]"), (Guid("0" * 32), "Guid"), (MOMENT, "DateTime")),
        (Word("DayOfWeek", "Monday"), "DayOfWeek"),
    ],
)
def test_a_value_has_a_type(value: object, name: str) -> None:
    assert type_of(value) == name
    assert accepts(Type(name), value)
    assert accepts(OBJECT, value)


def test_null_fits_what_says_so() -> None:
    assert [accepts(kind, None) for kind in (OBJECT, STRING, INT, MAYBE)] == [True, False, False, True]


def test_a_type_is_named_by_any_of_its_names() -> None:
    assert named_type("String") == STRING
    assert named_type("Int32?") == MAYBE
    assert named_type("string?") == STRING
    assert named_type("char[]") == Type("string[]")
    assert named_type("decimal") is None
    assert str(MAYBE) == "int?"
    assert or_null(INT) == MAYBE
    assert or_null(STRING) == STRING


@pytest.mark.parametrize(
    ("kind", "wanted", "expected"),
    [
        *((INT, DOUBLE, True), (LONG, INT, False), (DOUBLE, LONG, False), (MAYBE, INT, False), (MAYBE, MAYBE, True)),
        *((OBJECT, INT, True), (STRING, OBJECT, True), (NULL, STRING, True), (NULL, INT, False), (NULL, MAYBE, True)),
        *((Type("JObject"), JTOKEN, True), (JTOKEN, STRING, True), (JTOKEN, Type("Request"), False)),
        *((STRING, JTOKEN, False), (BOOL, INT, False), (STRING, STRING, True)),
    ],
)
def test_some_types_fit_others(kind: Type, wanted: Type, expected: object) -> None:
    assert may_be(kind, wanted) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        *(
            (INT, LONG, LONG),
            (MAYBE, DOUBLE, Type("double", nullable=True)),
            (NULL, INT, MAYBE),
            (STRING, NULL, STRING),
        ),
        *((NULL, NULL, NULL), (STRING, STRING, STRING), (STRING, INT, None), (Type("JObject"), Type("JArray"), JTOKEN)),
        *((OBJECT, INT, OBJECT), (JTOKEN, STRING, OBJECT), (OBJECT, Type("Request"), None)),
        (BOOL, Type("bool", nullable=True), Type("bool", nullable=True)),
    ],
)
def test_two_types_have_one_in_common(one: Type, other: Type, expected: Type | None) -> None:
    assert joint_type(one, other) == expected


def test_a_type_has_a_default() -> None:
    kinds = (BOOL, INT, DOUBLE, STRING, MAYBE, Type("Guid"))
    assert [default_of(kind) for kind in kinds] == [False, 0, 0.0, None, None, Guid("0" * 32)]
    assert default_of(Type("DateTime")) == datetime(1, 1, 1, tzinfo=UTC)


def test_json_and_arrays_are_equal_to_themselves_only() -> None:
    one: dict[str, int] = {}
    assert same(one, one)
    assert not same(one, {})
    assert not same(("a",), tuple("a"))
    assert not same(True, 1)
    assert same(1, 1.0)


def test_a_number_keeps_to_64_bits() -> None:
    assert number_in_range(-(2**63)) == -(2**63)
    for value in (2**63, float("inf"), float("nan")):
        with pytest.raises(ExpressionError):
            number_in_range(value)


def test_what_is_said_to_be_of_a_type_is_or_raises() -> None:
    assert unboxed("a", STRING) == "a"
    assert unboxed(None, STRING) is None
    with pytest.raises(ValueError, match="another type"):
        unboxed(None, INT)
    assert convert_token("5", INT) == 5
    assert convert_token(1.5, INT) == 2
    assert convert_token(1.5, JTOKEN) == 1.5
    assert convert_token(None, MAYBE) is None
    assert convert_token("{00000000-0000-0000-0000-000000000000}", Type("Guid")) == Guid("0" * 32)
    assert convert_token("a", JTOKEN) == "a"
