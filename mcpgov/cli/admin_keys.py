"""`mcpgov keys admin | admins`: make a key for an operator, and list those that there are.

They open the console and the admin API, and no connection. `mcpgov keys revoke` ends them like any other. The first one
is made before any gateway runs, for one that operators reach from elsewhere does not start without.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mcpgov.admin.access import AdminKey, Role, mint_admin_key
from mcpgov.admin.keys import described_admin, state_of
from mcpgov.cli.keys import Json, duration, minute, print_json, require_readable, require_store
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable
from mcpgov.cli.serve import Config
from mcpgov.frozen import frozen
from mcpgov.identity.api_key import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mcpgov.cli.keys import FindStore
    from mcpgov.models import Secret

    OpenAdminKeys = Callable[[Path | None], AbstractAsyncContextManager["AdminKeys"]]


PROOF: Final = re.compile(r"([0-9A-Za-z]{8}):([0-9a-f]{64})")  # the id of a key, and the SHA-256 of all of it


class AdminKeys(Protocol):
    """The admin keys, every change of which is recorded."""

    async def create(self, key: AdminKey, /) -> None:
        """Keep a new key. Raises StoreUnavailable."""
        ...

    async def list(self) -> Sequence[AdminKey]:
        """Every key, oldest first. Raises StoreUnavailable."""
        ...


@frozen
class Wanted:
    """What `admin` was asked for."""

    name: Annotated[str, typer.Argument(help="Who will hold it; shown in records.")]
    role: Annotated[Role, typer.Option(help="viewer looks, operator makes gateway keys too, admin admin keys.")]
    expires: Annotated[str, typer.Option(help="How long it holds: 30m, 12h, 90d. Default: until revoked.")] = ""
    mint: Annotated[bool, typer.Option("--mint", help="Keep nothing: say what keeps its digest elsewhere.")] = False
    digest: Annotated[str, typer.Option(help="Keep the digest of a key that was minted elsewhere.")] = ""
    config: Config = None
    as_json: Json = False


def add_admin(keys: typer.Typer, open_admin_keys: OpenAdminKeys, find_store: FindStore) -> None:
    """Add the verbs `admin` and `admins`."""
    add_list(keys, open_admin_keys, find_store)

    def admin(wanted: Wanted) -> None:
        """Make an admin key and show it, once: only its hash is kept.

        No gateway has to run; a store that is not there yet is made. Where all that is printed is collected, as in a
        cluster, mint the key where nothing is, and hand over its digest: the key itself never goes there.
        """
        require_readable(wanted.name, "NAME", shortest=1)
        if wanted.mint and wanted.digest:
            raise typer.BadParameter("a key is minted here or elsewhere", param_hint="--mint")
        now = datetime.now(UTC)
        end = now + duration(wanted.expires, "--expires") if wanted.expires else None
        if wanted.digest:
            key_id, kept = known_by(wanted.digest)
            asyncio.run(
                keep_once(open_admin_keys, wanted.config, AdminKey(key_id, kept, wanted.name, wanted.role, now, end))
            )
            return
        key_id, key = mint_admin_key(secrets.choice)
        made = AdminKey(key_id, digest(key.reveal()), wanted.name, wanted.role, now, end)
        if not wanted.mint:
            asyncio.run(keep(open_admin_keys, wanted.config, made))
        show(made, key, wanted)

    keys.command(
        epilog="Examples:  mcpgov keys admin alice --role admin  ·  mcpgov keys admin bob --role viewer --expires 90d"
        "  ·  mcpgov keys admin carol --role admin --mint"
    )(with_options(Wanted, admin))


def show(made: AdminKey, key: Secret, wanted: Wanted) -> None:
    """Print a new key, and of one that is kept nowhere what would keep it."""
    proof = f"{made.id}:{made.digest}"
    if wanted.as_json:
        told = {"id": made.id, "name": made.name, "role": made.role.value}
        end = {"expires_at": made.expires_at and made.expires_at.isoformat()}
        print_json({**told, **end, "key": key.reveal(), **({"digest": proof} if wanted.mint else {})})
        return
    typer.echo("This is the only time the key is shown. Sign in with it at the console.", err=True)
    if wanted.mint:
        end = ["--expires", wanted.expires] if wanted.expires else []
        line = ["mcpgov", "keys", "admin", made.name, "--role", made.role.value, *end, "--digest", proof]
        typer.echo(f"It is not kept yet. Where the store is, run: {shlex.join(line)}", err=True)
    typer.echo(key.reveal())


def known_by(text: str) -> tuple[str, str]:
    """The id and the digest of a key that was minted elsewhere. A key itself is refused, and not repeated."""
    found = PROOF.fullmatch(text)
    if found is None:
        raise typer.BadParameter("write ID:SHA256, as --mint printed it; never the key itself", param_hint="--digest")
    return found[1], found[2]


async def keep(open_admin_keys: OpenAdminKeys, config: Path | None, key: AdminKey) -> None:
    """Store a new key."""
    async with open_admin_keys(config) as keys:
        await keys.create(key)


async def keep_once(open_admin_keys: OpenAdminKeys, config: Path | None, key: AdminKey) -> None:
    """Store a key unless it is there: what starts a pod starts it again. One that was revoked stays so."""
    async with open_admin_keys(config) as keys:
        there = next((one for one in await keys.list() if one.id == key.id), None)
        if there is None:
            await keys.create(key)
    if there and there.digest != key.digest:
        typer.echo(f"{key.id} is the id of another key; mint one anew", err=True)
        raise typer.Exit(1)
    typer.echo(
        f"{key.id} is there already: {state_of(there, key.created_at)}" if there else f"{key.id} is kept", err=True
    )


def add_list(keys: typer.Typer, open_admin_keys: OpenAdminKeys, find_store: FindStore) -> None:
    """Add the verb `admins`."""

    @keys.command(epilog="Examples:  mcpgov keys admins  ·  mcpgov keys admins --json")
    def admins(config: Config = None, *, as_json: Json = False) -> None:
        """List every admin key: id, name, role, and whether it still holds."""
        require_store(find_store(config))
        records, now = asyncio.run(read_all(open_admin_keys, config)), datetime.now(UTC)
        if as_json:
            print_json([described_admin(record, now) for record in records])
            return
        table = Table(box=None, pad_edge=False)
        for title in ("id", "name", "role", "created", "expires", "state"):
            table.add_column(title, overflow="fold", no_wrap=title == "id")
        for record in records:
            times = (minute(record.created_at), minute(record.expires_at))
            cells = (record.id, printable(record.name), record.role.value, *times, state_of(record, now))
            table.add_row(*map(Text, cells))
        Console(highlight=False).print(table)


async def read_all(open_admin_keys: OpenAdminKeys, config: Path | None) -> Sequence[AdminKey]:
    """Every key, oldest first."""
    async with open_admin_keys(config) as keys:
        return await keys.list()
