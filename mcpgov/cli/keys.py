"""`mcpgov keys`: make, list, rotate and revoke gateway keys.

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
from typing import TYPE_CHECKING, Annotated, Protocol

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mcpgov.admin.access import PREFIX as ADMIN_PREFIX
from mcpgov.audit.redact import encodable
from mcpgov.cli.options import with_options
from mcpgov.cli.printable import printable, repeated
from mcpgov.cli.serve import Config
from mcpgov.errors import InvalidConfiguration
from mcpgov.frozen import frozen
from mcpgov.identity.api_key import ID_LENGTH, PREFIX, KeyRecord, digest, mint_key, principal_id
from mcpgov.models import CallerScope
from mcpgov.policy.glob import compile_names
from mcpgov.reload import load_generation
from mcpgov.settings_file import DEFAULT_FILE, stand_ins, stood_in
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mcpgov.identity.api_key import KeyStore
    from mcpgov.models import Secret

    class Keys(KeyStore, Protocol):
        """The keys, and what they leave behind."""

        async def consents(self, key_id: str, /) -> Sequence[str]:
            """The connections at which the holder of a key has let mcpgov act for them."""
            ...

    class Revocable(Protocol):
        """Keys of either sort."""

        async def revoke(self, key_id: str, at: datetime, /) -> bool:
            """Revoke a key; False when there is none with this id or it was revoked before."""
            ...

    OpenKeys = Callable[[Path | None], AbstractAsyncContextManager[Keys]]
    OpenRevocable = Callable[[Path | None], AbstractAsyncContextManager[Revocable]]
    FindStore = Callable[[Path | None], Path | None]  # the file that is the store, there or not; None for a server

UNITS = {"m": "minutes", "h": "hours", "d": "days"}
DURATION = re.compile(r"([1-9][0-9]{0,5})([mhd])")
LONGEST_NAME = 128  # characters
MOST_PATTERNS = 64  # of one kind, in a scope: as many as a record holds
NAMES = 5  # the part of a line that names may fill before they are folded, as a divisor
SPARED = {"created": 120}  # a terminal with fewer columns is spared this one
CONNECTIONS = re.compile(r"[a-z0-9*?][a-z0-9*?-]{0,62}")

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def build_keys(open_keys: OpenKeys, find_store: FindStore, open_admin_keys: OpenRevocable) -> typer.Typer:
    """The sub-commands of `mcpgov keys`."""
    keys = typer.Typer(no_args_is_help=True, help="Gateway keys: what callers sign in with.")
    add_create(keys, open_keys, find_store)
    add_list(keys, open_keys, find_store)
    add_rotate(keys, open_keys, find_store)
    add_revoke(keys, (open_keys, open_admin_keys), find_store)
    return keys


@frozen
class Wanted:
    """What `create` was asked for."""

    name: Annotated[str, typer.Argument(help="Who will hold it; shown in records.")]
    project: Annotated[str, typer.Option(help="The project that limits and reviews are asked for.")] = ""
    connection: Annotated[
        list[str] | None, typer.Option(help="A connection it is for, or a pattern with * and ?; may be repeated.")
    ] = None
    tool: Annotated[
        list[str] | None, typer.Option(help="A tool it is for, or a pattern with * and ?; may be repeated.")
    ] = None
    expires: Annotated[str, typer.Option(help="How long it holds: 30m, 12h, 90d. Default: until revoked.")] = ""
    config: Config = None
    as_json: Json = False


def add_create(keys: typer.Typer, open_keys: OpenKeys, find_store: FindStore) -> None:
    """Add the verb `create`."""

    def create(wanted: Wanted) -> None:
        """Make a key and show it, once: only its hash is kept."""
        require_readable(wanted.name, "NAME", shortest=1)
        require_readable(wanted.project, "--project", shortest=0)
        scope, now = scope_of(wanted), datetime.now(UTC)
        warn_of_unknown(scope.connections or (), wanted.config)
        key_id, key = mint_key(secrets.choice)
        end = now + duration(wanted.expires, "--expires") if wanted.expires else None
        record = KeyRecord(key_id, digest(key.reveal()), wanted.name, wanted.project, now, end, scope=scope)
        asyncio.run(keep(open_keys, wanted.config, record))
        if wanted.config is None and not os.path.lexists(DEFAULT_FILE):
            typer.echo(f"There is no {DEFAULT_FILE} here; the key is in {printable(str(find_store(None)))}.", err=True)
        show_key(record, key, as_json=wanted.as_json)

    keys.command(
        epilog="Examples:  mcpgov keys create ci --project payments  ·  mcpgov keys create alice --expires 90d --json"
        "  ·  mcpgov keys create reader --connection github --connection 'team-*' --tool 'get_*'"
    )(with_options(Wanted, create))


def add_list(keys: typer.Typer, open_keys: OpenKeys, find_store: FindStore) -> None:
    """Add the verb `list`."""

    @keys.command("list", epilog="Example:  mcpgov keys list --json")
    def list_(config: Config = None, *, as_json: Json = False) -> None:
        """List every key: id, name, project, scope, when it was last used, and whether it still holds."""
        require_store(find_store(config))
        records = asyncio.run(read_all(open_keys, config))
        if as_json:
            print_json([described(record) for record in records])
            return
        show_table(records, datetime.now(UTC))


def add_rotate(keys: typer.Typer, open_keys: OpenKeys, find_store: FindStore) -> None:
    """Add the verb `rotate`."""

    @keys.command(epilog="Example:  mcpgov keys rotate 3fGh81Kx --overlap 24h")
    def rotate(
        key: Annotated[str, typer.Argument(help="The key's id, or how it is shown in records (mcpgov_…).")],
        overlap: Annotated[str, typer.Option(help="How long the old key still holds: 30m, 12h, 7d.")] = "24h",
        expires: Annotated[str, typer.Option(help="How long the new key holds. Default: as long as the old did.")] = "",
        config: Config = None,
        *,
        as_json: Json = False,
    ) -> None:
        """Make a key with the name, project and scope of another, which ends after the overlap."""
        kept = duration(overlap, "--overlap")
        lifetime = duration(expires, "--expires") if expires else None
        require_store(find_store(config))
        key_id = id_in(key)
        rotated = asyncio.run(rotate_one(open_keys, config, key_id, (kept, lifetime)))
        if isinstance(rotated, str):
            typer.echo(f"{rotated} See `mcpgov keys list`.", err=True)
            raise typer.Exit(1)
        record, secret, end = rotated
        typer.echo(f"{key_id} holds until {minute(end)} UTC; {record.id} takes its place.", err=True)
        show_key(record, secret, as_json=as_json)


def add_revoke(keys: typer.Typer, opens: tuple[OpenKeys, OpenRevocable], find_store: FindStore) -> None:
    """Add the verb `revoke`."""

    @keys.command(epilog="Example:  mcpgov keys revoke 3fGh81Kx")
    def revoke(
        key: Annotated[
            str, typer.Argument(help="The key's id, how it is shown in records (mcpgov_…), or the key itself.")
        ],
        config: Config = None,
    ) -> None:
        """Revoke a key, also an admin key. What is asked with it from now on is refused."""
        require_store(find_store(config))
        key_id = id_in(key)
        if not any(asyncio.run(revoke_one(opened, config, key_id)) for opened in opens):
            # No more than an id is repeated: it may be a key whose beginning was not copied.
            shown, see = printable(key_id[:ID_LENGTH]), "`mcpgov keys list` and `mcpgov keys admins`"
            typer.echo(f"There is no key {shown} in force. See {see}.", err=True)
            raise typer.Exit(1)
        typer.echo(f"revoked {key_id}")
        for connection in asyncio.run(consents_of(opens[0], config, key_id)):
            end = f"mcpgov connections revoke {connection} --principal {principal_id(key_id)}"
            typer.echo(f"A consent that was given with it is still kept; to end it, there too:  {end}", err=True)


def id_in(key: str) -> str:
    """The id in what names a key: the id alone, the way records show it, or a whole key that has leaked."""
    _, prefix, rest = key.rpartition(ADMIN_PREFIX if ADMIN_PREFIX in key else PREFIX)
    return encodable(rest[:ID_LENGTH] if prefix else rest).rstrip("…")


def require_store(store: Path | None) -> None:
    """End the verb with 1 when there is no store. A server says so itself."""
    if store is not None and not store.exists():
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


async def rotate_one(
    open_keys: OpenKeys, config: Path | None, key_id: str, times: tuple[timedelta, timedelta | None]
) -> tuple[KeyRecord, Secret, datetime] | str:
    """Rotate a key: the new one, and when the old one ends; or why it cannot be.

    `times` are the overlap and the lifetime of the new key; None is that of the old one.
    """
    overlap, lifetime = times
    now = datetime.now(UTC)
    async with open_keys(config) as store:
        old = await store.find(key_id)
        if old is None:
            return f"There is no key {printable(key_id[:ID_LENGTH])}."
        if lifetime is None and old.expires_at is not None:
            lifetime = old.expires_at - old.created_at
        new_id, key = mint_key(secrets.choice)
        end = None if lifetime is None else now + lifetime
        new = KeyRecord(new_id, digest(key.reveal()), old.name, old.project, now, end, scope=old.scope)
        until = now + overlap if old.expires_at is None else min(old.expires_at, now + overlap)
        if await store.rotate(key_id, new, until):
            return new, key, until
        return unrotatable(await store.find(key_id) or old, now)


def unrotatable(record: KeyRecord, now: datetime) -> str:
    """Why a key cannot be rotated, and what can."""
    if record.replaced_by:
        return f"The key {record.id} was rotated before: rotate {record.replaced_by}, which takes its place."
    return f"The key {record.id} is {state(record, now)}: make another with mcpgov keys create."


async def revoke_one(open_keys: OpenRevocable, config: Path | None, key_id: str) -> bool:
    """Revoke a key; False when it is not in force."""
    async with open_keys(config) as store:
        return await store.revoke(key_id, datetime.now(UTC))


async def consents_of(open_keys: OpenKeys, config: Path | None, key_id: str) -> Sequence[str]:
    """The connections at which a key's holder has let mcpgov act for them."""
    async with open_keys(config) as store:
        return await store.consents(key_id)


def duration(text: str, parameter: str) -> timedelta:
    """How long 30m, 12h or 90d are. Raises typer.BadParameter."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{repeated(text)} is not a duration; write 30m, 12h or 90d", param_hint=parameter)
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def scope_of(wanted: Wanted) -> CallerScope:
    """What the key may be used for. Raises typer.BadParameter for a pattern that nothing could match."""
    connections = patterns(wanted.connection, "--connection")
    tools = patterns(wanted.tool, "--tool")
    for pattern in connections or ():
        if not CONNECTIONS.fullmatch(pattern):
            raise nameless("connection", pattern)
    try:
        compile_names(tools or ())
    except ValueError as error:
        raise nameless("tool", str(error)) from None
    return CallerScope(connections, tools)


def nameless(what: str, pattern: str) -> typer.BadParameter:
    """That no `what` can be called so, and how to write it."""
    names = pattern.replace(",", " ").split()
    mend = " ".join(f"--{what} {repeated(name)}" for name in names) if len(names) > 1 else "write a name, or a pattern"
    said = f"repeat the option: {mend}" if len(names) > 1 else mend
    called = f"called {repeated(pattern)}" if pattern.strip() else "without a name"
    return typer.BadParameter(f"no {what} can be {called}; {said}", param_hint=f"--{what}")


def warn_of_unknown(scope: Sequence[str], config: Path | None) -> None:
    """Say so where a key is for a connection that there is not: it may come later, or be a slip.

    A catalog that cannot be read keeps nobody from making a key.
    """
    if not scope:
        return
    try:
        known = load_generation(config, stood_in(os.environ), stand_ins).connections
    except InvalidConfiguration:
        return
    for pattern in scope:
        if not any(name in compile_names([pattern]) for name in known):
            mend = nearest(pattern, known) if known else "the catalog is empty"
            typer.echo(f"No connection is called {repeated(pattern)} so far ({mend}).", err=True)


def patterns(given: list[str] | None, parameter: str) -> tuple[str, ...] | None:
    """The patterns as they are kept, each once; None where there are none. Raises typer.BadParameter."""
    found = tuple(dict.fromkeys(given or ()))
    if len(found) > MOST_PATTERNS:
        raise typer.BadParameter(f"write at most {MOST_PATTERNS}, or a pattern with *", param_hint=parameter)
    return found or None


def show_table(records: Sequence[KeyRecord], now: datetime) -> None:
    """The keys as a table. What other verbs are given, and what people look for, is never cut."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    longest = max((len(printable(record.name)) for record in records), default=0)
    table.add_column("id", width=ID_LENGTH)
    table.add_column("name", overflow="fold", width=max(len("name"), min(longest, console.width // NAMES)))
    titles = ("project", "scope", "created", "expires", "last used", "state")
    shown = [title for title in titles if console.width >= SPARED.get(title, 0)]
    for title in shown:
        table.add_column(title, overflow="fold")
    for record in records:
        cells = {
            "project": printable(record.project),
            "scope": printable(scope_text(record.scope)),
            "created": minute(record.created_at),
            "expires": minute(record.expires_at),
            "last used": minute(record.last_used_at),
            "state": state_text(record, now),
        }
        table.add_row(record.id, Text(printable(record.name)), *(Text(cells[title]) for title in shown))
    console.print(table)


def scope_text(scope: CallerScope) -> str:
    """A scope as the list shows it."""
    named = (("connections", scope.connections), ("tools", scope.tools))
    return "; ".join(f"{what} {', '.join(found)}" for what, found in named if found is not None) or "everything"


def minute(at: datetime | None) -> str:
    """A time as the list shows it."""
    return f"{at:%Y-%m-%d %H:%M}" if at else "never"


def state(record: KeyRecord, now: datetime) -> str:
    """Whether a key holds."""
    if record.revoked_at is not None:
        return "revoked"
    if record.has_expired(now):
        return "expired"
    return "overlapping" if record.replaced_by else "in force"


def state_text(record: KeyRecord, now: datetime) -> str:
    """Whether a key holds, as the list shows it."""
    word = state(record, now)
    if word == "overlapping":
        word = f"overlapping until {minute(record.expires_at)}"
    return f"{word}, replaced by {record.replaced_by}" if record.replaced_by else word


def described(record: KeyRecord) -> dict[str, object]:
    """A key as JSON, without its digest. A scope that is null is everything."""
    return {
        "id": record.id,
        "name": record.name,
        "project": record.project,
        "connections": record.scope.connections,
        "tools": record.scope.tools,
        "created_at": record.created_at.isoformat(),
        "expires_at": record.expires_at.isoformat() if record.expires_at else None,
        "revoked_at": record.revoked_at.isoformat() if record.revoked_at else None,
        "last_used_at": record.last_used_at.isoformat() if record.last_used_at else None,
        "replaced_by": record.replaced_by or None,
        "state": state(record, datetime.now(UTC)),
    }


def show_key(record: KeyRecord, key: Secret, *, as_json: bool) -> None:
    """Print a new key, the only time that anybody sees it."""
    if as_json:
        print_json({**described(record), "key": key.reveal()})
        return
    typer.echo("This is the only time the key is shown. Send it as `Authorization: Bearer KEY`.", err=True)
    typer.echo(key.reveal())


def print_json(value: object) -> None:
    """JSON for machines: indented, no colours, no wrapping."""
    typer.echo(json.dumps(value, indent=2))
