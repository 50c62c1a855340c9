"""`mcpgov audit`: follow, search and open the ledger. Reads only; works while the gateway runs and while it does not.

What callers chose (tool names, ids) is shown as printable.py writes it. What can only be a slip is refused: a status or
reason that there is not, a span of time with nothing in it.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mcpgov.audit.happened import which, who
from mcpgov.audit.reader import OPEN, AuditReader, Call, CallFilter, readable
from mcpgov.audit.record import ControlEvent, RecordEvent
from mcpgov.audit.redact import encodable
from mcpgov.audit.review import DECISIONS
from mcpgov.audit.spreadsheet import cells_of, heads, row_of
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable, repeated
from mcpgov.cli.replayed import show_replayed
from mcpgov.cli.serve import Config
from mcpgov.decision import Reason
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.models import OutcomeStatus
from mcpgov.reload import load_generation
from mcpgov.settings_file import stand_ins
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from mcpgov.audit.reader import Record

    OpenReader = Callable[[Path | None], AuditReader]

POLL = 0.5  # seconds between two looks of `tail -f`
AT_ONCE = 1000  # calls that one look takes
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
AGO = re.compile(r"([1-9][0-9]{0,5})([smhd])")
FILTERS = tuple(field.name for field in fields(CallFilter) if field.type == "str")
# Filters with a closed vocabulary.
CLOSED = {"status": (*OutcomeStatus, OPEN), "reason": (*Reason, *ControlEvent), "decision": DECISIONS}
STYLES = {"ok": "green", "denied": "red", "failed": "red", "tool-error": "yellow", "rpc-error": "yellow"}
COLUMNS = ("time (UTC)", "principal", "connection", "tool or method", "reason", "status", "ms", "id")
WIDTHS = (19, 12, 14, 20, 18, 9, 8, 12)
IDS = ("correlation_id", "mcpgov.control.correlation_id", "mcpgov.control.key")
ID = 12  # characters of a correlation id that are shown; `show` needs no more
IDENTIFIER = "A call, correlation, span or trace id; the first 8 characters of a correlation id will do."
SPARED = {"ms": 100, "connection": 95}  # a terminal with fewer columns is spared this one

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line instead.")]


def build_audit_app(open_reader: OpenReader, pause: Callable[[float], None]) -> typer.Typer:
    """The sub-commands of `mcpgov audit`. `pause` waits for so many seconds."""
    audit = typer.Typer(no_args_is_help=True, help="The ledger: who called what, what was decided, how it ended.")
    add_tail(audit, open_reader, pause)
    add_query(audit, open_reader, pause)
    add_show(audit, open_reader)
    return audit


@frozen
class Search:
    """What `query` was asked for."""

    where: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help=f"One of: {', '.join(FILTERS)}.")
    ] = None
    since: Annotated[str, typer.Option(help="15m, 2h, 7d, or a date and time (UTC unless it says).")] = ""
    until: Annotated[str, typer.Option(help="As --since; the calls before that.")] = ""
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50
    control: Annotated[bool, typer.Option("--control", help="Also what happened to the gateway itself.")] = False
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with calls as they end, until Ctrl-C.")] = False
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead, for a spreadsheet.")] = False
    config: Config = None
    as_json: AsJson = False


def add_tail(audit: typer.Typer, open_reader: OpenReader, pause: Callable[[float], None]) -> None:
    """Add the verb `tail`."""

    @audit.command(epilog="Examples:  mcpgov audit tail  ·  mcpgov audit tail -f  ·  mcpgov audit tail -n 100 --json")
    def tail(
        count: Annotated[int, typer.Option("-n", min=1, help="How many to begin with.")] = 20,
        config: Config = None,
        *,
        follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as calls end, until Ctrl-C.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Show the calls that ended last, and what happened to the gateway itself."""
        with reading(open_reader, config) as reader, contextlib.suppress(KeyboardInterrupt):
            if not as_json:
                typer.echo(line(COLUMNS))
            calls = reader.latest(count)
            show_lines(calls, as_json=as_json)
            position = calls[-1].position if calls else 0
            while follow:
                pause(POLL)
                for call in reader.after(position, AT_ONCE):
                    show_lines((call,), as_json=as_json)
                    position = call.position


def add_query(audit: typer.Typer, open_reader: OpenReader, pause: Callable[[float], None]) -> None:
    """Add the verb `query`."""

    def query(search: Search) -> None:
        """Find calls, the newest first; with --follow the oldest first. Every NAME=VALUE has to hold."""
        wanted = wanted_by(search)
        with reading(open_reader, search.config) as reader:
            if search.follow:
                follow(reader, wanted, shown_as(search), pause)
                return
            found = reader.calls(wanted)
        if not found:
            typer.echo("No call matches.", err=True)
        elif search.as_json or search.as_csv:
            shown_as(search)(found)
        else:
            show_table(found)

    audit.command(
        epilog="Examples:  mcpgov audit query --since 1h status=denied  ·  mcpgov audit query tool=delete_repository"
        " principal=ci-agent  ·  mcpgov audit query reason=rate-limited --since 2026-11-01 --json"
        "  ·  mcpgov audit query reason=consent-given  ·  mcpgov audit query connection=github --control"
        "  ·  mcpgov audit query decision=deny --follow  ·  mcpgov audit query --since 30d --limit 10000 --csv"
    )(with_options(Search, query))


def follow(
    reader: AuditReader, wanted: CallFilter, show: Callable[[Sequence[Call]], None], pause: Callable[[float], None]
) -> None:
    """Show what matches, oldest first, and go on with what ends. An end that was shown is not shown again."""
    latest = reader.latest(1)
    position = latest[-1].position if latest else 0
    found = reader.calls(wanted)[::-1]
    ended = {str(call.get("call_id")) for call in found if call.status != OPEN}
    show(found)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            pause(POLL)
            came = reader.following(wanted, position, AT_ONCE)
            show([call for call in came.calls if call.is_control or str(call.get("call_id")) not in ended])
            position = came.position


def shown_as(search: Search) -> Callable[[Sequence[Call]], None]:
    """What prints calls as they were asked for, one a line; what stands above them is printed at once."""
    if search.as_csv:
        typer.echo(heads(), nl=False)
        return show_rows
    if not search.as_json:
        typer.echo(line(COLUMNS))
    return partial(show_lines, as_json=search.as_json)


def add_show(audit: typer.Typer, open_reader: OpenReader) -> None:
    """Add the verb `show`."""

    @audit.command(epilog="Examples:  mcpgov audit show 3fa9c1d27b60  ·  mcpgov audit show 3fa9c1d27b60 --explain")
    def show(
        identifier: Annotated[
            str,
            typer.Argument(metavar="ID", help=IDENTIFIER),
        ],
        config: Config = None,
        *,
        explain: Annotated[
            bool, typer.Option("--explain", help="Also make each decision again, element by element.")
        ] = False,
        as_json: AsJson = False,
    ) -> None:
        """Show every record of one call, or of every call in one trace."""
        if explain and as_json:
            raise typer.BadParameter("--explain is told in words; leave out --json")
        with reading(open_reader, config) as reader:
            records = reader.records(encodable(identifier))
            snapshot = load_generation(config, vaults=stand_ins) if explain else None
        if not records:
            typer.echo(f"There is no record with the id {repeated(identifier)}. See `mcpgov audit query`.", err=True)
            raise typer.Exit(1)
        for record in records:
            if as_json:
                typer.echo(json.dumps(record))
            else:
                show_record(record)
                if snapshot is not None and record.get("event") in (RecordEvent.INTENT, RecordEvent.DENIED):
                    show_replayed(record, snapshot)


@contextlib.contextmanager
def reading(open_reader: OpenReader, config: Path | None) -> Generator[AuditReader]:
    """The ledger, open; what goes wrong is told on stderr and ends the verb with 1."""
    try:
        with open_reader(config) as reader:
            yield reader
    except (InvalidConfiguration, StoreUnavailable) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def wanted_by(search: Search) -> CallFilter:
    """The filter that was asked for. Raises typer.BadParameter."""
    since, until = span(search.since, search.until, datetime.now(UTC))
    if search.as_json and search.as_csv:
        raise typer.BadParameter("--json and --csv are two forms of one answer; leave one out")
    if search.follow and until:
        raise typer.BadParameter("--follow has no end; leave out --until")
    wanted = filtered(search.where or [])
    return replace(wanted, since=since, until=until, limit=search.limit, control=search.control)


def span(since: str, until: str, now: datetime) -> tuple[datetime | None, datetime | None]:
    """A span of time, each end as moment() reads it. Raises typer.BadParameter."""
    first, end = moment(since, now), moment(until, now)
    if first and end and end <= first:
        raise typer.BadParameter("no call is before --until and not before --since; swap them, or leave one out")
    return first, end


def filtered(where: Sequence[str], names: Sequence[str] = FILTERS) -> CallFilter:
    """The filter that NAME=VALUE arguments make. Raises typer.BadParameter."""
    wanted = CallFilter()
    for item in where:
        name, equals, value = item.partition("=")
        if name not in names or not equals:
            raise typer.BadParameter(f"{repeated(item)}: write NAME=VALUE with one of {', '.join(names)}")
        if name in CLOSED and value not in CLOSED[name]:
            raise typer.BadParameter(f"{repeated(item)}: there is no such {name}; {nearest(value, CLOSED[name])}")
        wanted = replace(wanted, **{name: encodable(value)})
    return wanted


def moment(text: str, now: datetime) -> datetime | None:
    """A time, given as how long ago (15m, 2h, 7d) or in ISO 8601; UTC unless it says. Raises typer.BadParameter."""
    if not text:
        return None
    ago = AGO.fullmatch(text)
    try:
        at = now - timedelta(**{UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        message = f"{repeated(text)} is not a time; write 15m, 2h, 7d or 2026-11-20T08:00"
        raise typer.BadParameter(message) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def cells(call: Call) -> tuple[str, ...]:
    """What the columns show of a call."""
    what = call.get("gen_ai.tool.name") or call.get("mcp.method.name") or call.get("mcpgov.kind")
    total = call.get("mcpgov.latency.total_us")
    shown = (
        str(call.begun.get("ts") or "")[:19].replace("T", " "),
        call.get("mcpgov.principal.name") or call.get("mcpgov.principal.id") or who(call.begun),
        call.get("mcpgov.connection") or which(call.begun),
        call.get("mcpgov.control.what") or "mcpgov" if call.is_control else what,
        call.reason,
        call.status,
        f"{total / 1000:.1f}" if isinstance(total, int) else None,
        str(next((found for name in IDS if (found := call.get(name))), ""))[:ID],
    )
    return tuple(printable(value) for value in shown)


def line(values: Sequence[str]) -> str:
    """Columns on one line; what is too long for its column pushes the rest along."""
    return "  ".join(value.ljust(width) for value, width in zip(values, WIDTHS, strict=True)).rstrip()


def show_lines(calls: Sequence[Call], *, as_json: bool) -> None:
    """Calls, one a line."""
    for call in calls:
        typer.echo(json.dumps(call.fields) if as_json else line(cells(call)))


def show_rows(calls: Sequence[Call]) -> None:
    """Calls as rows of CSV."""
    for call in calls:
        typer.echo(row_of(printable(cell) for cell in cells_of(call)), nl=False)


def show_table(calls: Sequence[Call]) -> None:
    """Calls as a table; a day that they all share is said once, and a narrow terminal is spared what can be spared."""
    console, rows = Console(highlight=False), [cells(call) for call in calls]
    days = {row[0][:10] for row in rows}
    if len(days) == 1:
        console.print(f"calls of {days.pop()}")
        rows = [(row[0][11:], *row[1:]) for row in rows]
    titles = [title for title in COLUMNS if console.width >= SPARED.get(title, 0)]
    table = Table(box=None, pad_edge=False)
    for title in titles:
        whole = title in {COLUMNS[0], COLUMNS[-1]}  # what is copied, or read down the column, is not shortened
        table.add_column(one_line(title), justify="right" if title == "ms" else "left", no_wrap=whole)
    for call, row in zip(calls, rows, strict=True):
        shown = (one_line(cell) for title, cell in zip(COLUMNS, row, strict=True) if title in titles)
        table.add_row(*shown, style=STYLES.get(str(call.status), ""))
    console.print(table)


def one_line(text: str) -> Text:
    """Text that is shortened where there is no room for it. A column that may not wrap would never be made narrower."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def show_record(record: Record) -> None:
    """One record, field by field."""
    table = Table(
        box=None, pad_edge=False, show_header=False, title=printable(record.get("event")), title_justify="left"
    )
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, value in record.items():
        laid_out = readable(name, value)
        lines = laid_out.split("\n") if laid_out else [value]
        table.add_row(Text(name), Text("\n".join(map(printable, lines))))
    Console(highlight=False).print(table)
