"""With the outcome before the reply no answer is complete without one, whatever the store and the upstream do."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from mcpgov.audit.ledger import AuditLedger
from mcpgov.audit.record import Durability
from mcpgov.audit.redact import Digester
from mcpgov.audit.watch import LARGEST
from mcpgov.audit.writer import Tuning
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Answer, Era, Event, Headers
from tests.audit.calls import head, request
from tests.audit.flow import Flow
from tests.audit.stores import FULL_DISK, Clock, FaultyStore, until

TIMEOUT = Refusal(Reason.UPSTREAM_TIMEOUT, "late", detail="after 90 s")
FIRST = Tuning(retry=0.01, outcome_first=True)


def ledger_on(store: FaultyStore, tuning: Tuning = FIRST) -> AuditLedger:
    return AuditLedger((store,), Digester(b"k" * 32), Clock(), tuning)


async def finished(ledger: AuditLedger, store: FaultyStore) -> list[dict[str, object]]:
    """Every record of a call, once the writer has nothing left to do."""
    await ledger.close()
    found = [json.loads(row.record) for row in store.rows]
    return [record for record in found if record["event"] != "control"]


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
async def strict(store: FaultyStore) -> AsyncIterator[AuditLedger]:
    """A ledger whose outcomes come before the end of the answer."""
    ledger = ledger_on(store, FIRST)
    await ledger.start()
    yield ledger
    store.failure = None
    store.gate.set()
    await ledger.close()


async def test_an_answer_ends_only_once_its_outcome_is_durable(strict: AuditLedger, store: FaultyStore) -> None:
    flow = Flow(strict, forwarded=store.shut)
    task = asyncio.create_task(flow.govern())
    await until(lambda: flow.sent == 1 and not store.gate.is_set())
    await store.until_busy()
    assert flow.relayed == []
    store.gate.set()
    await task
    assert flow.relayed == [flow.answer]
    [_, outcome] = await finished(strict, store)
    assert (outcome["mcpgov.status"], outcome["mcpgov.outcome"]) == ("ok", "before-reply")
    assert outcome["mcpgov.answer.complete"] is True


async def test_the_order_stands_in_the_outcome_either_way(store: FaultyStore) -> None:
    ledger = ledger_on(store, replace(FIRST, outcome_first=False))
    await ledger.start()
    await Flow(ledger).govern()
    assert (await finished(ledger, store))[-1]["mcpgov.outcome"] == "after-reply"


async def test_an_answer_whose_outcome_cannot_be_written_is_kept_back_and_nobody_is_asked_to_try_again(
    strict: AuditLedger, store: FaultyStore
) -> None:
    flow = Flow(strict, forwarded=lambda: setattr(store, "failure", FULL_DISK))
    await flow.govern()
    assert flow.relayed == []
    [refusal] = flow.refusals
    assert (refusal.reason, refusal.headers, refusal.detail) == (Reason.AUDIT_UNAVAILABLE, (), "disk full")
    assert "was made" in refusal.message
    store.failure = None
    await until(lambda: strict.ready)
    assert store.ends == {f"{store.writer}-1": ["ok"]}


@pytest.mark.parametrize("fault", ["connect", "body"])
async def test_a_refusal_of_a_call_that_was_sent_waits_for_its_outcome_too(
    strict: AuditLedger, store: FaultyStore, fault: str
) -> None:
    flow = Flow(strict, fault, TIMEOUT, forwarded=store.shut)
    task = asyncio.create_task(flow.govern())
    await until(lambda: flow.sent == 1)
    await store.until_busy()
    assert flow.refusals == []
    store.gate.set()
    await task
    assert [refusal.reason for refusal in flow.refusals] == [Reason.UPSTREAM_TIMEOUT]
    assert (await finished(strict, store))[-1]["mcpgov.outcome"] == "before-reply"


async def test_a_refusal_whose_outcome_cannot_be_written_is_told_as_that(
    strict: AuditLedger, store: FaultyStore
) -> None:
    asked = Refusal(Reason.UPSTREAM_TIMEOUT, "late")
    asked.request_id = 7
    flow = Flow(strict, "connect", asked, forwarded=lambda: setattr(store, "failure", FULL_DISK))
    await flow.govern()
    assert [(told.reason, told.request_id) for told in flow.refusals] == [(Reason.AUDIT_UNAVAILABLE, 7)]
    store.failure = None
    await until(lambda: strict.ready)
    assert store.ends == {f"{store.writer}-1": ["failed"]}


async def test_a_call_that_was_not_sent_is_refused_without_waiting_for_its_end(store: FaultyStore) -> None:
    ledger = ledger_on(store, replace(FIRST, patience=0.1))
    await ledger.start()
    store.shut()
    flow = Flow(ledger)
    await flow.govern()
    assert [(refusal.reason, flow.sent) for refusal in flow.refusals] == [(Reason.AUDIT_UNAVAILABLE, 0)]
    store.gate.set()
    assert (await finished(ledger, store))[-1]["mcpgov.status"] == "not-sent"


async def test_a_stream_goes_on_until_the_event_that_completes_it_and_that_waits(
    strict: AuditLedger, store: FaultyStore
) -> None:
    progress = b'{"jsonrpc":"2.0","method":"notifications/progress"}'
    large = b'{"jsonrpc":"2.0","id":7,"result":{"isError":true,"text":"' + b"x" * LARGEST + b'"}}'
    passed: list[bytes] = []

    async def stream() -> AsyncIterator[tuple[Event, ...]]:
        yield (Event(progress, progress),)
        store.shut()
        yield (Event(large, large),)
        yield (Event(b": bye"),)

    recording = strict.recording(head(), "stamp")
    recording.request = request(about=head())

    async def relay() -> None:
        async with recording:
            await recording.intent()
            async for batch in recording.watch(Answer(200, Headers(), True, stream())).events:
                passed.extend(event.raw for event in batch)

    task = asyncio.create_task(relay())
    await until(lambda: not store.gate.is_set())
    await store.until_busy()
    assert passed == [progress]
    store.gate.set()
    await task
    assert passed == [progress, large, b": bye"]
    assert (await finished(strict, store))[-1]["mcpgov.status"] == "tool-error"


UNUSUAL = {
    "the same id, written otherwise": b'{"jsonrpc":"2.0","id":7.0,"result":{}}',
    "an error that did not know the id": b'{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"x"}}',
    "an error without an id": b'{"jsonrpc":"2.0","error":{"code":-1,"message":"x"}}',
    "no UTF-8": b'{"jsonrpc":"2.0","id":7,"result":{"t":"\xff"}}',
    "no UTF-8 in a key": b'{"jsonrpc":"2.0","i\xffd":7,"result":{}}',
    "nested deeply": b'{"jsonrpc":"2.0","id":7,"result":{"t":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "a number of many digits": b'{"jsonrpc":"2.0","id":7,"result":{"t":' + b"9" * 5000 + b"}}",
    "in an array": b'[{"jsonrpc":"2.0","id":7,"result":{}}]',
    "two ids": b'{"jsonrpc":"2.0","id":7,"id":8,"result":{}}',
    "a method too": b'{"jsonrpc":"2.0","id":7,"method":"x","result":{}}',
    "a method without a name": b'{"jsonrpc":"2.0","id":7,"method":""}',
}


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
async def test_whatever_a_client_may_take_for_the_answer_is_kept_back_until_the_outcome_is_written(
    strict: AuditLedger, store: FaultyStore, data: bytes
) -> None:
    progress = b'{"jsonrpc":"2.0","method":"notifications/progress"}'

    async def stream() -> AsyncIterator[tuple[Event, ...]]:
        yield (Event(progress, progress),)
        store.failure = FULL_DISK
        yield (Event(data, data),)

    recording = strict.recording(head(), "stamp")
    recording.request = replace(request(about=head()), era=Era.STATELESS)
    async with recording:
        await recording.intent()
        answer = recording.watch(Answer(200, Headers(), True, stream()))
        assert (await anext(answer.events))[0].raw == progress
        with pytest.raises(Refusal) as caught:
            await anext(answer.events)
        assert await recording.refused(caught.value) is caught.value
    assert caught.value.reason is Reason.AUDIT_UNAVAILABLE


async def test_a_stream_that_ends_without_an_answer_ends_when_that_is_written(
    strict: AuditLedger, store: FaultyStore
) -> None:
    async def stream() -> AsyncIterator[tuple[Event, ...]]:
        yield (Event(b": hello"),)
        store.failure = FULL_DISK

    recording = strict.recording(head(), "stamp")
    recording.request = request(about=head())
    async with recording:
        await recording.intent()
        answer = recording.watch(Answer(200, Headers(), True, stream()))
        assert (await anext(answer.events))[0].raw == b": hello"
        with pytest.raises(Refusal) as caught:
            await anext(answer.events)
        assert await recording.refused(caught.value) is caught.value
    assert caught.value.reason is Reason.AUDIT_UNAVAILABLE
    store.failure = None
    assert (await finished(strict, store))[-1]["mcpgov.reason"] == "upstream-reset"


async def test_an_outcome_that_finds_the_ledger_closed_keeps_the_answer_back(store: FaultyStore) -> None:
    ledger = ledger_on(store, FIRST)
    await ledger.start()
    async with ledger.recording(head(), "stamp") as recording:
        await recording.intent()
        await ledger.close()
        with capture_logs() as logs:
            told = await recording.refused(TIMEOUT)
    assert told.reason is Reason.AUDIT_UNAVAILABLE
    assert [log["event"] for log in logs] == ["audit-left-to-recovery"]


async def test_every_record_names_the_durability_that_was_in_force(store: FaultyStore) -> None:
    later = FaultyStore(store.disk)
    store.durability = later.durability = Durability.OS_CACHE
    ledger = ledger_on(store)
    await ledger.start()
    await Flow(ledger).govern()
    await Flow(ledger, "read", Refusal(Reason.CREDENTIAL_UNAVAILABLE, "no")).govern()
    await ledger.close()
    await (second := ledger_on(later)).start()
    await second.close()
    found = [json.loads(row.record) for row in later.rows]
    assert {(record["event"], record["mcpgov.durability"]) for record in found} == {
        (event, "os-cache") for event in ("intent", "outcome", "denied", "control")
    }
    assert "writers" in [row.reason for row in later.rows]
