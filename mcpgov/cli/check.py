"""`mcpgov check`: validates every file as a start would, and tells everything that is wrong at once; also what a start
would go on without, trying again and again.

It connects nowhere, except to a Key Vault that the files name: whether a secret is there is part of what a start needs.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from mcpgov.cli.printable import plural
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import LocalUpstream
from mcpgov.reload import load_generation
from mcpgov.settings_file import no_vaults
from mcpgov.stage_settings import other_urls, public_url_of, redirect_urls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.models import Connection
    from mcpgov.settings_file import Vaults
    from mcpgov.snapshot import Snapshot

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


EVERYTHING = ("*",)


def add_check(app: typer.Typer, vaults: Vaults = no_vaults) -> None:
    """Add the verb `check`. `vaults` asks the Key Vaults that the files name."""

    @app.command(epilog="Examples:  mcpgov check  ·  mcpgov check --config /etc/mcpgov/mcpgov.yaml --json")
    def check(config: Config = None, *, as_json: Json = False) -> None:
        """Validate settings, catalog and policies. Exits 1 when anything is wrong.

        Connects nowhere, except to the Key Vaults that the files name.
        """
        try:
            snapshot = load_generation(config, vaults=vaults, thorough=True)
        except InvalidConfiguration as invalid:
            report(invalid, as_json=as_json)
            raise typer.Exit(1) from None
        if as_json:
            typer.echo(json.dumps({"ok": True, **described(snapshot)}, indent=2))
        else:
            show(snapshot)


def report(invalid: InvalidConfiguration, *, as_json: bool) -> None:
    """Print every problem, one a line: file:line:column, what is wrong, how to mend it."""
    if as_json:
        problems = [asdict(problem) for problem in invalid.problems]
        typer.echo(json.dumps({"ok": False, "problems": problems}, indent=2))
        return
    for problem in invalid.problems:
        typer.echo(str(problem))
    typer.echo(f"\n{plural(len(invalid.problems), 'problem')} found.")


def show(snapshot: Snapshot) -> None:
    """Print what would be served, in columns that are never cut."""
    typer.echo(f"Everything is in order. On {snapshot.settings.listen}, mcpgov would serve:\n")
    rows = [("PATH", "SERVER", "UPSTREAM", "AUTHTYPE", "POLICY")]
    for row in described(snapshot)["connections"]:
        steps = row["policy_steps"]
        policy = plural(steps, "step") if steps else "none"
        rows.append((row["path"], row["server"], row["upstream"], row["authType"], policy))
    for line in in_columns(rows) if snapshot.connections else ["nothing: the catalog is empty"]:
        typer.echo(line)
    show_others(snapshot)
    show_redirect_urls(snapshot)
    for name in snapshot.connections:
        for dropped in snapshot.policy(name).dropped:
            documents, by = ", ".join(dropped.documents), ", ".join(dropped.by)
            typer.echo(f"\n/mcp/{name}: {by} leaves out {documents} in {dropped.section}.")


def in_columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of a table as lines, in columns as wide as what stands in them: names are there to be copied whole."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def show_others(snapshot: Snapshot) -> None:
    """Print what is served besides each connection, and who sees it."""
    settings, lines = snapshot.settings, list[tuple[str, str]]()
    if settings.aggregate:
        lines.append(("/mcp", f"{', '.join(settings.aggregate.connections)} as one server"))
    seen = settings.registry.anonymous
    strangers = "all of it" if seen == EVERYTHING else ", ".join(seen) or "nothing"
    lines.append(("/v0.1/servers", f"the registry; callers without a credential see {strangers}"))
    typer.echo("")
    for line in in_columns(lines):
        typer.echo(line)


def show_redirect_urls(snapshot: Snapshot) -> None:
    """Print what app registrations have to name, where people are sent back to us."""
    if urls := redirect_urls(snapshot.settings, snapshot.connections.values()):
        typer.echo("\nRedirect URLs to write into the app registrations:\n")
        for line in in_columns(list(urls.items())):
            typer.echo(line)


def described(snapshot: Snapshot) -> dict[str, Any]:
    """A generation in words for people and machines: no key, no query string of a URL."""
    connections = [
        {
            "name": connection.name,
            "path": f"/mcp/{connection.name}",
            "server": connection.server,
            "upstream": upstream(connection),
            "authType": connection.auth_type.value,
            "timeout": connection.timeout,
            "policy_steps": sum(1 for _ in snapshot.policy(connection.name).all_steps()),
        }
        for connection in snapshot.connections.values()
    ]
    settings = snapshot.settings
    return {
        "stamp": snapshot.stamp,
        "listen": str(settings.listen),
        **other_urls(settings, public_url_of(settings)),
        "redirect_urls": redirect_urls(settings, snapshot.connections.values()),
        "connections": connections,
    }


def upstream(connection: Connection) -> str:
    """Where a connection leads, without the query string, which may hold a key."""
    if isinstance(connection.upstream, LocalUpstream):
        return f"{connection.upstream.command[0]} (local)"
    return urlsplit(connection.upstream.url)._replace(query="").geturl()
