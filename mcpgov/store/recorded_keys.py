"""A key store whose every change stands in the ledger first: no key without a record of who it was made for.

It tells as well what a key leaves behind: the consents that were given with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.audit.record import ControlEvent, ControlRecord, timestamp
from mcpgov.identity.api_key import principal_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from mcpgov.credential.vault import TokenVault
    from mcpgov.identity.api_key import KeyRecord, KeyStore

    Write = Callable[[ControlRecord], Awaitable[None]]


class RecordedKeys:
    """The keys of `keys`; `write` writes down what is changed, before it is changed, and raises StoreUnavailable.

    `rows` has the tokens that users let mcpgov have.
    """

    def __init__(self, keys: KeyStore, write: Write, rows: TokenVault) -> None:
        self._keys = keys
        self._note = write
        self._rows = rows

    async def find(self, key_id: str) -> KeyRecord | None:
        """The key with this id, revoked and expired ones included."""
        return await self._keys.find(key_id)

    async def create(self, record: KeyRecord) -> None:
        """Keep a new key."""
        await self._note(ControlRecord(ControlEvent.KEY_CREATED, record.created_at, _details(record)))
        await self._keys.create(record)

    async def list(self) -> Sequence[KeyRecord]:
        """Every key, oldest first."""
        return await self._keys.list()

    async def consents(self, key_id: str) -> Sequence[str]:
        """The connections at which the holder of a key has let mcpgov act for them. Raises StoreUnavailable."""
        return await self._rows.connections_of(principal_id(key_id))

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; False when there is none with this id or it was revoked before."""
        found = await self._keys.find(key_id)
        if found is None or found.revoked_at is not None:
            return False
        await self._note(ControlRecord(ControlEvent.KEY_REVOKED, at, {"key": key_id, "name": found.name}))
        return await self._keys.revoke(key_id, at)

    async def rotate(self, key_id: str, new: KeyRecord, until: datetime) -> bool:
        """Keep `new`, made now, in place of a key, which ends `until` unless it ends earlier; False, and nothing is
        kept, when there is no key with this id in force, or it was rotated before.
        """
        found = await self._keys.find(key_id)
        if found is None or not found.can_be_rotated(new.created_at):
            return False
        end = until if found.expires_at is None else min(until, found.expires_at)
        details = _details(new) | {"replaces": key_id, "until": timestamp(end)}
        await self._note(ControlRecord(ControlEvent.KEY_ROTATED, new.created_at, details))
        return await self._keys.rotate(key_id, new, until)

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        """Note when keys were last used. That is no change, and stands in the record of every call."""
        await self._keys.touch(uses)


def _details(record: KeyRecord) -> dict[str, str | int]:
    """What the ledger says of a key."""
    scope = {"connections": record.scope.connections, "tools": record.scope.tools}
    listed = {name: " ".join(patterns) for name, patterns in scope.items() if patterns is not None}
    return {"key": record.id, "name": record.name, "project": record.project, **listed}
