"""Several stores are written to as one: enough of them is enough, and what happens to one stands in the others."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from mcpgov.audit.ledger import AuditLedger
from mcpgov.audit.ledger_store import OpenCall
from mcpgov.audit.record import OutcomeRecord, Row
from mcpgov.audit.redact import Digester
from mcpgov.audit.sinks import Posted, Sinks
from mcpgov.audit.writer import Tuning
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.models import OutcomeStatus
from tests.audit.calls import NOW, head
from tests.audit.flow import Flow
from tests.audit.stores import FULL_DISK, Clock, FaultyStore, until

QUICK = Tuning(retry=0.01, opening=0.01)
ALL = replace(QUICK, every_store=True)


def intent(call_id: str) -> Row:
    return Row(call_id, 0, "intent", 1)


def outcome(call_id: str, status: OutcomeStatus = OutcomeStatus.OK) -> Row:
    return OutcomeRecord(call_id, NOW, status).row()


def unknown(call: OpenCall) -> Row:
    return outcome(call.call_id, OutcomeStatus.UNKNOWN)


class Pair:
    """Two stores, and what is written to them."""

    def __init__(self, tuning: Tuning = QUICK) -> None:
        self.a, self.b = FaultyStore(name="a"), FaultyStore(name="b")
        self.clock = Clock()
        self.sinks = Sinks((self.a, self.b), self.clock, tuning)

    async def write(self, row: Row, ends: Posted | None = None) -> Posted:
        posted = self.sinks.post(row, ends=ends, wait=True)
        await self.sinks.durable(posted)
        return posted

    async def end(self) -> None:
        for store in (self.a, self.b):
            store.failure = None
            store.gate.set()
        await self.sinks.close()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    pair = Pair()
    await pair.sinks.start()
    yield pair
    await pair.end()


@pytest.fixture
async def both() -> AsyncIterator[Pair]:
    pair = Pair(ALL)
    await pair.sinks.start()
    yield pair
    await pair.end()


def said(store: FaultyStore) -> list[tuple[str, str, str | None]]:
    """The control events in a store, of which sink they are, and why."""
    records = [json.loads(row.record) for row in store.rows if row.event == "control"]
    names = ("mcpgov.control.event", "mcpgov.control.sink", "mcpgov.control.why")
    return [tuple(record.get(name) for name in names) for record in records]


def calls(store: FaultyStore) -> list[tuple[str | None, int]]:
    return [(row.call_id, row.final) for row in store.rows if row.call_id]


async def test_a_row_goes_to_every_store(pair: Pair) -> None:
    begun = await pair.write(intent("1"))
    await pair.write(outcome("1"), begun)
    await pair.sinks.close()
    assert calls(pair.a) == calls(pair.b) == [("1", 0), ("1", 1)]


async def test_one_store_that_writes_is_enough_while_the_other_fails_or_hangs(pair: Pair) -> None:
    pair.a.failure = FULL_DISK
    pair.b.shut()
    writing = asyncio.ensure_future(pair.write(intent("1")))
    await pair.b.until_busy()
    await until(lambda: bool(pair.a.batches))
    assert not writing.done()
    pair.b.gate.set()
    await writing
    assert pair.sinks.ready


async def test_when_every_store_has_to_write_one_that_fails_is_told_at_once_with_its_reason(both: Pair) -> None:
    both.a.shut()  # whatever the other says
    both.b.failure = FULL_DISK
    with pytest.raises(StoreUnavailable, match="disk full"):
        await both.write(intent("1"))
    assert not both.sinks.ready


async def test_when_every_store_has_to_write_it_is_waited_for_all_of_them(both: Pair) -> None:
    both.a.shut()
    writing = asyncio.ensure_future(both.write(intent("1")))
    await both.a.until_busy()
    await until(lambda: bool(both.b.rows))
    assert not writing.done()
    both.a.gate.set()
    await writing


async def test_when_no_store_writes_all_that_went_wrong_is_told(pair: Pair) -> None:
    pair.a.failure, pair.b.failure = FULL_DISK, StoreUnavailable("locked")
    with pytest.raises(StoreUnavailable) as caught:
        await pair.write(intent("1"))
    assert sorted(str(caught.value).split("; ")) == ["disk full", "locked"]
    assert not pair.sinks.ready


async def test_a_store_that_hangs_has_failed_after_the_patience_though_nobody_waits_for_it() -> None:
    assert Tuning().patience == 2.0
    pair = Pair(replace(QUICK, patience=0.2))
    await pair.sinks.start()
    pair.b.shut()
    await pair.write(intent("1"))
    await until(lambda: bool(said(pair.a)))
    assert said(pair.a) == [("sink-failed", "b", "the audit store was silent for 0.2 s")]
    pair.b.gate.set()
    await until(lambda: len(said(pair.a)) == 2)
    assert said(pair.a)[1] == ("sink-recovered", "b", None)
    assert calls(pair.b) == [("1", 0)]
    await pair.end()


async def test_the_end_of_a_call_goes_to_each_store_that_took_its_intent_and_to_no_other(pair: Pair) -> None:
    pair.b.failure = FULL_DISK
    begun = await pair.write(intent("1"))
    await until(lambda: begun.entries[1] is not None and begun.entries[1].failed)
    assert not begun.failed
    pair.b.failure = None
    await until(lambda: any(row.reason == "store-recovered" for row in pair.b.rows))
    await pair.write(outcome("1"), begun)
    await pair.sinks.close()
    assert (calls(pair.a), calls(pair.b)) == ([("1", 0), ("1", 1)], [])


async def test_the_end_of_a_call_is_owed_to_a_store_that_fails_meanwhile(pair: Pair) -> None:
    begun = await pair.write(intent("1"))
    await until(lambda: calls(pair.b) == [("1", 0)])
    pair.b.failure = FULL_DISK
    await pair.write(outcome("1"), begun)
    await until(lambda: bool(said(pair.a)))
    pair.b.failure = None
    await until(lambda: ("1", 1) in calls(pair.b))
    assert pair.a.ends == pair.b.ends == {"1": ["ok"]}


async def test_the_end_of_a_call_that_no_store_took_is_nowhere(pair: Pair) -> None:
    pair.a.failure = pair.b.failure = FULL_DISK
    begun = pair.sinks.post(intent("1"), wait=True)
    with pytest.raises(StoreUnavailable):
        await pair.sinks.durable(begun)
    await until(lambda: begun.failed)
    ended = pair.sinks.post(outcome("1"), ends=begun, wait=True)
    with pytest.raises(StoreUnavailable, match="no store took it"):
        await pair.sinks.durable(ended)
    with pytest.raises(StoreUnavailable, match="no store took it"):
        await pair.sinks.durable(None)


async def test_that_a_store_failed_and_came_back_stands_once_in_the_others(pair: Pair) -> None:
    pair.b.failure = StoreUnavailable("b: locked")
    with capture_logs() as logs:
        for number in "123":
            await pair.write(intent(number))
            await until(lambda number=number: len(pair.b.batches) >= int(number))
        await until(lambda: bool(said(pair.a)))
        assert dict(pair.sinks.failed) == {"b": NOW}
        pair.clock.forward(30)
        pair.b.failure = None
        await until(lambda: len(said(pair.a)) == 2)
    assert said(pair.a) == [("sink-failed", "b", "b: locked"), ("sink-recovered", "b", None)]
    assert [event for event, _, _ in said(pair.b)] == ["store-recovered"]
    last = json.loads(next(row.record for row in pair.a.rows if row.reason == "sink-recovered"))
    assert last["mcpgov.control.since"] == "2026-11-20T12:00:00.123456Z"
    assert {log["event"] for log in logs} >= {"audit-sink-failed", "audit-sink-recovered"}


async def test_a_store_that_fails_and_then_hangs_is_one_failure_and_comes_back_once() -> None:
    pair = Pair(replace(QUICK, patience=0.2, retry=3600))
    await pair.sinks.start()
    pair.b.failure = FULL_DISK
    await pair.write(intent("1"))
    await until(lambda: bool(said(pair.a)))
    pair.b.shut()
    pair.b.failure = None
    entry = (await pair.write(intent("2"))).entries[1]
    assert entry is not None
    assert entry.durable is not None
    with pytest.raises(StoreUnavailable, match="silent"):
        await entry.durable
    pair.b.gate.set()
    await until(lambda: [row.reason for row in pair.b.rows if row.reason] == ["store-recovered"])
    await pair.end()
    assert said(pair.a) == [("sink-failed", "b", "disk full"), ("sink-recovered", "b", None)]


async def test_one_store_alone_says_only_that_it_came_back() -> None:
    store = FaultyStore()
    sinks = Sinks((store,), Clock(), QUICK)
    await sinks.start()
    store.failure = FULL_DISK
    with pytest.raises(StoreUnavailable, match="disk full"):
        await sinks.durable(sinks.post(intent("1"), wait=True))
    store.failure = None
    await until(lambda: bool(store.rows))
    await sinks.close()
    assert [event for event, _, _ in said(store)] == ["store-recovered"]


async def test_what_cannot_be_said_in_a_store_that_fails_as_well_is_not_missed(pair: Pair) -> None:
    pair.a.failure = pair.b.failure = FULL_DISK
    with pytest.raises(StoreUnavailable):
        await pair.write(intent("1"))
    pair.a.failure = pair.b.failure = None
    await until(lambda: pair.sinks.ready and bool(pair.a.rows) and bool(pair.b.rows))
    for store in (pair.a, pair.b):
        assert "store-recovered" in [event for event, _, _ in said(store)]


async def test_a_store_that_comes_back_is_told_which_others_fail_still(pair: Pair) -> None:
    pair.a.failure, pair.b.failure = FULL_DISK, StoreUnavailable("b: locked")
    with pytest.raises(StoreUnavailable):
        await pair.write(intent("1"))
    pair.a.failure = None
    await until(lambda: {("store-recovered", None, None), ("sink-failed", "b", "b: locked")} <= set(said(pair.a)))
    pair.b.failure = None
    await until(lambda: ("sink-recovered", "b", None) in said(pair.a))


async def test_that_records_are_unavailable_is_logged_only_where_no_other_store_is_enough(pair: Pair) -> None:
    pair.b.failure = FULL_DISK
    with capture_logs() as logs:
        for number in "123":
            await pair.write(intent(number))
            await until(lambda number=number: len(pair.b.batches) >= int(number))
        pair.a.failure = FULL_DISK
        with pytest.raises(StoreUnavailable):
            await pair.write(intent("4"))
    loud = [(log["event"], log["store"], log.get("refused")) for log in logs if log["log_level"] == "error"]
    assert loud[0] == ("audit-store-failing", "b", None)
    assert ("audit-unavailable", "a", 1) in loud
    assert len(loud) == len(set(loud))


async def test_a_store_without_room_is_one_that_does_not_write() -> None:
    pair = Pair(replace(QUICK, waiting=1))
    await pair.sinks.start()
    pair.b.shut()
    await pair.write(intent("in the store"))
    await pair.b.until_busy()
    await pair.write(intent("waiting"))
    refused = await pair.write(intent("one more"))
    assert refused.entries[1] is None
    await pair.write(outcome("one more"), refused)
    pair.a.shut()
    pair.sinks.post(intent("in the other store"))
    await pair.a.until_busy()
    pair.sinks.post(intent("waiting, too"))
    with pytest.raises(StoreUnavailable, match="already wait"):
        pair.sinks.post(intent("too many"))
    await pair.end()
    assert ("one more", 1) in calls(pair.a)
    assert ("one more", 0) not in calls(pair.b)


async def test_a_store_that_does_not_open_is_opened_later_where_one_is_enough() -> None:
    pair = Pair()
    pair.b.closed = StoreUnavailable("unreachable")
    with capture_logs() as logs:
        assert await pair.sinks.start(unknown) == 0
        await pair.write(intent("1"))
        await until(lambda: bool(said(pair.a)))
    assert said(pair.a) == [("sink-failed", "b", "unreachable")]
    assert "audit-sink-failed" in [log["event"] for log in logs]
    assert pair.sinks.ready
    pair.b.closed = None
    await until(lambda: bool(pair.b.rows))
    await until(lambda: ("sink-recovered", "b", None) in said(pair.a))
    begun = await pair.write(intent("2"))
    await pair.write(outcome("2"), begun)
    await pair.sinks.close()
    assert [call for call in calls(pair.b) if call[0] == "2"] == [("2", 0), ("2", 1)]


async def test_a_store_that_hangs_while_it_is_opened_holds_up_nobody_who_can_begin_without_it() -> None:
    pair = Pair()
    opening = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(ended: object) -> int:
        assert ended is unknown
        loop.call_soon_threadsafe(opening.set)
        pair.b.gate.wait()
        return 0

    pair.b.recover = slowly
    pair.b.shut()
    await pair.sinks.start(unknown)
    await opening.wait()
    await pair.write(intent("1"))
    await pair.end()
    assert calls(pair.a) == calls(pair.b) == [("1", 0)]


async def test_when_every_store_has_to_write_a_start_waits_for_one_that_takes_its_time() -> None:
    pair = Pair(ALL)
    started = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(ended: object) -> int:
        assert ended is unknown
        loop.call_soon_threadsafe(started.set)
        pair.b.gate.wait()
        return 3

    pair.b.recover = slowly
    pair.b.shut()
    starting = asyncio.create_task(pair.sinks.start(unknown))
    await started.wait()
    loop.call_later(2 * ALL.opening, pair.b.gate.set)
    assert await starting == 3
    await pair.end()


@pytest.mark.parametrize(
    ("tuning", "error"),
    [(ALL, StoreUnavailable("unreachable")), (QUICK, InvalidConfiguration(())), (QUICK, ZeroDivisionError("defect"))],
    ids=["every store has to write", "a newer schema", "what nobody foresaw"],
)
async def test_a_start_is_refused_and_leaves_nothing_running(tuning: Tuning, error: Exception) -> None:
    pair = Pair(tuning)
    pair.b.closed = error
    with pytest.raises(type(error)):
        await pair.sinks.start()
    assert not pair.sinks.ready
    with pytest.raises(StoreUnavailable, match="not running"):
        pair.sinks.post(intent("1"))
    assert {event for event, _, _ in said(pair.a)} <= {"sink-failed"}
    assert pair.b.rows == []


async def test_closing_does_not_wait_for_ever_for_one_that_hangs() -> None:
    pair = Pair(replace(QUICK, closing=0.01))
    await pair.sinks.start()
    pair.b.shut()
    await pair.write(intent("1"))
    await pair.b.until_busy()
    with capture_logs() as logs:
        assert not await pair.sinks.close(finished=True)
    assert [(log["store"], log["hung"]) for log in logs if log["event"] == "audit-not-finished"] == [("b", True)]
    assert pair.a.disk.writers == {}
    assert pair.b.disk.writers == {pair.b.writer: True}
    pair.b.gate.set()
    await until(lambda: bool(pair.b.rows))


async def test_a_call_is_written_to_every_store_and_each_can_be_recovered() -> None:
    digester = Digester(bytes(32))
    store, second = FaultyStore(), FaultyStore(name="second")
    ledger = AuditLedger((store, second), digester, Clock(), QUICK)
    await ledger.start()
    await Flow(ledger).govern()
    recording = ledger.recording(head("left open"), "stamp")
    await recording.intent()
    await ledger.close()
    assert store.ends == second.ends == {f"{store.writer}-1": ["ok"], f"{store.writer}-2": []}
    again = AuditLedger((FaultyStore(store.disk), FaultyStore(second.disk)), digester, Clock(), QUICK)
    assert await again.start() == 1
    await again.close()
    assert second.ends == {f"{store.writer}-1": ["ok"], f"{store.writer}-2": ["unknown"]}
