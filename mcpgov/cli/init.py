"""`mcpgov init`: writes a folder to start from, every file commented. Never changes a file that is there."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mcpgov.cli.schemas import schemas

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

CONFIGURATION: Final = ("mcpgov.yaml", "catalog", "policies")
SCHEMAS: Final = "schemas"  # the files refer to them by this name
NAMES: Final = {"gitignore": ".gitignore"}  # a template that must not act on our own folder


def add_init(app: typer.Typer) -> None:
    """Add the verb `init`."""

    @app.command(epilog="Examples:  mcpgov init  ·  mcpgov init ./gateway")
    def init(folder: Annotated[Path, typer.Argument(help="Where to write; made if need be.")] = Path()) -> None:
        """Write a commented folder to start from: settings, one catalog entry, one policy."""
        if there := [name for name in CONFIGURATION if (folder / name).exists()]:
            typer.echo(f"{folder / there[0]} is there already; nothing was written.", err=True)
            raise typer.Exit(1)
        try:
            write_folder(folder)
        except OSError as error:
            typer.echo(f"{error.filename} cannot be written: {error.strerror}", err=True)
            raise typer.Exit(1) from None
        go = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))}, then "
        typer.echo(f"\nNext: {go}mcpgov check, then mcpgov keys create NAME, then mcpgov serve.")


def write_folder(folder: Path) -> None:
    """Write every template below `folder`, except where a file is there already. Raises OSError."""
    for name, text in templates():
        place = folder / NAMES.get(name, name)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with place.open("x", encoding="utf-8") as opened:
                opened.write(text)
        except FileExistsError:
            typer.echo(f"kept   {place}")
        else:
            typer.echo(f"wrote  {place}")


def templates() -> Iterator[tuple[str, str]]:
    """The path of each template below templates/, and its text; and the schemas that editors check the others with."""
    yield from _below(files("mcpgov.cli") / "templates", "")
    yield from ((f"{SCHEMAS}/{name}", text) for name, text in schemas().items())


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _below(item, f"{path}{item.name}/")
        else:
            yield f"{path}{item.name}", item.read_text("utf-8")
