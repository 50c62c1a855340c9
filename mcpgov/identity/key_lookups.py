"""Looks a gateway key up once for all the calls that the event loop takes up together.

Rules: nothing is kept from one turn of the loop to the next, so a key that another process revokes is refused from the
revocation's commit on: what is shared was read in the same turn, and no call in it was answered before. What cannot be
read is not shared. Each look into the store gives up the interpreter's lock, and under load that costs more than the
rest of what it takes to know a caller.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcpgov.identity.api_key import KeyFinder, KeyRecord


class KeyLookups:
    """Implements api_key.KeyFinder over a store."""

    __slots__ = ("_found", "_keys")

    def __init__(self, keys: KeyFinder) -> None:
        self._keys = keys
        self._found: dict[str, KeyRecord | None] = {}

    async def find(self, key_id: str) -> KeyRecord | None:
        """The key with this id, as it stands in this turn of the loop. Raises StoreUnavailable."""
        found = self._found
        if key_id in found:
            return found[key_id]
        record = await self._keys.find(key_id)
        if not found:
            asyncio.get_running_loop().call_soon(found.clear)
        found[key_id] = record
        return record
