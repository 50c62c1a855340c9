"""`mcpgov backup` and `mcpgov restore`: a gateway in one file, and back from it. Rules are in mcpgov.backup."""

from __future__ import annotations

import contextlib
import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcpgov.backup.manifest import BadArchive
from mcpgov.backup.saving import restore_folder, restore_store, save
from mcpgov.cli.check import Json
from mcpgov.cli.printable import plural, printable
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime

    from mcpgov.backup.manifest import Manifest
    from mcpgov.backup.saving import Gateway, Saved

    ToSave = Callable[[Path | None], Gateway]
    Dump = Callable[[Path | None], str]
    FindStore = Callable[[Path | None], Path | None]

WITH_SECRETS = (
    "Also the keys beside the store, and files that ${file:…} names in the settings' own folder. WARNING: whoever has"
    " the file can then open consents and sign as this gateway; keep it as you keep keys."
)
INTO = "A folder that is not there yet: everything in the archive goes there."
FOR = "A settings file that is there: the store, and keys that are in the archive, go where it names them."


def add_backup(app: typer.Typer, to_save: ToSave, dump: Dump, now: Callable[[], datetime]) -> None:
    """Add the verb `backup`. `dump` is what saves a store that is a server."""

    @app.command(
        epilog="Examples:  mcpgov backup /backups/gateway.tar  ·  mcpgov backup gateway.tar --with-secrets --json"
    )
    def backup(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="The archive; nothing is replaced.")],
        config: Config = None,
        *,
        with_secrets: Annotated[bool, typer.Option("--with-secrets", help=WITH_SECRETS)] = False,
        as_json: Json = False,
    ) -> None:
        """Save settings, catalog, policies and the store in one file for you alone (0600), while the gateway runs.

        A PostgreSQL is not saved: the command that does it is printed.
        """
        with told(file):
            saved = save(to_save(config), file, now(), with_secrets=with_secrets)
            command = dump(config)
        if as_json:
            typer.echo(
                json.dumps({"file": str(file), "sha256": saved.sha256, "dump": command, **shape(saved.manifest)})
            )
        else:
            show_saved(file, saved, command)


def add_restore(app: typer.Typer, find_store: FindStore, newest: int) -> None:
    """Add the verb `restore`. `newest` is the schema that this release reads."""

    @app.command(
        epilog="Examples:  mcpgov restore gateway.tar --into ./gateway"
        "  ·  mcpgov restore gateway.tar --config /etc/mcpgov/mcpgov.yaml"
    )
    def restore(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="What `mcpgov backup` wrote.")],
        into: Annotated[Path | None, typer.Option("--into", metavar="FOLDER", help=INTO)] = None,
        config: Annotated[Path | None, typer.Option("--config", "-c", help=FOR)] = None,
        *,
        as_json: Json = False,
    ) -> None:
        """Make a gateway of an archive, once all of it was held against its digests. Nothing is replaced.

        Stop the gateway that was saved, first: two that go on from one store share its keys and not their records.
        """
        if (into is None) == (config is None):
            raise typer.BadParameter("say where to: --into FOLDER, or --config FILE for the store alone")
        with told(file):
            if into is not None:
                manifest, place = restore_folder(file, into, newest), into / "mcpgov.yaml"
            else:
                store, place = find_store(config), config
                if store is None:
                    raise BadArchive("the settings name a PostgreSQL, and pg_restore puts that back")
                manifest = restore_store(file, store, newest)
        if as_json:
            typer.echo(json.dumps({"restored": str(into or config), **shape(manifest)}))
        else:
            show_restored(manifest, place, into)


@contextlib.contextmanager
def told(file: Path) -> Generator[None]:
    """What goes wrong is told on stderr, and ends the verb with 1."""
    try:
        yield
    except BadArchive as error:
        typer.echo(f"{file}: {printable(str(error))}", err=True)
        raise typer.Exit(1) from error
    except (InvalidConfiguration, StoreUnavailable, OSError) as error:
        typer.echo(printable(str(error)), err=True)
        raise typer.Exit(1) from error


def shape(manifest: Manifest) -> dict[str, Any]:
    """A manifest as JSON has it, without the member of each file."""
    return asdict(manifest) | {"members": sorted(manifest.members)}


def show_saved(file: Path, saved: Saved, command: str) -> None:
    """Say what is in an archive, and what is not."""
    manifest = saved.manifest
    copied = f", the store with schema {manifest.copy.schema}" if manifest.copy else ""
    typer.echo(f"{file}: {plural(len(manifest.members), 'file')}{copied}")
    typer.echo(f"sha256 {saved.sha256}")
    if command:
        typer.echo(f"\nThe store is a PostgreSQL, and not in it. Save that with:\n\n    {command}")
    elif not manifest.copy:
        typer.echo("\nThere is no store yet: no gateway has started with these settings.")
    show_needs(manifest, "Not in it, and needed to go on from it:")


def show_restored(manifest: Manifest, place: Path | None, into: Path | None) -> None:
    """Say what was made, what is still to be done, and how to prove it."""
    typer.echo(
        f"{plural(len(manifest.members) if into else len(manifest.of_store), 'file')}, as of {manifest.made_at}."
    )
    for key, path in sorted(manifest.elsewhere.items()) if into else ():
        typer.echo(f"The settings name {printable(path)} as {key}: change that to what was restored, before you start.")
    show_needs(manifest, "Put back before you start, or other keys are made in their place:")
    typer.echo(f"\nThen:  mcpgov audit verify --config {shlex.quote(str(place))}")


def show_needs(manifest: Manifest, heading: str) -> None:
    """Say what a gateway needs that is not in the archive."""
    if manifest.needs:
        typer.echo(f"\n{heading}")
        for need in manifest.needs:
            typer.echo(f"  {printable(need)}")
