"""When keys were last used: noted while calls pass, told to the store from a task of its own.

Rules: noting a use is a look into a dictionary, so that no call ever waits for it; a key is told of once a minute at
most; a store that is locked or gone costs that minute's note and nothing else.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from mcpgov.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime

    from mcpgov.identity.api_key import KeyStore

APART: Final = timedelta(minutes=1)


class KeyUses:
    """Implements api_key.Uses. Nothing is told to `keys` until `run` does."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._noted: dict[str, datetime] = {}  # as many as there are keys that hold
        self._waiting: dict[str, datetime] = {}
        self._wake = asyncio.Event()

    def note(self, key_id: str, at: datetime) -> None:
        """Note a use, unless one within the last minute was noted."""
        before = self._noted.get(key_id)
        if before is None or at - before >= APART:
            self._noted[key_id] = self._waiting[key_id] = at
            self._wake.set()

    async def tell(self) -> None:
        """Tell the store what was noted since the last time."""
        uses, self._waiting = self._waiting, {}
        if not uses:
            return
        try:
            await self._keys.touch(uses)
        except StoreUnavailable as error:
            structlog.get_logger().warning("key-uses-not-noted", error=str(error))

    async def run(self) -> None:
        """Tell the store whenever there is something to tell, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.tell()


@asynccontextmanager
async def noting_uses(keys: KeyStore) -> AsyncGenerator[KeyUses]:
    """Where uses are noted, told to `keys` until the context is left; what is left then is told at its end."""
    uses = KeyUses(keys)
    task = asyncio.create_task(uses.run())
    try:
        yield uses
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await uses.tell()
