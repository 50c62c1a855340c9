"""A row of elements runs in order, stops at the first denial, and an element that fails denies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mcpgov.decision import Hold, Reason
from mcpgov.errors import ExpressionError
from mcpgov.policy.draft import Denial, Draft
from mcpgov.policy.element import Element, PlainElement, Step, hides, run, walk
from tests.policy.calls import context, performed

if TYPE_CHECKING:
    from mcpgov.policy.element import Verdict


@dataclass(frozen=True, slots=True)
class Says(PlainElement):
    """Says what it was made with, and notes that it ran."""

    name: ClassVar[str] = "says"
    denial: Denial | None = None
    fails: bool = False
    inside: tuple[Step, ...] = ()

    def decide(self, draft: Draft, /) -> Denial | None:
        draft.backend = f"{draft.backend or ''}{self.denial is not None:d}"
        if self.fails:
            raise ExpressionError("why")
        return self.denial

    def inner(self) -> tuple[Step, ...]:
        return self.inside


@dataclass(frozen=True, slots=True)
class Asks(Element):
    """Asks for a place, and denies where there is none."""

    name: ClassVar[str] = "asks"

    def run(self, draft: Draft) -> Verdict:
        free: bool = yield Hold(draft.at, 1)
        return None if free else NO


@dataclass(slots=True)
class Witness:
    """Notes what is run."""

    seen: list[str]

    def entered(self, rule: str, draft: Draft) -> None:
        self.seen.append(f"{rule} begins at {draft.at}")

    def left(self, rule: str, draft: Draft, denial: Denial | None) -> None:
        self.seen.append(f"{rule} {'denies' if denial else 'ends'} in {draft.section}")

    def took(self, rule: str, way: str) -> None:
        self.seen.append(f"{rule} {way}")


def step(element: Element, rule: str = "a#1 says") -> Step:
    return Step(element, rule, "a.yaml", 1, 1)


def verdict(*steps: Step) -> tuple[Denial | None, Draft]:
    draft = Draft(context())
    return performed(run(steps, draft), lambda _effect: False), draft


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
    assert not hides((step(Says()),), Draft(context()))
    assert list(walk((step(Says()),))) == [step(Says())]


def test_walk_gives_every_step_before_those_inside_it() -> None:
    leaf, other = step(Says(), "leaf"), step(Says(), "other")
    outer = step(Says(inside=(leaf,)), "outer")
    assert [found.rule for found in walk((outer, other))] == ["outer", "leaf", "other"]


def test_element_that_asks_is_resumed_with_what_came_of_it() -> None:
    denial, _ = verdict(step(Asks(), "a#7 asks"))
    assert denial == Denial(Reason.TOOL_DENIED, "no", "a#7 asks")
    assert performed(run((step(Asks()),), Draft(context())), lambda _effect: True) is None


def test_plain_element_can_be_run_as_any_other() -> None:
    assert performed(Says(NO).run(Draft(context()))) is NO


def test_who_looks_on_is_told_of_each_element() -> None:
    witness = Witness([])
    draft = Draft(context(), watch=witness)
    performed(run((step(Says(), "one"), step(Says(NO), "two"), step(Says(), "three")), draft))
    assert witness.seen == ["one begins at one", "one ends in inbound", "two begins at two", "two denies in inbound"]
