"""Leaves out, and says so, what needs a server that is not there."""

from pathlib import Path

import pytest

from tests.store.postgres import LEFT_OUT, has_postgres


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether a file of tests is passed over; None leaves it to others."""
    if collection_path.name not in {"test_postgres.py", "test_postgres_outage.py"} or has_postgres():
        return None
    config.get_terminal_writer().line(f"{collection_path.name}: {LEFT_OUT}")
    return True
