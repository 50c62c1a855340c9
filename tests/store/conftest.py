"""Leaves out, and says so, what needs a server that is not there."""

from pathlib import Path

import pytest

from tests.store.redis import LEFT_OUT, has_redis


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether a file of tests is passed over; None leaves it to others."""
    if collection_path.name != "test_redis_counters.py" or has_redis():
        return None
    config.get_terminal_writer().line(LEFT_OUT)
    return True
