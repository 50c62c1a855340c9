"""Times and durations as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from mcpgov.console.times import ago, day, milliseconds, minute, short, span

AT = datetime(2026, 11, 2, 8, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "now"), (8, "8 s ago"), (60, "1 min ago"), (7_300, "2 h ago"), (200_000, "2 d ago"), (-5, "now")],
)
def test_how_long_ago(seconds: int, said: str) -> None:
    assert ago(AT, AT + timedelta(seconds=seconds)) == said


def test_times_are_short() -> None:
    assert (day(AT), minute(AT)) == ("2 Nov 2026", "2 Nov 08:05")
    assert short(AT) == "2026-11-02T08:05:09Z"
    assert short(AT.replace(microsecond=5)) == "2026-11-02T08:05:09.000005Z"
    assert (span(timedelta(minutes=5)), span(timedelta(days=2))) == ("5 min", "2 d")


@pytest.mark.parametrize(
    ("value", "said"), [(0.42, "0.4 ms"), (12.3, "12 ms"), (1234.0, "1.2 s"), (123_456.0, "123 s")]
)
def test_a_duration_has_two_figures_that_matter(value: float, said: str) -> None:
    assert milliseconds(value) == said
