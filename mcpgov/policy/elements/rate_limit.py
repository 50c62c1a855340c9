"""rate-limit: at most `calls` in any `renewal-period` seconds for each caller, on all it may call or on parts of it.

The verified caller stands for Azure API Management's subscription. Each `api` is a limit of its own for one connection,
each `operation` one for a tool, or for all the tools that a pattern names together; all that match count, and a call
that one of them refuses is counted in none. As in API Management nothing here is an expression. What is counted, and
what the caller is told, is as in rate-limit-by-key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Spend
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Items, WholeNumber
from mcpgov.policy.element import Element
from mcpgov.policy.elements.rate_limit_by_key import MAX_CALLS, MAX_PERIOD, exceeded
from mcpgov.policy.limits import (
    COUNTS,
    HOW_TOLD,
    ID,
    NAME,
    Counting,
    Scope,
    Told,
    read_scopes,
    remark_counting,
    remark_telling,
    spend_all,
)

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.place import Attribute, Place

CALLS: Final = WholeNumber("calls", "how many calls there may be", 1, MAX_CALLS)
PERIOD: Final = WholeNumber("renewal-period", "in how many seconds", 1, MAX_PERIOD)
OPERATION: Final = Items("operation", "limits for tools", "operation", (NAME, ID, CALLS, PERIOD))
API: Final = Items("api", "limits for connections", "api", (NAME, ID, CALLS, PERIOD, OPERATION))


@frozen
class Share:
    """One of the limits: how many calls in how many seconds, and on what."""

    scope: Scope
    calls: int
    period: int


@frozen
class RateLimit(Element):
    """The limit on everything, and those on parts of it."""

    name: ClassVar[str] = "rate-limit"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (CALLS, PERIOD, COUNTS, *HOW_TOLD, API, OPERATION)
    shares: tuple[Share, ...]
    counting: Counting
    told: Told

    @classmethod
    def load(cls, place: Place) -> Self:
        """`calls` and `renewal-period` in seconds, here and in each `api` and `operation`; the rest has defaults."""
        remark_counting(place)
        remark_telling(place)
        scopes = read_scopes(place, API, OPERATION)
        shares = tuple(Share(scope, CALLS.read(here), PERIOD.read(here)) for here, scope in scopes)
        return cls(shares, Counting.read(place), Told.read(place))

    def run(self, draft: Draft) -> Verdict:
        """Count the request and deny it where one of the limits is reached."""
        counting = self.counting
        if not counting.applies(draft):
            return None
        key = counting.key_of(draft)
        spends = [
            Spend(f"{self.name}/{share.scope.label}/{key}", share.calls, share.period)
            for share in self.shares
            if share.scope.applies(draft)
        ]
        spents = yield from spend_all(spends, counting, draft)
        self.told.tell(spents, draft)
        return exceeded(spents[-1].retry_after) if not spents[-1].allowed else None
