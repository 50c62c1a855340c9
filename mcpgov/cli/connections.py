"""`mcpgov connections`: what is exposed, whether each connection works, and who has consented to what.

No secret is shown: of a URL neither the query nor what stands before the host, of a key its header alone. A token to
test with is taken from the environment, because arguments are seen by everybody on the machine and kept by the shell.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Protocol
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mcpgov.cli.check import in_columns, show_redirect_urls
from mcpgov.cli.printable import printable, repeated
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.models import LocalUpstream, Secret
from mcpgov.reload import load_generation
from mcpgov.settings_file import stand_ins, stood_in

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime
    from pathlib import Path
    from typing import TypeVar

    from mcpgov.models import Connection
    from mcpgov.probe import ProbeResult

    T = TypeVar("T")
    OpenProbe = Callable[[Path | None], AbstractAsyncContextManager["Prober"]]
    OpenConsents = Callable[[Path | None], AbstractAsyncContextManager["Consents"]]

UNKNOWN = "unknown-connection"
FAILED, MISUSED = 1, 2  # exit codes
SHOWN_TOOLS = 20
HEADINGS = ("name", "server", "authType", "audience or identity", "clientAuthType", "clientAudience", "upstream")
TOKEN = re.compile(r"[!-~]{1,16384}")

Name = Annotated[str, typer.Argument(help="The connection, as in /mcp/NAME.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]


class Prober(Protocol):
    """Proves connections."""

    async def test(self, connection: str, token: Secret | None = None) -> ProbeResult:
        """Prove one, as mcpgov:probe or as the caller of the token."""
        ...


class Consent(Protocol):
    """That somebody let mcpgov act for them at one connection."""

    @property
    def principal(self) -> str:
        """The id of who it was."""
        ...

    @property
    def updated_at(self) -> datetime:
        """When it was given, or its token last renewed."""
        ...


class Revocation(Protocol):
    """What came of revoking a consent."""

    @property
    def found(self) -> bool:
        """Whether there was one."""
        ...

    @property
    def at_server(self) -> bool:
        """Whether the authorization server was told as well."""
        ...


class Consents(Protocol):
    """The consents that are kept. Raises StoreUnavailable."""

    async def consents(self, connection: str, /) -> Sequence[Consent]:
        """Those of one connection, whether it is still in the catalog or not."""
        ...

    def nobody_can(self, connection: str, /) -> str:
        """Why no user consents at a connection, and the mend; empty where users do."""
        ...

    async def revoke(self, connection: str, principal: str, /) -> Revocation:
        """Take one back."""
        ...


def build_connections(open_probe: OpenProbe, open_consents: OpenConsents) -> typer.Typer:
    """The sub-commands of `mcpgov connections`."""
    connections = typer.Typer(no_args_is_help=True, help="Connections: what is exposed, and whether it works.")
    add_list(connections)
    add_test(connections, open_probe)
    add_consents(connections, open_consents)
    add_revoke(connections, open_consents)
    return connections


def add_list(connections: typer.Typer) -> None:
    """Add the verb `list`."""

    @connections.command("list", epilog="Examples:  mcpgov connections list  ·  mcpgov connections list --json")
    def list_(config: Config = None, *, as_json: AsJson = False) -> None:
        """List every connection: its server, how mcpgov signs in there, how callers sign in here."""
        try:
            snapshot = load_generation(config, stood_in(os.environ), stand_ins)
        except InvalidConfiguration as invalid:
            typer.echo(str(invalid), err=True)
            raise typer.Exit(FAILED) from None
        rows = [described(connection) for _, connection in sorted(snapshot.connections.items())]
        if as_json:
            typer.echo(json.dumps(rows, indent=2))
            return
        shown = [{**row, "audience or identity": row["audience"] or row["identity"]} for row in rows]
        for line in in_columns([HEADINGS, *([printable(row[name]) for name in HEADINGS] for row in shown)]):
            typer.echo(line)
        show_redirect_urls(snapshot)


def add_test(connections: typer.Typer, open_probe: OpenProbe) -> None:
    """Add the verb `test`."""

    @connections.command(
        epilog="Examples:  mcpgov connections test github  ·  mcpgov connections test github --json  ·"
        "  mcpgov connections test mail --token-env MY_TOKEN"
    )
    def test(
        name: Name,
        token_env: Annotated[
            str,
            typer.Option(
                metavar="NAME", help="The environment variable with a caller's token or key, to test as that caller."
            ),
        ] = "",
        config: Config = None,
        *,
        as_json: AsJson = False,
    ) -> None:
        """Prove a connection: sign in, list the tools, and say in words what is wrong. No tool is called."""
        token = token_in(token_env) if token_env else None
        result = told(prove(open_probe, config, name, token))
        if as_json:
            typer.echo(json.dumps({"ok": result.ok, **asdict(result)}, indent=2))
        else:
            show(result)
        if result.problem is not None:
            raise typer.Exit(MISUSED if result.problem.name == UNKNOWN else FAILED)


def add_consents(connections: typer.Typer, open_consents: OpenConsents) -> None:
    """Add the verb `consents`."""

    @connections.command(epilog="Example:  mcpgov connections consents mail --json")
    def consents(name: Name, config: Config = None, *, as_json: AsJson = False) -> None:
        """List who has consented that mcpgov acts for them at a connection."""
        found, why_none = told(read_consents(open_consents, config, name))
        if not found and why_none:
            typer.echo(printable(why_none), err=True)
            raise typer.Exit(MISUSED)
        if as_json:
            rows = [{"principal": one.principal, "updated_at": one.updated_at.isoformat()} for one in found]
            typer.echo(json.dumps(rows, indent=2))
        elif not found:
            typer.echo(f"Nobody has consented at {repeated(name)}.", err=True)
        else:
            table = Table("principal", "given or renewed", box=None)
            for one in found:
                table.add_row(Text(printable(one.principal)), f"{one.updated_at:%Y-%m-%d %H:%M}")
            Console().print(table)


def add_revoke(connections: typer.Typer, open_consents: OpenConsents) -> None:
    """Add the verb `revoke`."""

    @connections.command(epilog="Example:  mcpgov connections revoke mail --principal key:3fGh81Kx")
    def revoke(
        name: Name,
        principal: Annotated[str, typer.Option(help="Whose consent; see `mcpgov connections consents`.")],
        config: Config = None,
    ) -> None:
        """Take a consent back: the token is revoked and forgotten, and the next call asks anew."""
        revocation = told(take_back(open_consents, config, name, principal))
        if not revocation.found:
            whose = f"{repeated(principal)} at {repeated(name)}"
            typer.echo(f"There is no consent of {whose}. See `mcpgov connections consents`.", err=True)
            raise typer.Exit(FAILED)
        typer.echo(f"revoked the consent of {printable(principal)} at {printable(name)}")
        if not revocation.at_server:
            typer.echo("The authorization server was not told: end it there as well.", err=True)


def token_in(variable: str) -> Secret:
    """The token in an environment variable, which may have `Bearer ` in front. Raises typer.BadParameter."""
    token = os.environ.get(variable, "").strip().removeprefix("Bearer ")
    if not TOKEN.fullmatch(token):
        raise typer.BadParameter(
            f"the variable {repeated(variable)} holds no token; export it first", param_hint="--token-env"
        )
    return Secret(token)


def told(work: Coroutine[object, object, T]) -> T:
    """What `work` gives; what goes wrong with files or the store is told on stderr and ends the verb with 1."""
    try:
        return asyncio.run(work)
    except (InvalidConfiguration, StoreUnavailable) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from None


async def prove(open_probe: OpenProbe, config: Path | None, name: str, token: Secret | None) -> ProbeResult:
    """Test one connection."""
    async with open_probe(config) as probe:
        return await probe.test(name, token)


async def read_consents(open_consents: OpenConsents, config: Path | None, name: str) -> tuple[Sequence[Consent], str]:
    """The consents of one connection, and why nobody consents there at all."""
    async with open_consents(config) as consents:
        return await consents.consents(name), consents.nobody_can(name)


async def take_back(open_consents: OpenConsents, config: Path | None, name: str, principal: str) -> Revocation:
    """Revoke one consent."""
    async with open_consents(config) as consents:
        return await consents.revoke(name, principal)


def described(connection: Connection) -> dict[str, str]:
    """A connection as JSON, without a secret."""
    sign_in = connection.sign_in
    return {
        "name": connection.name,
        "server": connection.server,
        "authType": connection.auth_type,
        "audience": sign_in.audience,
        "identity": sign_in.agent_identity or sign_in.identity or (sign_in.oauth.client_id if sign_in.oauth else ""),
        "clientAuthType": connection.client_auth_type,
        "clientAudience": connection.client_audience,
        "upstream": place_of(connection),
    }


def place_of(connection: Connection) -> str:
    """Where its server is: a URL without its query, or the program that is started, without its arguments."""
    upstream = connection.upstream
    if isinstance(upstream, LocalUpstream):
        return f"{upstream.command[0]} (local)"
    parts = urlsplit(upstream.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def show(result: ProbeResult) -> None:
    """The result for a person: what was found, then what is wrong."""
    server = " ".join(part for part in (result.server, result.server_version) if part)
    shown = ", ".join(result.tools[:SHOWN_TOOLS]) + (", …" if len(result.tools) > SHOWN_TOOLS else "")
    rows = {
        "connection": result.connection,
        "asked as": result.principal,
        "credential": result.credential,
        "identity": result.identity,
        "audience": result.audience,
        "server": server,
        "protocol": f"{result.protocol} ({result.era})" if result.era else "",
        "tools": f"{len(result.tools)}: {shown}" if result.tools else "",
        "waiting": f"{result.waiting}: mcpgov catalog diff {result.connection}" if result.waiting else "",
        "took": f"{result.latency_ms:.1f} ms" if result.latency_ms else "",
        "records": f"{len(result.correlation_ids)}: mcpgov audit query connection={result.connection}",
    }
    for name, value in rows.items():
        if value:
            typer.echo(f"{name:<12}{printable(value)}")
    if result.problem is None:
        typer.echo("OK")
        if result.untested:
            typer.echo(f"{'not tested':<12}{printable(result.untested)}")
        return
    typer.echo(f"{'FAILED':<12}{printable(result.problem.what)} [{result.problem.name}]")
    typer.echo(f"{'mend':<12}{printable(result.problem.mend)}")
    if result.problem.link:
        typer.echo(f"{'link':<12}{printable(result.problem.link)}")
