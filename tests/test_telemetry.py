"""Logs: one JSON object a line for machines, text for people, the standard library's in the same form."""

import json
import logging
import threading
from collections.abc import Generator

import pytest
import structlog

from mcpgov.decision import Metric, Trace
from mcpgov.models import Secret
from mcpgov.telemetry import OURS, Loudness, PolicyLog, configure_logging, set_level


@pytest.fixture(autouse=True)
def logging_as_before() -> Generator[None]:
    """Leave the process as it was."""
    root = logging.getLogger()
    before, levels = root.handlers[:], {name: logging.getLogger(name).level for name in ("", *OURS)}
    yield
    root.handlers = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


def test_json_logs_are_one_object_a_line_whoever_logs(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    structlog.get_logger("mcpgov.app").info("serving", connections=["a\nb"])
    logging.getLogger("some.library").warning("watch out: %s", "x")
    first, second = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert (first["event"], first["connections"], first["level"]) == ("serving", ["a\nb"], "info")
    assert (second["event"], second["level"]) == ("watch out: x", "warning")
    assert first["timestamp"].endswith("Z")


def test_what_is_always_said_is_said_by_every_thread(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True, always={"worker": 1})
    thread = threading.Thread(target=structlog.get_logger("mcpgov.app").info, args=("from a thread",))
    thread.start()
    thread.join()
    logging.getLogger("some.library").warning("from a library")
    assert [json.loads(line)["worker"] for line in capfd.readouterr().err.splitlines()] == [1, 1]


def test_an_exception_is_logged_as_data(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    structlog.get_logger().error("internal-error", exc_info=ValueError("why"))
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["exception"][0]["exc_type"] == "ValueError"


def test_text_logs_are_for_reading_and_a_level_leaves_out_what_is_below(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=False, level="warning")
    structlog.get_logger("mcpgov.app").info("unheard")
    structlog.get_logger().warning("heard", why="because")
    (line,) = capfd.readouterr().err.splitlines()
    assert "heard" in line
    assert "why=because" in line


def test_libraries_say_warnings_and_never_less_whatever_we_say(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True, level="debug")
    for library in ("httpx2", "uvicorn.error", "sqlalchemy.engine", "azure.core"):
        logging.getLogger(library).debug("GET https://upstream.test/?key=%s", "s3cret")
        logging.getLogger(library).info("Authorization: %s", "s3cret")
    for name in ("mcpgov.pipeline", *OURS):
        structlog.get_logger(name).debug("ours")
    logging.getLogger("some.library").warning("theirs")
    set_level("error")
    logging.getLogger("some.library").warning("unheard")
    logging.getLogger("some.library").error("theirs, too")
    assert [line["event"] for line in lines(capfd)] == ["ours", "ours", "ours", "theirs", "theirs, too"]


def test_a_level_changes_for_loggers_that_there_are(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    ours = structlog.get_logger("mcpgov.pipeline")
    bound = structlog.get_logger("mcpgov.limiter").bind(connection="city")
    for level in ("info", "debug", "error", "info"):
        set_level(level)
        ours.debug("fine", at=level)
        bound.info("plain", at=level)
    told = [(line["event"], line["at"]) for line in lines(capfd)]
    assert told == [("plain", "info"), ("fine", "debug"), ("plain", "debug"), ("plain", "info")]


def test_the_settings_say_how_loud_it_is_and_a_change_tells_what_it_was() -> None:
    loudness = Loudness()
    assert [loudness.follow(level) for level in ("info", "debug", "debug", "warning")] == [None, "info", None, "debug"]
    assert {logging.getLogger(name).level for name in OURS} == {logging.WARNING}


def test_what_the_command_line_asked_for_stands_above_the_settings() -> None:
    loudness = Loudness("error")
    assert [loudness.follow(level) for level in ("info", "debug")] == [None, None]
    assert {logging.getLogger(name).level for name in OURS} == {logging.ERROR}


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


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_a_trace_of_a_policy_is_a_line_of_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    PolicyLog().tell(Trace("company#1 trace", "owners", "error", "who: me", (("tool", "get_city"),)))
    (line,) = lines(capfd)
    del line["timestamp"]
    assert line == {
        "event": "policy-trace",
        "level": "error",
        "rule": "company#1 trace",
        "source": "owners",
        "severity": "error",
        "message": "who: me",
        "metadata": {"tool": "get_city"},
    }


def test_a_verbose_trace_is_written_at_the_level_debug(capfd: pytest.CaptureFixture[str]) -> None:
    for level, severities in (("info", ["information", "error"]), ("debug", ["verbose", "information", "error"])):
        configure_logging(json=True, level=level)
        for severity in ("verbose", "information", "error"):
            PolicyLog().tell(Trace("r", "s", severity, "m"))
        assert [line["severity"] for line in lines(capfd)] == severities


def test_a_metric_of_a_policy_is_a_line_of_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    PolicyLog().tell(Metric("company#2 emit-metric", "calls", 2.5, "mcp", (("API ID", "city"),)))
    (line,) = lines(capfd)
    assert (line["event"], line["name"], line["value"], line["namespace"]) == ("policy-metric", "calls", 2.5, "mcp")
    assert line["dimensions"] == {"API ID": "city"}


def test_no_secret_is_written_whichever_way_it_got_there(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    log = PolicyLog(lambda: (Secret("s3cret-value"), Secret("abc")))
    log.tell(Trace("r", "s", "error", "abc s3cret-value", (("k", "Bearer s3cret-value"),)))
    log.tell(Metric("r", "m", 1, "", (("k", "s3cret-value"),)))
    trace, metric = lines(capfd)
    assert (trace["message"], trace["metadata"]) == ("abc ***", {"k": "Bearer ***"})
    assert metric["dimensions"] == {"k": "***"}


@pytest.mark.parametrize("json_lines", [True, False])
def test_what_a_caller_chose_stays_on_its_line_and_is_cut(
    capfd: pytest.CaptureFixture[str], *, json_lines: bool
) -> None:
    configure_logging(json=json_lines)
    PolicyLog().tell(Trace("r", "s", "error", "a\nb\x1b[2J\u202e" + "x" * 5000))
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert "\x1b[2J" not in told
    assert "\u202e" not in told
    assert "[+912]" in told


def test_what_policies_say_is_passed_on_without_its_secrets(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging(json=True)
    heard: list[Trace | Metric] = []

    class Heard:
        def tell(self, effect: Trace | Metric) -> None:
            heard.append(effect)

    log = PolicyLog(lambda: (Secret("s3cret-value"),), (Heard(),))
    log.tell(Trace("r", "s", "error", "m s3cret-value", (("k", "v"),)))
    log.tell(Metric("r", "m", 1, "", (("k", "s3cret-value"),)))
    assert heard == [Trace("r", "s", "error", "m ***", (("k", "v"),)), Metric("r", "m", 1, "", (("k", "***"),))]
    assert len(lines(capfd)) == 2
