"""What all Counters keep. A store's tests derive from CountersContract and give it counters whose clock they set."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from random import Random

import pytest

from mcpgov.decision import Spend, Spent
from mcpgov.limiter import Counters

START = 2_000_000_000  # seconds since 1970: a time still to come, in which nothing that is kept expires by itself
MINUTE = Spend("", 60, 60)
HOUR = Spend("", 10, 3600, fixed=True, starts=START)
FOR_EVER = Spend("", 10, 0, fixed=True)


@dataclass(frozen=True, slots=True)
class TimedCounters:
    """Counters, asked at times that are given in seconds after START."""

    counters: Counters
    set_clock: Callable[[float], Awaitable[None]]

    async def spend(self, spend: Spend, at: float, key: str = "k") -> Spent:
        await self.set_clock(START + at)
        return await self.counters.spend(key, spend, START + at)

    async def refund(self, spend: Spend, spent: Spent, at: float) -> None:
        await self.set_clock(START + at)
        await self.counters.refund("k", spend, spent, START + at)

    async def charge(self, spend: Spend, amount: int, at: float) -> None:
        await self.set_clock(START + at)
        await self.counters.charge("k", spend, amount, START + at)

    async def left(self, spend: Spend, at: float) -> int:
        """What remains, asked without taking any of it."""
        return (await self.spend(replace(spend, count=0), at)).remaining


def told(spent: Spent) -> tuple[bool, int, int, int]:
    """What the caller is told: whether it may, what remains, until when, how long to wait."""
    return spent.allowed, spent.remaining, spent.reset, spent.retry_after


class CountersContract:
    """The contract. A store's tests define the fixture `timed`."""

    async def test_calls_are_admitted_until_the_window_is_full_and_again_as_it_slides(
        self, timed: TimedCounters
    ) -> None:
        spend = Spend("", 2, 10)
        assert told(await timed.spend(spend, 0)) == (True, 1, 10, 0)
        assert told(await timed.spend(spend, 4)) == (True, 0, 10, 0)
        assert told(await timed.spend(spend, 6.5)) == (False, 0, 8, 4)
        assert told(await timed.spend(spend, 10)) == (True, 0, 10, 0)
        assert told(await timed.spend(spend, 13.75)) == (False, 0, 7, 1)
        assert told(await timed.spend(spend, 14)) == (True, 0, 10, 0)
        assert (await timed.spend(spend, 14)).limit == 2

    async def test_a_refused_call_does_not_lengthen_the_wait(self, timed: TimedCounters) -> None:
        spend = Spend("", 1, 10)
        await timed.spend(spend, 0)
        for at in range(1, 10):
            assert (await timed.spend(spend, at)).retry_after == 10 - at
        assert (await timed.spend(spend, 10)).allowed

    async def test_retry_after_is_never_too_early(self, timed: TimedCounters) -> None:
        spend = Spend("", 1, 10)
        await timed.spend(spend, 0.25)
        wait = (await timed.spend(spend, 10.125)).retry_after
        assert wait == 1
        assert (await timed.spend(spend, 10.125 + wait)).allowed

    @pytest.mark.parametrize("spend", [Spend("", 1, 10), Spend("", 1, 10, fixed=True), Spend("", 1, 0, fixed=True)])
    async def test_keys_do_not_share_a_window(self, timed: TimedCounters, spend: Spend) -> None:
        for key in ("a", "b", "{a}", "a}b{c", "ä\ud800 \r\n*"):
            assert (await timed.spend(spend, 0, key)).allowed
            assert not (await timed.spend(spend, 0, key)).allowed

    async def test_several_are_taken_at_once_or_not_at_all(self, timed: TimedCounters) -> None:
        assert told(await timed.spend(replace(MINUTE, count=30), 0)) == (True, 30, 60, 0)
        assert told(await timed.spend(replace(MINUTE, count=20), 10)) == (True, 10, 60, 0)
        assert told(await timed.spend(replace(MINUTE, count=11), 20)) == (False, 10, 50, 40)
        assert told(await timed.spend(replace(MINUTE, count=41), 20)) == (False, 10, 50, 50)
        assert told(await timed.spend(replace(MINUTE, count=10), 20)) == (True, 0, 60, 0)
        assert told(await timed.spend(replace(MINUTE, count=31), 60)) == (False, 30, 20, 10)

    async def test_a_count_of_nothing_asks_and_takes_nothing(self, timed: TimedCounters) -> None:
        ask = Spend("", 2, 10, count=0)
        assert told(await timed.spend(ask, 0)) == (True, 2, 0, 0)
        await timed.spend(Spend("", 2, 10), 1)
        assert told(await timed.spend(ask, 2)) == (True, 1, 9, 0)
        await timed.spend(Spend("", 2, 10), 3)
        assert told(await timed.spend(ask, 4)) == (False, 0, 9, 7)

    async def test_what_is_more_than_the_limit_never_fits(self, timed: TimedCounters) -> None:
        assert told(await timed.spend(Spend("", 5, 10, 6), 0)) == (False, 5, 0, 10)
        await timed.spend(Spend("", 5, 10, 1), 1)
        assert told(await timed.spend(Spend("", 5, 10, 6), 2)) == (False, 4, 9, 10)
        assert told(await timed.spend(replace(HOUR, count=11), 600, "fixed")) == (False, 10, 3000, 3000)

    async def test_a_window_of_many_is_walked_whole(self, timed: TimedCounters) -> None:
        spend = Spend("", 2000, 10)
        for number in range(1000):
            await timed.spend(spend, number / 128)
        assert told(await timed.spend(replace(spend, count=1500), 8)) == (False, 1000, 10, 6)  # 499 / 128 + 10 - 8
        assert await timed.left(spend, 10 + 599 / 128) == 1600
        assert told(await timed.spend(replace(spend, count=2000), 18)) == (True, 0, 10, 0)

    async def test_fixed_windows_follow_each_other_from_their_start(self, timed: TimedCounters) -> None:
        for begins in (-7200, 0, 3600, 36_000):
            assert told(await timed.spend(replace(HOUR, count=9), begins)) == (True, 1, 3600, 0)
            assert told(await timed.spend(HOUR, begins + 1799.5)) == (True, 0, 1801, 0)
            assert told(await timed.spend(HOUR, begins + 3599.75)) == (False, 0, 1, 1)

    async def test_a_fixed_window_without_an_end_never_ends(self, timed: TimedCounters) -> None:
        for day in range(10):
            assert told(await timed.spend(FOR_EVER, day * 86_400)) == (True, 9 - day, 0, 0)
        assert told(await timed.spend(FOR_EVER, 10_000 * 86_400)) == (False, 0, 0, 0)

    async def test_a_fixed_window_may_have_started_in_the_year_one(self, timed: TimedCounters) -> None:
        day = Spend("", 1, 86_400, fixed=True, starts=-62_135_596_800)
        into_the_day = START % 86_400
        assert told(await timed.spend(day, 86_399 - into_the_day)) == (True, 0, 1, 0)
        assert told(await timed.spend(day, 86_400 - into_the_day)) == (True, 0, 86_400, 0)

    async def test_what_is_given_back_can_be_taken_again(self, timed: TimedCounters) -> None:
        one, two = replace(MINUTE, count=1), replace(MINUTE, count=2)
        first = await timed.spend(two, 0)
        await timed.spend(one, 0)
        await timed.spend(two, 10)
        await timed.refund(two, first, 20)
        assert await timed.left(MINUTE, 20) == 57
        await timed.refund(two, first, 20)
        assert await timed.left(MINUTE, 20) == 57
        assert await timed.left(MINUTE, 60) == 58
        assert await timed.left(MINUTE, 70) == 60

    async def test_of_two_alike_each_can_be_given_back(self, timed: TimedCounters) -> None:
        spents = [await timed.spend(MINUTE, 0) for _ in range(2)]
        for left, spent in zip((59, 60, 60), (*spents, spents[0]), strict=True):
            await timed.refund(MINUTE, spent, 1)
            assert await timed.left(MINUTE, 1) == left
        assert (await timed.spend(MINUTE, 2)).remaining == 59

    async def test_what_has_left_its_window_is_not_given_back(self, timed: TimedCounters) -> None:
        first = await timed.spend(MINUTE, 0)
        await timed.spend(MINUTE, 30)
        await timed.refund(MINUTE, first, 60)
        assert await timed.left(MINUTE, 60) == 59
        await timed.refund(MINUTE, first, 1000)
        assert await timed.left(MINUTE, 1000) == 60

    @pytest.mark.parametrize("spend", [HOUR, FOR_EVER])
    async def test_a_fixed_window_takes_back_no_more_than_it_holds(self, timed: TimedCounters, spend: Spend) -> None:
        many = replace(spend, count=4)
        spent = await timed.spend(many, 0)
        await timed.spend(spend, 1)
        await timed.refund(many, spent, 2)
        assert await timed.left(spend, 2) == 9
        await timed.refund(many, spent, 3)
        assert await timed.left(spend, 3) == 10

    async def test_a_fixed_window_takes_back_nothing_of_the_one_before(self, timed: TimedCounters) -> None:
        spent = await timed.spend(HOUR, 0)
        await timed.refund(HOUR, spent, 3600)
        assert await timed.left(HOUR, 3600) == 10
        await timed.spend(HOUR, 3601)
        await timed.refund(HOUR, spent, 3602)
        assert await timed.left(HOUR, 3602) == 9

    async def test_a_charge_is_taken_whether_it_is_there_or_not(self, timed: TimedCounters) -> None:
        ask = replace(HOUR, count=0)
        await timed.charge(ask, 7, 0)
        assert told(await timed.spend(ask, 1)) == (True, 3, 3599, 0)
        await timed.charge(ask, 70_000_000_000, 2)
        assert told(await timed.spend(ask, 3)) == (False, 0, 3597, 3597)
        assert told(await timed.spend(ask, 3600)) == (True, 10, 3600, 0)
        await timed.charge(ask, 10, 3600)
        assert told(await timed.spend(ask, 3601)) == (False, 0, 3599, 3599)

    async def test_a_charge_of_nothing_is_nothing(self, timed: TimedCounters) -> None:
        await timed.charge(replace(HOUR, count=0), 0, 0)
        assert await timed.left(HOUR, 0) == 10

    @pytest.mark.parametrize("seed", range(8))
    async def test_whatever_comes_the_window_holds_and_nothing_that_fits_is_refused(
        self, timed: TimedCounters, seed: int
    ) -> None:
        random = Random(seed)
        calls, period = random.randint(1, 12), random.randint(1, 6)
        taken: list[tuple[float, Spend, Spent]] = []
        at = 0.0
        for _ in range(150):
            at += random.choice((0, 0, 0.125, 0.25, 1, 2.5))
            spend = Spend("", calls, period, random.randint(0, 4))
            held = [entry for entry in taken if entry[0] > at - period]
            room = calls - sum(entry[1].count for entry in held)
            spent = await timed.spend(spend, at)
            assert spent.allowed is (room >= max(spend.count, 1))
            assert spent.remaining == (room - spend.count if spent.allowed else room)
            if spent.receipt:
                held.append((at, spend, spent))
            if held and random.random() < 0.2:
                _, spend, spent = held.pop(random.randrange(len(held)))
                await timed.refund(spend, spent, at)
            taken = held
