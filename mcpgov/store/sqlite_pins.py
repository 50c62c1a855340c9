"""Pins in SQLite. They change seldom: each look opens the file, and none of it is on a call's path."""

from __future__ import annotations

import asyncio
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

from mcpgov.audit.record import microseconds
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.pinning.judgement import Pin
from mcpgov.pinning.pin_store import KeptPin, KnownServer
from mcpgov.store.database import connect, connect_to_read, unavailable
from mcpgov.store.sqlite_keys import moment, optional

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Generator, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from mcpgov.pinning.pin_store import Seen

CHANGED: Final = """
SELECT known.server, known.revision, known.seen_at, known.listed_at, known.kept,
    pins.tool, pins.digest, pins.approved, pins.rejected, pins.fault
FROM pinned_servers AS known LEFT JOIN pins ON pins.server = known.server
WHERE known.revision > ? OR ? > (SELECT max(revision) FROM pinned_servers) ORDER BY known.revision
"""
PINS: Final = """
SELECT server, tool, digest, approved, rejected, fault, seen_at, decided_at, decided_by FROM pins
WHERE server = ? ORDER BY tool
"""
DEFINITIONS: Final = "SELECT digest, definition FROM definitions WHERE server = ?"
KEEP: Final = """
INSERT INTO pins (server, tool, digest, approved, rejected, fault, seen_at, decided_by)
VALUES (?, ?, ?, ?, ?, ?, ?, '') ON CONFLICT (server, tool) DO UPDATE
SET digest = excluded.digest, fault = excluded.fault, seen_at = excluded.seen_at
"""
DEFINE: Final = "INSERT INTO definitions (server, digest, definition) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
FORGET: Final = """
DELETE FROM definitions WHERE server = ? AND digest NOT IN (
    SELECT digest FROM pins WHERE server = ? UNION SELECT approved FROM pins WHERE server = ?
    UNION SELECT rejected FROM pins WHERE server = ?
)
"""
DECIDE: Final = """
UPDATE pins SET approved = ?, rejected = ?, decided_at = ?, decided_by = ? WHERE server = ? AND tool = ? AND digest = ?
"""
COUNT: Final = """
INSERT INTO pinned_servers (server, seen_at, listed_at, kept, revision)
VALUES (
    ?, ?, ?, (SELECT coalesce(sum(length(definition)), 0) FROM definitions WHERE server = ?),
    (SELECT coalesce(max(revision), 0) + 1 FROM pinned_servers)
) ON CONFLICT (server) DO UPDATE
SET listed_at = coalesce(pinned_servers.listed_at, excluded.listed_at), kept = excluded.kept,
    revision = excluded.revision
"""
THERE: Final = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'pins'"
MEND: Final = (
    "start the gateway once with `mcpgov serve`, so that servers are listed; or name the right file in audit.store"
)


def require_pins(path: Path) -> None:
    """Raise InvalidConfiguration, which says what is to be done, where no gateway has kept pins in this file yet."""
    if not path.exists():
        raise InvalidConfiguration((Problem(str(path), 0, 0, "the store is not there yet", MEND),))
    with unavailable(path), closing(connect_to_read(path)) as database:
        if not database.execute(THERE).fetchone()[0]:
            raise InvalidConfiguration((Problem(str(path), 0, 0, "the store knows no pins yet", MEND),))


class SqlitePins:
    """The PinStore in one SQLite file, which the ledger makes. Every method raises StoreUnavailable."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def changed(self, since: int) -> Sequence[KnownServer]:
        """The servers that have changed after this revision, in the order of their revisions; 0 for all, and all of an
        older store.
        """
        return known_servers(await asyncio.to_thread(self._rows, CHANGED, (since, since)))

    async def keep(self, seen: Seen) -> None:
        """Keep what was seen. Of a tool that is known already, only what is listed is kept, not what is approved."""
        await asyncio.to_thread(self._keep, seen)

    async def pins(self, server: str) -> Sequence[KeptPin]:
        """What is kept of the tools of one server, by name."""
        return [kept_pin(row) for row in await asyncio.to_thread(self._rows, PINS, (server,))]

    async def definitions(self, server: str, digests: Collection[str]) -> Mapping[str, str]:
        """The definitions with these digests, as far as they are kept."""
        rows = await asyncio.to_thread(self._rows, DEFINITIONS, (server,))
        return {digest: text for digest, text in rows if digest in digests}

    async def decide(self, pin: Pin, at: datetime, by: str) -> bool:
        """Keep what is approved and rejected in `pin`; False, and nothing is kept, where the server lists another
        definition by now.
        """
        return await asyncio.to_thread(self._decide, pin, at, by)

    def close(self) -> None:
        """There is nothing to let go of."""

    def _rows(self, query: str, values: tuple[object, ...]) -> list[Any]:
        with self._connected() as database:
            return database.execute(query, values).fetchall()

    def _keep(self, seen: Seen) -> None:
        with self._connected() as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(KEEP, columns(seen))
            database.executemany(DEFINE, [(seen.server, *item) for item in seen.definitions.items()])
            database.execute(FORGET, (seen.server,) * 4)
            database.execute(COUNT, counted(seen.server, seen.at, to_end=seen.to_end))
            database.execute("COMMIT")

    def _decide(self, pin: Pin, at: datetime, by: str) -> bool:
        with self._connected() as database:
            database.execute("BEGIN IMMEDIATE")
            decided = database.execute(DECIDE, decision(pin, at, by)).rowcount > 0
            if decided:
                database.execute(COUNT, counted(pin.server, at, to_end=False))
            database.execute("COMMIT")
        return decided

    @contextmanager
    def _connected(self) -> Generator[sqlite3.Connection]:
        with unavailable(self._path), closing(connect(self._path)) as database:
            yield database


def columns(seen: Seen) -> list[tuple[object, ...]]:
    """What was seen as rows, in the order of KEEP."""
    at = microseconds(seen.at)
    return [
        (seen.server, tool, pin.digest, pin.approved, pin.rejected, pin.fault, at) for tool, pin in seen.pins.items()
    ]


def counted(server: str, at: datetime, *, to_end: bool) -> tuple[object, ...]:
    """That a server has changed, in the order of COUNT."""
    moment_of_it = microseconds(at)
    return (server, moment_of_it, moment_of_it if to_end else None, server)


def decision(pin: Pin, at: datetime, by: str) -> tuple[object, ...]:
    """What was decided, in the order of DECIDE."""
    return (pin.approved, pin.rejected, microseconds(at), by, pin.server, pin.tool, pin.digest)


def known_servers(rows: Iterable[tuple[Any, ...]]) -> list[KnownServer]:
    """Servers from the rows of CHANGED."""
    found: dict[str, KnownServer] = {}
    pins: dict[str, dict[str, Pin]] = {}
    for server, revision, seen_at, listed_at, kept, tool, *rest in rows:
        of_server = pins.setdefault(server, {})
        if tool is not None:
            of_server[tool] = Pin(server, tool, *rest)
        found[server] = KnownServer(server, revision, listed_at is not None, of_server, moment(seen_at), kept)
    return list(found.values())


def kept_pin(row: tuple[Any, ...]) -> KeptPin:
    """A pin from the columns of PINS."""
    *pin, seen_at, decided_at, decided_by = row
    return KeptPin(Pin(*pin), moment(seen_at), optional(decided_at), decided_by)
