"""`mcpgov audit usage | stats`: which callers use which tools, and how calls went: the numbers of the console, as text.

Both count from the index of the ledger, which nobody keeps where no console runs, so it is first brought up to date; no
record is written or changed. What can only be a slip is refused, as by `audit query`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from mcpgov.admin.audit import counted, usage_of
from mcpgov.audit.record import ControlEvent, timestamp
from mcpgov.cli.audit import FILTERS, AsJson, filtered, one_line, span
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable, repeated
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from mcpgov.audit.reader import CallFilter
    from mcpgov.audit.review import ReviewReader, Summary, Top, Usage

    OpenReview = Callable[[Path | None, Callable[[int], None]], AbstractContextManager[ReviewReader]]

T = TypeVar("T")

EVERY = 20_000  # records between two words about how many are left
USED = ("principal", "connection", "tool", "decision")  # what usage can be restricted to
COLUMNS = ("caller", "connection", "tool", "calls", "denied", "went wrong", "last (UTC)")
NUMBERS = frozenset({"calls", "denied", "went wrong"})
UNKNOWN, UNDECIDED = "unknown", "undecided"
WENT = {"ok": "well", "trouble": "went wrong", "denied": "denied", "given-up": "given up"}
TOPS = {"agents": "caller", "tools": "tool", "reasons": "reason"}

Since = Annotated[str, typer.Option(help="15m, 2h, 7d, or a date and time (UTC unless it says).")]
Until = Annotated[str, typer.Option(help="As --since; the calls before that.")]


@frozen
class Used:
    """What `usage` was asked for."""

    where: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help=f"One of: {', '.join(USED)}.")
    ] = None
    since: Since = "30d"
    until: Until = ""
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most used so many.")] = 50
    config: Config = None
    as_json: AsJson = False


@frozen
class Counted:
    """What `stats` was asked for."""

    where: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help=f"One of: {', '.join(FILTERS)}.")
    ] = None
    since: Since = "24h"
    until: Until = ""
    config: Config = None
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False


@dataclass(slots=True)
class Progress:
    """Says on stderr how many records wait to be counted, where they are many."""

    told: int = 0

    def __call__(self, left: int) -> None:
        """That so many are left."""
        if left >= EVERY and (not self.told or left <= self.told - EVERY):
            self.told = left
            typer.echo(f"{left} records to be counted first …", err=True)


def add_usage(audit: typer.Typer, open_review: OpenReview) -> None:
    """Add the verbs."""

    def usage(asked: Used) -> None:
        """Which callers use which tools, the most used first."""
        since, until = span(asked.since, asked.until, datetime.now(UTC))
        wanted = replace(filtered(asked.where or [], USED), since=since, until=until, limit=asked.limit)
        used = answered(open_review, asked.config, lambda review, now: review.usage(wanted, now))
        if asked.as_json:
            for one in used:
                typer.echo(json.dumps(usage_of(one)))
        elif used:
            show_usage(used)
        else:
            typer.echo("Nobody called a tool in this time.", err=True)

    def stats(asked: Counted) -> None:
        """Count the calls that ended: by decision, status, caller, tool and reason, and how long they took."""
        wanted = wanted_by(asked)
        summary = answered(open_review, asked.config, lambda review, now: review.summary(wanted, now))
        if asked.as_json:
            typer.echo(json.dumps(counted(summary)))
        else:
            show_stats(summary)

    audit.command(
        epilog="Examples:  mcpgov audit usage  ·  mcpgov audit usage tool=delete_repository --since 90d"
        "  ·  mcpgov audit usage principal=ci-agent connection=github  ·  mcpgov audit usage decision=deny --json"
    )(with_options(Used, usage))
    audit.command(
        epilog="Examples:  mcpgov audit stats  ·  mcpgov audit stats --since 7d connection=github"
        "  ·  mcpgov audit stats decision=deny --since 2026-11-01 --until 2026-12-01"
        "  ·  mcpgov audit stats agent=3fa9c1d2-… --json"
    )(with_options(Counted, stats))


def answered(open_review: OpenReview, config: Path | None, ask: Callable[[ReviewReader, datetime], T]) -> T:
    """What the ledger answers; what goes wrong is told on stderr and ends the verb with 1."""
    try:
        with open_review(config, Progress()) as review:
            return ask(review, datetime.now(UTC))
    except (InvalidConfiguration, StoreUnavailable) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def wanted_by(asked: Counted) -> CallFilter:
    """The filter that was asked for. Raises typer.BadParameter."""
    since, until = span(asked.since, asked.until, datetime.now(UTC))
    wanted = filtered(asked.where or [])
    if wanted.reason in set(ControlEvent):
        message = f"reason={repeated(wanted.reason)} is of what happened to the gateway itself, which is no call"
        raise typer.BadParameter(f"{message}; see mcpgov audit query")
    return replace(wanted, since=since, until=until)


def show_usage(used: Sequence[Usage]) -> None:
    """Who used which tool, as a table. Two callers that go by one name are told apart by their ids."""
    names: dict[str, set[str]] = {}
    for one in used:
        names.setdefault(one.name, set()).add(one.principal)
    table = listing(COLUMNS)
    for one in used:
        shared = one.name and len(names[one.name]) > 1
        caller = f"{one.name} ({one.principal})" if shared else one.name or one.principal or UNKNOWN
        numbers = (f"{number:,}" for number in (one.calls, one.denied, one.trouble))
        add(table, caller, one.connection, one.tool, *numbers, minute(one.last))
    Console(highlight=False).print(table)


def show_stats(summary: Summary) -> None:
    """A summary in words and tables."""
    total = sum(summary.totals.values())
    typer.echo(f"{total:,} calls that began from {minute(summary.since)} to {minute(summary.until)} UTC")
    if summary.counted is not None:
        typer.echo(f"Only the newest {summary.counted:,} that match were counted.")
    if not total:
        return
    typer.echo("  ·  ".join(f"{count:,} {WENT[kind]}" for kind, count in summary.totals.items()))
    if taken := summary.latency:
        typer.echo(
            f"took p50 {taken.p50:.1f} ms  ·  p95 {taken.p95:.1f} ms  ·  p99 {taken.p99:.1f} ms"
            f"  ({taken.calls:,} calls that were forwarded)"
        )
    show_counts("decision", summary.decisions)
    show_counts("status", summary.statuses)
    for name, title in TOPS.items():
        show_tops(title, getattr(summary, name))


def show_counts(title: str, counts: Mapping[str, int]) -> None:
    """How many calls have each value."""
    table = listing((title, "calls"))
    for value, calls in counts.items():
        add(table, value or UNDECIDED, f"{calls:,}")
    show_below(table)


def show_tops(title: str, tops: Sequence[Top]) -> None:
    """The values that most calls have."""
    table = listing((title, "calls", "denied"))
    for top in tops:
        add(table, top.shown, f"{top.calls:,}", f"{top.denied:,}")
    if tops:
        show_below(table)


def show_below(table: Table) -> None:
    """A table, apart from what stands above it."""
    console = Console(highlight=False)
    console.print()
    console.print(table)


def listing(columns: Sequence[str]) -> Table:
    """A table with these heads, numbers on the right."""
    table = Table(box=None, pad_edge=False)
    for title in columns:
        right = title in NUMBERS
        table.add_column(one_line(title), justify="right" if right else "left", no_wrap=right)
    return table


def add(table: Table, *cells: str) -> None:
    """A row of text that can do nothing to a terminal."""
    table.add_row(*(one_line(printable(cell)) for cell in cells))


def minute(at: datetime) -> str:
    """A time as a person reads it."""
    return timestamp(at)[:16].replace("T", " ")
