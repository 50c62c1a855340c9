"""`mcpgov store migrate`: the schema of the stores, said and brought up to date. Rules are in mcpgov.store.migration.

A gateway that starts does the same by itself. `--check` changes nothing, and exits with 1 where there is something to
do.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from mcpgov.cli.check import Json, in_columns
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    OpenMigrations = Callable[[Path | None], Sequence["Migration"]]


class Version(Protocol):
    """A store and the version of its schema."""

    @property
    def place(self) -> str:
        """Where it is, without a password."""
        ...

    @property
    def found(self) -> int:
        """Its version; 0 where there are no tables."""
        ...

    @property
    def wanted(self) -> int:
        """The version that this release wants."""
        ...

    @property
    def current(self) -> bool:
        """Whether there is nothing to be done."""
        ...


class Migration(Protocol):
    """The schema of one store. Both raise StoreUnavailable, InvalidConfiguration (newer)."""

    def version(self) -> Version:
        """What there is."""
        ...

    def migrate(self) -> Version:
        """Bring it up to date. What there was before."""
        ...


def build_store(open_migrations: OpenMigrations) -> typer.Typer:
    """The verbs of stores."""
    store = typer.Typer(help="The stores that the settings name.", no_args_is_help=True)

    @store.callback()
    def group() -> None:
        """The stores that the settings name."""

    @store.command(
        epilog="Examples:  mcpgov store migrate --check"
        "  ·  mcpgov store migrate --config /etc/mcpgov/mcpgov.yaml --json"
    )
    def migrate(
        config: Config = None,
        *,
        check: Annotated[
            bool, typer.Option("--check", help="Only say; exit with 1 where there is something to do.")
        ] = (False),
        as_json: Json = False,
    ) -> None:
        """Bring every store to the schema of this release, while gateways run."""
        try:
            stores = open_migrations(config)
            versions = [one.version() if check else one.migrate() for one in stores]
        except (InvalidConfiguration, StoreUnavailable) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        show(versions, check=check, as_json=as_json)
        if check and not all(version.current for version in versions):
            raise typer.Exit(1)

    return store


def show(versions: Sequence[Version], *, check: bool, as_json: bool) -> None:
    """Print what there was, and what was done."""
    if as_json:
        found = [
            {"store": one.place, "schema": one.found, "wanted": one.wanted, "state": state(one, check=check)}
            for one in versions
        ]
        typer.echo(json.dumps({"stores": found}, indent=2))
        return
    rows = [(one.place, str(one.found), str(one.wanted), state(one, check=check)) for one in versions]
    for line in in_columns([("STORE", "SCHEMA", "WANTED", ""), *rows]):
        typer.echo(line)


def state(version: Version, *, check: bool) -> str:
    """What became of a store, or would."""
    if version.found == version.wanted:
        return "up to date"
    if version.current:
        return "not there yet; mcpgov serve makes it"
    return "older: run mcpgov store migrate" if check else "migrated"
