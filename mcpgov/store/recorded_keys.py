"""A key store whose every change stands in the ledger first: no key without a record of who it was made for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from mcpgov.audit.record import ControlEvent, ControlRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mcpgov.audit.writer import LedgerStore
    from mcpgov.identity.api_key import KeyRecord, KeyStore


class RecordedKeys:
    """The keys of `keys`; what is changed is written to `ledger`, which is open, before it is changed."""

    def __init__(self, keys: KeyStore, ledger: LedgerStore) -> None:
        self._keys = keys
        self._ledger = ledger

    async def find(self, key_id: str) -> KeyRecord | None:
        """The key with this id, revoked and expired ones included."""
        return await self._keys.find(key_id)

    async def create(self, record: KeyRecord) -> None:
        """Keep a new key."""
        details = {"key": record.id, "name": record.name, "project": record.project}
        await self._note(ControlRecord(ControlEvent.KEY_CREATED, record.created_at, details))
        await self._keys.create(record)

    async def list(self) -> Sequence[KeyRecord]:
        """Every key, oldest first."""
        return await self._keys.list()

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; False when there is none with this id or it was revoked before."""
        found = await self._keys.find(key_id)
        if found is None or found.revoked_at is not None:
            return False
        await self._note(ControlRecord(ControlEvent.KEY_REVOKED, at, {"key": key_id, "name": found.name}))
        return await self._keys.revoke(key_id, at)

    async def _note(self, event: ControlRecord) -> None:
        await asyncio.to_thread(self._ledger.append, [event.row()])
