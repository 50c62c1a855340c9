"""`mcpgov audit exports`: how far each export is, and what is wrong with it. Reads only, also beside a gateway."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mcpgov.audit.record import timestamp
from mcpgov.cli.audit import AsJson
from mcpgov.cli.printable import printable
from mcpgov.cli.proof import told
from mcpgov.cli.serve import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mcpgov.audit.exported import ExportState

    States = Callable[[Path | None], Sequence[ExportState]]

COLUMNS = ("name", "to", "format", "position", "behind", "oldest waiting", "state")
NUMBERS = ("position", "behind")


def add_exports(audit: typer.Typer, states: States) -> None:
    """Add the verb `exports`."""

    @audit.command(epilog="Examples:  mcpgov audit exports  ·  mcpgov audit exports --json")
    def exports(config: Config = None, *, as_json: AsJson = False) -> None:
        """Show how far each export is: what waits, since when, and why."""
        with told():
            found = states(config)
        if not found:
            typer.echo("There are no exports; audit.exports in mcpgov.yaml names them.", err=True)
        for one in found if as_json else ():
            typer.echo(json.dumps(one.fields))
        if found and not as_json:
            show(found)


def show(states: Sequence[ExportState]) -> None:
    """The exports as a table."""
    table = Table(box=None, pad_edge=False)
    for title in COLUMNS:
        table.add_column(title, justify="right" if title in NUMBERS else "left", overflow="fold")
    for one in states:
        shown = (
            one.name,
            one.target,
            one.format,
            str(one.position),
            str(one.behind),
            age(one.oldest),
            "failing" if one.failing else "ok",
        )
        table.add_row(*(Text(printable(cell)) for cell in shown))
    console = Console(highlight=False)
    console.print(table)
    for one in states:
        if one.failing:
            since = timestamp(one.failing)[:19]
            console.print(Text(f"{one.name}: failing since {since}Z: {printable(one.error)}"))


def age(at: datetime | None) -> str:
    """How long ago something was, as a person says it; empty for nothing."""
    if at is None:
        return ""
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
