"""`mcpgov connect`: what a client needs to reach a connection, or /mcp, to paste or to redirect into a file.

The text is on stdout and what to do with it on stderr, so that `> .vscode/mcp.json` writes the file and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mcpgov.cli.offered import base_of, loaded_in_part, offered, offered_aggregate, refused
from mcpgov.cli.serve import Config
from mcpgov.publish.clients import Client, Configuration, configuration, managed_piece
from mcpgov.publish.offer import NotOffered

if TYPE_CHECKING:
    from pathlib import Path


def add_connect(app: typer.Typer) -> None:
    """Add the verb `connect`."""

    @app.command(
        epilog="Examples:  mcpgov connect github --client vscode > .vscode/mcp.json  ·"
        "  mcpgov connect github --client claude  ·  mcpgov connect --aggregate --client vscode"
        "  ·  mcpgov connect --client copilot-managed"
    )
    def connect(
        client: Annotated[Client, typer.Option(help="Whom the configuration is for.")],
        name: Annotated[
            str, typer.Argument(help="The connection; none only for copilot-managed and --aggregate.")
        ] = "",
        config: Config = None,
        *,
        aggregate: Annotated[
            bool, typer.Option("--aggregate", help="The connections that are one server at /mcp.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print pieces and notes as JSON.")] = False,
    ) -> None:
        """Print a client's configuration for a connection. No key stands in it: the client asks, or its environment."""
        try:
            made = configured(config, name, client, aggregate=aggregate)
        except NotOffered as error:
            raise refused(error) from None
        if as_json:
            typer.echo(json.dumps(asdict(made), indent=2))
            return
        show(made)


def configured(config: Path | None, name: str, client: Client, *, aggregate: bool = False) -> Configuration:
    """The configuration of a client. Raises NotOffered."""
    snapshot = loaded_in_part(config)
    if aggregate:
        if name:
            raise NotOffered("a connection and --aggregate are two things", "say one of them")
        return configuration(offered_aggregate(snapshot), client)
    if not name and client is Client.COPILOT_MANAGED:
        notes = ("Copilot lets the servers of this gateway alone through, in every editor that reads the file.",)
        return Configuration((managed_piece([f"{base_of(snapshot.settings)}/*"]),), notes)
    if not name:
        raise NotOffered("no connection is named", "mcpgov connections list shows them")
    return configuration(offered(snapshot, name), client)


def show(made: Configuration) -> None:
    """Print the pieces, and beside them what to do."""
    for number, piece in enumerate(made.pieces):
        if number:
            typer.echo("")
        typer.echo(piece.text.rstrip("\n"))
        if piece.file:
            typer.echo(f"Save as {piece.file}.", err=True)
    for note in made.notes:
        typer.echo(note, err=True)
