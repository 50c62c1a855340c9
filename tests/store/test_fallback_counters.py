"""While the shared counters are down a process counts alone, tells of it once, and comes back by itself."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from mcpgov.decision import Spend, Spent
from mcpgov.errors import StoreUnavailable
from mcpgov.store.fallback_counters import RETRY, FallbackCounters
from mcpgov.store.memory_counters import MemoryCounters

LIMIT = Spend("", 3, 60)
QUOTA = Spend("", 3, 3600, fixed=True)


class Shared(MemoryCounters):
    """Counters that are down when a test says so, and note how often they were asked."""

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.hangs = False
        self.asked = 0

    async def spend(self, key: str, spend: Spend, now: float, /) -> Spent:
        await self._answer()
        return await super().spend(key, spend, now)

    async def refund(self, key: str, spend: Spend, spent: Spent, now: float, /) -> None:
        await self._answer()
        await super().refund(key, spend, spent, now)

    async def charge(self, key: str, spend: Spend, amount: int, now: float, /) -> None:
        await self._answer()
        await super().charge(key, spend, amount, now)

    async def _answer(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        if self.down:
            raise StoreUnavailable("nobody answers")


class Place:
    """The counters, what they are made of, and the clock they look at."""

    def __init__(self) -> None:
        self.now = 100.0
        self.shared = Shared()
        self.local = MemoryCounters()
        self.counters = FallbackCounters(self.shared, self.local, lambda: self.now)

    async def spend(self, spend: Spend = LIMIT) -> Spent:
        return await self.counters.spend("k", spend, self.now)

    async def left(self, spend: Spend = LIMIT) -> int:
        return (await self.spend(replace(spend, count=0))).remaining


@pytest.fixture
def place() -> Place:
    return Place()


async def test_nothing_is_counted_here_while_the_shared_counters_are_there(place: Place) -> None:
    with capture_logs() as logs:
        assert [(await place.spend()).allowed for _ in range(4)] == [True, True, True, False]
        await place.counters.charge("q", QUOTA, 1, place.now)
    assert len(place.local) == 0
    assert logs == []


async def test_the_same_limit_holds_here_while_they_are_down(place: Place) -> None:
    await place.spend()
    place.shared.down = True
    assert [(await place.spend()).allowed for _ in range(4)] == [True, True, True, False]


async def test_an_outage_is_told_once_and_so_is_its_end(place: Place) -> None:
    with capture_logs() as logs:
        place.shared.down = True
        await asyncio.gather(*(place.spend() for _ in range(5)))
        for place.now in (101.0, 102.5, 104.0):
            await place.spend()
        place.shared.down = False
        place.now = 105.0
        await asyncio.gather(*(place.spend() for _ in range(5)))
        place.now = 107.0
        await place.spend()
    assert [(log["event"], log["log_level"]) for log in logs] == [
        ("counters-local", "warning"),
        ("counters-recovered", "info"),
    ]
    assert logs[0]["error"] == "nobody answers"


async def test_they_are_tried_again_at_most_twice_a_second_by_one_call(place: Place) -> None:
    place.shared.down = True
    await place.spend()
    for place.now in (100.0, 100.25, 100.49):
        await place.spend()
    assert place.shared.asked == 1
    place.now = 100.5
    await asyncio.gather(*(place.spend() for _ in range(5)), place.counters.charge("q", QUOTA, 1, place.now))
    assert place.shared.asked == 2


async def test_they_count_again_as_soon_as_one_try_succeeds(place: Place) -> None:
    place.shared.down = True
    for _ in range(3):
        await place.spend()
    place.shared.down = False
    assert not (await place.spend()).allowed
    place.now = 101.0
    assert [(await place.spend()).allowed for _ in range(4)] == [True, True, True, False]


async def test_what_was_taken_is_given_back_where_it_was_taken(place: Place) -> None:
    shared = await place.spend()
    place.shared.down = True
    local = await place.spend()
    await place.counters.refund("k", LIMIT, local, place.now)
    assert await place.left() == 3
    with pytest.raises(StoreUnavailable):
        await place.counters.refund("k", LIMIT, shared, place.now)
    again = await place.spend()
    place.shared.down = False
    place.now = 101.0
    await place.counters.refund("k", LIMIT, again, place.now)
    assert await place.left() == 2
    await place.counters.refund("k", LIMIT, shared, place.now)
    assert await place.left() == 3


async def test_a_charge_goes_where_calls_are_counted(place: Place) -> None:
    await place.counters.charge("k", QUOTA, 1, place.now)
    place.shared.down = True
    await place.counters.charge("k", QUOTA, 7, place.now)
    assert await place.left(QUOTA) == 0
    place.shared.down = False
    place.now = 101.0
    await place.counters.charge("k", QUOTA, 1, place.now)
    assert await place.left(QUOTA) == 1


async def test_too_many_keys_here_are_refused() -> None:
    place = Place()
    place.shared.down = True
    counters = FallbackCounters(place.shared, MemoryCounters(max_keys=1), lambda: 0.0)
    await counters.spend("a", LIMIT, 0)
    with pytest.raises(StoreUnavailable, match="more than 1 counters"):
        await counters.spend("b", LIMIT, 0)


async def test_shared_counters_that_hang_are_down_for_every_question(place: Place) -> None:
    counters = FallbackCounters(place.shared, place.local, lambda: place.now, patience=0.001)
    taken = await counters.spend("k", LIMIT, place.now)
    place.shared.hangs = True
    with capture_logs() as logs:
        assert [(await counters.spend("k", LIMIT, place.now)).allowed for _ in range(4)] == [True, True, True, False]
    assert [(log["event"], log["error"]) for log in logs] == [
        ("counters-local", "the shared counters gave no answer within 0.001 s")
    ]
    assert place.shared.asked == 2
    with pytest.raises(StoreUnavailable, match="no answer within"):
        await counters.refund("k", LIMIT, taken, place.now)
    place.now += RETRY
    await counters.charge("q", QUOTA, 1, place.now)
    assert place.shared.asked == 4
