"""Every record arrives at least once or is written down as set aside, whatever the place does meanwhile."""

import asyncio
from datetime import timedelta
from typing import cast

import pytest
from structlog.testing import capture_logs

from mcpgov.audit.exporting import IDLE, LONGEST, MOST, Export, Exporter, TargetUnavailable
from mcpgov.audit.record import ControlEvent
from mcpgov.errors import StoreUnavailable
from tests.audit.calls import NOW
from tests.audit.exports import MemoryRecords, Notes, Numbers, Place, records
from tests.audit.stores import Clock

DOWN = TargetUnavailable("place: is down")


class House:
    """One export with everything around it."""

    def __init__(self, count: int, *bad: int, batch: int = 10, patience: float = 0.0) -> None:
        self.kept = MemoryRecords(records(count))
        self.place, self.clock, self.notes = Place(*bad), Clock(), Notes(self.kept)
        self.export = Export("siem", Numbers(4), self.place, batch, patience)
        self.pauses: list[float] = []
        self.exporter = self.another()

    def another(self) -> Exporter:
        """An exporter of the same export, as of another gateway."""
        return Exporter(self.export, self.kept, self.notes, self.clock, self.pause)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if len(self.pauses) > 2:
            await asyncio.Event().wait()

    @property
    def events(self) -> list[ControlEvent]:
        """What was written down."""
        return [event for event, _ in self.notes.events]


async def test_every_record_is_sent_once_in_order_in_batches() -> None:
    house = House(25)
    assert await house.exporter.look() == IDLE
    assert house.place.got == list(range(1, 26))
    assert house.kept.cursors == {"siem": 25}
    assert max(house.kept.read) == 10
    house.kept.kept += records(2, 26)
    await house.exporter.look()
    assert house.place.got == list(range(1, 28))
    assert house.notes.events == []


async def test_it_goes_on_until_it_is_cancelled() -> None:
    house = House(3)
    running = asyncio.create_task(house.exporter.run())
    while len(house.pauses) < 3:
        await asyncio.sleep(0)
    running.cancel()
    assert house.place.got == [1, 2, 3]
    assert house.pauses == [IDLE] * 3


async def test_a_place_that_was_down_for_a_day_lost_nothing() -> None:
    house = House(100_000, batch=500)
    house.export = Export("siem", Numbers(500), house.place, 500)
    house.place.down = DOWN
    exporter = house.another()
    for _ in range(24):
        assert await exporter.look() <= LONGEST
        house.clock.forward(3600)
    house.place.down, house.place.full = None, 50
    await exporter.look()  # breaks off in the middle
    house.place.down = None
    await exporter.look()
    sent = [number for number in house.place.got if number <= 100_000]
    assert sorted(set(sent)) == list(range(1, 100_001))
    assert len(sent) - len(set(sent)) <= 500
    assert max(house.kept.read) == 500
    assert house.events == [ControlEvent.EXPORT_FAILING, ControlEvent.EXPORT_RECOVERED]


async def test_what_a_place_took_before_it_went_down_is_not_sent_again() -> None:
    house = House(10)
    house.place.full = 2
    await house.exporter.look()
    assert (house.place.got, house.kept.cursors) == ([*range(1, 9)], {"siem": 8})
    house.place.down = None
    await house.exporter.look()
    assert house.place.got[:10] == [*range(1, 11)]


async def test_it_is_tried_less_and_less_often_and_as_the_place_asks() -> None:
    house = House(1)
    house.place.down = DOWN
    assert [await house.exporter.look() for _ in range(8)] == [1, 2, 4, 8, 16, 32, LONGEST, LONGEST]
    for asked, waited in ((90.0, 90.0), (86_400.0, MOST), (0.0, LONGEST)):
        house.place.down = TargetUnavailable("busy", asked)
        assert await house.exporter.look() == waited
    house.place.down = None
    assert await house.exporter.look() == IDLE
    house.kept.kept += records(1, 3)
    house.place.down = DOWN
    assert await house.exporter.look() == 1


async def test_an_outage_is_logged_once_a_minute_and_written_down_once() -> None:
    house = House(1)
    house.place.down = DOWN
    with capture_logs() as logs:
        for seconds in (0, 59, 1):
            house.clock.forward(seconds)
            await house.exporter.look()
    assert [(one["event"], one["lag"]) for one in logs] == [("export-failing", 0.0), ("export-failing", 60.0)]
    assert house.notes.events == [(ControlEvent.EXPORT_FAILING, {"export": "siem", "error": "place: is down"})]
    house.place.down = None
    await house.exporter.look()
    assert house.notes.events[1:] == [(ControlEvent.EXPORT_RECOVERED, {"export": "siem", "seconds": 60})]
    await house.exporter.look()
    assert len(house.events) == 2


async def test_after_a_restart_an_outage_that_ended_is_written_down_too() -> None:
    house = House(1)
    house.place.down = DOWN
    await house.exporter.look()
    house.place.down = None
    house.clock.forward(61)
    await house.another().look()
    assert house.events == [ControlEvent.EXPORT_FAILING, ControlEvent.EXPORT_RECOVERED]


@pytest.mark.parametrize("bad", [(1,), (7,), (25,), (3, 4), (11, 14, 20)])
async def test_a_record_that_is_refused_for_ever_is_set_aside_and_named(bad: tuple[int, ...]) -> None:
    house = House(25, *bad)
    await house.exporter.look()
    assert {*range(1, 26)} - set(house.place.got) == set(bad)
    named = [place for _, details in house.notes.events for place in cast("list[str]", details["records"])]
    assert [int(place.rpartition(":")[2]) for place in named] == list(bad)
    assert set(house.events) == {ControlEvent.EXPORT_REFUSED}
    assert house.kept.cursors["siem"] == len(house.kept.kept)


async def test_a_place_that_refuses_everything_is_out_of_order_and_nothing_is_passed() -> None:
    house = House(25, *range(1, 200))
    for _ in range(5):
        await house.exporter.look()
    assert house.kept.cursors == {}
    assert house.events == [ControlEvent.EXPORT_FAILING]
    house.place.bad.clear()
    await house.exporter.look()
    assert set(range(1, 26)) <= set(house.place.got)


async def test_a_record_that_is_refused_and_alone_waits_for_the_next_to_tell_whose_fault_it_is() -> None:
    house = House(1, 1)
    await house.exporter.look()
    assert (house.kept.cursors, house.events) == ({}, [ControlEvent.EXPORT_FAILING])
    await house.exporter.look()  # the control record of the failure is behind it, and is taken
    assert house.events[1:] == [ControlEvent.EXPORT_REFUSED, ControlEvent.EXPORT_RECOVERED]
    assert house.place.got == [2, 3]


async def test_as_many_as_you_like_that_are_refused_in_a_row_hold_nothing_up_if_the_newest_is_taken() -> None:
    house = House(45, *range(11, 42))
    await house.exporter.look()
    assert set(house.place.got) >= {*range(1, 11), *range(42, 46)}
    named = [place for _, details in house.notes.events for place in cast("list[str]", details["records"])]
    assert [int(place.rpartition(":")[2]) for place in named] == [*range(11, 42)]
    assert set(house.events) == {ControlEvent.EXPORT_REFUSED}
    assert house.kept.cursors["siem"] == len(house.kept.kept)


async def test_an_export_tells_how_far_behind_it_is_where_it_is_the_one_that_exports() -> None:
    house = House(3)
    other = house.another()
    house.place.down = DOWN
    assert house.exporter.lag is None
    await house.exporter.look()
    house.clock.forward(30)
    await other.look()
    assert (house.exporter.lag, other.lag) == (30.0, None)
    house.place.down = None
    await house.exporter.look()
    assert house.exporter.lag == 0.0


async def test_our_own_events_that_are_refused_make_no_new_ones() -> None:
    house = House(3, 2, 4)
    with capture_logs() as logs:
        await house.exporter.look()
        house.kept.kept += records(1, len(house.kept.kept) + 1)
        await house.exporter.look()
    assert house.events.count(ControlEvent.EXPORT_REFUSED) == 1
    assert [one["event"] for one in logs].count("export-refused") == 2
    assert house.kept.cursors["siem"] == len(house.kept.kept) - 1  # the last says that it goes on again


async def test_what_cannot_be_written_down_as_refused_is_not_passed() -> None:
    house = House(3, 2)
    house.notes.failure = StoreUnavailable("disk full")
    await house.exporter.look()
    assert house.kept.cursors == {}
    house.notes.failure = None
    await house.exporter.look()
    assert house.events[0] is ControlEvent.EXPORT_REFUSED


async def test_a_store_that_is_down_is_waited_for() -> None:
    house = House(3)
    house.kept.failure = StoreUnavailable("disk full")
    with capture_logs() as logs:
        assert [await house.exporter.look(), await house.exporter.look()] == [1, 2]
    assert [(one["error"], one["lag"]) for one in logs] == [("disk full", None)]
    house.kept.failure = None
    await house.exporter.look()
    assert house.place.got == [1, 2, 3]
    assert house.notes.events == []


async def test_a_failure_that_cannot_be_written_down_is_no_second_failure() -> None:
    house = House(3)
    house.place.down, house.notes.failure = DOWN, StoreUnavailable("disk full")
    assert await house.exporter.look() == 1


async def test_one_of_several_gateways_exports() -> None:
    house = House(3)
    other = house.another()
    await house.exporter.look()
    house.kept.kept += records(2, 4)
    await other.look()
    assert house.place.got == [1, 2, 3]
    await house.exporter.release()
    await other.look()
    assert house.place.got == [1, 2, 3, 4, 5]
    house.kept.kept += records(1, 6)
    await house.exporter.look()
    await house.exporter.release()  # has none any more
    house.clock.forward(61)  # the other is gone
    await house.exporter.look()
    assert house.place.got == [1, 2, 3, 4, 5, 6]


async def test_a_batch_waits_until_it_is_full_or_old_or_the_last() -> None:
    house = House(3, batch=5, patience=60.0)
    house.clock.at = NOW + timedelta(seconds=1)
    await house.exporter.look()
    assert house.place.got == []
    await house.exporter.look(last=True)
    assert house.place.got == [1, 2, 3]
    house.kept.kept += records(6, 4)
    await house.exporter.look()
    assert house.place.got == [*range(1, 9)]
    house.clock.forward(60)
    await house.exporter.look()
    assert house.place.got == [*range(1, 10)]


async def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    house = House(3, batch=5, patience=60.0)
    house.clock.at = NOW - timedelta(days=1)
    await house.exporter.look()
    assert house.place.got == [1, 2, 3]
