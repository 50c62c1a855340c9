"""rate-limit-by-key: at most `calls` in any `renewal-period` seconds for each value of `counter-key`.

As in Azure API Management: 429 with Retry-After and its message; the same key value shares one counter wherever it is
counted, as long as calls, period and what is counted are the same. What differs for MCP: calls of tools are counted
unless `counts: requests` is said, the key is the verified caller unless another is given, and the caller is told its
limit. A request for which `increment-condition` is not true is not counted and not limited; where the condition reads
the response, the call is counted first, and given back when the condition turns out not to be true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Reason, Spend
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Number
from mcpgov.policy.draft import Denial
from mcpgov.policy.element import Element
from mcpgov.policy.limits import (
    COUNTER_KEY,
    HOW_TOLD,
    WHAT_COUNTS,
    Counting,
    Told,
    remark_counting,
    remark_telling,
    spend_all,
)

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.expression import Quantity
    from mcpgov.policy.place import Attribute, Place

MAX_CALLS: Final = 1_000_000
MAX_PERIOD: Final = 300  # seconds
CALLS: Final = Number("calls", "how many calls there may be", 1, MAX_CALLS)
PERIOD: Final = Number("renewal-period", "in how many seconds", 1, MAX_PERIOD)


@frozen
class RateLimitByKey(Element):
    """One limit."""

    name: ClassVar[str] = "rate-limit-by-key"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (CALLS, PERIOD, *WHAT_COUNTS, *HOW_TOLD)
    calls: Quantity
    period: Quantity
    counting: Counting
    told: Told

    @classmethod
    def load(cls, place: Place) -> Self:
        """`calls` and `renewal-period` in seconds; the rest has defaults."""
        remark_counting(place, key=COUNTER_KEY)
        remark_telling(place)
        return cls(CALLS.read(place), PERIOD.read(place), Counting.read(place), Told.read(place))

    def run(self, draft: Draft) -> Verdict:
        """Count the request and deny it where the limit is reached. Raises ExpressionError."""
        counting = self.counting
        if not counting.applies(draft):
            return None
        count, calls = counting.count.value(draft), self.calls.value(draft)
        spend = Spend(f"{self.name}/{counting.key_of(draft)}", calls, self.period.value(draft), count)
        spents = yield from spend_all((spend,), counting, draft)
        self.told.tell(spents, draft)
        return exceeded(spents[-1].retry_after) if not spents[-1].allowed else None


def exceeded(seconds: int) -> Denial:
    """How a rate limit says no, in API Management's words."""
    message = f"Rate limit is exceeded. Try again in {seconds} seconds."
    return Denial(Reason.RATE_LIMITED, message, error_reason="RateLimitExceeded")
