"""Says in the log when tools have come to wait for a person: once for each definition, not at each look.

What waits shows in the console, in `mcpgov catalog diff` and in the metrics; a log is what somebody reads who does not
know yet that there is anything to look at. Refuses to know what pins are, and who decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

from mcpgov.pinning.place import name_in, place_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from mcpgov.models import Connection
    from mcpgov.pinning.pin_store import KnownServer
    from mcpgov.snapshot import Snapshot


class Known(Protocol):
    """The pins in force."""

    def known(self, connections: Iterable[Connection], /) -> Iterable[KnownServer]:
        """What is known of the servers of these connections, each once."""
        ...


class WaitingTools:
    """Tells of what waits at the servers in force."""

    def __init__(self, current: Callable[[], Snapshot], pins: Known) -> None:
        self._current = current
        self._pins = pins
        self._seen: dict[str, KnownServer] = {}
        self._told: dict[str, frozenset[tuple[str, str]]] = {}

    def look(self) -> None:
        """Tell of each server at which something waits that did not wait before."""
        for known in self._pins.known(self._current().connections.values()):
            if self._seen.get(known.name) is known:
                continue  # nothing has changed
            self._seen[known.name] = known
            waiting = frozenset((pin.tool, pin.digest) for pin in known.pins.values() if pin.waits)
            if waiting - self._told.get(known.name, frozenset()):
                name, place = name_in(known.name), place_in(known.name)
                look = f"mcpgov catalog diff {name}"
                structlog.get_logger().warning("tools-wait", server=name, place=place, waiting=len(waiting), look=look)
            self._told[known.name] = waiting

    async def run(self, pause: Callable[[], Awaitable[None]]) -> None:
        """Look now and after each pause, until cancelled."""
        while True:
            self.look()
            await pause()
