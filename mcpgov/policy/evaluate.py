"""May they: a request and the policy in force, to a Decision; and the same decision on what comes back.

`evaluate` is a generator: it yields the effects that elements ask for and is resumed with what came of them, so that it
stays pure while counters live elsewhere. The first denial ends it. `policy explain`, reviews and the pipeline all call
this one function.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mcpgov.decision import Decision, Effect, Reason, Spent
from mcpgov.errors import Refusal
from mcpgov.policy.context import Context
from mcpgov.policy.element import Denial, Draft, Evaluation, Limit, hides, run
from mcpgov.policy.expression import ExpressionError
from mcpgov.policy.listing import Listing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mcpgov.models import Answer, Event
    from mcpgov.policy.document import ConnectionPolicy

__all__ = ["Context", "Evaluation", "evaluate", "outbound"]

RESET_HEADER = "X-RateLimit-Reset"  # seconds until the window is whole again


def evaluate(policy: ConnectionPolicy, context: Context) -> Evaluation[Effect, Spent, Decision]:
    """What the policies say to one request. Yields effects, returns the Decision; an element that fails denies."""
    draft = Draft()
    denial = yield from run(policy.steps(context.request), context, draft)
    tool_filter = PolicyFilter(policy, context)
    if denial is not None and denial.reason is Reason.TOOL_DENIED:
        denial = _unless_hidden(denial, tool_filter)
    verdict = denial or Denial(Reason.ALLOWED, "")
    return Decision(
        reason=verdict.reason,
        rule=verdict.rule,
        policy_hash=policy.digest,
        message=verdict.message,
        detail=verdict.detail,
        as_tool_result=verdict.as_tool_result,
        header_edits=tuple(draft.header_edits),
        backend=draft.backend,
        tool_filters=(tool_filter,) if policy.hides_tools else (),
        limits=tuple(limit.spent for limit in draft.limits),
        reply_headers=_reply_headers(draft.limits),
    )


@dataclass(frozen=True, slots=True)
class PolicyFilter:
    """Hides from lists what the policies would hide from the same caller's call (the tool scope included)."""

    policy: ConnectionPolicy = field(repr=False)
    context: Context = field(repr=False)  # it holds the arguments of the call

    def hides(self, tool: str, _annotations: Mapping[str, object], /) -> bool:
        """Whether `tool` is left out. Raises Refusal (policy-error) where that cannot be said."""
        context = self.context.calling(tool)
        try:
            return hides(self.policy.steps(context.request), context)
        except ExpressionError as error:
            raise Refusal(Reason.POLICY_ERROR, "A policy could not be evaluated.", detail=str(error)) from None


def _unless_hidden(denial: Denial, tool_filter: PolicyFilter) -> Denial:
    """Where another rule hides the tool, its call must not be told that it is there."""
    tool = tool_filter.context.request.tool
    try:
        hidden = tool_filter.hides(tool, {})
    except Refusal as refusal:
        return replace(denial, reason=refusal.reason, message=refusal.message, as_tool_result=False)
    return (
        replace(denial, reason=Reason.TOOL_HIDDEN, message=f"Unknown tool: {tool}", as_tool_result=False)
        if hidden
        else denial
    )


def outbound(answer: Answer, context: Context, decision: Decision) -> Answer:
    """The answer as the caller may see it, filtered event by event as it passes; untouched where nothing is hidden."""
    if not decision.tool_filters:
        return answer
    listing = Listing(decision.tool_filters, context.request, answer.streaming)
    return replace(answer, events=_Filtered(answer.events, listing))


class _Filtered:
    """The events of an answer, each filtered when it is asked for. Not a generator: there is nothing to clean up."""

    def __init__(self, events: AsyncIterator[tuple[Event, ...]], listing: Listing) -> None:
        self._events = events
        self._listing = listing

    def __aiter__(self) -> AsyncIterator[tuple[Event, ...]]:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        return tuple(map(self._listing.filtered, await anext(self._events)))


def _reply_headers(limits: list[Limit]) -> tuple[tuple[str, str], ...]:
    """What the caller is told of its limits: the one that refused it, else the one with the least left."""
    if not limits:
        return ()
    strictest = min(limits, key=lambda limit: (limit.spent.allowed, limit.spent.remaining, -limit.spent.reset))
    spent = strictest.spent
    told = (
        (strictest.total_header, str(spent.limit)),
        (strictest.remaining_header, str(spent.remaining)),
        (RESET_HEADER, str(spent.reset)),
    )
    return told if spent.allowed else (*told, (strictest.retry_header, str(spent.retry_after)))
