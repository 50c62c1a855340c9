"""What the two languages have in common: values that are asked for once, noted, and the same when asked again."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mcpgov.errors import ExpressionError
from mcpgov.models import Secret
from mcpgov.policy.draft import Answers, Draft, Seen
from mcpgov.policy.expression import NO_REFERENCES, Condition, Constant, Program, Quantity, Template, Typed
from tests.policy.calls import context


@dataclass(frozen=True, slots=True)
class Gives:
    """A program that gives `given`, or fails where it is None."""

    given: object
    source: str = "given"

    def truth(self, draft: Draft, /) -> bool:
        return self.value(draft) is True

    def text(self, draft: Draft, /) -> str:
        return str(self.value(draft))

    def value(self, _draft: Draft, /) -> object:
        if self.given is None:
            raise ExpressionError("nothing is given")
        return self.given


def drafted(given: str | None = None) -> Draft:
    return Draft(context(), Answers(given, seen=[]), at="test#1")


def letters(draft: Draft) -> str:
    return "".join(draft.answers.letters)


@pytest.mark.parametrize(("given", "holds", "letter"), [(True, True, "t"), (False, False, "f"), (1, False, "f")])
def test_condition_is_asked_of_the_request_and_noted(given: object, letter: str, *, holds: bool) -> None:
    draft = drafted()
    assert Condition(Gives(given)).holds(draft) is holds
    assert letters(draft) == letter
    assert draft.answers.seen == [Seen("test#1", "given", "true" if holds else "false")]


def test_condition_that_fails_is_noted_and_raised() -> None:
    draft = drafted()
    with pytest.raises(ExpressionError, match="nothing is given"):
        Condition(Gives(None)).holds(draft)
    assert letters(draft) == "e"


@pytest.mark.parametrize(("given", "holds"), [("t", True), ("f", False)])
def test_condition_made_again_answers_as_recorded(given: str, *, holds: bool) -> None:
    assert Condition(Gives(None)).holds(drafted(given)) is holds


@pytest.mark.parametrize(("constant", "holds"), [(True, True), (False, False), ("true", False), (1, False)])
def test_constant_condition_is_not_asked(*, constant: str | bool | float, holds: bool) -> None:
    draft = drafted()
    assert Condition(Constant(constant)).holds(draft) is holds
    assert letters(draft) == ""


def test_constant_is_what_is_written() -> None:
    three = Constant(3)
    assert (three.source, three.text(drafted()), three.value(drafted())) == ("3", "3", 3)


def test_template_joins_text_secrets_and_expressions() -> None:
    draft = drafted()
    template = Template(("a-", Gives("b"), Secret("s3cr3t"), Gives(2)))
    assert template.value(draft) == "a-bs3cr3t2"
    assert letters(draft) == "vv"
    assert "s3cr3t" not in repr((template, draft.answers))


def test_template_fails_where_a_part_of_it_does() -> None:
    with pytest.raises(ExpressionError):
        Template(("a", Gives(None))).value(drafted())


def test_template_made_again_leaves_out_what_is_not_there_any_more() -> None:
    assert Template(("a-", Gives(None), "-", Gives("b"))).value(drafted("vv")) == "a--b"
    with pytest.raises(ExpressionError, match="no usable value"):
        Template(("a-", Gives("b"))).value(drafted("e"))


@pytest.mark.parametrize(
    ("parts", "literal"),
    [((), ""), (("a", "b"), "ab"), (("a", Secret("b")), None), (("a", Gives("b")), None)],
)
def test_template_is_literal_only_without_expressions_and_secrets(
    parts: tuple[str | Secret | Program, ...], literal: str | None
) -> None:
    assert Template(parts).literal == literal


@pytest.mark.parametrize("value", [True, 3, 1.5, "a", ["a"], {"a": 1}])
def test_typed_value_keeps_its_type(value: object) -> None:
    draft = drafted()
    assert Typed(Gives(value)).value(draft) is value
    assert letters(draft) == "v"


def test_typed_text_is_the_text() -> None:
    draft = drafted()
    assert Typed(Template(("a", Gives("b")))).value(draft) == "ab"
    assert letters(draft) == "v"


@pytest.mark.parametrize(("content", "number"), [(7, 7), (Gives(1), 1), (Gives(10), 10), (Gives(" 7 "), 7)])
def test_quantity_is_a_number_within_its_bounds(content: int | Program, number: int) -> None:
    assert Quantity(content, 1, 10).value(drafted()) == number


@pytest.mark.parametrize("given", [0, 11, True, 2.0, "", "eleven", "-1", "٣", "1_0", "9" * 5000, [1], None])
def test_quantity_that_is_none_is_an_error_and_noted_as_one(given: object) -> None:
    draft = drafted()
    with pytest.raises(ExpressionError):
        Quantity(Gives(given), 1, 10).value(draft)
    assert letters(draft) == "e"
    with pytest.raises(ExpressionError):
        Quantity(Gives(given), 1, 10).value(drafted(letters(draft)))


def test_quantity_made_again_is_the_lowest_where_it_is_not_there_any_more() -> None:
    assert Quantity(Gives(None), 1, 10).value(drafted("v")) == 1
    assert Quantity(Gives(11), 1, 10).value(drafted("v")) == 1
    assert Quantity(Gives(5), 1, 10).value(drafted("v")) == 5


def test_no_references_know_nothing() -> None:
    assert NO_REFERENCES.named("region") is None
    with pytest.raises(ValueError, match="there are no references here"):
        NO_REFERENCES.resolve("${env:TOKEN}")
