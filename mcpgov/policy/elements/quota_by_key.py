"""quota-by-key: so many calls, or so many kilobytes, in a period, for each value of `counter-key`.

As in Azure API Management: 403 with Retry-After and its message; periods of 300 seconds or more that follow one another
from `first-period-start` on, or one that never ends. Which requests count is said as in rate-limit-by-key; bytes are
charged as in quota.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Text
from mcpgov.policy.element import Element
from mcpgov.policy.elements.quota import BANDWIDTH, CALLS, FIRST_PERIOD, PERIOD, Allowance, take
from mcpgov.policy.limits import COUNTER_KEY, WHAT_COUNTS, Counting, remark_counting

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.place import Attribute, Place

SHORTEST: Final = 300  # seconds
STARTS: Final = Text(
    "first-period-start", "when the first period begins: a date-time (ISO 8601)", "0001-01-01T00:00:00Z"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class QuotaByKey(Element):
    """One quota."""

    name: ClassVar[str] = "quota-by-key"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (CALLS, BANDWIDTH, PERIOD, STARTS, *WHAT_COUNTS)
    allowance: Allowance
    counting: Counting

    @classmethod
    def load(cls, place: Place) -> Self:
        """`calls`, `bandwidth` in kilobytes, `renewal-period` in seconds; the rest has defaults."""
        remark_counting(place, key=COUNTER_KEY)
        period = PERIOD.read(place)
        if 0 < period < SHORTEST:
            place.at(PERIOD.name).note(
                f"renewal-period must be 0, for ever, or at least {SHORTEST} seconds", "take rate-limit-by-key for less"
            )
        return cls(Allowance.read(place, period, _starts(place)), Counting.read(place))

    def run(self, draft: Draft) -> Verdict:
        """Count the request and deny it where the quota is used up. Raises ExpressionError."""
        counting = self.counting
        if not counting.applies(draft):
            return None
        spends = self.allowance.spends(f"{self.name}/{counting.key_of(draft)}", counting.count.value(draft))
        return (yield from take(spends, counting, draft))


def _starts(place: Place) -> int:
    """Seconds since 1970; before it they are negative."""
    text = STARTS.read(place)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        place.at(STARTS.name).note(
            "first-period-start is no date-time with its zone", "write it as 2026-01-01T00:00:00Z"
        )
        return FIRST_PERIOD
    return (moment - _EPOCH) // timedelta(seconds=1)
