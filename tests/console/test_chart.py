"""Charts hold the numbers that they are made from."""

from datetime import timedelta

import pytest

from mcpgov.audit.review import KINDS, Bar, Summary
from mcpgov.console.chart import bars_table, histogram, legend, nice, share, timeline
from tests.audit.calls import NOW

STEP = timedelta(minutes=1)


def summary(*totals: int) -> Summary:
    bars = tuple(
        Bar(NOW + number * STEP, {**dict.fromkeys(KINDS, 0), "ok": total}) for number, total in enumerate(totals)
    )
    return Summary(NOW, NOW + len(totals) * STEP, STEP, bars, {})


def to(since: str, until: str) -> str:
    return f"{since}/{until}"


def test_each_bar_leads_to_its_calls_and_says_how_many() -> None:
    drawn = str(histogram(summary(3, 0, 1), to))
    assert drawn.count("<a ") == 3
    assert "20 Nov 12:00: 3 ok" in drawn
    assert "20 Nov 12:01: no calls" in drawn
    assert drawn.count('class="k-ok"') == 2


def test_no_call_at_all_is_a_chart_too() -> None:
    assert "no calls" in str(histogram(summary(0), to))
    assert "no calls" in str(histogram(summary(0, 0, 0, 0), to))


def test_the_table_has_the_bars_that_have_calls() -> None:
    table = str(bars_table(summary(3, 0, 1), to))
    assert table.count("<tr>") == 3
    assert "by 1 min" in table


def test_the_parts_of_a_line_are_as_long_as_they_took() -> None:
    drawn = str(timeline((("audit", "Audit", 25.0), ("upstream", "Upstream", 75.0)), 100.0))
    assert 'x="0.0" width="25.0"' in drawn
    assert 'x="25.0" width="75.0"' in drawn
    assert 'width="0"' in str(timeline((("audit", "Audit", 0.0),), 0.0))


def test_a_share_shows_what_of_it_was_denied() -> None:
    assert 'width="50.0"' in str(share(1, 2))
    assert 'width="25.0"' in str(share(2, 4, 1))
    assert 'width="0"' in str(share(0, 0))
    assert "denied" in str(legend())


@pytest.mark.parametrize(("most", "top"), [(0, 1), (1, 1), (7, 8), (9, 10), (11, 20), (260, 300), (90_001, 100_000)])
def test_a_scale_ends_at_a_round_number(most: int, top: int) -> None:
    assert nice(most) == top
