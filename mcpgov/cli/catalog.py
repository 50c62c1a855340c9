"""`mcpgov catalog`: what is listed, and what is changed of it. The files are the truth; no verb keeps anything else.

No secret is shown: of a URL neither the query nor what stands before the host, of a key its name alone. What is
exported holds references where the file holds secrets.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeGuard
from urllib.parse import parse_qsl, urlsplit

import typer

from mcpgov.catalog.listing import Status
from mcpgov.catalog.server_json import server_json, withheld
from mcpgov.catalog.withheld import names_a_secret
from mcpgov.catalog_files import load_catalog, with_status, write_again, write_new
from mcpgov.cli.check import in_columns
from mcpgov.cli.connections import described as described_connection
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable, repeated
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.models import AuthType
from mcpgov.pinning.approval import standings_of
from mcpgov.settings_file import read_text
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    from mcpgov.catalog.entries import Entry
    from mcpgov.catalog_files import Catalog
    from mcpgov.pinning.approval import DecidedPins

    OpenPins = Callable[[Path | None], AbstractAsyncContextManager[DecidedPins]]

FAILED, MISUSED = 1, 2  # exit codes
HEADINGS = ("name", "version", "status", "publisher", "registry", "authentication", "connections")
WAITS = "waits"  # a column where a store is there

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Name = Annotated[str, typer.Argument(help="The server, like com.contoso/github, or one of its connections.")]
Version = Annotated[str, typer.Option(help="Which version; needed where there are several.")]


@frozen
class Wanted:
    """What `list` was asked for."""

    search: Annotated[str, typer.Argument(help="A part of a name, title or description.")] = ""
    publisher: Annotated[str, typer.Option(help="Only those of one publisher.")] = ""
    category: Annotated[str, typer.Option(help="Only those of one category.")] = ""
    registry: Annotated[str, typer.Option(help="Only those of one registry.")] = ""
    environment: Annotated[str, typer.Option(help="Only those of one environment.")] = ""
    authentication: Annotated[
        str, typer.Option(help="Only those that clients sign in to so: CustomKeys, OAuth2, AgenticIdentityToken, …")
    ] = ""
    status: Annotated[str, typer.Option(help="active, deprecated or deleted. Default: all but deleted.")] = ""
    config: Config = None
    as_json: AsJson = False


def build_catalog(open_pins: OpenPins | None = None) -> typer.Typer:
    """The sub-commands of `mcpgov catalog` that read and change single files. `open_pins` says what waits."""
    catalog = typer.Typer(no_args_is_help=True, help="The private catalog: what is served and listed.")
    add_list(catalog, open_pins)
    add_show(catalog)
    add_export(catalog)
    add_deprecate(catalog)
    add_remove(catalog)
    return catalog


def add_list(catalog: typer.Typer, open_pins: OpenPins | None) -> None:
    """Add the verb `list`."""

    def list_(wanted: Wanted) -> None:
        """List the servers of the catalog. Exits 1 where a file cannot be read; the others are listed all the same."""
        require_known("--status", wanted.status, Status)
        require_known("--authentication", wanted.authentication, AuthType)
        read = load_catalog(wanted.config)
        rows = [described(entry) for entry in sorted(read.entries, key=lambda one: (one.name, one.version))]
        rows = [row for row in rows if fits(row, wanted)]
        waits = asyncio.run(waiting(open_pins, wanted.config)) if open_pins else None
        if waits is not None:
            rows = [{**row, WAITS: waits.get(row["name"], 0)} for row in rows]
        headings = HEADINGS if waits is None else (*HEADINGS, WAITS)
        if wanted.as_json:
            typer.echo(json.dumps(rows, indent=2))
        else:
            for line in in_columns([headings, *(_cells(row, headings) for row in rows)]):
                typer.echo(line)
            if not rows:
                typer.echo(f"No server of {read.folder} is asked for so.", err=True)
        tell_problems(read)

    catalog.command(
        "list",
        epilog="Examples:  mcpgov catalog list  ·  mcpgov catalog list search --publisher Microsoft --json"
        "  ·  mcpgov catalog list --authentication OAuth2 --status deprecated",
    )(with_options(Wanted, list_))


def add_show(catalog: typer.Typer) -> None:
    """Add the verb `show`."""

    @catalog.command(epilog="Examples:  mcpgov catalog show com.contoso/github  ·  mcpgov catalog show github --json")
    def show(name: Name, version: Version = "", config: Config = None, *, as_json: AsJson = False) -> None:
        """Show a server: what is listed of it, its connections, and the file that says so."""
        read = load_catalog(config)
        entry = find(read, name, version)
        tell_problems(read, end=False)
        row = described(entry)
        if as_json:
            typer.echo(json.dumps(row, indent=2))
            return
        for key, value in row.items():
            if value and key != "connections":
                typer.echo(f"{key:<16}{printable(value) if isinstance(value, str) else _line(value)}")
        for one in entry.connections:
            typer.echo(f"/mcp/{one.connection.name}")
            for key, value in described_connection(one.connection).items():
                if value and key not in ("name", "server"):
                    typer.echo(f"  {key:<16}{printable(value)}")


def add_export(catalog: typer.Typer) -> None:
    """Add the verb `export`."""

    @catalog.command(
        epilog="Examples:  mcpgov catalog export com.contoso/github > server.json  ·  mcpgov catalog export github"
        " -o server.json"
    )
    def export(
        name: Name,
        version: Version = "",
        output: Annotated[Path | None, typer.Option("-o", "--output", help="A file that is not there yet.")] = None,
        config: Config = None,
    ) -> None:
        """Print a server as the MCP registry's server.json, with all that is ours in its _meta.

        It is the operator's view: it names the upstream. A secret that the file holds is not in it.
        """
        read = load_catalog(config)
        entry = find(read, name, version)
        tell_problems(read, end=False)
        text = json.dumps(server_json(entry), indent=2, ensure_ascii=False) + "\n"
        if output is None:
            typer.echo(text, nl=False)
        else:
            write(output, text)
        for line in (*withheld(entry), *_query(entry)):
            typer.echo(f"note: {printable(line)}", err=True)


def add_deprecate(catalog: typer.Typer) -> None:
    """Add the verb `deprecate`."""

    @catalog.command(epilog="Example:  mcpgov catalog deprecate com.contoso/github --version 1.0.0")
    def deprecate(name: Name, version: Version = "", config: Config = None) -> None:
        """Mark a version of a server as deprecated: it is served as before, and clients are told."""
        read = load_catalog(config)
        entry = find(read, name, version)
        place = Path(entry.source.file)
        try:
            text = read_text(place)
            write_again(place, with_status(text, str(place), Status.DEPRECATED))
        except InvalidConfiguration as invalid:
            fail(str(invalid))
        except OSError as error:
            fail(f"{error.filename} cannot be written: {error.strerror}")
        typer.echo(f"{printable(entry.name)} {entry.version} is deprecated, in {place}.")


def add_remove(catalog: typer.Typer) -> None:
    """Add the verb `remove`."""

    @catalog.command(epilog="Example:  mcpgov catalog remove com.contoso/github --version 1.0.0 --yes")
    def remove(
        name: Name,
        version: Version = "",
        config: Config = None,
        *,
        yes: Annotated[bool, typer.Option("--yes", help="Delete the file.")] = False,
    ) -> None:
        """Delete the file of a server. To keep it listed as gone, write status: deleted instead."""
        read = load_catalog(config)
        entry = find(read, name, version)
        place = Path(entry.source.file)
        paths = ", ".join(f"/mcp/{one.connection.name}" for one in entry.connections) or "nothing"
        if not yes:
            typer.echo(f"{place} would be deleted, and {paths} served no more. Say --yes to do it.", err=True)
            raise typer.Exit(MISUSED)
        try:
            place.unlink()
        except OSError as error:
            fail(f"{place} cannot be deleted: {error.strerror}")
        typer.echo(f"Deleted {place}; {paths} is served no more.")


def find(catalog: Catalog, name: str, version: str) -> Entry:
    """The one entry that is meant. Ends the verb where there is none, or more than one."""
    named = [entry for entry in catalog.entries if name == entry.name or name in _connections(entry)]
    if not named:
        tell_problems(catalog, end=False)
        known = {entry.name for entry in catalog.entries} | set(catalog.connections)
        mend = f": {nearest(name, known)}" if known else ""
        fail(f"There is no server {repeated(name)} in {catalog.folder}{mend}", MISUSED)
    found = [entry for entry in named if version in ("", entry.version)]
    versions = ", ".join(sorted(entry.version for entry in named))
    if not found:
        fail(f"{printable(named[0].name)} has no version {repeated(version)}: it is there as {versions}", MISUSED)
    if len(found) > 1:
        fail(f"{printable(named[0].name)} is there as {versions}: say --version", MISUSED)
    return found[0]


def _connections(entry: Entry) -> tuple[str, ...]:
    return tuple(one.connection.name for one in entry.connections)


def described(entry: Entry) -> dict[str, Any]:
    """An entry as JSON, without a secret."""
    listing = entry.listing
    return {
        "name": entry.name,
        "title": entry.title,
        "version": entry.version,
        "description": entry.description,
        "status": str(listing.status),
        "publisher": listing.publisher,
        "categories": list(listing.categories),
        "registry": listing.registry,
        "environments": list(listing.environments),
        "owner": listing.owner,
        "contacts": [{"name": one.name, "email": one.email, "url": one.url} for one in listing.contacts],
        "pin": str(listing.pin),
        "authentication": sorted({one.connection.client_auth_type.value for one in entry.connections}),
        "connections": [described_connection(one.connection) for one in entry.connections],
        "file": entry.source.file,
    }


def require_known(option: str, said: str, words: Iterable[str]) -> None:
    """End the verb where an option says a word that nothing is called; case does not matter."""
    known = [str(word) for word in words]
    if said and said.lower() not in _lowered(known):
        fail(f"{option} {repeated(said)} is none of {', '.join(known)}", MISUSED)


def fits(row: dict[str, Any], wanted: Wanted) -> bool:
    """Whether a row is asked for; case does not matter."""
    text = "\n".join((row["name"], row["title"], row["description"])).lower()
    asked = {
        "publisher": wanted.publisher,
        "categories": wanted.category,
        "registry": wanted.registry,
        "environments": wanted.environment,
        "authentication": wanted.authentication,
        "status": wanted.status,
    }
    if wanted.search.lower() not in text or (not wanted.status and row["status"] == Status.DELETED):
        return False
    return all(not said or said.lower() in _lowered(row[key]) for key, said in asked.items())


def _lowered(value: str | Iterable[str]) -> list[str]:
    return [word.lower() for word in ([value] if isinstance(value, str) else value)]


async def waiting(open_pins: OpenPins, config: Path | None) -> Mapping[str, int] | None:
    """How many tools of each server wait for a person; None where no gateway has kept any, or that cannot be read."""
    try:
        async with open_pins(config) as pins:
            return {name: standing.waiting for name, standing in standings_of(await pins.servers()).items()}
    except (InvalidConfiguration, StoreUnavailable):
        return None


def _cells(row: dict[str, Any], headings: Iterable[str]) -> list[str]:
    cells = {**row, "connections": [one["name"] for one in row["connections"]], WAITS: str(row.get(WAITS) or "")}
    return [printable(cells[key]) if isinstance(cells[key], str) else _line(cells[key]) for key in headings]


def _line(values: Iterable[Any]) -> str:
    return printable(
        ", ".join(" ".join(filter(None, one.values())) if _is_contact(one) else str(one) for one in values)
    )


def _is_contact(value: object) -> TypeGuard[dict[str, str]]:
    return isinstance(value, dict)


def _query(entry: Entry) -> Iterable[str]:
    """That the URL of the upstream may hold a secret, which stands in what is exported."""
    url = str(entry.source.value.get("upstream", "")) if isinstance(entry.source.value, dict) else ""
    names = [name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True) if names_a_secret(name)]
    if names:
        yield f"the URL of the upstream has {', '.join(names)} in its query: look whether that is a secret"


def write(place: Path, text: str) -> None:
    """Write a file that is not there yet, or end the verb."""
    try:
        write_new(place, text)
    except FileExistsError:
        fail(f"{place} is there already; nothing was written.")
    except OSError as error:
        fail(f"{place} cannot be written: {error.strerror}")


def tell_problems(catalog: Catalog, *, end: bool = True) -> None:
    """Say on stderr which files cannot be read, and end the verb where there are any."""
    for problem in catalog.problems:
        typer.echo(str(problem), err=True)
    if catalog.problems and end:
        raise typer.Exit(FAILED)


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say what is wrong on stderr, and end the verb."""
    typer.echo(message, err=True)
    raise typer.Exit(code)
