"""Signatures, and which overload is meant."""

from __future__ import annotations

import pytest

from mcpgov.errors import ExpressionError
from mcpgov.policy.csharp.kinds import BOOL, DOUBLE, INT, NULL, OBJECT, STRING, Type
from mcpgov.policy.csharp.signatures import chosen, invoke, method, result_of, table
from mcpgov.policy.csharp.typed_code import Run
from tests.policy.csharp.drafts import draft


def joined(*values: object) -> str:
    return "|".join(map(str, values))


def failing(*_values: object) -> str:
    raise KeyError("secret")


def test_a_signature_says_what_a_method_takes_and_gives() -> None:
    one = method("int? IndexOf(string?, int)", joined)
    assert (one.name, one.result) == ("IndexOf", Type("int", nullable=True))
    assert one.parameters == (Type("string", nullable=True), INT)
    assert not one.many
    assert method("int Length", joined).parameters is None
    assert method("string Trim(string...)", joined).many
    assert method("T Value<T: string int>(string)", joined).generic == ("string", "int")
    assert method("context Guid NewGuid()", joined).asks_context


def test_what_is_no_signature_is_refused() -> None:
    with pytest.raises(ValueError, match="not a signature: nonsense"):
        method("nonsense", joined)


def test_the_first_overload_that_fits_is_meant() -> None:
    narrow, wide = method("int Abs(int)", joined), method("double Abs(double)", joined)
    methods = table(narrow, wide)["Abs"]
    assert chosen(methods, [INT]) == (narrow,)
    assert chosen(methods, [DOUBLE]) == (wide,)
    assert chosen(methods, [STRING]) == ()
    assert chosen(methods, [OBJECT]) == (narrow, wide)
    assert result_of([narrow, wide]) == OBJECT
    assert result_of([narrow]) == INT


def test_any_number_of_arguments_is_taken_where_the_last_one_says_so() -> None:
    one = method("string Join(string, object...)", joined)
    assert [one.may_take([STRING] * count) for count in range(4)] == [False, True, True, True]
    assert one.takes(["a", 1, None])
    assert not one.takes([1])


def test_null_is_given_where_a_signature_says_so() -> None:
    assert method("bool Equals(string?)", joined).takes([None])
    assert not method("bool Equals(string)", joined).takes([None])
    assert not method("int Abs(int)", joined).may_take([NULL])
    assert method("bool Equals(string)", joined).may_take([NULL])


def test_a_type_argument_stands_for_its_parameter_and_result() -> None:
    one = method("T GetValueOrDefault<T: int string>(string, T)", joined)
    assert one.bound(INT).result == INT
    assert not one.bound(INT).takes(["a", None])
    assert one.bound(STRING).takes(["a", None])
    assert one.bound(INT).apply("receiver", "a", 1) == "receiver|int|a|1"


def test_a_call_that_fails_quotes_nothing() -> None:
    run = Run(draft(), "")
    assert invoke([method("string A(int)", joined)], run, ("r",), [1]) == "r|1"
    assert str(invoke([method("context string A()", joined)], run, (), [])).startswith("Run(")
    with pytest.raises(ExpressionError, match=r"^A has no value for what it was given$"):
        invoke([method("string A(int)", failing)], run, (), [1])
    with pytest.raises(ExpressionError, match=r"^an index cannot take what it was given$"):
        invoke([method("bool [](int)", joined)], run, (), ["a"])
    assert method("bool A", joined).result == BOOL
