"""The admin listener put together: the console and the admin API, their keys, and the index that they read.

A room of the composition root: app.py hands it a running gateway. Nobody else imports it.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcpgov import __version__
from mcpgov.admin.access import AdminKey
from mcpgov.admin.asgi import AdminListener
from mcpgov.admin.parts import AdminParts
from mcpgov.admin.sessions import Gate, way_in
from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.cli.answers import FileAnswers
from mcpgov.console.asgi import Console
from mcpgov.endpoint.limits import Sites
from mcpgov.store.audit_index import indexing
from mcpgov.store.audit_query import open_sqlite_review
from mcpgov.store.recorded_keys import RecordedKeys
from mcpgov.store.sqlite_admin_keys import SqliteAdminKeys

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime
    from pathlib import Path

    from mcpgov.audit.exported import ExportState
    from mcpgov.audit.ledger import AuditLedger
    from mcpgov.identities import Keys, Rows
    from mcpgov.settings import Admin
    from mcpgov.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Operated:
    """The running gateway that operators look after. `file` is its store, `config` the settings file it runs from."""

    admin: Admin
    file: Path
    config: Path | None
    current: Callable[[], Snapshot]
    ledger: AuditLedger
    keys: Keys
    rows: Rows
    now: Callable[[], datetime]
    exports: Callable[[], Sequence[ExportState]] = tuple  # blocks


@dataclass(frozen=True, slots=True)
class Operating:
    """The application of the admin listener. `link` is the way in where nobody has an admin key yet, else empty."""

    listener: AdminListener
    link: str


@asynccontextmanager
async def operating(gateway: Operated) -> AsyncGenerator[Operating]:
    """The admin listener of a gateway, while its ledger is indexed. Raises InvalidConfiguration, StoreUnavailable."""
    admin = gateway.admin
    admin_keys = SqliteAdminKeys(gateway.file)
    token = await way_in(admin_keys, gateway.now(), loopback=admin.listen.loopback)

    async def note(event: str, details: Mapping[str, str]) -> None:
        await gateway.ledger.control(ControlEvent(event), **details)

    async def write(record: ControlRecord) -> None:
        await gateway.ledger.control(record.event, **record.details)

    url = admin.public_url or f"http://{admin.listen}"
    sites = Sites.of(admin.listen.host, admin.public_url or "")
    gate = Gate(admin_keys, note, secrets.token_bytes(32), gateway.now, token)
    with indexing(gateway.file), open_sqlite_review(gateway.file) as review:
        parts = AdminParts(
            review,
            FileAnswers(gateway.current, gateway.config),
            RecordedKeys(gateway.keys, write, gateway.rows),
            admin_keys,
            note,
            gateway.now,
            secrets.choice,
            __version__,
            gateway.exports,
        )
        console = Console(parts, gate, secure=url.startswith("https://"))
        yield Operating(AdminListener(parts, gate, sites, console), token and f"{url}/console/open?token={token}")


@dataclass(frozen=True, slots=True)
class RecordedAdminKeys:
    """Admin keys, every change of which is written down first."""

    keys: SqliteAdminKeys
    write: Callable[[ControlRecord], Awaitable[None]]

    async def create(self, key: AdminKey) -> None:
        """Keep a new key."""
        details = {"key": key.id, "name": key.name, "role": key.role.value}
        await self.write(ControlRecord(ControlEvent.ADMIN_KEY_CREATED, key.created_at, details))
        await self.keys.create(key)
