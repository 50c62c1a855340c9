"""`mcpgov keys`: make, list and revoke gateway keys.

Only making a key makes a store: making one to look into would hide that the wrong folder was asked. A name is text that
can be read, in a terminal and in a record. A whole key can be revoked, and is never repeated.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mcpgov.audit.redact import encodable
from mcpgov.cli.printable import printable, repeated
from mcpgov.cli.serve import Config
from mcpgov.identity.api_key import ID_LENGTH, PREFIX, KeyRecord, digest, mint_key
from mcpgov.settings import DEFAULT_FILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mcpgov.identity.api_key import KeyStore

    OpenKeys = Callable[[Path | None], AbstractAsyncContextManager[KeyStore]]
    FindStore = Callable[[Path | None], Path]  # the file that is the store, there or not

UNITS = {"m": "minutes", "h": "hours", "d": "days"}
DURATION = re.compile(r"([1-9][0-9]{0,5})([mhd])")
LONGEST_NAME = 128  # characters

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def build_keys(open_keys: OpenKeys, find_store: FindStore) -> typer.Typer:
    """The sub-commands of `mcpgov keys`."""
    keys = typer.Typer(no_args_is_help=True, help="Gateway keys: what callers sign in with.")
    add_create(keys, open_keys, find_store)
    add_list(keys, open_keys, find_store)
    add_revoke(keys, open_keys, find_store)
    return keys


def add_create(keys: typer.Typer, open_keys: OpenKeys, find_store: FindStore) -> None:
    """Add the verb `create`."""

    @keys.command(
        epilog="Examples:  mcpgov keys create ci --project payments  ·  mcpgov keys create alice --expires 90d --json"
    )
    def create(
        name: Annotated[str, typer.Argument(help="Who will hold it; shown in records.")],
        project: Annotated[str, typer.Option(help="The project that limits and reviews are asked for.")] = "",
        expires: Annotated[str, typer.Option(help="How long it holds: 30m, 12h, 90d. Default: until revoked.")] = "",
        config: Config = None,
        *,
        as_json: Json = False,
    ) -> None:
        """Make a key and show it, once: only its hash is kept."""
        require_readable(name, "NAME", shortest=1)
        require_readable(project, "--project", shortest=0)
        now = datetime.now(UTC)
        key_id, key = mint_key(secrets.choice)
        record = KeyRecord(key_id, digest(key.reveal()), name, project, now, expiry(expires, now))
        asyncio.run(keep(open_keys, config, record))
        if config is None and not os.path.lexists(DEFAULT_FILE):
            typer.echo(f"There is no {DEFAULT_FILE} here; the key is in {printable(str(find_store(None)))}.", err=True)
        if as_json:
            print_json({**described(record), "key": key.reveal()})
            return
        typer.echo("This is the only time the key is shown. Send it as `Authorization: Bearer KEY`.", err=True)
        typer.echo(key.reveal())


def add_list(keys: typer.Typer, open_keys: OpenKeys, find_store: FindStore) -> None:
    """Add the verb `list`."""

    @keys.command("list", epilog="Example:  mcpgov keys list --json")
    def list_(config: Config = None, *, as_json: Json = False) -> None:
        """List every key: id, name, project, and whether it still holds."""
        require_store(find_store(config))
        records = asyncio.run(read_all(open_keys, config))
        if as_json:
            print_json([described(record) for record in records])
            return
        table = Table("id", "name", "project", "created", "expires", "state")
        now = datetime.now(UTC)
        for record in records:
            table.add_row(
                record.id,
                Text(printable(record.name)),
                Text(printable(record.project)),
                f"{record.created_at:%Y-%m-%d %H:%M}",
                f"{record.expires_at:%Y-%m-%d %H:%M}" if record.expires_at else "never",
                state(record, now),
            )
        Console().print(table)


def add_revoke(keys: typer.Typer, open_keys: OpenKeys, find_store: FindStore) -> None:
    """Add the verb `revoke`."""

    @keys.command(epilog="Example:  mcpgov keys revoke 3fGh81Kx")
    def revoke(
        key: Annotated[
            str, typer.Argument(help="The key's id, how it is shown in records (mcpgov_…), or the key itself.")
        ],
        config: Config = None,
    ) -> None:
        """Revoke a key. Calls that it makes from now on are refused."""
        require_store(find_store(config))
        key_id = id_in(key)
        if not asyncio.run(revoke_one(open_keys, config, key_id)):
            # No more than an id is repeated: it may be a key whose beginning was not copied.
            shown = printable(key_id[:ID_LENGTH])
            typer.echo(f"There is no key {shown} in force. See `mcpgov keys list`.", err=True)
            raise typer.Exit(1)
        typer.echo(f"revoked {key_id}")


def id_in(key: str) -> str:
    """The id in what names a key: the id alone, the way records show it, or a whole key that has leaked."""
    _, prefix, rest = key.rpartition(PREFIX)
    return encodable(rest[:ID_LENGTH] if prefix else rest).rstrip("…")


def require_store(store: Path) -> None:
    """End the verb with 1 when there is no store."""
    if not store.exists():
        shown = printable(str(store))
        typer.echo(f"There is no store at {shown} yet: mcpgov keys create or mcpgov serve makes it.", err=True)
        raise typer.Exit(1)


def require_readable(text: str, parameter: str, *, shortest: int) -> None:
    """Refuse a name that cannot be read back as it is. Raises typer.BadParameter."""
    if not shortest <= len(text) <= LONGEST_NAME or not text.isprintable():
        message = f"write {shortest} to {LONGEST_NAME} printable characters"
        raise typer.BadParameter(message, param_hint=parameter)


async def keep(open_keys: OpenKeys, config: Path | None, record: KeyRecord) -> None:
    """Store a new key."""
    async with open_keys(config) as store:
        await store.create(record)


async def read_all(open_keys: OpenKeys, config: Path | None) -> list[KeyRecord]:
    """Every key, oldest first."""
    async with open_keys(config) as store:
        return list(await store.list())


async def revoke_one(open_keys: OpenKeys, config: Path | None, key_id: str) -> bool:
    """Revoke a key; False when it is not in force."""
    async with open_keys(config) as store:
        return await store.revoke(key_id, datetime.now(UTC))


def expiry(text: str, now: datetime) -> datetime | None:
    """When a key given for `text` (30m, 12h, 90d) ends. Raises typer.BadParameter."""
    if not text:
        return None
    match = DURATION.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{repeated(text)} is not a duration; write 30m, 12h or 90d", param_hint="--expires")
    return now + timedelta(**{UNITS[match[2]]: int(match[1])})


def state(record: KeyRecord, now: datetime) -> str:
    """Whether a key holds."""
    if record.revoked_at is not None:
        return "revoked"
    if record.expires_at is not None and record.expires_at <= now:
        return "expired"
    return "in force"


def described(record: KeyRecord) -> dict[str, str | None]:
    """A key as JSON, without its digest."""
    return {
        "id": record.id,
        "name": record.name,
        "project": record.project,
        "created_at": record.created_at.isoformat(),
        "expires_at": record.expires_at.isoformat() if record.expires_at else None,
        "revoked_at": record.revoked_at.isoformat() if record.revoked_at else None,
    }


def print_json(value: object) -> None:
    """JSON for machines: indented, no colours, no wrapping."""
    typer.echo(json.dumps(value, indent=2))
