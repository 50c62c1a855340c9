"""Leaves out, and says so, what needs a server that is not there."""

from pathlib import Path

import pytest

from tests.faults.tools import NOTED
from tests.store.postgres import LEFT_OUT, has_postgres


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Whether a file of tests is passed over; None leaves it to others."""
    if collection_path.name not in {"test_postgres.py", "test_postgres_outage.py"} or has_postgres():
        return None
    config.get_terminal_writer().line(f"{collection_path.name}: {LEFT_OUT}")
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what tests that passed left out, and what they measured."""
    said = [line for report in terminalreporter.getreports("passed") for line in NOTED.findall(report.capstderr)]
    for line in dict.fromkeys(said):
        terminalreporter.write_line(line)
