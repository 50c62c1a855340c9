"""No window ever holds more than its calls, and memory does not grow with what came and went."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Spent
from mcpgov.errors import StoreUnavailable
from mcpgov.store.memory_counters import MemoryCounters


async def test_calls_are_admitted_until_the_window_is_full_and_again_as_it_slides() -> None:
    counters = MemoryCounters()
    assert await counters.spend("k", 2, 10, 0.0) == Spent(allowed=True, limit=2, remaining=1, reset=10)
    assert await counters.spend("k", 2, 10, 4.0) == Spent(allowed=True, limit=2, remaining=0, reset=10)
    assert await counters.spend("k", 2, 10, 6.5) == Spent(allowed=False, limit=2, remaining=0, reset=8, retry_after=4)
    assert await counters.spend("k", 2, 10, 10.0) == Spent(allowed=True, limit=2, remaining=0, reset=10)
    assert not (await counters.spend("k", 2, 10, 13.9)).allowed
    assert (await counters.spend("k", 2, 10, 14.0)).allowed


async def test_refused_call_does_not_lengthen_the_wait() -> None:
    counters = MemoryCounters()
    await counters.spend("k", 1, 10, 0.0)
    for now in range(1, 10):
        assert (await counters.spend("k", 1, 10, float(now))).retry_after == 10 - now
    assert (await counters.spend("k", 1, 10, 10.0)).allowed


async def test_retry_after_is_never_too_early() -> None:
    counters = MemoryCounters()
    await counters.spend("k", 1, 10, 0.25)
    wait = (await counters.spend("k", 1, 10, 10.2)).retry_after
    assert wait == 1
    assert (await counters.spend("k", 1, 10, 10.2 + wait)).allowed


async def test_keys_do_not_share_a_window() -> None:
    counters = MemoryCounters()
    assert (await counters.spend("a", 1, 10, 0.0)).allowed
    assert (await counters.spend("b", 1, 10, 0.0)).allowed


async def test_idle_keys_are_dropped_and_used_ones_stay() -> None:
    counters = MemoryCounters()
    for n in range(100):
        await counters.spend(f"k{n}", 5, 10, 0.0)
    await counters.spend("k7", 5, 10, 9.0)
    assert len(counters) == 100
    await counters.spend("other", 5, 300, 10.0)
    assert len(counters) == 2
    assert (await counters.spend("k7", 5, 10, 10.0)).remaining == 3
    await counters.spend("other", 5, 300, 20.0)
    assert len(counters) == 1


async def test_new_key_is_refused_where_there_are_too_many_and_room_comes_back_by_itself() -> None:
    counters = MemoryCounters(max_keys=2)
    await counters.spend("a", 2, 10, 0.0)
    await counters.spend("b", 2, 20, 0.0)
    with pytest.raises(StoreUnavailable, match="more than 2 counters"):
        await counters.spend("c", 2, 10, 1.0)
    assert (await counters.spend("a", 2, 10, 1.0)).allowed
    assert not (await counters.spend("a", 2, 10, 2.0)).allowed
    assert (await counters.spend("c", 2, 10, 11.0)).allowed


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
        spent = await counters.spend(key, calls, period, float(now))
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
        if (await counters.spend("k", calls, period, now)).allowed:
            assert len([end for end in ends if end > now]) < calls
            ends.append(now + period)
