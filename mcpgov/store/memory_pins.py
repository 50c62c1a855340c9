"""Pins in memory: what PinStore promises, without a disk. For tests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mcpgov.pinning.pin_store import KeptPin, KnownServer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from mcpgov.pinning.judgement import Pin
    from mcpgov.pinning.pin_store import Seen


class MemoryPins:
    """The PinStore of one process. `failure` is raised while there is one."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self._servers: dict[str, KnownServer] = {}
        self._kept: dict[tuple[str, str], KeptPin] = {}
        self._definitions: dict[str, dict[str, str]] = {}
        self._revision = 0

    async def changed(self, since: int) -> Sequence[KnownServer]:
        """The servers that have changed after this revision, in the order of their revisions; 0 for all, and all of an
        older store.
        """
        self._fail()
        found = [server for server in self._servers.values() if server.revision > since or self._revision < since]
        return sorted(found, key=lambda server: server.revision)

    async def keep(self, seen: Seen) -> None:
        """Keep what was seen. Of a tool that is known already, only what is listed is kept, not what is approved."""
        self._fail()
        server = self._servers.get(seen.server, KnownServer(seen.server)).after(seen)
        for tool in seen.pins:
            before = self._kept.get((seen.server, tool))
            pin = server.pins[tool]
            self._kept[seen.server, tool] = (
                KeptPin(pin, seen.at) if before is None else replace(before, pin=pin, seen_at=seen.at)
            )
        named = {digest for pin in server.pins.values() for digest in (pin.digest, pin.approved, pin.rejected)}
        texts = {**self._definitions.get(seen.server, {}), **seen.definitions}
        left = {digest: text for digest, text in texts.items() if digest in named}
        self._definitions[seen.server] = left
        self._put(replace(server, kept=sum(map(len, left.values()))))

    async def pins(self, server: str) -> Sequence[KeptPin]:
        """What is kept of the tools of one server, by name."""
        self._fail()
        return [kept for (name, _), kept in sorted(self._kept.items()) if name == server]

    async def definitions(self, server: str, digests: Collection[str]) -> Mapping[str, str]:
        """The definitions with these digests, as far as they are kept."""
        self._fail()
        return {digest: text for digest, text in self._definitions.get(server, {}).items() if digest in digests}

    async def decide(self, pin: Pin, at: datetime, by: str) -> bool:
        """Keep what is approved and rejected in `pin`; False, and nothing is kept, where the server lists another
        definition by now.
        """
        self._fail()
        before = self._kept.get((pin.server, pin.tool))
        if before is None or before.pin.digest != pin.digest:
            return False
        decided = replace(before.pin, approved=pin.approved, rejected=pin.rejected)
        self._kept[pin.server, pin.tool] = KeptPin(decided, before.seen_at, at, by)
        server = self._servers[pin.server]
        self._put(replace(server, pins={**server.pins, pin.tool: decided}))
        return True

    def close(self) -> None:
        """There is nothing to let go of."""

    def _put(self, server: KnownServer) -> None:
        self._revision += 1
        self._servers[server.name] = replace(server, revision=self._revision)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
