"""Makes a recorded decision again: the same policy, asked the same questions, must say the same.

A record holds no header and no argument that a policy may have read. It holds the answers: one letter for each question
that the policies asked of the request (see draft.Answers). They are given to the policies in place of the request.
Another policy asks other questions: it gets none of these answers, only what the record holds of the request itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcpgov.decision import Describe, FetchKeys, Hold, Spend, Spent
from mcpgov.frozen import frozen
from mcpgov.json_web_token import KeySet
from mcpgov.policy.evaluate import Evaluation
from mcpgov.policy.explain import Unrecorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpgov.decision import Decision, Effect
    from mcpgov.policy.compiled import ConnectionPolicy
    from mcpgov.policy.context import Context
    from mcpgov.policy.draft import Watch

    Count = tuple[int, int]  # how much a counter may hold, and what was left

_UNKNOWN: Final = Unrecorded()


@frozen
class Recorded:
    """What a record says of a decision. `counts` are the limits that the caller was told of, in order."""

    reason: str
    rule: str
    policy_hash: str
    answers: str
    counts: tuple[Count, ...] = ()

    def same_as(self, decision: Decision) -> bool:
        """Whether a decision is the recorded one."""
        return (self.reason, self.rule, self.policy_hash) == (decision.reason, decision.rule, decision.policy_hash)


def replay(policy: ConnectionPolicy, context: Context, recorded: Recorded, watch: Watch | None = None) -> Decision:
    """The decision that `policy` makes with the recorded answers, which also say what had room.

    What was left in a counter is as recorded, or Unrecorded. To know which count is whose, it is decided twice.
    """
    spent: list[Spent] = []
    unwatched = Evaluation(policy, context, given=recorded.answers)
    decision = _decided(unwatched, spent, ())
    counts = [_count(one, decision.limits, recorded.counts) for one in spent]
    watched = Evaluation(policy, context, given=recorded.answers, watch=watch)
    return _decided(watched, [], counts)


def decide_today(policy: ConnectionPolicy, context: Context, watch: Watch | None = None) -> Decision:
    """The decision on what a record holds of a request, by a policy that was not asked then. Every counter has room."""
    return _decided(Evaluation(policy, context, watch=watch), [], ())


def _count(spent: Spent, told: Sequence[Spent], counts: Sequence[Count]) -> Count | None:
    """What was recorded of a counter; None where that is not one thing: two limits may share only here a counter."""
    if len(told) != len(counts):
        return None
    found = {count for one, count in zip(told, counts, strict=True) if one is spent}
    return found.pop() if len(found) == 1 else None


def _decided(evaluation: Evaluation, spent: list[Spent], counts: Sequence[Count | None]) -> Decision:
    """The decision; what is spent is added to `spent`, the n-th of it with the n-th of `counts`."""

    def performed(effect: Effect) -> Any:
        if isinstance(effect, Spend):
            count = counts[len(spent)] if len(spent) < len(counts) else None
            limit, left = count or (effect.calls, _UNKNOWN)
            one = Spent(allowed=True, limit=limit, remaining=left, reset=effect.period, retry_after=_UNKNOWN)
            spent.append(one)
            return spent[-1]
        if isinstance(effect, FetchKeys):
            return KeySet("", ())  # whether a token held is among the answers
        if isinstance(effect, Hold):
            return True
        return {} if isinstance(effect, Describe) else None

    deciding = evaluation.decide()
    try:
        effect = next(deciding)
        while True:
            effect = deciding.send(performed(effect))
    except StopIteration as end:
        return end.value
