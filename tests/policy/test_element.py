"""A row of elements runs in order, stops at the first denial, and an element that fails denies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mcpgov.decision import Reason
from mcpgov.policy.element import Denial, Draft, PlainElement, Step, hides, run, walk
from mcpgov.policy.expression import ExpressionError
from tests.policy.calls import context

if TYPE_CHECKING:
    from mcpgov.policy.context import Context


@dataclass(frozen=True, slots=True)
class Says(PlainElement):
    """Says what it was made with, and notes that it ran."""

    name: ClassVar[str] = "says"
    denial: Denial | None = None
    fails: bool = False
    inside: tuple[Step, ...] = ()

    def decide(self, context: Context, draft: Draft, /) -> Denial | None:
        assert context.principal
        draft.backend = f"{draft.backend or ''}{self.denial is not None:d}"
        if self.fails:
            raise ExpressionError("why")
        return self.denial

    def inner(self) -> tuple[Step, ...]:
        return self.inside


def step(element: Says, rule: str = "a#1 says") -> Step:
    return Step(element, rule, "a.yaml", 1, 1)


def verdict(*steps: Step) -> tuple[Denial | None, Draft]:
    draft = Draft()
    running = run(steps, context(), draft)
    try:
        next(running)
    except StopIteration as end:
        return end.value, draft
    raise AssertionError("a plain element asked for something")


NO = Denial(Reason.TOOL_DENIED, "no")


def test_elements_run_in_order_until_one_denies() -> None:
    denial, draft = verdict(step(Says()), step(Says(NO), "a#2 says"), step(Says(NO), "a#3 says"))
    assert denial is not None
    assert (denial.reason, denial.rule) == (Reason.TOOL_DENIED, "a#2 says")
    assert draft.backend == "01"


def test_row_without_a_denial_says_nothing() -> None:
    assert verdict(step(Says()))[0] is None
    assert verdict()[0] is None


def test_denial_from_inside_keeps_the_inner_rule() -> None:
    denial, _ = verdict(step(Says(Denial(Reason.TOOL_DENIED, "no", rule="a#1.1 inner"))))
    assert denial is not None
    assert denial.rule == "a#1.1 inner"


def test_element_that_fails_denies_with_its_rule() -> None:
    denial, _ = verdict(step(Says(fails=True)), step(Says()))
    assert denial == Denial(Reason.POLICY_ERROR, "A policy could not be evaluated.", "a#1 says", detail="why")


def test_element_hides_nothing_and_holds_nothing_unless_it_says_so() -> None:
    assert not hides((step(Says()),), context())
    assert list(walk((step(Says()),))) == [step(Says())]


def test_walk_gives_every_step_before_those_inside_it() -> None:
    leaf, other = step(Says(), "leaf"), step(Says(), "other")
    outer = step(Says(inside=(leaf,)), "outer")
    assert [found.rule for found in walk((outer, other))] == ["outer", "leaf", "other"]
