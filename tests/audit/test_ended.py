"""What is told of a call that ended: once, by every exit, whether it was let through, and whether it left."""

import asyncio
import json

import pytest

from mcpgov.audit.ended import EndedCall
from mcpgov.audit.ledger import AuditLedger
from mcpgov.audit.record import Latency
from mcpgov.audit.redact import Digester
from mcpgov.audit.writer import Tuning
from mcpgov.decision import Decision, Reason
from mcpgov.errors import ClientGone, Refusal
from mcpgov.models import OutcomeStatus
from tests.audit.calls import ALLOWED, head
from tests.audit.flow import Flow
from tests.audit.stores import FULL_DISK, Clock, FaultyStore

S = OutcomeStatus


def ended(decision: Decision | None, latency: Latency) -> EndedCall:
    return EndedCall(head(), OutcomeStatus.OK, None, latency, decision=decision)


def test_a_call_is_allowed_only_by_a_decision() -> None:
    decisions = (ALLOWED, Decision(Reason.TOOL_DENIED), None)
    assert [ended(decision, Latency()).effect for decision in decisions] == ["allow", "deny", "deny"]


def test_a_call_has_left_once_its_intent_was_durable() -> None:
    assert ended(ALLOWED, Latency(audit=0)).forwarded
    assert not ended(ALLOWED, Latency(decision=5)).forwarded


class Heard:
    """An observer that keeps what it hears."""

    def __init__(self) -> None:
        self.calls: list[EndedCall] = []

    def ended(self, call: EndedCall) -> None:
        self.calls.append(call)


async def heard_of(fault: str = "", error: Exception | None = None, *, full: bool = False) -> EndedCall:
    """What is told of one call, for which nothing is left under way."""
    store, heard = FaultyStore(), Heard()
    ledger = AuditLedger((store,), Digester(b"k" * 32), Clock(), Tuning(retry=0.01))
    ledger.observers = (heard,)
    await ledger.start()
    store.failure = FULL_DISK if full else None
    await Flow(ledger, fault, error or RuntimeError()).govern()
    assert ledger.under_way == 0
    store.failure = None
    await ledger.close()
    (call,) = heard.calls
    kept = [record for record in map(json.loads, (row.record for row in store.rows)) if "mcpgov.status" in record]
    assert full or [record["mcpgov.status"] for record in kept] == [call.status]
    return call


@pytest.mark.parametrize(
    ("fault", "error", "status", "reason", "effect", "forwarded"),
    [
        ("", None, S.OK, None, "allow", True),
        ("identify", Refusal(Reason.CREDENTIAL_MISSING, "No."), S.DENIED, Reason.CREDENTIAL_MISSING, "deny", False),
        ("read", Refusal(Reason.INVALID_JSON, "No."), S.DENIED, Reason.INVALID_JSON, "deny", False),
        ("read", ClientGone(), S.CLIENT_GONE, Reason.CLIENT_GONE, "deny", False),
        ("read", RuntimeError(), S.DENIED, Reason.INTERNAL_ERROR, "deny", False),
        ("connect", Refusal(Reason.UPSTREAM_RESET, "No."), S.FAILED, Reason.UPSTREAM_RESET, "allow", True),
    ],
)
async def test_every_exit_is_told_once_as_it_is_recorded(
    fault: str, error: Exception | None, status: OutcomeStatus, reason: Reason | None, effect: str, *, forwarded: bool
) -> None:
    call = await heard_of(fault, error)
    assert (call.status, call.reason, call.effect, call.forwarded) == (status, reason, effect, forwarded)
    assert isinstance(call.latency.total, int)


@pytest.mark.parametrize("fault", ["", "identify"])
async def test_what_cannot_be_written_down_is_told_all_the_same(fault: str) -> None:
    call = await heard_of(fault, Refusal(Reason.CREDENTIAL_MISSING, "No."), full=True)
    assert (call.status, call.reason, call.forwarded) == (S.DENIED, Reason.AUDIT_UNAVAILABLE, False)


async def test_a_call_under_way_is_counted_as_such() -> None:
    ledger = AuditLedger((FaultyStore(),), Digester(b"k" * 32), Clock(), Tuning(retry=0.01))
    await ledger.start()
    task = asyncio.create_task(Flow(ledger).govern())
    await asyncio.sleep(0)
    assert ledger.under_way == 1
    await task
    assert ledger.under_way == 0
    await ledger.close()
