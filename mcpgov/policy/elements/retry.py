"""retry: asks the upstream again where its answer is worth another attempt.

As in Azure API Management: up to `count` more attempts while `condition` is true of the response; the waits are fixed,
grow by `delta`, or double up to `max-interval`. What differs for MCP: `tools/call` is never sent twice, and neither is
anything else that could write; only methods that read are repeated. Only the forwarding is, so nothing but
forward-request stands inside. The waits of the last kind are not random: a decision can be made again.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Reason
from mcpgov.errors import ExpressionError, Refusal
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Flag, Number, Steps, When
from mcpgov.policy.context import Response
from mcpgov.policy.element import BACKEND, Element, Step, run
from mcpgov.policy.elements.forward_request import ForwardRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.expression import Condition, Quantity
    from mcpgov.policy.place import Attribute, Place

LONGEST: Final = 240  # seconds
CONDITION: Final = When("condition", "whether to ask again; it reads the response")
COUNT: Final = Number("count", "how many more attempts there are at most", 1, 50)
INTERVAL: Final = Number("interval", "seconds between two attempts", 0, LONGEST)
MAX_INTERVAL: Final = Number("max-interval", "the longest wait in seconds, where waits double", 1, LONGEST, 0)
DELTA: Final = Number("delta", "seconds by which waits grow", 1, LONGEST, 0)
FIRST: Final = Flag("first-fast-retry", "whether the first wait is left out", default=False)
DO: Final = Steps("do", "forward-request", required=True)


@frozen
class Waits:
    """How often to ask again at most, and how long to wait before it, in seconds. A `longest` of 0 is no bound."""

    count: int
    interval: int
    delta: int
    longest: int
    first_fast: bool

    def after(self, attempt: int) -> float:
        """The wait after the `attempt`th attempt, counted from 1."""
        if self.first_fast and attempt == 1:
            return 0.0
        if not self.longest:
            return float(self.interval + (attempt - 1) * self.delta)
        return float(min(self.interval + (2 ** (attempt - 1) - 1) * self.delta, self.longest))


@frozen
class Attempts:
    """Whether one request is asked for again. Implements decision.Retry."""

    rule: str
    waits: Waits
    condition: Condition = field(repr=False, compare=False)
    draft: Draft = field(repr=False, compare=False)  # it holds the arguments of the call

    def wait(self, attempt: int, status: int, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait before the next attempt after the `attempt`th; None to take this answer. Raises Refusal."""
        if attempt > self.waits.count or not self._wanted(Response(status, headers)):
            return None
        return self.waits.after(attempt)

    def _wanted(self, response: Response) -> bool:
        draft = self.draft
        draft.at, draft.response = self.rule, response
        try:
            return self.condition.holds(draft)
        except ExpressionError as error:
            raise Refusal(Reason.POLICY_ERROR, "A policy could not be evaluated.", detail=str(error)) from None
        finally:
            draft.at, draft.response = "", None


@frozen
class Retry(Element):
    """More attempts, of requests that only read."""

    name: ClassVar[str] = "retry"
    sections: ClassVar[tuple[str, ...]] = (BACKEND,)
    attributes: ClassVar[tuple[Attribute[object], ...]] = (
        *(CONDITION, COUNT, INTERVAL, MAX_INTERVAL, DELTA, FIRST, DO),
    )
    condition: Condition
    count: Quantity
    interval: Quantity
    max_interval: Quantity
    delta: Quantity
    first_fast: bool
    steps: tuple[Step, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`condition`, `count`, `interval` and `do`; `delta`, and with it `max-interval`, where the waits grow."""
        if place.has("max-interval") and not place.has("delta"):
            place.at("max-interval").note("delta is missing", "add delta:; without it no wait grows", at_key=True)
        if place.at("do").value == []:
            place.note("forward-request is missing", "add it: it is what is done again")
        for item in place.items("do"):
            if isinstance(item.value, dict) and ForwardRequest.name not in item.value:
                item.note("only forward-request may stand in retry: nothing else is done again", "move it out")
        if place.dialect.xml:
            place.remark("tools/call is never sent a second time, nor is what may write; API Management would")
        return cls(
            condition=CONDITION.read(place),
            count=COUNT.read(place),
            interval=INTERVAL.read(place),
            max_interval=MAX_INTERVAL.read(place),
            delta=DELTA.read(place),
            first_fast=FIRST.read(place),
            steps=DO.read(replace(place, rule=f"{place.rule}.")),
        )

    def run(self, draft: Draft) -> Verdict:
        """Note that there may be more attempts. Raises ExpressionError."""
        numbers = (self.count, self.interval, self.delta, self.max_interval)
        waits = Waits(*(number.value(draft) for number in numbers), first_fast=self.first_fast)
        draft.retry = Attempts(draft.at, waits, self.condition, draft)
        return (yield from run(self.steps, draft))

    def inner(self) -> tuple[Step, ...]:
        """The elements inside."""
        return self.steps
