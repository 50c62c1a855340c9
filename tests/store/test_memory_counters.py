"""Memory keeps the contract of all counters, at any fraction of a second, and does not grow with what came and went."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Spend
from mcpgov.errors import StoreUnavailable
from mcpgov.store.memory_counters import MemoryCounters
from tests.contract.counters_contract import CountersContract, TimedCounters

TEN = Spend("", 5, 10)
DAY = Spend("", 5, 86_400, fixed=True)


class TestMemoryCounters(CountersContract):
    @pytest.fixture
    def timed(self) -> TimedCounters:
        async def stand_still(_now: float) -> None:
            """Memory is told the time with each question."""

        return TimedCounters(MemoryCounters(), stand_still)


async def test_idle_keys_are_dropped_and_used_ones_stay() -> None:
    counters = MemoryCounters()
    for n in range(100):
        await counters.spend(f"k{n}", TEN, 0.0)
    await counters.spend("k7", TEN, 9.0)
    assert len(counters) == 100
    await counters.spend("other", replace(TEN, period=300), 10.0)
    assert len(counters) == 2
    assert (await counters.spend("k7", TEN, 10.0)).remaining == 3
    await counters.spend("other", replace(TEN, period=300), 20.0)
    assert len(counters) == 1


async def test_fixed_windows_are_dropped_when_they_are_over() -> None:
    counters = MemoryCounters()
    for n in range(100):
        await counters.spend(f"k{n}", DAY, 1.0)
        await counters.charge(f"c{n}", DAY, 1, 1.0)
    await counters.spend("for ever", replace(DAY, period=0), 2.0)
    assert len(counters) == 201
    await counters.spend("k0", DAY, 86_400.0)
    assert len(counters) == 2


async def test_what_took_nothing_leaves_nothing() -> None:
    counters = MemoryCounters()
    for spend in (TEN, DAY):
        assert (await counters.spend("asked", replace(spend, count=0), 0.0)).allowed
        assert not (await counters.spend("too much", replace(spend, count=6), 0.0)).allowed
        await counters.refund("unknown", spend, await counters.spend("asked", replace(spend, count=0), 0.0), 0.0)
    assert len(counters) == 0


async def test_a_window_that_was_given_back_whole_is_dropped() -> None:
    counters = MemoryCounters()
    await counters.refund("k", TEN, await counters.spend("k", TEN, 0.0), 1.0)
    assert (await counters.spend("other", TEN, 10.0)).allowed
    assert len(counters) == 1


@pytest.mark.parametrize("fixed", [False, True])
async def test_a_new_key_is_refused_where_there_are_too_many_and_room_comes_back_by_itself(*, fixed: bool) -> None:
    counters = MemoryCounters(max_keys=2)
    spend = Spend("", 2, 10, fixed=fixed)
    await counters.spend("a", spend, 0.0)
    await counters.spend("b", replace(spend, period=20), 0.0)
    with pytest.raises(StoreUnavailable, match="more than 2 counters"):
        await counters.spend("c", spend, 1.0)
    assert (await counters.spend("a", spend, 1.0)).allowed
    assert not (await counters.spend("a", spend, 2.0)).allowed
    assert (await counters.spend("c", spend, 11.0)).allowed


async def test_a_charge_is_refused_where_there_are_too_many_keys() -> None:
    counters = MemoryCounters(max_keys=1)
    await counters.charge("a", DAY, 1, 0.0)
    with pytest.raises(StoreUnavailable, match="more than 1 counters"):
        await counters.charge("b", DAY, 1, 0.0)


@given(
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from("ab")), max_size=60), st.integers(1, 4), st.integers(1, 10)
)
async def test_no_window_ever_admits_more_than_its_calls_and_none_is_refused_that_fits(
    arrivals: list[tuple[int, str]], calls: int, period: int
) -> None:
    counters = MemoryCounters()
    admitted: dict[str, list[int]] = {"a": [], "b": []}
    now = 0
    for pause, key in arrivals:
        now += pause
        in_window = [then for then in admitted[key] if then > now - period]
        spent = await counters.spend(key, Spend(key, calls, period), float(now))
        assert spent.allowed == (len(in_window) < calls)
        if spent.allowed:
            admitted[key].append(now)
            assert spent.remaining == calls - len(in_window) - 1
        else:
            assert spent.retry_after == in_window[0] + period - now
    for times in admitted.values():
        assert all(sum(start <= then < start + period for then in times) <= calls for start in times)


@given(st.lists(st.floats(0, 5, allow_nan=False), max_size=80), st.integers(1, 3), st.integers(1, 5))
async def test_window_holds_at_any_fraction_of_a_second(pauses: list[float], calls: int, period: int) -> None:
    counters = MemoryCounters()
    now, ends = 1000.0, list[float]()
    for pause in pauses:
        now += pause
        if (await counters.spend("k", Spend("k", calls, period), now)).allowed:
            assert len([end for end in ends if end > now]) < calls
            ends.append(now + period)


async def test_ten_times_the_load_is_admitted_exactly_as_often_as_allowed() -> None:
    counters = MemoryCounters()
    spend, step = Spend("k", 100, 10), 1 / 128
    times = [number * step for number in range(12_800)]  # a hundred seconds of 128 calls a second
    admitted = [now for now in times if (await counters.spend("k", spend, now)).allowed]
    assert len(admitted) == 100 * 10
    assert all(later - earlier >= 10 for earlier, later in zip(admitted, admitted[100:], strict=False))
