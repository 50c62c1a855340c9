"""`mcpgov serve` and `mcpgov demo`: run the gateway, or show what it does."""

from __future__ import annotations

import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

import typer

from mcpgov.log_settings import LogLevel
from mcpgov.worker import MOST, Worker, parse_worker

if TYPE_CHECKING:
    from collections.abc import Generator

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file. Default: ./mcpgov.yaml if there is one.")
]
LogFormat = Literal["auto", "json", "text"]


def in_json(log_format: LogFormat) -> bool:
    """Whether logs are JSON lines."""
    return log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())


class Demo(Protocol):
    """Shows the product; with `once` it ends when the story is told."""

    def __call__(self, *, once: bool) -> None:
        """Show it."""
        ...


class Serve(Protocol):
    """Runs the gateway until it is told to stop. Raises InvalidConfiguration before anything is served."""

    def __call__(
        self, config: Path | None, worker: Worker, *, log_format: LogFormat, log_level: LogLevel | None
    ) -> None:
        """Serve what the settings file says, as this worker. None is the level that the settings have."""
        ...


class Supervise(Protocol):
    """Runs so many gateways around one listener. Raises InvalidConfiguration before anything is started."""

    def __call__(self, config: Path | None, workers: int, *, log_format: LogFormat, log_level: LogLevel | None) -> None:
        """Become the supervisor of these workers: this does not return."""
        ...


def add_serve(app: typer.Typer, run: Serve, supervise: Supervise) -> None:
    """Add the verb `serve`."""

    @app.command(
        epilog="Examples:  mcpgov serve  ·  mcpgov serve --config /etc/mcpgov/mcpgov.yaml --log-format json"
        "  ·  mcpgov serve --workers 4"
    )
    def serve(
        config: Config = None,
        log_format: Annotated[LogFormat, typer.Option(help="auto: text in a terminal, json elsewhere.")] = "auto",
        log_level: Annotated[
            LogLevel | None, typer.Option(help="The least that is logged. Default: log.level of the settings.")
        ] = None,
        workers: Annotated[int, typer.Option(min=1, max=MOST, help="How many processes share the listener.")] = 1,
        worker: Annotated[str, typer.Option(hidden=True)] = "",
    ) -> None:
        """Run the gateway. Ctrl-C or SIGTERM lets running calls finish first."""
        if workers > 1:
            supervise(config, workers, log_format=log_format, log_level=log_level)
        else:
            run(config, parse_worker(worker), log_format=log_format, log_level=log_level)


def add_demo(app: typer.Typer, run: Demo) -> None:
    """Add the verb `demo`."""

    @app.command(epilog="Examples:  mcpgov demo  ·  mcpgov demo --once")
    def demo(
        *, once: Annotated[bool, typer.Option("--once", help="Stop after the story instead of serving on.")] = False
    ) -> None:
        """Show a real MCP client calling a real MCP server through mcpgov, and the audit log of it."""
        run(once=once)


@contextmanager
def listener(host: str, port: int) -> Generator[socket.socket]:
    """A listening socket. Ends the command with a clear message when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        message = f"mcpgov cannot listen on {host}:{port}: {error.strerror}. Change `listen` in mcpgov.yaml."
        typer.echo(message, err=True)
        raise SystemExit(1) from None
    with sock:
        yield sock
