"""Calls are counted by the minute and the hour, and latencies so that a percentile is right to a tenth."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.store.rollups import HOUR, MINUTE, Counts, Kind, bucket_of, middle_of, percentile

ALLOWED = Kind("city", "allow", "allowed", "search", "key:1", "ok")
DENIED = Kind("city", "deny", "tool-denied", "delete", "key:1", "denied")


def test_a_call_is_counted_once_by_the_minute_and_once_by_the_hour() -> None:
    counts = Counts()
    for at, kind, total in ((0, ALLOWED, 1000), (MINUTE, ALLOWED, 1000), (HOUR, ALLOWED, None), (1, DENIED, 5)):
        counts.add(at, kind, total)
    kept = [[tuple(row.values()) for row in rows] for _, rows in counts.statements()]
    assert kept[0] == [(0, *ALLOWED, 1), (1, *ALLOWED, 1), (60, *ALLOWED, 1), (0, *DENIED, 1)]
    assert kept[1] == [(0, *ALLOWED, 2), (1, *ALLOWED, 1), (0, *DENIED, 1)]
    bucket = bucket_of(1000)
    assert kept[2] == [(0, "city", bucket, 1), (1, "city", bucket, 1)]
    assert kept[3] == [(0, "city", bucket, 2)]


@given(st.integers(1, 10**9))
def test_the_middle_of_a_step_is_within_a_tenth(total: int) -> None:
    assert middle_of(bucket_of(total)) * 1000 == pytest.approx(total, rel=0.1)


@given(st.lists(st.integers(1, 10**7), min_size=1), st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_one_of_the_latencies(totals: list[int], share: float) -> None:
    found = percentile(Counter(map(bucket_of, totals)), share)
    assert sum(total <= found * 1000 * 1.1 for total in totals) >= share * len(totals)


def test_nothing_at_all_took_no_time() -> None:
    assert bucket_of(0) == 0
    assert percentile({3: 1}, 2.0) == middle_of(3)
