"""Lists servers before anybody asks for their tools: so that there is something to approve, and first sight has an end.

All tools of a server whose entry says `pin: require` are refused until it was listed, and one that is trusted at first
sight is trusted further until its list was followed to the end; a client may never do that. The probe goes the way of
every call, as mcpgov:probe, several servers at once: one that stalls keeps the others from nothing. A server that
cannot be listed is tried again when the files change, and from time to time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.pinning.mode import PinMode
from mcpgov.pinning.place import pinned_as

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from mcpgov.models import Connection
    from mcpgov.snapshot import Snapshot

AGAIN: Final = 300  # looks after which what could not be listed is tried once more
AT_ONCE: Final = 8  # servers


class Unlisted(Protocol):
    """The pins in force."""

    def unlisted(self, connections: Iterable[Connection], /) -> Sequence[Connection]:
        """Those whose servers have pins, and have never been listed to the end."""
        ...


class FirstSight:
    """Looks after each pause for servers that were never listed, and lists them by `probe`, which never raises.

    Those that are trusted at first sight are left to clients unless `trusted`.
    """

    def __init__(
        self,
        current: Callable[[], Snapshot],
        pins: Unlisted,
        probe: Callable[[str], Awaitable[object]],
        *,
        trusted: bool = True,
    ) -> None:
        self._current = current
        self._pins = pins
        self._probe = probe
        self._modes = {PinMode.REQUIRE, PinMode.TRUST_ON_FIRST_USE} if trusted else {PinMode.REQUIRE}
        self._looks = 0
        self._tried: set[tuple[str, str]] = set()

    async def look(self) -> None:
        """List what was not tried with these files yet, one connection of each server."""
        snapshot = self._current()
        self._looks += 1
        if self._looks % AGAIN == 0:
            self._tried.clear()
        due: dict[str, Connection] = {}
        for connection in self._pins.unlisted(snapshot.connections.values()):
            if connection.pin in self._modes and (snapshot.stamp, connection.name) not in self._tried:
                due.setdefault(pinned_as(connection), connection)
        self._tried.update((snapshot.stamp, connection.name) for connection in due.values())
        places = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._list(connection, places) for connection in due.values()))

    async def _list(self, connection: Connection, places: asyncio.Semaphore) -> None:
        async with places:
            await self._probe(connection.name)

    async def run(self, pause: Callable[[], Awaitable[None]]) -> None:
        """Look now and after each pause, until cancelled."""
        while True:
            await self.look()
            await pause()
