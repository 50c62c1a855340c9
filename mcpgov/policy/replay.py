"""Makes a recorded decision again: the same policy, asked the same questions, must say the same.

A record holds no header and no argument that a policy may have read. It holds the answers: one letter for each question
that the policies asked of the request (see draft.Answers). They are given to the policies in place of the request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcpgov.decision import Describe, Hold, Reason, Spend, Spent
from mcpgov.policy.evaluate import Evaluation

if TYPE_CHECKING:
    from mcpgov.decision import Decision, Effect
    from mcpgov.policy.compiled import ConnectionPolicy
    from mcpgov.policy.context import Context
    from mcpgov.policy.draft import Watch

_OUT_OF_ROOM: Final = frozenset({Reason.RATE_LIMITED, Reason.QUOTA_EXCEEDED, Reason.CONCURRENCY_LIMITED})


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a record says of a decision."""

    reason: str
    rule: str
    policy_hash: str
    answers: str

    def same_as(self, decision: Decision) -> bool:
        """Whether a decision is the recorded one."""
        return (self.reason, self.rule, self.policy_hash) == (decision.reason, decision.rule, decision.policy_hash)


def replay(policy: ConnectionPolicy, context: Context, recorded: Recorded, watch: Watch | None = None) -> Decision:
    """The decision that `policy` makes with the recorded answers. Only the rule that was out of room is again."""
    evaluation = Evaluation(policy, context, given=recorded.answers, watch=watch)
    deciding = evaluation.decide()
    try:
        effect = next(deciding)
        while True:
            effect = deciding.send(_performed(effect, evaluation.at, recorded))
    except StopIteration as end:
        return end.value


def _performed(effect: Effect, at: str, recorded: Recorded) -> Any:
    free = not (at == recorded.rule and recorded.reason in _OUT_OF_ROOM)
    if isinstance(effect, Spend):
        return Spent(free, effect.calls, 0, effect.period)
    if isinstance(effect, Hold):
        return free
    return {} if isinstance(effect, Describe) else None
