"""`mcpgov keys admin | admins`: make a key for an operator, and list those that there are.

They open the console and the admin API, and no connection. `mcpgov keys revoke` ends them like any other.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Protocol

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mcpgov.admin.access import AdminKey, Role, mint_admin_key
from mcpgov.admin.keys import described_admin, state_of
from mcpgov.cli.keys import Json, duration, minute, print_json, require_readable, require_store
from mcpgov.cli.printable import printable
from mcpgov.cli.serve import Config
from mcpgov.identity.api_key import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mcpgov.cli.keys import FindStore

    OpenAdminKeys = Callable[[Path | None], AbstractAsyncContextManager["AdminKeys"]]


class AdminKeys(Protocol):
    """The admin keys, every change of which is recorded."""

    async def create(self, key: AdminKey, /) -> None:
        """Keep a new key. Raises StoreUnavailable."""
        ...

    async def list(self) -> Sequence[AdminKey]:
        """Every key, oldest first. Raises StoreUnavailable."""
        ...


def add_admin(keys: typer.Typer, open_admin_keys: OpenAdminKeys, find_store: FindStore) -> None:
    """Add the verbs `admin` and `admins`."""
    add_list(keys, open_admin_keys, find_store)

    @keys.command(
        epilog="Examples:  mcpgov keys admin alice --role admin  ·  mcpgov keys admin bob --role viewer --expires 90d"
    )
    def admin(
        name: Annotated[str, typer.Argument(help="Who will hold it; shown in records.")],
        role: Annotated[Role, typer.Option(help="viewer looks, operator makes gateway keys too, admin admin keys.")],
        expires: Annotated[str, typer.Option(help="How long it holds: 30m, 12h, 90d. Default: until revoked.")] = "",
        config: Config = None,
        *,
        as_json: Json = False,
    ) -> None:
        """Make an admin key and show it, once: only its hash is kept."""
        require_readable(name, "NAME", shortest=1)
        now = datetime.now(UTC)
        end = now + duration(expires, "--expires") if expires else None
        key_id, key = mint_admin_key(secrets.choice)
        made = AdminKey(key_id, digest(key.reveal()), name, role, now, end)
        asyncio.run(keep(open_admin_keys, config, made))
        if as_json:
            shown = {"id": key_id, "name": name, "role": role.value, "expires_at": end and end.isoformat()}
            print_json({**shown, "key": key.reveal()})
            return
        typer.echo("This is the only time the key is shown. Sign in with it at the console.", err=True)
        typer.echo(key.reveal())


async def keep(open_admin_keys: OpenAdminKeys, config: Path | None, key: AdminKey) -> None:
    """Store a new key."""
    async with open_admin_keys(config) as keys:
        await keys.create(key)


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
