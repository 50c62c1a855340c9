"""Times and durations as people read them. Everything is UTC, and says so once a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime, timedelta

_SIZES: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def ago(at: datetime, now: datetime) -> str:
    """How long ago a time was: `8 s ago`."""
    seconds = max(int((now - at).total_seconds()), 0)
    for size, unit in _SIZES:
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "now"


def span(step: timedelta) -> str:
    """How long a step of time is: `5 min`."""
    seconds = int(step.total_seconds())
    return next(f"{seconds // size} {unit}" for size, unit in _SIZES if seconds >= size)


def day(at: datetime) -> str:
    """`20 Nov 2026`."""
    return f"{at.day} {at:%b %Y}"


def minute(at: datetime) -> str:
    """`20 Nov 12:00`."""
    return f"{at.day} {at:%b %H:%M}"


def short(at: datetime) -> str:
    """A time as a URL carries it."""
    return f"{at:%Y-%m-%dT%H:%M:%S}Z" if not at.microsecond else f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"


def milliseconds(value: float) -> str:
    """A duration: `0.42 ms`, `12 ms`, `3.4 s`."""
    if value >= 1000:
        return f"{value / 1000:.1f} s" if value < 100_000 else f"{value / 1000:,.0f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"
