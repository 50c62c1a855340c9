"""Leaves out, and says so, what needs a server that is not there."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.store import postgres as postgres_here
from tests.store import redis as redis_here
from tests.store.postgres import PostgresServer, has_postgres, postgres_server
from tests.store.redis import has_redis


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether a file of tests is passed over; None leaves it to others."""
    for needs, there, left_out in (
        ("test_redis_counters", has_redis, redis_here.LEFT_OUT),
        ("test_postgres_", has_postgres, postgres_here.LEFT_OUT),
    ):
        if collection_path.name.startswith(needs) and not there():
            config.get_terminal_writer().line(f"{collection_path.name}: {left_out}")
            return True
    return None


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    """A server for whole files of tests, each of which makes databases of its own."""
    with postgres_server() as running:
        yield running
