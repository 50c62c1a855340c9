"""Calls that ended, for those who count and time them."""

from dataclasses import replace

from mcpgov.audit.ended import EndedCall
from mcpgov.audit.record import AnswerSeen, Latency
from mcpgov.decision import Decision, Reason
from mcpgov.models import MCPRequest, OutcomeStatus
from tests.audit.calls import ALLOWED, CITY, head, request

CORRELATION = "3fa9c1d27b60f1e2aa07c1d5e8f90b34"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CLAIM = f"00-{TRACE}-{PARENT}-01"
LATENCY = Latency(decision=1_000, audit=2_000, upstream=40_000, total=50_000)
ABOUT = head(CORRELATION)


def answered(
    status: OutcomeStatus = OutcomeStatus.OK, seen: AnswerSeen | None = None, *, asked: MCPRequest | None = None
) -> EndedCall:
    """A tools/call that the upstream answered."""
    asked = asked or replace(request(about=ABOUT), traceparent=CLAIM, session_id="raw-session")
    seen = seen or AnswerSeen(200, events=1, size=10)
    return EndedCall(asked.head, status, None, LATENCY, asked, CITY, ALLOWED, seen, session="hmac-sha256:11")


def denied(reason: Reason = Reason.TOOL_DENIED, decision: Decision | None = None) -> EndedCall:
    """One that a policy refused."""
    decision = decision or Decision(reason, "company#2")
    asked = request(about=ABOUT)
    return EndedCall(ABOUT, OutcomeStatus.DENIED, reason, Latency(total=900), asked, CITY, decision)


def unread(connection: str = "city") -> EndedCall:
    """One that was refused before it was read."""
    about = head(CORRELATION, connection=connection)
    return EndedCall(about, OutcomeStatus.DENIED, Reason.CREDENTIAL_MISSING, Latency(total=100))
