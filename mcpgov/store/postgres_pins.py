"""Pins in PostgreSQL, shared by every gateway: what is approved at one shows at all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcpgov.store import sqlite_pins
from mcpgov.store.sqlite_pins import columns, counted, decision, kept_pin, known_servers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from mcpgov.pinning.judgement import Pin
    from mcpgov.pinning.pin_store import KeptPin, KnownServer, Seen
    from mcpgov.store.postgres_database import BoundedAsyncConnection
    from mcpgov.store.postgres_pool import PostgresPool

CHANGED: Final = sqlite_pins.CHANGED.replace("?", "%s").encode()
PINS: Final = sqlite_pins.PINS.replace("?", "%s").encode()
DEFINITIONS: Final = b"SELECT digest, definition FROM definitions WHERE server = %s AND digest = ANY(%s)"
KEEP: Final = sqlite_pins.KEEP.replace("?", "%s").encode()
DEFINE: Final = sqlite_pins.DEFINE.replace("?", "%s").encode()
FORGET: Final = sqlite_pins.FORGET.replace("?", "%s").encode()
DECIDE: Final = sqlite_pins.DECIDE.replace("?", "%s").encode()
COUNT: Final = sqlite_pins.COUNT.replace("?", "%s").encode()
# Revisions are committed in their order: who has read one has seen all before it.
ALONE: Final = b"LOCK TABLE pinned_servers IN EXCLUSIVE MODE"


class PostgresPins:
    """The PinStore in one database. Every method raises StoreUnavailable."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def changed(self, since: int) -> Sequence[KnownServer]:
        """The servers that have changed after this revision, in the order of their revisions; 0 for all, and all of an
        older store.
        """
        return known_servers(await self._rows(CHANGED, (since, since)))

    async def keep(self, seen: Seen) -> None:
        """Keep what was seen. Of a tool that is known already, only what is listed is kept, not what is approved."""

        async def keep(database: BoundedAsyncConnection) -> None:
            async with database.transaction():
                await database.execute(ALONE)
                async with database.cursor() as cursor:
                    await cursor.executemany(KEEP, columns(seen))
                    await cursor.executemany(DEFINE, [(seen.server, *item) for item in seen.definitions.items()])
                await database.execute(FORGET, (seen.server,) * 4)
                await database.execute(COUNT, counted(seen.server, seen.at, to_end=seen.to_end))

        await self._pool.run(keep)

    async def pins(self, server: str) -> Sequence[KeptPin]:
        """What is kept of the tools of one server, by name."""
        return [kept_pin(row) for row in await self._rows(PINS, (server,))]

    async def definitions(self, server: str, digests: Collection[str]) -> Mapping[str, str]:
        """The definitions with these digests, as far as they are kept."""
        return dict(await self._rows(DEFINITIONS, (server, list(digests))))

    async def decide(self, pin: Pin, at: datetime, by: str) -> bool:
        """Keep what is approved and rejected in `pin`; False, and nothing is kept, where the server lists another
        definition by now.
        """

        async def decide(database: BoundedAsyncConnection) -> bool:
            async with database.transaction():
                await database.execute(ALONE)
                decided = (await database.execute(DECIDE, decision(pin, at, by))).rowcount > 0
                if decided:
                    await database.execute(COUNT, counted(pin.server, at, to_end=False))
            return decided

        return await self._pool.run(decide)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()

    async def _rows(self, query: bytes, values: Sequence[object]) -> Sequence[tuple[Any, ...]]:
        async def asked(database: BoundedAsyncConnection) -> Sequence[tuple[Any, ...]]:
            return await (await database.execute(query, values)).fetchall()

        return await self._pool.run(asked)
