"""Lists the servers that wait for a person before anybody asks for their tools, so that there is something to approve.

Only those whose entry says `pin: require`: until they were listed, all their tools are refused. The probe goes the way
of every call, as mcpgov:probe, one server at a time. A server that cannot be listed is tried again when the files
change, and from time to time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from mcpgov.models import Connection
    from mcpgov.snapshot import Snapshot

AGAIN: Final = 300  # looks after which what could not be listed is tried once more


class Unlisted(Protocol):
    """The pins in force."""

    def unlisted(self, connections: Iterable[Connection], /) -> Sequence[Connection]:
        """Those whose servers wait for a person, and have never been listed to the end."""
        ...


class FirstSight:
    """Looks after each pause for servers that were never listed, and lists them by `probe`, which never raises."""

    def __init__(
        self, current: Callable[[], Snapshot], pins: Unlisted, probe: Callable[[str], Awaitable[object]]
    ) -> None:
        self._current = current
        self._pins = pins
        self._probe = probe
        self._looks = 0
        self._tried: set[tuple[str, str]] = set()

    async def look(self) -> None:
        """List what was not tried with these files yet."""
        snapshot = self._current()
        self._looks += 1
        if self._looks % AGAIN == 0:
            self._tried.clear()
        for connection in snapshot.connections.values():
            attempt = (snapshot.stamp, connection.name)
            if attempt not in self._tried and self._pins.unlisted([connection]):
                self._tried.add(attempt)
                await self._probe(connection.name)

    async def run(self, pause: Callable[[], Awaitable[None]]) -> None:
        """Look now and after each pause, until cancelled."""
        while True:
            await self.look()
            await pause()
