"""Every exit of a call leaves exactly one end behind, whatever the store and the caller do."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from mcpgov.audit.ledger import AuditLedger, between
from mcpgov.audit.levels import Level, LevelRule
from mcpgov.audit.record import ControlEvent, Row
from mcpgov.audit.redact import Digester
from mcpgov.audit.writer import Tuning
from mcpgov.decision import Reason
from mcpgov.errors import ClientGone, Refusal, StoreUnavailable
from mcpgov.models import OutcomeStatus
from tests.audit.calls import ARGUMENTS, NOW, head
from tests.audit.flow import CancelledAt, Flow
from tests.audit.stores import FULL_DISK, Clock, FaultyStore, until

QUICK = Tuning(retry=0.01)
DIGESTER = Digester(b"k" * 32)


def ledger_on(store: FaultyStore, tuning: Tuning = QUICK) -> AuditLedger:
    return AuditLedger((store,), DIGESTER, Clock(), tuning)


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
async def ledger(store: FaultyStore) -> AsyncIterator[AuditLedger]:
    ledger = ledger_on(store)
    await ledger.start(version="1")
    yield ledger
    store.failure = None
    store.gate.set()
    await ledger.close()


def records(store: FaultyStore) -> list[dict[str, object]]:
    """Every record of a call."""
    found = [json.loads(row.record) for row in store.rows]
    return [record for record in found if record["event"] != "control"]


async def finished(ledger: AuditLedger, store: FaultyStore) -> list[dict[str, object]]:
    """Every record, once the writer has nothing left to do."""
    await ledger.close()
    return records(store)


async def test_an_answered_call_leaves_an_intent_and_an_outcome(ledger: AuditLedger, store: FaultyStore) -> None:
    flow = Flow(ledger)
    await flow.govern()
    intent, outcome = await finished(ledger, store)
    assert (intent["event"], outcome["event"], outcome["mcpgov.status"]) == ("intent", "outcome", "ok")
    assert intent["call_id"] == outcome["call_id"] == f"{store.writer}-1"
    assert intent["correlation_id"] == outcome["correlation_id"] == "correlation"
    assert intent["mcpgov.arguments.digest"] == DIGESTER.fingerprint(ARGUMENTS).digest
    assert outcome["mcpgov.answer.complete"] is True
    assert "mcpgov.reason" not in outcome
    latencies = [outcome[f"mcpgov.latency.{name}_us"] for name in ("decision", "audit", "upstream", "total")]
    assert all(isinstance(latency, int) for latency in latencies)
    assert flow.relayed == [flow.answer]
    assert "hunter2" not in str(store.rows)


async def test_a_rule_says_how_much_is_written_down(store: FaultyStore) -> None:
    ledger = AuditLedger((store,), DIGESTER, Clock(), QUICK, rules=(LevelRule(Level.REQUEST_RESPONSE),))
    await ledger.start()
    await Flow(ledger).govern()
    intent, outcome = await finished(ledger, store)
    count, text = DIGESTER.scalar(3), DIGESTER.scalar("hunter2")
    assert intent["mcpgov.arguments.value"] == f'{{"count":"{count}","text":"{text}"}}'
    assert outcome["mcpgov.answer.value"] == f'{{"isError":"{DIGESTER.scalar(False)}"}}'


async def test_nothing_is_sent_before_the_intent_is_durable(ledger: AuditLedger, store: FaultyStore) -> None:
    store.shut()
    flow = Flow(ledger)
    task = asyncio.create_task(flow.govern())
    await store.until_busy()
    assert flow.sent == 0
    store.gate.set()
    await task
    assert flow.sent == 1


async def test_a_refusal_is_told_only_once_it_is_durable(ledger: AuditLedger, store: FaultyStore) -> None:
    store.shut()
    flow = Flow(ledger, "identify", Refusal(Reason.CREDENTIAL_MISSING, "who?", detail="none was presented"))
    task = asyncio.create_task(flow.govern())
    await store.until_busy()
    assert flow.refusals == []
    store.gate.set()
    await task
    assert [refusal.reason for refusal in flow.refusals] == ["credential-missing"]
    [denied] = records(store)
    assert (denied["event"], denied["mcpgov.decision.reason"]) == ("denied", "credential-missing")
    assert denied["mcpgov.detail"] == "none was presented"
    assert "mcpgov.principal.id" not in denied


NO_ACCESS = Refusal(Reason.CREDENTIAL_UNAVAILABLE, "no")
LATE = asyncio.CancelledError(Reason.UPSTREAM_TIMEOUT)
TIMEOUT = Refusal(Reason.UPSTREAM_TIMEOUT, "late", detail="after 90 s")


@pytest.mark.parametrize(
    ("fault", "error", "events", "end"),
    [
        ("identify", NO_ACCESS, ["denied"], ("denied", "credential-unavailable")),
        ("read", NO_ACCESS, ["denied"], ("denied", "credential-unavailable")),
        ("credential", NO_ACCESS, ["denied"], ("denied", "credential-unavailable")),
        ("credential", RuntimeError(), ["denied"], ("denied", "internal-error")),
        ("read", ClientGone(), ["denied"], ("client-gone", "client-gone")),
        ("read", LATE, ["denied"], ("denied", "upstream-timeout")),
        ("connect", TIMEOUT, ["intent", "outcome"], ("failed", "upstream-timeout")),
        ("body", LATE, ["intent", "outcome"], ("failed", "upstream-timeout")),
        ("body", TIMEOUT, ["intent", "outcome"], ("failed", "upstream-timeout")),
        ("connect", RuntimeError(), ["intent", "outcome"], ("failed", "internal-error")),
        ("relay", ClientGone(), ["intent", "outcome"], ("client-gone", "client-gone")),
        ("end", ClientGone(), ["intent", "outcome"], ("client-gone", "client-gone")),
    ],
)
async def test_every_exit_leaves_exactly_one_end(
    ledger: AuditLedger, store: FaultyStore, fault: str, error: BaseException, events: list[str], end: tuple[str, str]
) -> None:
    await asyncio.wait({asyncio.ensure_future(Flow(ledger, fault, error).govern())})  # which LATE gets out of
    found = await finished(ledger, store)
    assert [record["event"] for record in found] == events
    reason = found[-1].get("mcpgov.reason") or found[-1]["mcpgov.decision.reason"]
    assert (found[-1]["mcpgov.status"], reason) == end


async def test_a_refusal_that_cannot_be_delivered_is_still_recorded_once(
    ledger: AuditLedger, store: FaultyStore
) -> None:
    for fault in ("identify", "connect"):
        flow = Flow(ledger, fault, NO_ACCESS)

        async def nobody(refusal: Refusal) -> None:
            raise ClientGone(refusal)

        flow.refuse = nobody
        with pytest.raises(ClientGone):
            await flow.govern()
    await ledger.close()
    assert store.ends == {f"{store.writer}-1": ["denied"], f"{store.writer}-2": ["failed"]}


@pytest.mark.parametrize(
    ("answer", "status", "expected"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{"isError":true}}', 200, "tool-error"),
        (b'{"jsonrpc":"2.0","id":7,"error":{"code":-32000}}', 200, "rpc-error"),
        (b"no", 404, "rpc-error"),
        (b"not json", 200, "ok"),
    ],
)
async def test_what_the_upstream_says_is_the_outcome(
    ledger: AuditLedger, store: FaultyStore, answer: bytes, status: int, expected: str
) -> None:
    await Flow(ledger, answer=answer, status=status).govern()
    assert (await finished(ledger, store))[-1]["mcpgov.status"] == expected


@pytest.mark.parametrize("fault", ["", "identify", "connect"])
async def test_cancelling_at_any_await_leaves_exactly_one_end(fault: str) -> None:
    seen: set[str | None] = set()
    for suspension in range(100):
        store = FaultyStore()
        ledger = ledger_on(store)
        await ledger.start()
        flow = Flow(ledger, fault, NO_ACCESS)
        cancelled = CancelledAt(flow.govern(), suspension)
        try:
            await cancelled
        except asyncio.CancelledError:
            assert cancelled.reached
        await ledger.close()
        [ends] = store.ends.values()
        assert len(ends) == 1, (suspension, ends)
        assert flow.sent == 0 or any(row.event == "intent" for row in store.rows)
        seen.add(ends[0])
        if not cancelled.reached:
            break
    else:
        pytest.fail("the flow never came to its end")
    assert (
        seen
        == {
            "": {"cancelled", "not-sent", "ok"},
            "identify": {"cancelled", "denied"},
            "connect": {"cancelled", "not-sent", "failed"},
        }[fault]
    )


async def test_a_call_cancelled_while_its_intent_is_written_was_not_sent(
    ledger: AuditLedger, store: FaultyStore
) -> None:
    store.shut()
    flow = Flow(ledger)
    task = asyncio.create_task(flow.govern())
    await store.until_busy()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    store.gate.set()
    [_, outcome] = await finished(ledger, store)
    assert flow.sent == 0
    assert (outcome["mcpgov.status"], outcome["mcpgov.reason"]) == ("not-sent", "gateway-stopping")
    assert "mcpgov.latency.audit_us" not in outcome


async def test_a_call_cancelled_while_its_intent_fails_leaves_nothing(ledger: AuditLedger, store: FaultyStore) -> None:
    store.shut()
    task = asyncio.create_task(Flow(ledger).govern())
    await store.until_busy()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    store.failure = FULL_DISK
    store.gate.set()
    await until(lambda: not ledger.ready)
    store.failure = None
    assert await finished(ledger, store) == []


async def test_a_call_that_cannot_be_written_down_is_not_made(ledger: AuditLedger, store: FaultyStore) -> None:
    store.failure = FULL_DISK
    flow = Flow(ledger)
    await flow.govern()
    [refusal] = flow.refusals
    assert (refusal.reason, refusal.headers) == (Reason.AUDIT_UNAVAILABLE, (("Retry-After", "1"),))
    assert flow.sent == 0
    assert not ledger.ready
    store.failure = None
    await Flow(ledger).govern()
    await until(lambda: ledger.ready)
    await ledger.close()
    assert store.ends.pop(f"{store.writer}-2") == ["ok"]
    assert not [row for row in store.rows if row.call_id == f"{store.writer}-1" and row.event == "intent"]


async def test_a_denial_that_cannot_be_written_down_is_told_as_that(ledger: AuditLedger, store: FaultyStore) -> None:
    store.failure = FULL_DISK
    asked = Refusal(Reason.TOOL_DENIED, "no")
    asked.request_id = 7
    flow = Flow(ledger, "read", asked)
    await flow.govern()
    [refusal] = flow.refusals
    assert (refusal.reason, refusal.request_id, refusal.detail) == (Reason.AUDIT_UNAVAILABLE, 7, "disk full")


async def test_a_call_whose_intent_hangs_is_refused_and_was_not_sent(store: FaultyStore) -> None:
    ledger = ledger_on(store, Tuning(retry=0.01, patience=0.1))
    await ledger.start()
    store.shut()
    flow = Flow(ledger)
    await flow.govern()
    assert [refusal.reason for refusal in flow.refusals] == [Reason.AUDIT_UNAVAILABLE]
    store.gate.set()
    [_, outcome] = await finished(ledger, store)
    assert flow.sent == 0
    assert (outcome["mcpgov.status"], outcome["mcpgov.reason"]) == ("not-sent", "audit-unavailable")


async def test_a_store_that_fails_while_calls_run_gets_their_outcomes_when_it_is_back(
    ledger: AuditLedger, store: FaultyStore
) -> None:
    recordings = [ledger.recording(head(f"{number}"), "stamp") for number in range(20)]
    for recording in recordings:
        await recording.intent()
    store.failure = FULL_DISK
    for recording in recordings:
        assert await recording.refused(TIMEOUT) is TIMEOUT
    await until(lambda: not ledger.ready)
    store.failure = None
    await until(lambda: ledger.ready)
    assert list(store.ends.values()) == [["failed"]] * 20


async def test_too_many_waiting_calls_are_refused_at_once(store: FaultyStore) -> None:
    ledger = ledger_on(store, Tuning(retry=0.01, waiting=1))
    await ledger.start()
    store.shut()
    ledger.sinks.post(Row("in the store", 0, "intent", 1))
    await store.until_busy()
    ledger.sinks.post(Row("waiting", 0, "intent", 1))
    flow = Flow(ledger)
    with capture_logs() as logs:
        await flow.govern()
    assert [refusal.reason for refusal in flow.refusals] == [Reason.AUDIT_UNAVAILABLE]
    assert [log["event"] for log in logs] == ["audit-record-lost"]
    store.gate.set()
    await ledger.close()


async def test_what_a_crash_left_open_is_unknown_after_the_next_start(store: FaultyStore) -> None:
    crashed = ledger_on(store)
    await crashed.start()
    recording = crashed.recording(head("left open"), "stamp")
    await recording.intent()
    await crashed.sinks.close()
    store.forget()
    later = FaultyStore(store.disk)
    ledger = ledger_on(later)
    assert await ledger.start(version="2") == 1
    await ledger.close()
    outcome = next(record for record in records(later) if record["event"] == "outcome")
    assert (outcome["mcpgov.status"], outcome["correlation_id"]) == ("unknown", "left open")
    started = [json.loads(row.record) for row in later.rows if row.reason == "start"]
    assert [(record["mcpgov.control.recovered"], record.get("mcpgov.control.version")) for record in started] == [
        (0, None),
        (1, "2"),
    ]
    assert later.disk.writers == {}


async def test_a_ledger_that_closes_over_an_open_call_leaves_it_to_recovery(store: FaultyStore) -> None:
    ledger = ledger_on(store)
    await ledger.start()
    recording = ledger.recording(head(), "stamp")
    async with recording:
        await recording.intent()
        await ledger.close()
        with capture_logs() as logs:
            await recording.refused(TIMEOUT)
    assert [log["event"] for log in logs] == ["audit-left-to-recovery"]
    assert store.disk.writers == {store.writer: False}
    assert await ledger_on(FaultyStore(store.disk)).start() == 1


async def test_a_second_refusal_of_the_same_call_changes_nothing(ledger: AuditLedger, store: FaultyStore) -> None:
    recording = ledger.recording(head(), "stamp")
    async with recording:
        first = await recording.refused(NO_ACCESS)
        assert await recording.refused(TIMEOUT) is TIMEOUT
    assert first is NO_ACCESS
    assert len(await finished(ledger, store)) == 1


async def test_a_recording_that_was_left_without_an_answer_has_failed(ledger: AuditLedger, store: FaultyStore) -> None:
    async with ledger.recording(head(), "stamp") as recording:
        await recording.intent()
    async with ledger.recording(head(), "stamp"):
        pass
    found = await finished(ledger, store)
    assert [record["mcpgov.status"] for record in found if record["event"] != "intent"] == ["failed", "failed"]


async def test_what_happens_to_the_gateway_is_written_down(ledger: AuditLedger, store: FaultyStore) -> None:
    await ledger.control(ControlEvent.RELOAD, old="a", new="b")
    await ledger.close()
    events = [json.loads(row.record) for row in store.rows]
    assert [event["mcpgov.control.event"] for event in events] == ["start", "reload", "stop"]
    assert (events[1]["mcpgov.control.old"], events[1]["mcpgov.control.new"]) == ("a", "b")
    assert events[1]["ts"].startswith(f"{NOW:%Y-%m-%d}")


async def test_a_control_event_that_cannot_be_written_is_not_hidden(ledger: AuditLedger, store: FaultyStore) -> None:
    store.failure = FULL_DISK
    with pytest.raises(StoreUnavailable):
        await ledger.control(ControlEvent.RELOAD)


async def test_a_ledger_closes_though_the_store_is_gone(store: FaultyStore) -> None:
    ledger = ledger_on(store)
    await ledger.start()
    store.failure = FULL_DISK
    with capture_logs() as logs:
        await ledger.close()
    assert "audit-unavailable" in [log["event"] for log in logs]


def test_a_latency_that_was_not_measured_is_none() -> None:
    assert (between(1_000, 5_999), between(0, 5_000), between(5_000, 0)) == (4, None, None)
    assert OutcomeStatus.OK.value == "ok"


async def test_who_starts_a_gateway_and_which_worker_it_is_stands_in_start_and_stop() -> None:
    store = FaultyStore()
    for principal in ("mcpgov:probe", ""):
        ledger = ledger_on(store)
        await ledger.start(principal, {"worker": 1, "workers": 4}, version="1")
        await ledger.close()
    found = [json.loads(row.record) for row in store.rows]
    assert [(record["mcpgov.control.worker"], record["mcpgov.control.workers"]) for record in found] == [(1, 4)] * 4
    assert [(record["mcpgov.control.event"], record.get("mcpgov.control.principal")) for record in found] == [
        *(("start", "mcpgov:probe"), ("stop", "mcpgov:probe")),
        *(("start", None), ("stop", None)),
    ]
