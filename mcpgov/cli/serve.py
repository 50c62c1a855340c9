"""`mcpgov serve` and `mcpgov demo`: run the gateway, or show what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Protocol

import typer

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file. Default: ./mcpgov.yaml if there is one.")
]
LogFormat = Literal["auto", "json", "text"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Demo(Protocol):
    """Shows the product; with `once` it ends when the story is told."""

    def __call__(self, *, once: bool) -> None:
        """Show it."""
        ...


class Serve(Protocol):
    """Runs the gateway until it is told to stop. Raises InvalidConfiguration before anything is served."""

    def __call__(self, config: Path | None, *, log_format: LogFormat, log_level: LogLevel) -> None:
        """Serve what the settings file says."""
        ...


def add_serve(app: typer.Typer, run: Serve) -> None:
    """Add the verb `serve`."""

    @app.command(epilog="Examples:  mcpgov serve  ·  mcpgov serve --config /etc/mcpgov/mcpgov.yaml --log-format json")
    def serve(
        config: Config = None,
        log_format: Annotated[LogFormat, typer.Option(help="auto: text in a terminal, json elsewhere.")] = "auto",
        log_level: Annotated[LogLevel, typer.Option(help="The least that is logged.")] = "info",
    ) -> None:
        """Run the gateway. Ctrl-C or SIGTERM lets running calls finish first."""
        run(config, log_format=log_format, log_level=log_level)


def add_demo(app: typer.Typer, run: Demo) -> None:
    """Add the verb `demo`."""

    @app.command(epilog="Examples:  mcpgov demo  ·  mcpgov demo --once")
    def demo(
        *, once: Annotated[bool, typer.Option("--once", help="Stop after the story instead of serving on.")] = False
    ) -> None:
        """Show a real MCP client calling a real MCP server through mcpgov, and the audit log of it."""
        run(once=once)
