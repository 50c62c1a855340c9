"""`mcpgov serve` and `mcpgov demo`: what the verbs hand on."""

from pathlib import Path

import typer
from typer.testing import CliRunner

from mcpgov.cli.serve import LogFormat, add_demo, add_serve
from mcpgov.log_settings import LogLevel
from mcpgov.worker import ALONE, Worker


class Noted:
    """Stands where app.py puts what runs, and notes what it was given."""

    def __init__(self) -> None:
        self.served: list[tuple[Path | None, str, str | None]] = []
        self.as_worker: list[Worker] = []
        self.supervised: list[tuple[Path | None, int, str, str | None]] = []
        self.shown: list[bool] = []
        self.cli = typer.Typer()
        add_serve(self.cli, self.serve, self.supervise)
        add_demo(self.cli, self.demo)

    def serve(self, config: Path | None, worker: Worker, *, log_format: LogFormat, log_level: LogLevel | None) -> None:
        self.served.append((config, log_format, log_level))
        self.as_worker.append(worker)

    def supervise(
        self, config: Path | None, workers: int, *, log_format: LogFormat, log_level: LogLevel | None
    ) -> None:
        self.supervised.append((config, workers, log_format, log_level))

    def demo(self, *, once: bool) -> None:
        self.shown.append(once)


def run(noted: Noted, *arguments: str) -> int:
    return CliRunner().invoke(noted.cli, arguments).exit_code


def test_serve_hands_on_the_file_and_how_to_log() -> None:
    noted = Noted()
    assert run(noted, "serve") == 0
    assert run(noted, "serve", "-c", "a.yaml", "--log-format", "json", "--log-level", "debug") == 0
    assert noted.served == [(None, "auto", None), (Path("a.yaml"), "json", "debug")]
    assert noted.as_worker == [ALONE, ALONE]
    assert noted.supervised == []


def test_several_workers_are_supervised_and_one_is_served_as_before() -> None:
    noted = Noted()
    assert run(noted, "serve", "--workers", "1") == 0
    assert run(noted, "serve", "--workers", "64", "-c", "a.yaml") == 0
    assert noted.as_worker == [ALONE]
    assert noted.supervised == [(Path("a.yaml"), 64, "auto", None)]
    for wrong in ("0", "65", "two"):
        assert run(noted, "serve", "--workers", wrong) == 2


def test_a_worker_is_served_as_its_supervisor_says() -> None:
    noted = Noted()
    assert run(noted, "serve", "--worker", "1:2:5:7") == 0
    assert noted.as_worker == [Worker(1, 2, 5, 7)]
    assert "--worker " not in CliRunner().invoke(noted.cli, ["serve", "--help"]).output


def test_a_log_format_or_level_that_does_not_exist_is_refused() -> None:
    noted = Noted()
    assert run(noted, "serve", "--log-format", "xml") == 2
    assert run(noted, "serve", "--log-level", "loud") == 2
    assert noted.served == []


def test_demo_goes_on_unless_told_once() -> None:
    noted = Noted()
    assert run(noted, "demo") == 0
    assert run(noted, "demo", "--once") == 0
    assert noted.shown == [False, True]
