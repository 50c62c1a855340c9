"""`mcpgov keys`: make, list and revoke gateway keys."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from mcpgov.cli.serve import Config
from mcpgov.identity.api_key import PREFIX, KeyRecord, digest, mint_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mcpgov.identity.api_key import KeyStore

    OpenKeys = Callable[[Path | None], AbstractAsyncContextManager[KeyStore]]

UNITS = {"m": "minutes", "h": "hours", "d": "days"}
DURATION = re.compile(r"([1-9][0-9]{0,5})([mhd])")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def build_keys(open_keys: OpenKeys) -> typer.Typer:
    """The sub-commands of `mcpgov keys`."""
    keys = typer.Typer(no_args_is_help=True, help="Gateway keys: what callers sign in with.")

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
        now = datetime.now(UTC)
        key_id, key = mint_key(secrets.choice)
        record = KeyRecord(key_id, digest(key.reveal()), name, project, now, expiry(expires, now))
        asyncio.run(keep(open_keys, config, record))
        if as_json:
            print_json({**described(record), "key": key.reveal()})
            return
        Console(stderr=True).print("This is the only time the key is shown. Send it as `Authorization: Bearer KEY`.")
        typer.echo(key.reveal())

    @keys.command("list", epilog="Example:  mcpgov keys list --json")
    def list_(config: Config = None, *, as_json: Json = False) -> None:
        """List every key: id, name, project, and whether it still holds."""
        records = asyncio.run(read_all(open_keys, config))
        if as_json:
            print_json([described(record) for record in records])
            return
        table = Table("id", "name", "project", "created", "expires", "state")
        now = datetime.now(UTC)
        for record in records:
            expires = f"{record.expires_at:%Y-%m-%d %H:%M}" if record.expires_at else "never"
            table.add_row(
                record.id,
                record.name,
                record.project,
                f"{record.created_at:%Y-%m-%d %H:%M}",
                expires,
                state(record, now),
            )
        Console().print(table)

    @keys.command(epilog="Example:  mcpgov keys revoke 3fGh81Kx")
    def revoke(
        key: Annotated[str, typer.Argument(help="The key's id, or how it is shown in records (mcpgov_…).")],
        config: Config = None,
    ) -> None:
        """Revoke a key. Calls that it makes from now on are refused."""
        key_id = key.removeprefix(PREFIX).rstrip("…")
        if not asyncio.run(revoke_one(open_keys, config, key_id)):
            typer.echo(f"There is no key {key_id!r} in force. See `mcpgov keys list`.", err=True)
            raise typer.Exit(1)
        typer.echo(f"revoked {key_id}")

    return keys


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
        raise typer.BadParameter(f"{text!r} is not a duration; write 30m, 12h or 90d", param_hint="--expires")
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
