"""A writer whose store does not open, fails or cannot be closed, and whose clock goes back."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from mcpgov.audit.record import Durability, OutcomeRecord, Row
from mcpgov.audit.writer import Entry, Tuning, Writer
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


async def test_a_clock_that_went_back_is_noted_before_the_first_record_of_the_time_that_comes_again(
    writer: Writer, store: FaultyStore, clock: Clock
) -> None:
    for number, seconds in ((1, 10), (2, -1), (3, -1.5), (4, 0.5), (5, 3600)):
        clock.forward(seconds)
        await durable(writer.post(intent(str(number)), wait=True))
    assert [row.call_id or row.reason for row in store.rows] == ["1", "2", "clock-regression", "3", "4", "5"]
    record = json.loads(store.rows[2].record)
    assert record["mcpgov.control.back_us"] == 1_500_000
    assert (record["mcpgov.control.last"], record["ts"]) == (
        "2026-11-20T12:00:09.123456Z",
        "2026-11-20T12:00:07.623456Z",
    )
    assert [seq for _, seq, _ in store.disk.rows] == list(range(1, 7))


async def test_a_clock_that_went_back_while_the_store_failed_is_noted_when_that_is_back(
    writer: Writer, store: FaultyStore, clock: Clock
) -> None:
    store.failure = FULL_DISK
    clock.forward(-5)
    with pytest.raises(StoreUnavailable):
        await durable(writer.post(intent("1"), wait=True))
    store.failure = None
    await until(lambda: bool(store.rows))
    assert [row.reason for row in store.rows] == ["clock-regression", "store-recovered"]


async def test_a_store_that_does_not_open_says_why_and_is_tried_again_until_it_does(
    store: FaultyStore, clock: Clock
) -> None:
    writer = Writer(store, clock, QUICK)
    store.closed = StoreUnavailable("unreachable")
    with pytest.raises(StoreUnavailable, match="unreachable"):
        await writer.start()
    assert not writer.ready
    with pytest.raises(StoreUnavailable, match="unreachable"):
        await durable(writer.post(intent("1"), wait=True))
    store.closed = None
    await until(lambda: writer.ready)
    await durable(writer.post(intent("2"), wait=True))
    assert await writer.close(finished=True)
    assert [row.call_id or row.reason for row in store.rows] == ["store-recovered", "2"]
    assert store.disk.writers == {}


async def test_a_store_that_never_opened_is_not_written_to_at_the_end(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock, replace(QUICK, retry=60))
    store.closed = StoreUnavailable("unreachable")
    with pytest.raises(StoreUnavailable, match="unreachable"):
        await writer.start()
    store.closed = None
    assert await writer.close()
    assert store.batches == []


async def test_one_who_stops_waiting_for_the_start_hurts_nobody(store: FaultyStore, clock: Clock) -> None:
    writer = Writer(store, clock, QUICK)
    writer.start().cancel()
    await durable(writer.post(intent("1"), wait=True))
    assert await writer.close()


async def test_one_who_waits_for_the_end_of_a_call_that_could_not_begin_is_told_so(
    writer: Writer, store: FaultyStore
) -> None:
    store.failure = FULL_DISK
    begun = writer.post(intent("1"), wait=True)
    ended = writer.post(outcome("1"), ends=begun, wait=True)
    with pytest.raises(StoreUnavailable, match="disk full"):
        await durable(begun)
    with pytest.raises(StoreUnavailable, match=r"disk full|not written"):
        await durable(ended)
    late = writer.post(outcome("1"), ends=begun, wait=True)
    with pytest.raises(StoreUnavailable, match="what this is the end of was not written"):
        await durable(late)


async def test_one_who_waits_for_an_end_is_told_of_a_failure_and_the_end_is_written_later(
    writer: Writer, store: FaultyStore
) -> None:
    begun = writer.post(intent("1"), wait=True)
    await durable(begun)
    store.failure = FULL_DISK
    with pytest.raises(StoreUnavailable, match="disk full"):
        await durable(writer.post(outcome("1"), ends=begun, wait=True))
    store.failure = None
    await until(lambda: any(row.final for row in store.rows))
    assert store.ends == {"1": ["ok"]}


async def test_a_store_that_cannot_be_closed_is_said_and_harms_nobody(store: FaultyStore, clock: Clock) -> None:
    def broken(*, finished: bool) -> None:
        raise StoreUnavailable(f"finished: {finished}")

    writer = Writer(store, clock, QUICK)
    store.close = broken
    await writer.start()
    with capture_logs() as logs:
        assert await writer.close(finished=True)
    assert [(log["event"], log["error"]) for log in logs] == [("audit-store-not-closed", "finished: True")]


async def test_what_a_writer_says_of_itself_names_the_durability_of_its_store(clock: Clock) -> None:
    store = FaultyStore()
    store.durability = Durability.OS_CACHE
    writer = Writer(store, clock, QUICK)
    store.failure = FULL_DISK
    await writer.start()
    with pytest.raises(StoreUnavailable):
        await durable(writer.post(intent("1"), wait=True))
    store.failure = None
    await until(lambda: bool(store.rows))
    await writer.close()
    assert json.loads(store.rows[0].record)["mcpgov.durability"] == "os-cache"


async def test_the_patience_of_a_caller_is_two_seconds_and_a_failure_is_told_without_waiting_for_any_timer(
    store: FaultyStore, clock: Clock
) -> None:
    assert Tuning().patience == 2.0
    writer = Writer(store, clock, replace(QUICK, patience=3600, retry=3600))
    await writer.start()
    store.failure = FULL_DISK
    for number in "123":
        with pytest.raises(StoreUnavailable, match="disk full"):
            await durable(writer.post(intent(number), wait=True))
    await writer.close()
