"""What every policy element is, and how a row of them is run: in order, until one denies.

Elements are pure. One that needs the outside yields an effect and is resumed with what came of it. One that fails
denies (policy-error): a guard that falls over must not leave the door open.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from mcpgov.decision import Effect, HeaderEdit, Reason, Spend, Spent
from mcpgov.policy.expression import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcpgov.policy.context import Context

Evaluation = Generator  # of effects, resumed with what came of each, returning the verdict

INBOUND = "inbound"
BACKEND = "backend"


@dataclass(frozen=True, slots=True)
class Denial:
    """An element said no. `message` is told to the caller; `detail` is for the record and quotes no value."""

    reason: Reason
    message: str
    rule: str = ""
    detail: str = ""
    as_tool_result: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit that a request was counted against, and the names of the headers that tell the caller of it."""

    spent: Spent
    total_header: str
    remaining_header: str
    retry_header: str


@dataclass(slots=True)
class Draft:
    """What the elements have said so far about one request; the Decision is made from it."""

    header_edits: list[HeaderEdit] = field(default_factory=list[HeaderEdit])
    backend: str | None = None
    spent: dict[Spend, Spent] = field(default_factory=dict[Spend, Spent])
    limits: list[Limit] = field(default_factory=list[Limit])


Verdict = Evaluation[Effect, Spent, Denial | None]


class Element(ABC):
    """One policy element, compiled and immutable. `name` is its word in a document, `sections` where it may stand."""

    __slots__ = ()

    name: ClassVar[str]
    sections: ClassVar[tuple[str, ...]] = (INBOUND,)
    hides_tools: ClassVar[bool] = False

    @abstractmethod
    def inbound(self, context: Context, draft: Draft) -> Verdict:
        """Look at a request on its way in. Yields effects, returns a Denial or None. Raises ExpressionError."""

    def hides(self, _context: Context, /) -> bool:
        """Whether the tool that the context calls is left out of a list of tools. Raises ExpressionError."""
        return False

    def inner(self) -> tuple[Step, ...]:
        """Every step that stands inside this element."""
        return ()


class PlainElement(Element):
    """An element that needs nothing from outside."""

    __slots__ = ()

    def inbound(self, context: Context, draft: Draft) -> Verdict:
        """Decide, without an effect."""
        yield from ()
        return self.decide(context, draft)

    @abstractmethod
    def decide(self, context: Context, draft: Draft, /) -> Denial | None:
        """Look at a request on its way in. Raises ExpressionError."""


@dataclass(frozen=True, slots=True)
class Step:
    """One element where it stands: `rule` names it in records (`company#2 ip-filter`)."""

    element: Element
    rule: str
    file: str
    line: int
    column: int


def run(steps: tuple[Step, ...], context: Context, draft: Draft) -> Verdict:
    """Run `steps` in order. The first denial ends it, and carries the rule that gave it."""
    for step in steps:
        try:
            denial = yield from step.element.inbound(context, draft)
        except ExpressionError as error:
            denial = Denial(Reason.POLICY_ERROR, "A policy could not be evaluated.", detail=str(error))
        if denial is not None:
            return denial if denial.rule else replace(denial, rule=step.rule)
    return None


def hides(steps: tuple[Step, ...], context: Context) -> bool:
    """Whether one of `steps` leaves the tool that `context` calls out of a list of tools. Raises ExpressionError."""
    return any(step.element.hides(context) for step in steps)


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every step, each before those inside it."""
    for step in steps:
        yield step
        yield from walk(step.element.inner())
