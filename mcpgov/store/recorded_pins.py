"""Pins whose every decision stands in the ledger first: nothing is approved without a record of who approved it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.pinning.place import name_in, place_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from mcpgov.pinning.judgement import Pin
    from mcpgov.pinning.pin_store import KeptPin, KnownServer, PinStore

    Write = Callable[[ControlRecord], Awaitable[None]]


class RecordedPins:
    """The pins of `store`; `writing` opens what writes into the ledger, before anything is decided."""

    def __init__(self, store: PinStore, writing: Callable[[], AbstractAsyncContextManager[Write]]) -> None:
        self._store = store
        self._writing = writing

    async def servers(self) -> Sequence[KnownServer]:
        """All that is known of each server. Raises StoreUnavailable."""
        return await self._store.changed(0)

    async def pins(self, server: str) -> Sequence[KeptPin]:
        """What is kept of the tools of one server, by name. Raises StoreUnavailable."""
        return await self._store.pins(server)

    async def definitions(self, server: str, digests: Collection[str]) -> Mapping[str, str]:
        """The definitions with these digests, as far as they are kept. Raises StoreUnavailable."""
        return await self._store.definitions(server, digests)

    async def others(self, name: str) -> frozenset[str]:
        """The names of the tools of all servers that have another name. Raises StoreUnavailable."""
        others = [known for known in await self.servers() if name_in(known.name) != name]
        return frozenset(tool for other in others for tool in other.pins if tool)

    async def approve(self, pins: Sequence[Pin], at: datetime, by: str) -> Sequence[Pin]:
        """Approve what `pins` say is approved; gives back those of which another definition is listed by now, of which
        nothing is approved. Raises StoreUnavailable.
        """
        return await self._decide(ControlEvent.TOOL_APPROVED, pins, at, by)

    async def reject(self, pins: Sequence[Pin], at: datetime, by: str) -> Sequence[Pin]:
        """Reject what `pins` say is rejected, as approve() approves. Raises StoreUnavailable."""
        return await self._decide(ControlEvent.TOOL_REJECTED, pins, at, by)

    async def _decide(self, event: ControlEvent, pins: Sequence[Pin], at: datetime, by: str) -> Sequence[Pin]:
        left: list[Pin] = []
        async with self._writing() as write:
            for pin in pins:
                if not await self._is_listed(pin):
                    left.append(pin)
                    continue
                whose = {"server": name_in(pin.server), "place": place_in(pin.server)}
                details = {**whose, "tool": pin.tool, "digest": pin.digest, "principal": by}
                await write(ControlRecord(event, at, details))
                if not await self._store.decide(pin, at, by):
                    left.append(pin)  # it has changed since, and the record says what was meant
        return left

    async def _is_listed(self, pin: Pin) -> bool:
        kept = {one.pin.tool: one.pin.digest for one in await self._store.pins(pin.server)}
        return kept.get(pin.tool) == pin.digest
