"""Which rollups a span of time is counted from, and what is made of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.store.audit_summary import MOST_BARS, kind_of, percentiles, tier_of
from tests.audit.calls import NOW


@pytest.mark.parametrize(
    ("span", "step", "time"),
    [
        (timedelta(minutes=15), timedelta(minutes=1), "minute"),
        (timedelta(hours=6), timedelta(minutes=5), "minute"),
        (timedelta(days=1), timedelta(minutes=30), "minute"),
        (timedelta(days=7), timedelta(hours=3), "hour"),
        (timedelta(days=30), timedelta(hours=12), "hour"),
        (timedelta(days=365), timedelta(days=5), "hour"),
    ],
)
def test_a_span_is_counted_in_round_steps(span: timedelta, step: timedelta, time: str) -> None:
    tier = tier_of(NOW - span, NOW)
    assert (timedelta(microseconds=tier.step), tier.time) == (step, time)


@given(st.integers(0, 10**10), st.integers(-10, 10**10))
def test_the_bars_are_few_and_cover_what_was_asked(start: int, length: int) -> None:
    since = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=start)
    tier = tier_of(since, since + timedelta(seconds=length))
    assert 1 <= len(tier.bars) <= MOST_BARS
    assert tier.since % tier.step == tier.until % tier.step == 0
    assert tier.until >= (start + max(length, 0)) * 1_000_000


def test_a_call_is_of_one_kind() -> None:
    assert [kind_of(*one) for one in (("allow", "ok"), ("allow", "failed"), ("deny", "denied"), ("", "cancelled"))] == [
        *("ok", "trouble", "denied", "given-up")
    ]
    assert percentiles({}) is None
