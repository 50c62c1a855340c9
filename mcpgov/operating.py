"""The admin listener put together: the console and the admin API, their keys, and the index that they read.

A room of the composition root: app.py hands it a running gateway. Nobody else imports it.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from mcpgov import __version__
from mcpgov.admin.access import AdminKey
from mcpgov.admin.asgi import AdminListener
from mcpgov.admin.parts import AdminParts
from mcpgov.admin.sessions import Gate, way_in
from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.cli.answers import FileAnswers, unasked
from mcpgov.console.asgi import Console
from mcpgov.endpoint.limits import Sites
from mcpgov.frozen import frozen
from mcpgov.store.audit_index import indexing
from mcpgov.store.recorded_keys import RecordedKeys
from mcpgov.store.recorded_pins import RecordedPins

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime
    from pathlib import Path

    from mcpgov.admin.access import AdminKeyStore
    from mcpgov.audit.exported import ExportState
    from mcpgov.audit.ledger import AuditLedger
    from mcpgov.health import ConnectionHealth
    from mcpgov.identities import Keys, Rows
    from mcpgov.prometheus import Prometheus
    from mcpgov.settings import Admin
    from mcpgov.snapshot import Snapshot
    from mcpgov.storage import Storage


@frozen
class Operated:
    """The running gateway that operators look after, and the settings file that it runs from."""

    admin: Admin
    storage: Storage
    config: Path | None
    current: Callable[[], Snapshot]
    ledger: AuditLedger
    keys: Keys
    rows: Rows
    now: Callable[[], datetime]
    prometheus: Prometheus | None = None
    exports: Callable[[], Sequence[ExportState]] = tuple  # blocks
    health: Callable[[str], ConnectionHealth] = unasked


@frozen
class Operating:
    """The application of the admin listener. `link` is the way in where nobody has an admin key yet, else empty."""

    listener: AdminListener
    link: str


@asynccontextmanager
async def operating(gateway: Operated) -> AsyncGenerator[Operating]:
    """The admin listener of a gateway, while its ledger is indexed. Raises InvalidConfiguration, StoreUnavailable."""
    admin, storage = gateway.admin, gateway.storage

    async def note(event: str, details: Mapping[str, str]) -> None:
        await gateway.ledger.control(ControlEvent(event), **details)

    async def write(record: ControlRecord) -> None:
        await gateway.ledger.control(record.event, **record.details)

    url = admin.url
    sites = Sites.of(admin.listen.host, admin.public_url or "")
    with (
        storage.admin_keys() as admin_keys,
        indexing(storage.index_place()),
        storage.review() as review,
        storage.pins() as pins,
    ):
        token = await way_in(admin_keys, gateway.now(), loopback=admin.listen.loopback)
        gate = Gate(admin_keys, note, secrets.token_bytes(32), gateway.now, token)
        parts = AdminParts(
            review,
            FileAnswers(gateway.current, gateway.config, gateway.health),
            RecordedKeys(gateway.keys, write, gateway.rows),
            RecordedAdminKeys(admin_keys, write),
            note,
            gateway.now,
            secrets.choice,
            __version__,
            RecordedPins(pins, lambda: nullcontext(write)),
            gateway.exports,
            lambda: gateway.ledger.sinks.failed,
        )
        console = Console(parts, gate, secure=url.startswith("https://"))
        metrics = gateway.prometheus.text if gateway.prometheus else None
        listener = AdminListener(parts, gate, sites, console, metrics)
        yield Operating(listener, token and f"{url}/console/open?token={token}")


@frozen
class RecordedAdminKeys:
    """Admin keys, every change of which is written down first."""

    keys: AdminKeyStore
    write: Callable[[ControlRecord], Awaitable[None]]

    async def find(self, key_id: str) -> AdminKey | None:
        """The key with this id, revoked and expired ones included."""
        return await self.keys.find(key_id)

    async def list(self) -> Sequence[AdminKey]:
        """Every key, oldest first."""
        return await self.keys.list()

    async def create(self, key: AdminKey) -> None:
        """Keep a new key."""
        details = {"key": key.id, "name": key.name, "role": key.role.value}
        await self.write(ControlRecord(ControlEvent.ADMIN_KEY_CREATED, key.created_at, details))
        await self.keys.create(key)

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; False when there is none with this id or it was revoked before."""
        found = await self.keys.find(key_id)
        if found is None or found.revoked_at is not None:
            return False
        details = {"key": key_id, "name": found.name, "role": found.role.value}
        await self.write(ControlRecord(ControlEvent.ADMIN_KEY_REVOKED, at, details))
        return await self.keys.revoke(key_id, at)
