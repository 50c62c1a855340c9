"""What a test of the benchmarks needs and a machine may not have is said in a line."""

from pathlib import Path

import pytest

from benchmarks.machine import have

WITH_UPSTREAM = {"test_wire.py", "test_run.py"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether a file of tests is passed over; None leaves it to others."""
    if collection_path.name not in WITH_UPSTREAM or have("cc"):
        return None
    config.get_terminal_writer().line(f"{collection_path.name}: left out, no C compiler is there or can be installed")
    return True
