"""`mcpgov serve` and `mcpgov demo`: what the verbs hand on."""

from pathlib import Path

import typer
from typer.testing import CliRunner

from mcpgov.cli.serve import LogFormat, LogLevel, add_demo, add_serve


class Noted:
    """Stands where app.py puts what runs, and notes what it was given."""

    def __init__(self) -> None:
        self.served: list[tuple[Path | None, str, str]] = []
        self.shown: list[bool] = []
        self.cli = typer.Typer()
        add_serve(self.cli, self.serve)
        add_demo(self.cli, self.demo)

    def serve(self, config: Path | None, *, log_format: LogFormat, log_level: LogLevel) -> None:
        self.served.append((config, log_format, log_level))

    def demo(self, *, once: bool) -> None:
        self.shown.append(once)


def run(noted: Noted, *arguments: str) -> int:
    return CliRunner().invoke(noted.cli, arguments).exit_code


def test_serve_hands_on_the_file_and_how_to_log() -> None:
    noted = Noted()
    assert run(noted, "serve") == 0
    assert run(noted, "serve", "-c", "a.yaml", "--log-format", "json", "--log-level", "debug") == 0
    assert noted.served == [(None, "auto", "info"), (Path("a.yaml"), "json", "debug")]


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
