"""`mcpgov keys admin`: make a key for an operator. It opens the console and the admin API, and no connection."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from mcpgov.admin.access import AdminKey, Role, mint_admin_key
from mcpgov.cli.keys import Json, duration, print_json, require_readable
from mcpgov.cli.serve import Config
from mcpgov.identity.api_key import digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    OpenAdminKeys = Callable[[Path | None], AbstractAsyncContextManager["AdminKeys"]]


class AdminKeys(Protocol):
    """The admin keys, every change of which is recorded."""

    async def create(self, key: AdminKey, /) -> None:
        """Keep a new key. Raises StoreUnavailable."""
        ...


def add_admin(keys: typer.Typer, open_admin_keys: OpenAdminKeys) -> None:
    """Add the verb `admin`."""

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
        """Make an admin key and show it, once: only its hash is kept. It is revoked in the console."""
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
