"""What every policy element is, and how a row of them is run: in order, until one denies.

Elements are pure. One that needs the outside yields an effect and is resumed with what came of it. One that fails
denies (policy-error): a guard that falls over must not leave the door open.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from mcpgov.decision import Effect, Reason
from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.policy.draft import Denial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpgov.policy.draft import Draft

INBOUND = "inbound"
BACKEND = "backend"
OUTBOUND = "outbound"
ON_ERROR = "on-error"
SECTIONS = (INBOUND, BACKEND, OUTBOUND, ON_ERROR)
RETURN = "return-response"  # where the steps stand that make up a response

T = TypeVar("T")
Evaluated = Generator[Effect, Any, T]  # yields effects, is resumed with what came of each
Verdict = Evaluated[Denial | None]


class Element(ABC):
    """One policy element, compiled and immutable. `name` is its word in a document, `sections` where it may stand.

    `hides_tools`: it may leave a tool out of a list. `undroppable`: it runs before everything else, and no narrower
    scope can leave it out.
    """

    __slots__ = ()

    name: ClassVar[str]
    sections: ClassVar[tuple[str, ...]] = (INBOUND,)
    hides_tools: ClassVar[bool] = False
    undroppable: ClassVar[bool] = False

    @abstractmethod
    def run(self, draft: Draft) -> Verdict:
        """Take part in a request or its answer. Yields effects, returns a Denial or None. Raises ExpressionError."""

    def hides(self, _draft: Draft, /) -> bool:
        """Whether the tool that the draft's request calls is left out of a list of tools. Raises ExpressionError.

        Asked of each element in order: what later conditions depend on is noted in the draft.
        """
        return False

    def inner(self) -> tuple[Step, ...]:
        """Every step that stands inside this element."""
        return ()


class PlainElement(Element):
    """An element that needs nothing from outside."""

    __slots__ = ()

    def run(self, draft: Draft) -> Verdict:
        """Decide, without an effect. Raises ExpressionError."""
        yield from ()
        return self.decide(draft)

    @abstractmethod
    def decide(self, draft: Draft, /) -> Denial | None:
        """Take part in a request, or in its answer. Raises ExpressionError."""


@frozen
class Step:
    """One element where it stands: `rule` names it in records (`company#2 ip-filter`)."""

    element: Element
    rule: str
    file: str
    line: int
    column: int
    plain: PlainElement | None = field(init=False, repr=False, compare=False)  # the element, if it asks for nothing

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", self.element if isinstance(self.element, PlainElement) else None)


def run(steps: tuple[Step, ...], draft: Draft) -> Verdict:
    """Run `steps` in order. The first denial ends it, and carries the rule that gave it."""
    for step in steps:
        draft.at = step.rule
        if draft.watch is not None:
            draft.watch.entered(step.rule, draft)
        try:
            denial = step.plain.decide(draft) if step.plain is not None else (yield from step.element.run(draft))
        except ExpressionError as error:
            denial = Denial(Reason.POLICY_ERROR, "A policy could not be evaluated.", detail=str(error))
        if denial is not None and not denial.rule:
            denial = replace(denial, rule=step.rule)
        if draft.watch is not None:
            draft.watch.left(step.rule, draft, denial)
        if denial is not None:
            return denial
    return None


def hides(steps: tuple[Step, ...], draft: Draft) -> bool:
    """Whether one of `steps` leaves the tool that the request calls out of a list of tools. Raises ExpressionError."""
    for step in steps:
        draft.at = step.rule
        if step.element.hides(draft):
            return True
        if draft.ended:
            break
    return False


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every step, each before those inside it."""
    for step in steps:
        yield step
        yield from walk(step.element.inner())
