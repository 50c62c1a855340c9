"""Values that are written down."""

from __future__ import annotations

import pytest

from tests.policy.csharp.drafts import compiled, draft, failure, refusal, value


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("true", "bool", True),
        ("null", "null", None),
        ("2147483647", "int", 2**31 - 1),
        ("2147483648", "long", 2**31),
        ("9223372036854775807", "long", 2**63 - 1),
        ("0x7FFFFFFFFFFFFFFF", "long", 2**63 - 1),
        ("1l", "long", 1),
        ("0xFFL", "long", 255),
        ("1d", "double", 1.0),
        ("1.5m", "double", 1.5),
        ("2f", "double", 2.0),
        ("1e2", "double", 100.0),
        ('"a"', "string", "a"),
        ("new[] { \"a\", 'b' }", "string[]", ("a", "b")),
    ],
)
def test_a_literal_has_a_type_and_a_value(text: str, kind: str, expected: object) -> None:
    program = compiled(text)
    found = program.value(draft())
    assert (program.kind, found) == (kind, expected)
    assert type(found) is type(expected)


def test_text_takes_the_text_of_what_is_in_it() -> None:
    assert value('$"{true} {1.0} {null} {context.Variables["j"]}"', draft(j={"a": 1})) == 'True 1  {"a":1}'
    assert value('$"{{key}}-{1}"') == "s3cret-1"


def test_text_cannot_take_what_has_no_text() -> None:
    assert refusal('$"{context.Request}"') == "context.Requ <- Request has no text"
    assert failure('$"{context.Variables["a"]}"', draft(a=("x",))) == "a value is asked for its text and has none"


def test_text_is_bounded_while_it_is_put_together() -> None:
    hole = '{context.Variables["x"]}'
    assert failure(f'$"{hole}{hole}{hole}"', draft(x="a" * 40_000)) == "a text is longer than 65536 characters"


def test_an_array_holds_text_only() -> None:
    assert value('new[] { context.Variables["x"] }', draft(x="a")) == ("a",)
    assert failure('new[] { "a", context.Variables["x"] }', draft(x=1)) == "an array of texts is given something else"


def test_a_number_that_is_too_long_to_be_one_is_not_read() -> None:
    assert value("1." + "0" * 398) == 1.0
    assert "the number is too large" in refusal("1." + "0" * 399)
