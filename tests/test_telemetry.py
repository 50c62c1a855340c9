"""Logs: one JSON object a line for machines, text for people, the standard library's in the same form."""

import json
import logging
from collections.abc import Generator

import pytest
import structlog

from mcpgov.telemetry import configure_logging


@pytest.fixture(autouse=True)
def logging_as_before() -> Generator[None]:
    """Leave the process as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers, root.level = before[0], before[1]
    structlog.reset_defaults()


def test_json_logs_are_one_object_a_line_whoever_logs(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    structlog.get_logger().info("serving", connections=["a\nb"])
    logging.getLogger("some.library").warning("watch out: %s", "x")
    first, second = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert (first["event"], first["connections"], first["level"]) == ("serving", ["a\nb"], "info")
    assert (second["event"], second["level"]) == ("watch out: x", "warning")
    assert first["timestamp"].endswith("Z")


def test_an_exception_is_logged_as_data(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    structlog.get_logger().error("internal-error", exc_info=ValueError("why"))
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["exception"][0]["exc_type"] == "ValueError"


def test_text_logs_are_for_reading_and_a_level_leaves_out_what_is_below(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=False, level="warning")
    structlog.get_logger().info("unheard")
    structlog.get_logger().warning("heard", why="because")
    (line,) = capfd.readouterr().err.splitlines()
    assert "heard" in line
    assert "why=because" in line


@pytest.mark.parametrize("json_lines", [True, False])
def test_no_trace_prints_what_a_variable_holds(capfd: pytest.CaptureFixture[str], *, json_lines: bool) -> None:
    configure_logging(json=json_lines)
    key = "mcpgov_" + "canary" * 3
    try:
        {}[len(key)]
    except KeyError:
        structlog.get_logger().exception("internal-error")
        logging.getLogger("some.library").exception("failed")
    told = capfd.readouterr().err
    assert "KeyError" in told
    assert key not in told
