"""`mcpgov catalog diff|approve|reject`: what waits for a person, and what they decide. Rules: pinning/judgement.py.

What is shown is what is decided about: the whole digest that was looked at goes with the decision, because of a part of
one it takes minutes to make two definitions that share it; and where the server lists another definition by then,
nothing is decided. What a server says is printed so that nothing of it hides or acts.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from dataclasses import field
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from mcpgov.accounts import local_user
from mcpgov.catalog_files import load_catalog
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import plural, printable, repeated
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.pinning.approval import ALGORITHM, counted, described, look_at, meant, name_of, short
from mcpgov.pinning.finding import path_text
from mcpgov.pinning.judgement import PinState, approve, reject
from mcpgov.pinning.place import name_in, place_in
from mcpgov.pinning.signature import new_tool_lines
from mcpgov.policy.glob import is_tool_name
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mcpgov.pinning.approval import DecidedPins, Looked
    from mcpgov.pinning.judgement import Pin
    from mcpgov.pinning.pin_store import KnownServer

    OpenPins = Callable[[Path | None], AbstractAsyncContextManager[DecidedPins]]

T = TypeVar("T")

FAILED, MISUSED = 1, 2  # exit codes
WHOLE = re.compile(r"[0-9a-f]{64}")  # the digits of a digest that names a definition
LATE = "the server lists another definition by now"

Name = Annotated[str, typer.Argument(help="The server, like com.contoso/github, or one of its connections.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Place = Annotated[str, typer.Option(help="Where the server is, as `diff` shows it; needed where it is at several.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, it is only shown.")]


@frozen
class Approved:
    """What `approve` was asked for."""

    name: Name
    tools: Annotated[
        list[str] | None,
        typer.Argument(help="Tools; with @sha256:… only if that is what the server still lists.", metavar="[TOOL]…"),
    ] = field(default_factory=list[str])
    every: Annotated[bool, typer.Option("--all", help="Everything that waits.")] = False
    place: Place = ""
    yes: Yes = False
    config: Config = None
    as_json: AsJson = False


def add_approval(catalog: typer.Typer, open_pins: OpenPins) -> None:
    """Add the verbs `diff`, `approve` and `reject`."""
    add_diff(catalog, open_pins)
    add_approve(catalog, open_pins)
    add_reject(catalog, open_pins)


def add_diff(catalog: typer.Typer, open_pins: OpenPins) -> None:
    """Add the verb `diff`."""

    @catalog.command(
        epilog="Examples:  mcpgov catalog diff  ·  mcpgov catalog diff com.contoso/github  ·"
        "  mcpgov catalog diff github get_issue"
    )
    def diff(
        name: Annotated[str, typer.Argument(help="The server, or one of its connections; without, all of them.")] = "",
        tool: Annotated[str, typer.Argument(help="One tool, whatever its state.")] = "",
        config: Config = None,
        *,
        full: Annotated[bool, typer.Option("--full", help="Of new tools too, a line for each value.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Show what waits for a person: what is new, what changed since it was approved, and what looks odd."""
        if not name:
            tell_waiting(told(waiting(open_pins, config)), as_json=as_json)
            return
        server = server_named(config, name)
        looked = told(look(open_pins, config, server))
        found = listed(looked, tool, name) if tool else [one for one in looked if one.waits]
        if as_json:
            typer.echo(json.dumps([described(one) for one in found], indent=2))
            return
        for line in shown(server, found, full=full):
            typer.echo(line)
        if not tool:
            typer.echo(summary(looked))


def add_approve(catalog: typer.Typer, open_pins: OpenPins) -> None:
    """Add the verb `approve`."""

    def approve_(asked: Approved) -> None:
        """Approve tools as their server lists them now; they show from then on, until they change."""
        server = server_named(asked.config, asked.name)
        looked = told(look(open_pins, asked.config, server))
        if asked.every:
            found = [one for one in looked if one.waits and asked.place in ("", one.place)]
        else:
            found = [named(looked, tool, asked.name, asked.place) for tool in asked.tools or ()]
        if not found:
            typer.echo(summary(looked), err=True)
            raise typer.Exit(0 if asked.every else MISUSED)
        pins = [decided(approve, one.pin) for one in found]
        require_yes(server, found, "approved", yes=asked.yes)
        left = told(decide(open_pins, asked.config, pins, "approve"))
        tell(pins, left, "approved", as_json=asked.as_json)

    catalog.command(
        "approve",
        epilog="Examples:  mcpgov catalog approve github --all --yes  ·  mcpgov catalog approve com.contoso/github"
        " get_issue --yes",
    )(with_options(Approved, approve_))


def add_reject(catalog: typer.Typer, open_pins: OpenPins) -> None:
    """Add the verb `reject`."""

    @catalog.command("reject", epilog="Example:  mcpgov catalog reject github delete_repository --yes")
    def reject_(
        name: Name,
        tool: Annotated[str, typer.Argument(help="The tool.")],
        place: Place = "",
        config: Config = None,
        *,
        yes: Yes = False,
        as_json: AsJson = False,
    ) -> None:
        """Reject a tool as its server lists it now; where that was approved, the approval is taken back."""
        server = server_named(config, name)
        found = [named(told(look(open_pins, config, server)), tool, name, place)]
        pins = [decided(reject, one.pin) for one in found]
        require_yes(server, found, "rejected", yes=yes)
        tell(pins, told(decide(open_pins, config, pins, "reject")), "rejected", as_json=as_json)


def server_named(config: Path | None, name: str) -> str:
    """The server that is meant by its own name or that of a connection. Ends the verb where the catalog has none."""
    catalog = load_catalog(config)
    connections = {one.connection.name: entry.name for entry in catalog.entries for one in entry.connections}
    servers = {entry.name for entry in catalog.entries}
    if name not in servers and name not in connections:
        mend = f": {nearest(name, [*servers, *connections])}" if servers else ""
        fail(f"There is no server {repeated(name)} in {catalog.folder}{mend}", MISUSED)
    return name if name in servers else connections[name]


async def waiting(open_pins: OpenPins, config: Path | None) -> Sequence[KnownServer]:
    """The servers of the catalog of which tools wait, by name and place."""
    names = {entry.name for entry in load_catalog(config).entries}
    async with open_pins(config) as pins:
        servers = [known for known in await pins.servers() if name_in(known.name) in names]
    found = [known for known in servers if any(pin.waits for pin in known.pins.values())]
    return sorted(found, key=lambda known: known.name)


def tell_waiting(servers: Sequence[KnownServer], *, as_json: bool) -> None:
    """Say of each server how many of its tools wait."""
    rows: list[tuple[str, str, dict[str, int]]] = []
    for known in servers:
        counts = counted(pin.state for pin in known.pins.values() if pin.waits)
        rows.append((name_in(known.name), place_in(known.name), {str(state): count for state, count in counts.items()}))
    if as_json:
        typer.echo(json.dumps([{"server": name, "place": place, **counts} for name, place, counts in rows], indent=2))
        return
    for name, place, counts in rows:
        where = f" at {printable(place)}" if place else ""
        typer.echo(f"{printable(name)}{where}: {said(counts)}")
    total = sum(count for _, _, counts in rows for count in counts.values())
    mend = "; look at them with mcpgov catalog diff NAME" if total else ""
    typer.echo(
        f"{plural(total, 'tool')} waiting at {plural(len({name for name, _, _ in rows}), 'server')}{mend}"
        if rows
        else "Nothing waits."
    )


async def look(open_pins: OpenPins, config: Path | None, server: str) -> Sequence[Looked]:
    """The tools of a server as a person sees them. Ends the verb where nobody has listed any."""
    async with open_pins(config) as pins:
        looked = await look_at(pins, server)
    if not looked:
        fail(
            f"Nobody has listed the tools of {printable(server)} yet. Start the gateway (mcpgov serve), or list them:"
            " mcpgov connections test NAME"
        )
    return looked


async def decide(open_pins: OpenPins, config: Path | None, pins: Sequence[Pin], how: str) -> Sequence[Pin]:
    """Keep what was decided; gives back those of which another definition is listed by now."""
    at, by = datetime.now(UTC), local_user()
    async with open_pins(config) as store:
        return await (store.approve if how == "approve" else store.reject)(pins, at, by)


def listed(looked: Sequence[Looked], tool: str, server: str) -> list[Looked]:
    """The tool, at each place. Ends the verb where the server has listed no such."""
    found = [one for one in looked if one.pin.tool == tool]
    if not found:
        near = printable(nearest(tool, [name_of(one.pin) for one in looked if one.pin.tool]))
        fail(f"{printable(server)} has listed no tool {repeated(tool)}: {near}", MISUSED)
    return found


def named(looked: Sequence[Looked], asked: str, server: str, place: str) -> Looked:
    """The one tool that was asked for, as TOOL or TOOL@sha256:DIGITS. Ends the verb where there is none, or where it is
    not said which.
    """
    tool, at, digits = asked.rpartition(f"@{ALGORITHM}")
    if not at:
        tool, digits = asked, ""
    of_tool = listed(looked, tool, server)
    if at and not WHOLE.fullmatch(digits):
        why = "fewer may be those of another definition, too; look at it first: mcpgov catalog diff"
        fail(f"Write all 64 digits (0-9, a-f) after @{ALGORITHM}: {why}", MISUSED)
    digest = f"{ALGORITHM}{digits}" if at else ""
    found = meant([one.pin for one in of_tool], tool, digest, place)
    if not found:
        places = "; ".join(printable(one.place) for one in of_tool)
        fail(f"{repeated(tool)} is not listed at {repeated(place)}, but at {places}", MISUSED)
    if at and digest not in {pin.digest for pin in found}:
        fail(f"{repeated(tool)}: {LATE}; look at it first: mcpgov catalog diff")
    if len(found) > 1:
        places = "; ".join(printable(place_in(pin.server)) for pin in found)
        fail(f"{repeated(tool)} is listed at several places, say which with --place: {places}", MISUSED)
    return next(one for one in of_tool if one.pin == found[0])


def decided(how: Callable[[Pin, str], Pin], pin: Pin) -> Pin:
    """The pin after the decision. Ends the verb where none can be taken."""
    try:
        return how(pin, pin.digest)
    except ValueError as error:
        fail(f"{name_of(pin)}: {error}")


def require_yes(server: str, found: Sequence[Looked], what: str, *, yes: bool) -> None:
    """Show what would be decided, and end the verb, unless that was said already."""
    if yes:
        return
    for line in shown(server, found):
        typer.echo(line)
    typer.echo(f"{len(found)} would be {what}. Say --yes to do it.", err=True)
    raise typer.Exit(MISUSED)


def tell(pins: Sequence[Pin], left: Sequence[Pin], what: str, *, as_json: bool) -> None:
    """Say what was decided, and what was not."""
    done = [pin for pin in pins if pin not in left]
    if as_json:
        typer.echo(json.dumps([row(pin) for pin in done], indent=2))
    else:
        for pin in done:
            typer.echo(f"{what} {name_of(pin)} {short(pin.digest)}{at(pin)}")
    for pin in left:
        typer.echo(f"{name_of(pin)}: {LATE}; it was not {what}", err=True)
    if left:
        raise typer.Exit(FAILED)


def row(pin: Pin) -> dict[str, str]:
    """A pin that was decided about, as JSON."""
    whose = {"server": name_in(pin.server), "place": place_in(pin.server)}
    return {**whose, "tool": pin.tool, "digest": pin.digest, "state": str(pin.state)}


def at(pin: Pin) -> str:
    """Where a tool is."""
    place = place_in(pin.server)
    return f" at {printable(place)}" if place else ""


def shown(server: str, found: Sequence[Looked], *, full: bool = False) -> Iterator[str]:
    """Tools for a person, place by place: the state, what changed, what the lint found, and how to decide.

    `full`: new ones value by value.
    """
    for place, tools in groupby(found, lambda one: one.place):
        if place:
            yield f"{printable(server)} at {printable(place)}"
            yield ""
        for one in tools:
            yield from shown_tool(server, one, full=full)


def shown_tool(server: str, one: Looked, *, full: bool) -> Iterator[str]:
    """One of them."""
    pin = one.pin
    yield f"{name_of(pin)} is {pin.state}{because(one)}"
    yield from one.lines if full else new_tool_lines(one.differences) or one.lines
    for finding in one.findings:
        yield f"{finding.severity}: {path_text(finding.path)}: {finding.message}"
    if one.waits and is_tool_name(pin.tool):  # other names could do something else in a shell
        where = f" --place {shlex.quote(one.place)}" if is_plain(one.place) else ""
        yield f"to approve it: mcpgov catalog approve {printable(server)} {pin.tool}@{pin.digest}{where} --yes"
    yield ""


def is_plain(place: str) -> bool:
    """Whether a place can be typed as it is printed."""
    return bool(place) and printable(place) == place


def because(one: Looked) -> str:
    """What belongs to the state of a tool."""
    pin, by = one.pin, one.kept.decided_by or "nobody, at first sight"
    if pin.state is PinState.UNFIT:
        return f": {printable(pin.fault)}"
    if pin.state in {PinState.APPROVED, PinState.REJECTED}:
        return f" by {printable(by)}: {short(pin.digest)}"
    return f": {short(pin.approved)} was approved, {short(pin.digest)} is listed" if pin.approved else ""


def summary(looked: Sequence[Looked]) -> str:
    """How many tools there are in each state."""
    return said(counted(one.pin.state for one in looked))


def said(counts: Mapping[Any, int]) -> str:
    """So many of each state, in words."""
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def told(work: Coroutine[Any, Any, T]) -> T:
    """What came of it. Ends the verb where the store cannot be used."""
    try:
        return asyncio.run(work)
    except (InvalidConfiguration, StoreUnavailable) as error:
        fail(str(error))


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say what is wrong on stderr, and end the verb."""
    typer.echo(message, err=True)
    raise typer.Exit(code)
