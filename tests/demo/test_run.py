"""The demo, run as a person runs it: one command, the whole story, and an audit log that tells the same."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mcpgov.demo.run import CAREFUL, CATALOG, OFFICE_ONLY, SETTINGS, write_files
from mcpgov.reload import load_generation

STORY = (
    ("tools/list", "list_cities, get_population, rename_city"),
    ("get_population(city='Kyoto')", "Kyoto has 1,464,000 inhabitants."),
    ("rename_city(city='Oslo', name='Kristiania')", "isError: Renaming needs a change request."),
    ("delete_city(city='Lisbon')", "error -32602: Unknown tool: delete_city"),
    ("get_population(city='Oslo')", "error -31429: Rate limit is exceeded."),
    ("list_cities()", "HTTP 403: "),
)


@pytest.fixture(scope="module")
def told() -> str:
    """What `mcpgov demo --once` prints on a wide terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "mcpgov", "demo", "--once"],
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_demo_shows_calls_allowed_hidden_denied_limited_and_kept_out(told: str) -> None:
    for call, answer in STORY:
        assert any(call in line and answer in line for line in told.splitlines()), (call, answer)


def test_the_audit_log_tells_the_same_story(told: str) -> None:
    log = told.partition("The audit log")[2]
    for reason in ("tool-hidden", "tool-denied", "rate-limited", "source-ip-denied"):
        assert log.count(reason) == 1
    assert log.count("get_population") == 4
    assert "mcpgov_" not in told  # no key is shown when nobody is there to paste it


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_ends_cleanly_and_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "mcpgov", "demo"],
        env={**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as demo:
        assert demo.stdout is not None
        lines: list[str] = []
        for line in demo.stdout:
            lines.append(line)
            if "Ctrl-C ends" in line:
                os.killpg(demo.pid, number)  # as a terminal does: everybody in the group hears it
        assert demo.wait(30) == 0
    assert "Traceback" not in "".join(lines)
    assert list(tmp_path.iterdir()) == []


def test_what_the_demo_writes_is_a_configuration_without_a_problem(tmp_path: Path) -> None:
    write_files(tmp_path, 8080, "http://127.0.0.1:9/mcp")
    snapshot = load_generation(tmp_path / "mcpgov.yaml", {"MCPGOV_DEMO_CITY_KEY": "k"})
    assert set(snapshot.connections) == {"cities", "cities-office"}
    assert all(text.startswith("#") for text in (SETTINGS, CATALOG, CAREFUL, OFFICE_ONLY))
