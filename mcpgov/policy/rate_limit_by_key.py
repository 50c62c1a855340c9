"""rate-limit-by-key: at most `calls` in any `renewal-period` seconds for each value of `counter-key`.

As in Azure API Management: 429 with Retry-After and its message; the same key value shares one counter wherever it is
counted, as long as calls, period and what is counted are the same. What differs for MCP: calls of tools are counted
unless `counts: requests` is said, the key is the verified caller unless another is given, and the caller is told its
limit. A request for which `increment-condition` is not true is not counted and not limited.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Reason, Spend
from mcpgov.policy.element import Denial, Element, Limit
from mcpgov.policy.http_fields import is_ours, is_token

if TYPE_CHECKING:
    from mcpgov.policy.context import Context
    from mcpgov.policy.element import Draft, Verdict
    from mcpgov.policy.expression import Condition, Text
    from mcpgov.policy.place import Place

MAX_CALLS: Final = 100_000
MAX_PERIOD: Final = 300  # seconds
TOOL_CALLS: Final = "tools/call"
REQUESTS: Final = "requests"


@dataclass(frozen=True, slots=True)
class RateLimitByKey(Element):
    """One limit. The header names are those that the caller is told it in."""

    name: ClassVar[str] = "rate-limit-by-key"
    calls: int
    period: int
    key: Text
    counts: str
    increment: Condition
    total_header: str
    remaining_header: str
    retry_header: str

    @classmethod
    def load(cls, place: Place) -> Self:
        """`calls` and `renewal-period` in seconds; the rest has defaults."""
        headers = {
            "total-calls-header-name": "X-RateLimit-Limit",
            "remaining-calls-header-name": "X-RateLimit-Remaining",
            "retry-after-header-name": "Retry-After",
        }
        place.only("calls", "renewal-period", "counter-key", "counts", "increment-condition", *headers)
        total, remaining, retry = (_header(place, key, default) for key, default in headers.items())
        return cls(
            calls=place.whole_number("calls", 1, MAX_CALLS),
            period=place.whole_number("renewal-period", 1, MAX_PERIOD),
            key=place.expression("counter-key", "principal.id"),
            counts=place.choice("counts", (TOOL_CALLS, REQUESTS), TOOL_CALLS),
            increment=place.condition("increment-condition", "true"),
            total_header=total,
            remaining_header=remaining,
            retry_header=retry,
        )

    def inbound(self, context: Context, draft: Draft) -> Verdict:
        """Count the request and deny it where the limit is reached. Raises ExpressionError."""
        if self.counts == TOOL_CALLS and context.request.method != TOOL_CALLS:
            return None
        if not self.increment.holds(context):
            return None
        # The key's value comes last and what stands before it comes from a closed list: no two keys can run together.
        spend = Spend(f"{self.counts}/{self.key.value(context)}", self.calls, self.period)
        if spend not in draft.spent:  # one request counts once in a counter, however many rules name it
            draft.spent[spend] = yield spend
        spent = draft.spent[spend]
        draft.limits.append(Limit(spent, self.total_header, self.remaining_header, self.retry_header))
        if spent.allowed:
            return None
        return Denial(Reason.RATE_LIMITED, f"Rate limit is exceeded. Try again in {spent.retry_after} seconds.")


def _header(place: Place, key: str, default: str) -> str:
    name = place.text(key, default)
    if not is_token(name) or is_ours(name):
        place.at(key).note(f"{key} is not a header that a policy may set", f"the default is {default}")
    return name
