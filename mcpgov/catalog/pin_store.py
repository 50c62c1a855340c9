"""What is kept of pins, and what a store of them promises.

Pure. A gateway keeps what a server lists (`Seen`), people decide about it (`decide`), and neither undoes the other:
what was decided is never written over by what was seen, and nobody decides about a definition that is no longer listed.
Refuses to know: which database it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from mcpgov.catalog.pinning import Pin


@dataclass(frozen=True, slots=True)
class KeptPin:
    """A pin as it is kept: when the definition was seen that is listed now, and who decided when.

    What was trusted at first sight was decided by nobody.
    """

    pin: Pin
    seen_at: datetime
    decided_at: datetime | None = None
    decided_by: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a list, or a page of one, has shown of a server: the pins that are not as they were, by tool, and the
    definitions that they name, by digest. `to_end`: all of its tools have been seen at least once.
    """

    server: str
    at: datetime
    pins: Mapping[str, Pin] = field(default_factory=dict[str, "Pin"])
    definitions: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    to_end: bool = False

    def followed_by(self, later: Seen) -> Seen:
        """Both, the later one where they differ."""
        pins, definitions = {**self.pins, **later.pins}, {**self.definitions, **later.definitions}
        return Seen(self.server, later.at, pins, definitions, self.to_end or later.to_end)


@dataclass(frozen=True, slots=True)
class KnownServer:
    """What is known of the tools of one server. `revision` is higher with each change; `listed`: seen to the end."""

    name: str
    revision: int = 0
    listed: bool = False
    pins: Mapping[str, Pin] = field(default_factory=dict[str, "Pin"])

    def after(self, seen: Seen) -> KnownServer:
        """The same with what was seen. What somebody has decided meanwhile stays."""
        pins = {tool: self._after(pin) for tool, pin in seen.pins.items()}
        return replace(self, listed=self.listed or seen.to_end, pins={**self.pins, **pins})

    def _after(self, pin: Pin) -> Pin:
        known = self.pins.get(pin.tool)
        return pin if known is None else replace(known, digest=pin.digest, fault=pin.fault)


class PinStore(Protocol):
    """Where pins are kept. Every method raises StoreUnavailable."""

    async def changed(self, since: int) -> Sequence[KnownServer]:
        """The servers that have changed after this revision, in the order of their revisions; 0 for all."""
        ...

    async def keep(self, seen: Seen) -> None:
        """Keep what was seen. Of a tool that is known already, only what is listed is kept, not what is approved."""
        ...

    async def pins(self, server: str) -> Sequence[KeptPin]:
        """What is kept of the tools of one server, by name."""
        ...

    async def definitions(self, server: str, digests: Collection[str]) -> Mapping[str, str]:
        """The definitions with these digests, as far as they are kept."""
        ...

    async def decide(self, pin: Pin, at: datetime, by: str) -> bool:
        """Keep what is approved and rejected in `pin`; False, and nothing is kept, where the server lists another
        definition by now.
        """
        ...
