"""The limiter counts under one unambiguous key, at the clock's time, and refuses what it cannot count."""

from __future__ import annotations

import pytest

from mcpgov.decision import Reason, Spend, Spent
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.limiter import Limiter
from mcpgov.store.memory_counters import MemoryCounters


class Notes:
    """Counters that note what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int, float]] = []

    async def spend(self, key: str, calls: int, period: int, now: float) -> Spent:
        self.asked.append((key, calls, period, now))
        return Spent(allowed=True, limit=calls, remaining=calls - 1, reset=period)


class Down:
    """Counters that cannot be reached."""

    async def spend(self, key: str, calls: int, period: int, now: float) -> Spent:
        raise StoreUnavailable(f"no connection for {len(key)} {calls} {period} {now}")


async def key_of(spend: Spend) -> str:
    notes = Notes()
    await Limiter(notes, lambda: 5.0).spend(spend)
    ((key, calls, period, now),) = notes.asked
    assert (calls, period, now) == (spend.calls, spend.period, 5.0)
    return key


async def test_same_key_value_shares_a_counter_only_with_the_same_calls_and_period() -> None:
    keys = {
        await key_of(spend)
        for spend in (
            *(Spend("tools/call/a", 60, 60), Spend("tools/call/a", 60, 30), Spend("tools/call/a", 6, 60)),
            *(Spend("requests/a", 60, 60), Spend("0/tools/call/a", 60, 6), Spend("tools/call/b", 60, 60)),
        )
    }
    assert len(keys) == 6
    assert await key_of(Spend("tools/call/a", 60, 60)) in keys


async def test_long_key_is_counted_under_its_digest() -> None:
    long, longer = await key_of(Spend("x" * 1000, 1, 1)), await key_of(Spend("x" * 1001, 1, 1))
    assert long != longer
    assert len(long) == len(longer) < 128


async def test_call_that_cannot_be_counted_is_refused() -> None:
    with pytest.raises(Refusal) as raised:
        await Limiter(Down(), lambda: 0.0).spend(Spend("k", 1, 1))
    assert raised.value.reason is Reason.COUNTERS_UNAVAILABLE
    assert "no connection" in raised.value.detail
    assert "no connection" not in raised.value.message


async def test_limit_holds_over_the_clocks_time() -> None:
    now = [100.0]
    limiter = Limiter(MemoryCounters(), lambda: now[0])
    spend = Spend("k", 2, 10)
    expected = {100.0: True, 105.0: True, 109.9: False, 110.0: True, 110.1: False, 115.0: True}
    for now[0], allowed in expected.items():
        assert (await limiter.spend(spend)).allowed is allowed
