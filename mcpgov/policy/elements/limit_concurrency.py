"""limit-concurrency: at most `max-count` calls at the same time for each value of `key`.

As in Azure API Management: 429 at once, nobody waits in line. There the place is free again when the elements inside
have run; here a call keeps it until it has ended, so that the upstream is spared, which is what the limit is for. That
is why calls of tools are counted unless `counts: requests` is said: a stream stays open for hours. The elements inside
are run in any case; there need not be any.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Hold, Reason
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Key, Steps, WholeNumber
from mcpgov.policy.draft import Denial
from mcpgov.policy.element import SECTIONS, Element, Step, hides, run
from mcpgov.policy.limits import CALLER, COUNTS, is_counted, remark_counting

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.expression import Template
    from mcpgov.policy.place import Attribute, Place

KEY: Final = Key("key", "what is limited apart; the caller where nothing is said", CALLER)
MAX_COUNT: Final = WholeNumber("max-count", "how many calls there may be at the same time", 1, 1_000_000)
AGAIN: Final = (("Retry-After", "1"),)
DO: Final = Steps("do", "the elements to run once there is a place")


@frozen
class LimitConcurrency(Element):
    """One limit, and the elements inside it."""

    name: ClassVar[str] = "limit-concurrency"
    sections: ClassVar[tuple[str, ...]] = SECTIONS
    attributes: ClassVar[tuple[Attribute[object], ...]] = (KEY, MAX_COUNT, COUNTS, DO)
    key: Template
    places: int
    counts: str
    steps: tuple[Step, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`max-count`; `key`, `counts` and `do` have defaults."""
        remark_counting(place, key=KEY)
        if place.dialect.xml:
            message = "a call keeps its place until it has ended; in API Management, until the elements inside have run"
            place.remark(message, at_key=True)
        steps = DO.read(replace(place, rule=f"{place.rule}."))
        return cls(KEY.read(place), MAX_COUNT.read(place), COUNTS.read(place), steps)

    def run(self, draft: Draft) -> Verdict:
        """Take a place, or deny; then run the elements inside. Raises ExpressionError."""
        if is_counted(self.counts, draft):
            # Rules that allow different numbers count apart: one could otherwise fill the other's places.
            hold = Hold(f"{self.name}/{draft.apart}{self.places}/{self.counts}/{self.key.value(draft)}", self.places)
            if not draft.answers.outcome(came=(yield hold)):
                message = f"Only {self.places} calls may run at the same time. Try again when one has ended."
                return Denial(Reason.CONCURRENCY_LIMITED, message, headers=AGAIN)
        return (yield from run(self.steps, draft))

    def hides(self, draft: Draft, /) -> bool:
        """Whether an element inside hides the tool. Raises ExpressionError."""
        return hides(self.steps, draft)

    def inner(self) -> tuple[Step, ...]:
        """The elements inside."""
        return self.steps
