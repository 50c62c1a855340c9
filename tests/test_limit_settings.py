"""`limits:` in mcpgov.yaml: each bound, one below, on and one above it."""

import pytest

from mcpgov.errors import InvalidConfiguration
from mcpgov.limit_settings import Limits
from mcpgov.settings import parse_settings

BOUNDS = {
    "header_fields": (16, 1000),
    "header_bytes": (1 << 10, 1 << 18),
    "header_seconds": (1, 300),
    "body_bytes": (1 << 10, 1 << 26),
    "body_seconds": (1, 600),
    "body_rate": (1, 1 << 20),
    "idle_seconds": (1, 3600),
    "depth": (4, 256),
    "keys": (16, 100_000),
    "string_bytes": (1 << 10, 1 << 26),
    "answer_bytes": (1 << 10, 1 << 28),
    "event_bytes": (1 << 10, 1 << 28),
    "events": (16, 100_000_000),
    "answer_seconds": (1, 86_400),
    "stream_seconds": (1, 2_592_000),
    "connections": (16, 1_000_000),
    "calls": (1, 1_000_000),
    "calls_per_caller": (1, 1_000_000),
    "calls_per_upstream": (1, 1_000_000),
    "streams": (1, 1_000_000),
    "streams_per_caller": (1, 1_000_000),
    "buffered_bytes": (1 << 26, 1 << 36),
}


def test_every_limit_is_in_the_table() -> None:
    assert BOUNDS.keys() == Limits.model_fields.keys()


@pytest.mark.parametrize("name", BOUNDS)
def test_each_limit_moves_within_its_bounds_and_not_beyond(name: str) -> None:
    low, high = BOUNDS[name]
    for value in (low, high):
        assert getattr(parse_settings(f"limits: {{ {name}: {value} }}", "f").limits, name) == value
    for value in (low - 1, high + 1, "true", "'100'", "1e9"):
        with pytest.raises(InvalidConfiguration, match="must be a whole number of"):
            parse_settings(f"limits: {{ {name}: {value} }}", "f")
