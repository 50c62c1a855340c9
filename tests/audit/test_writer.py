"""Durable means durable, an end that is owed is written in the end, and the thread outlives everything."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from mcpgov.audit.chain import Chain
from mcpgov.audit.record import OutcomeRecord, Row
from mcpgov.audit.writer import Backlog, Entry, Tuning, Writer
from mcpgov.errors import StoreUnavailable
from mcpgov.models import OutcomeStatus
from tests.audit.calls import NOW
from tests.audit.stores import FULL_DISK, Clock, FaultyStore, until

QUICK = Tuning(retry=0.01)


def intent(call_id: str) -> Row:
    return Row(call_id, 0, "intent", 1)


def outcome(call_id: str, status: OutcomeStatus = OutcomeStatus.OK) -> Row:
    return OutcomeRecord(call_id, NOW, status).row()


async def durable(entry: Entry) -> None:
    """Return when an entry that was posted with `wait` is durable."""
    assert entry.durable is not None
    await entry.durable


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def writer(store: FaultyStore, clock: Clock) -> AsyncIterator[Writer]:
    writer = Writer(store, clock, QUICK)
    writer.start()
    yield writer
    store.failure = None
    store.gate.set()
    await writer.close()


async def test_a_row_is_durable_only_once_the_store_has_it(writer: Writer, store: FaultyStore) -> None:
    store.shut()
    waiting = asyncio.ensure_future(durable(writer.post(intent("1"), wait=True)))
    await store.until_busy()
    assert not waiting.done()
    store.gate.set()
    await waiting
    assert [row.call_id for row in store.rows] == ["1"]


async def test_a_row_that_the_store_has_is_not_held_any_longer(writer: Writer, store: FaultyStore) -> None:
    entry = writer.post(intent("1"), wait=True)
    await durable(entry)
    assert (entry.row, entry.failed) == (None, False)
    writer.post(outcome("1"), ends=entry)
    await until(lambda: len(store.rows) == 2)


async def test_what_waits_while_the_store_is_busy_shares_one_commit(writer: Writer, store: FaultyStore) -> None:
    store.shut()
    entries = [writer.post(intent("0"), wait=True)]
    await store.until_busy()
    entries += [writer.post(intent(str(number)), wait=True) for number in range(1, 100)]
    store.gate.set()
    for entry in entries:
        await durable(entry)
    assert store.batches == [1, 99]
    assert [row.call_id for row in store.rows] == [str(number) for number in range(100)]


async def test_a_commit_is_bounded(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock, replace(QUICK, batch=10))
    store.shut()
    writer.start()
    writer.post(intent("0"))
    await store.until_busy()
    for number in range(1, 25):
        writer.post(intent(str(number)))
    store.gate.set()
    assert await writer.close()
    assert store.batches == [1, 10, 10, 4]


async def test_a_row_that_cannot_be_written_is_refused_and_the_next_one_is_tried_anew(
    writer: Writer, store: FaultyStore
) -> None:
    store.failure = FULL_DISK
    with pytest.raises(StoreUnavailable, match="disk full"):
        await durable(writer.post(intent("1"), wait=True))
    assert not writer.ready
    store.failure = None
    await durable(writer.post(intent("2"), wait=True))
    await until(lambda: writer.ready)
    assert [row.call_id for row in store.rows if row.call_id] == ["2"]


async def test_the_thread_outlives_an_error_that_nobody_foresaw(writer: Writer, store: FaultyStore) -> None:
    store.failure = ZeroDivisionError("secret")
    with capture_logs() as logs, pytest.raises(StoreUnavailable, match="the audit store failed"):
        await durable(writer.post(intent("1"), wait=True))
    assert logs[0]["exc_info"] is store.failure
    store.failure = None
    await durable(writer.post(intent("2"), wait=True))


async def test_a_store_that_comes_back_is_noticed_without_a_call_and_says_so_in_the_ledger(
    writer: Writer, store: FaultyStore, clock: Clock
) -> None:
    store.failure = FULL_DISK
    for number in range(3):
        with pytest.raises(StoreUnavailable):
            await durable(writer.post(intent(str(number)), wait=True))
    clock.forward(30)
    store.failure = None
    await until(lambda: bool(store.rows))
    [row] = store.rows
    record = json.loads(row.record)
    assert record["mcpgov.control.event"] == "store-recovered"
    assert (record["mcpgov.control.refused"], record["mcpgov.control.outcomes"]) == (3, 0)
    assert record["mcpgov.control.failed_at"] == "2026-11-20T12:00:00.123456Z"
    assert record["ts"] == "2026-11-20T12:00:30.123456Z"


async def test_the_end_of_a_call_is_kept_until_the_store_takes_it(writer: Writer, store: FaultyStore) -> None:
    begun = writer.post(intent("1"), wait=True)
    await durable(begun)
    store.failure = FULL_DISK
    writer.post(outcome("1"), ends=begun)
    tries = len(store.batches)
    await until(lambda: len(store.batches) >= tries + 4)
    store.failure = None
    await until(lambda: any(row.final for row in store.rows))
    assert store.ends == {"1": ["ok"]}


async def test_the_end_of_a_call_that_could_not_begin_is_dropped_with_it(writer: Writer, store: FaultyStore) -> None:
    store.failure = FULL_DISK
    store.shut()
    writer.post(intent("0"))
    await store.until_busy()
    for call_id in ("1", "2"):
        begun = writer.post(intent(call_id), wait=True)
        writer.post(outcome(call_id, OutcomeStatus.NOT_SENT), ends=begun)
    store.gate.set()
    await until(lambda: len(store.batches) >= 2)
    writer.post(outcome("2", OutcomeStatus.NOT_SENT), ends=begun)
    store.failure = None
    await until(lambda: writer.ready)
    assert store.ends == {}


async def test_too_much_waiting_is_refused_but_never_the_end_of_a_call(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock, replace(QUICK, waiting=3))
    writer.start()
    begun = writer.post(intent("begun"), wait=True)
    await durable(begun)
    store.shut()
    writer.post(intent("in the store"))
    await store.until_busy()
    for number in range(3):
        writer.post(intent(str(number)))
    with pytest.raises(StoreUnavailable, match="3 records already wait"):
        writer.post(intent("too many"))
    writer.post(outcome("begun"), ends=begun)
    store.gate.set()
    assert await writer.close()
    assert store.ends["begun"] == ["ok"]
    assert "too many" not in store.ends


async def test_a_store_that_hangs_has_failed_until_it_answers(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock, replace(QUICK, patience=0.1))
    writer.start()
    store.shut()
    hanging = writer.post(intent("1"), wait=True)
    with pytest.raises(StoreUnavailable, match=r"silent for 0\.1 s"):
        await durable(hanging)
    assert not writer.ready
    writer.post(outcome("1", OutcomeStatus.NOT_SENT), ends=hanging)
    store.gate.set()
    await until(lambda: len(store.rows) == 2)
    assert await writer.close()
    assert store.ends == {"1": ["not-sent"]}


async def test_an_answer_in_the_last_moment_counts(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock, replace(QUICK, patience=0))
    writer.start()
    store.shut()
    entry = writer.post(intent("1"), wait=True)
    assert entry.durable is not None
    loop = asyncio.get_running_loop()
    loop.call_soon(entry.durable.set_result, None)  # in the same turn as the end of patience, but first
    await durable(entry)
    assert writer.ready
    store.gate.set()
    await writer.close()


async def test_one_who_stops_waiting_hurts_nobody(writer: Writer, store: FaultyStore) -> None:
    store.shut()
    first = asyncio.ensure_future(durable(writer.post(intent("1"), wait=True)))
    second = asyncio.ensure_future(durable(writer.post(intent("2"), wait=True)))
    await store.until_busy()
    first.cancel()
    store.gate.set()
    await second
    assert first.cancelled()
    assert {row.call_id for row in store.rows} == {"1", "2"}


async def test_nothing_is_taken_before_the_start_and_after_the_end(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock)
    assert not writer.ready
    with pytest.raises(StoreUnavailable, match="not running"):
        writer.post(intent("1"))
    assert await writer.close()
    await writer.start()
    assert writer.ready
    assert await writer.close()
    assert await writer.close()
    with pytest.raises(StoreUnavailable, match="not running"):
        writer.post(intent("1"))


async def test_closing_writes_what_waits(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock, QUICK)
    writer.start()
    for number in range(1000):
        writer.post(intent(str(number)))
    assert await writer.close()
    assert len(store.rows) == 1000


async def test_closing_says_when_ends_are_left_over(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock, QUICK)
    writer.start()
    begun = writer.post(intent("1"), wait=True)
    await durable(begun)
    store.failure = FULL_DISK
    writer.post(outcome("1"), ends=begun)
    with capture_logs() as logs:
        assert not await writer.close()
    assert logs[-1] == {
        "event": "audit-not-finished",
        "log_level": "error",
        "store": "memory",
        "outcomes": 1,
        "hung": False,
    }


async def test_closing_does_not_wait_for_ever_for_a_store_that_hangs(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock, replace(QUICK, closing=0.01))
    writer.start()
    store.shut()
    writer.post(intent("1"))
    await store.until_busy()
    with capture_logs() as logs:
        assert not await writer.close()
    assert logs[-1]["hung"] is True
    store.gate.set()
    await until(lambda: bool(store.rows))


async def test_failures_are_logged_aloud_but_not_for_every_call(
    writer: Writer, store: FaultyStore, clock: Clock
) -> None:
    store.failure = FULL_DISK
    with capture_logs() as logs:
        for number in range(20):
            with pytest.raises(StoreUnavailable):
                await durable(writer.post(intent(str(number)), wait=True))
        clock.forward(60)
        with pytest.raises(StoreUnavailable):
            await durable(writer.post(intent("last"), wait=True))
    failures = [log for log in logs if log["event"] == "audit-unavailable"]
    assert [(log["error"], log["refused"]) for log in failures] == [("disk full", 1), ("disk full", 21)]


def test_a_loop_that_has_ended_does_not_end_the_thread(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock, QUICK)

    async def leave_waiting() -> None:
        writer.start()
        store.shut()
        writer.post(intent("1"), wait=True)
        await store.until_busy()

    asyncio.run(leave_waiting())
    with capture_logs() as logs:
        store.gate.set()
        assert asyncio.run(writer.close())
    assert logs == [{"event": "audit-nobody-waits", "log_level": "warning", "records": 1}]
    assert [row.call_id for row in store.rows] == ["1"]


def noted(chain: Chain) -> str:
    return f"{chain.writer} {chain.size}"


async def test_what_was_written_is_signed_once_it_is_much(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock, replace(QUICK, unsigned=3), noted)
    writer.start()
    for number in "1234":
        await durable(writer.post(intent(number), wait=True))
    await until(lambda: len(store.disk.notes) == 1)
    assert store.disk.notes[0][1] == 3
    await writer.close()
    assert [note for _, _, note in store.disk.notes] == [f"{store.writer} 3", f"{store.writer} 4"]


async def test_what_was_written_is_signed_after_a_while_also_when_the_clock_jumps_back(
    store: FaultyStore, clock: Clock
) -> None:
    writer = Writer(store, clock, replace(QUICK, unsigned_for=0.05), noted)
    writer.start()
    for seconds, size in ((1, 1), (-3600, 2), (3600, 4)):  # that the clock went back is one, too
        await durable(writer.post(intent(str(size)), wait=True))
        clock.forward(seconds)
        await until(lambda size=size: [note[1] for note in store.disk.notes][-1:] == [size])
    await writer.close()
    assert len(store.disk.notes) == 3


async def test_nothing_is_signed_without_a_key(writer: Writer, store: FaultyStore) -> None:
    await durable(writer.post(intent("1"), wait=True))
    await writer.close()
    assert store.disk.notes == []


async def test_a_checkpoint_that_fails_fails_no_call_and_is_made_later(store: FaultyStore, clock: Clock) -> None:
    failures: list[int] = []

    def sign(chain: Chain) -> str:
        if chain.size < 3:
            failures.append(chain.size)
            raise ZeroDivisionError
        return noted(chain)

    writer = Writer(store, clock, replace(QUICK, unsigned=1), sign)
    writer.start()
    with capture_logs() as logs:
        for number in "123":
            await durable(writer.post(intent(number), wait=True))
            await until(lambda number=number: len(failures) + len(store.disk.notes) == int(number))
        assert writer.ready
        await writer.close()
    assert (failures, [size for _, size, _ in store.disk.notes]) == ([1, 2], [3])
    assert {entry["event"] for entry in logs} == {"audit-checkpoint-failed"}


async def test_no_checkpoint_is_made_while_the_store_fails(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock, replace(QUICK, unsigned=1, retry=60), noted)
    writer.start()
    store.failure = FULL_DISK
    with pytest.raises(StoreUnavailable):
        await durable(writer.post(intent("1"), wait=True))
    await writer.close()
    assert store.disk.notes == []


async def test_what_the_store_has_not_taken_can_be_seen(writer: Writer, store: FaultyStore) -> None:
    assert writer.backlog == Backlog(0, 0, 0)
    begun = writer.post(intent("1"), wait=True)
    await durable(begun)
    store.failure = FULL_DISK
    writer.post(outcome("1"), ends=begun)
    with pytest.raises(StoreUnavailable):
        await durable(writer.post(intent("2"), wait=True))
    assert (writer.backlog.owed, writer.backlog.refused) == (1, 1)
