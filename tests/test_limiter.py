"""The limiter counts under one unambiguous key, at the right clock's time, and refuses what it cannot count."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from mcpgov.decision import Reason, Refund, Spend, Spent
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.limiter import Limiter
from mcpgov.store.memory_counters import MemoryCounters

FIXED = Spend("k", 60, 3600, fixed=True)


class Notes:
    """Counters that note what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, float]] = []

    async def spend(self, key: str, spend: Spend, now: float, /) -> Spent:
        self.asked.append(("spend", key, now))
        return Spent(allowed=True, limit=spend.calls, remaining=spend.calls - 1, reset=spend.period, receipt="7")

    async def refund(self, key: str, spend: Spend, spent: Spent, now: float, /) -> None:
        self.asked.append(("refund", key, now))

    async def charge(self, key: str, spend: Spend, amount: int, now: float, /) -> None:
        self.asked.append((f"charge {amount}", key, now))


class Down:
    """Counters that cannot be reached."""

    async def spend(self, key: str, spend: Spend, now: float, /) -> Spent:
        raise StoreUnavailable("no connection")

    async def refund(self, key: str, spend: Spend, spent: Spent, now: float, /) -> None:
        raise StoreUnavailable("no connection")

    async def charge(self, key: str, spend: Spend, amount: int, now: float, /) -> None:
        raise StoreUnavailable("no connection")


async def key_of(spend: Spend) -> str:
    notes = Notes()
    await Limiter(notes, lambda: 5.0, lambda: 9.0).spend(spend)
    ((_, key, _),) = notes.asked
    return key


async def test_same_key_value_shares_a_counter_only_with_the_same_window() -> None:
    spends = (
        *(Spend("tools/call/a", 60, 60), Spend("tools/call/a", 60, 30), Spend("tools/call/a", 6, 60)),
        *(Spend("requests/a", 60, 60), Spend("0/tools/call/a", 60, 6), Spend("tools/call/b", 60, 60)),
        *(Spend("60/tools/call/a", 60, 60, fixed=True), Spend("tools/call/a", 60, 60, fixed=True)),
        *(Spend("tools/call/a", 60, 60, fixed=True, starts=7), Spend("fixed/0/60/60/tools/call/a", 60, 60)),
    )
    assert len({await key_of(spend) for spend in spends}) == len(spends)


async def test_how_much_is_taken_makes_no_other_counter() -> None:
    for spend in (Spend("k", 60, 60), FIXED):
        assert await key_of(spend) == await key_of(replace(spend, count=0)) == await key_of(replace(spend, count=9))


async def test_long_key_is_counted_under_its_digest() -> None:
    long, longer = await key_of(Spend("x" * 1000, 1, 1)), await key_of(Spend("x" * 1001, 1, 1))
    assert long != longer
    assert len(long) == len(longer) < 128
    assert await key_of(Spend("\ud800" * 1000, 1, 1))  # text that is not Unicode, as a JSON string can hold it


async def test_each_kind_of_window_has_its_own_clock() -> None:
    notes = Notes()
    limiter = Limiter(notes, lambda: 5.0, lambda: 1_800_000_000.0)
    for spend in (Spend("k", 60, 60), FIXED):
        await limiter.refund(Refund(spend, await limiter.spend(spend)))
    await limiter.charge(FIXED, 512)
    fixed = ("fixed/0/60/3600/k", 1_800_000_000.0)
    assert notes.asked == [
        *(("spend", "60/60/k", 5.0), ("refund", "60/60/k", 5.0)),
        *(("spend", *fixed), ("refund", *fixed), ("charge 512", *fixed)),
    ]


async def test_what_took_nothing_is_not_given_back() -> None:
    notes = Notes()
    denied = Spent(allowed=False, limit=1, remaining=0, reset=1, retry_after=1)
    await Limiter(notes, lambda: 0.0, lambda: 0.0).refund(Refund(FIXED, denied))
    assert notes.asked == []


async def test_call_that_cannot_be_counted_is_refused() -> None:
    with pytest.raises(Refusal) as raised:
        await Limiter(Down(), lambda: 0.0, lambda: 0.0).spend(Spend("k", 1, 1))
    assert raised.value.reason is Reason.COUNTERS_UNAVAILABLE
    assert raised.value.headers == (("Retry-After", "1"),)
    assert "no connection" in raised.value.detail
    assert "no connection" not in raised.value.message


async def test_what_cannot_be_settled_is_told_and_refuses_nothing() -> None:
    limiter = Limiter(Down(), lambda: 0.0, lambda: 0.0)
    with capture_logs() as logs:
        await limiter.refund(Refund(FIXED, Spent(allowed=True, limit=60, remaining=59, reset=1, receipt="7")))
        await limiter.charge(FIXED, 1)
    assert [(log["event"], log["log_level"], log["error"]) for log in logs] == [
        ("limit-not-refunded", "warning", "no connection"),
        ("limit-not-charged", "warning", "no connection"),
    ]


async def test_limit_holds_over_the_clocks_time() -> None:
    now = [100.0]
    limiter = Limiter(MemoryCounters(), lambda: now[0], lambda: 0.0)
    spend = Spend("k", 2, 10)
    expected = {100.0: True, 105.0: True, 109.9: False, 110.0: True, 110.1: False, 115.0: True}
    for now[0], allowed in expected.items():
        assert (await limiter.spend(spend)).allowed is allowed


async def test_what_is_given_back_can_be_spent_again() -> None:
    limiter = Limiter(MemoryCounters(), lambda: 100.0, lambda: 1_800_000_000.0)
    for spend in (Spend("k", 1, 10), replace(FIXED, calls=1)):
        spent = await limiter.spend(spend)
        assert not (await limiter.spend(spend)).allowed
        await limiter.refund(Refund(spend, spent))
        assert (await limiter.spend(spend)).allowed
