"""What is told of a call that ended: whether it was let through, and whether it left."""

from mcpgov.audit.ended import EndedCall
from mcpgov.audit.record import Latency
from mcpgov.decision import Decision, Reason
from mcpgov.models import OutcomeStatus
from tests.audit.calls import ALLOWED, head


def ended(decision: Decision | None, latency: Latency) -> EndedCall:
    return EndedCall(head(), OutcomeStatus.OK, None, latency, decision=decision)


def test_a_call_is_allowed_only_by_a_decision() -> None:
    decisions = (ALLOWED, Decision(Reason.TOOL_DENIED), None)
    assert [ended(decision, Latency()).effect for decision in decisions] == ["allow", "deny", "deny"]


def test_a_call_has_left_once_its_intent_was_durable() -> None:
    assert ended(ALLOWED, Latency(audit=0)).forwarded
    assert not ended(ALLOWED, Latency(decision=5)).forwarded
