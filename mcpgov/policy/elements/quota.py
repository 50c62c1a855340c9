"""quota: so many calls, or so many kilobytes, for each caller in periods that follow one another.

As in Azure API Management: 403 with Retry-After and its message; a `renewal-period` of 0 never ends; each `api` and
each `operation` has a quota of its own; nothing here is an expression. The verified caller stands for its subscription,
`api` is a connection and `operation` a tool. There a period begins with the subscription; here it is aligned on the
first of January of the year 1, so that a day begins at midnight UTC, and a week on a Monday.

The bytes of an answer are known when it has gone by. A call is let in while anything is left, and the last one may go
beyond: its bytes are charged, and what follows is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Reason, Spend
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Items, WholeNumber
from mcpgov.policy.draft import Denial
from mcpgov.policy.element import Element
from mcpgov.policy.limits import COUNTS, ID, NAME, Counting, Scope, read_scopes, remark_counting, set_apart, spend_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpgov.decision import Spent
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.place import Attribute, Place

MAX_INT: Final = 2_147_483_647
FIRST_PERIOD: Final = -62_135_596_800  # seconds since 1970: 0001-01-01T00:00:00Z
_KILOBYTE: Final = 1024
CALLS: Final = WholeNumber("calls", "how many calls there may be", 1, MAX_INT, 0)
BANDWIDTH: Final = WholeNumber("bandwidth", "how many kilobytes requests and answers may have", 1, MAX_INT, 0)
PERIOD: Final = WholeNumber("renewal-period", "in how many seconds; 0 for ever", 0, MAX_INT)
_PART_PERIOD: Final = WholeNumber(
    PERIOD.name, "in how many seconds; 0 for ever; as the whole if not said", 0, MAX_INT, 0
)
_PART: Final = (NAME, ID, CALLS, BANDWIDTH, _PART_PERIOD)
OPERATION: Final = Items("operation", "quotas for tools", "operation", _PART)
API: Final = Items("api", "quotas for connections", "api", (*_PART, OPERATION))


@frozen
class Allowance:
    """What there is in each period: calls, and bytes; 0 is no bound. `period` is in seconds, `starts` since 1970."""

    calls: int
    bandwidth: int
    period: int
    starts: int = FIRST_PERIOD

    @classmethod
    def read(cls, place: Place, period: int, starts: int = FIRST_PERIOD) -> Allowance:
        """From `calls` and `bandwidth`, at least one of them."""
        calls, bandwidth = CALLS.read(place), BANDWIDTH.read(place) * _KILOBYTE
        if isinstance(place.value, dict) and not (place.has(CALLS.name) or place.has(BANDWIDTH.name)):
            place.note("it allows neither calls nor bandwidth", "add calls: or bandwidth:")
        return cls(calls, bandwidth, period, starts)

    def spends(self, key: str, count: int) -> list[Spend]:
        """What one request asks of it: whether a byte is left, and `count` calls."""
        asked = (("bytes", self.bandwidth, 0), ("calls", self.calls, count))
        return [
            Spend(f"{what}/{key}", amount, self.period, taken, fixed=True, starts=self.starts)
            for what, amount, taken in asked
            if amount
        ]


@frozen
class ChargeSettlement:
    """Leaves the bytes of a call uncharged when it turns out not to count."""

    spend: Spend
    counting: Counting

    def refund(self, draft: Draft) -> bool:
        """Nothing was taken so far, so there is nothing to give back. Raises ExpressionError."""
        if self.counting.refund(draft):
            draft.charges.remove(self.spend)
        return False


@frozen
class Quota(Element):
    """The quota on everything, and those on parts of it."""

    name: ClassVar[str] = "quota"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (CALLS, BANDWIDTH, PERIOD, COUNTS, API, OPERATION)
    allowances: tuple[tuple[Scope, Allowance], ...]
    counting: Counting

    @classmethod
    def load(cls, place: Place) -> Self:
        """`calls`, `bandwidth` in kilobytes, `renewal-period` in seconds; the same for each `api` and `operation`."""
        remark_counting(place)
        if place.dialect.xml:
            message = "a period is aligned on midnight UTC; in API Management it begins with the subscription"
            place.remark(message, at_key=True)
        period = PERIOD.read(place)
        allowances = tuple(
            (scope, Allowance.read(here, _PART_PERIOD.read(here) if here.has(PERIOD.name) else period))
            for here, scope in read_scopes(place, API, OPERATION)
        )
        return cls(allowances, Counting.read(place))

    def run(self, draft: Draft) -> Verdict:
        """Count the request and deny it where one of the quotas is used up."""
        if not self.counting.applies(draft):
            return None
        key, count = self.counting.key_of(draft), self.counting.count.value(draft)
        spends = [
            spend
            for scope, allowance in self.allowances
            if scope.applies(draft)
            for spend in allowance.spends(f"{self.name}/{scope.label}/{key}", count)
        ]
        return (yield from take(spends, self.counting, draft))


def take(spends: Sequence[Spend], counting: Counting, draft: Draft) -> Verdict:
    """Take what a request asks of its quotas, and note whose bytes it is charged when they are known."""
    spends = set_apart(spends, draft)  # as they are charged
    spents = yield from spend_all(spends, counting, draft)
    for spend, spent in zip(spends, spents, strict=False):
        if not spent.allowed:
            return _used_up(spend, spent)
    for spend in (spend for spend in spends if not spend.count):
        if spend not in draft.charges:
            draft.charges.append(spend)
        if draft.settlements[spend] is counting:
            draft.settlements[spend] = ChargeSettlement(spend, counting)
    return None


def _used_up(spend: Spend, spent: Spent) -> Denial:
    """How a quota says no, in API Management's words: [d.]hh:mm:ss, as .NET writes a time span."""
    message = f"Out of {'call volume' if spend.count else 'bandwidth'} quota."
    if not spend.period:
        return Denial(Reason.QUOTA_EXCEEDED, message, error_reason="QuotaExceeded")
    minutes, seconds = divmod(spent.retry_after, 60)
    days, hours = divmod(minutes // 60, 24)
    time = f"{f'{days}.' if days else ''}{hours:02}:{minutes % 60:02}:{seconds:02}"
    return Denial(
        Reason.QUOTA_EXCEEDED,
        f"{message} Quota will be replenished in {time}.",
        headers=(("Retry-After", str(spent.retry_after)),),
        error_reason="QuotaExceeded",
    )
