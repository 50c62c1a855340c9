"""What is kept of pins, and what a store of them promises.

Pure. A gateway keeps what a server lists (`Seen`), people decide about it (`decide`), and neither undoes the other:
what was decided is never written over by what was seen, and nobody decides about a definition that is no longer listed.
First sight ends with the first list that is seen to its end, and an hour after it began: a server must not choose how
long it is believed, by lists that never end. A `server` here is its name and place (pinned_place.py). Refuses to know:
which database it is.
"""

from __future__ import annotations

from dataclasses import field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from mcpgov.pinning.judgement import Pin

FIRST_SIGHT: Final = timedelta(hours=1)  # at most, from the first list that was seen of a server


@frozen
class KeptPin:
    """A pin as it is kept: when the definition was seen that is listed now, and who decided when.

    What was trusted at first sight was decided by nobody.
    """

    pin: Pin
    seen_at: datetime
    decided_at: datetime | None = None
    decided_by: str = ""


@frozen
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
        """Both. The later one says what is listed, the earlier one what was approved: as if it had been kept before."""
        pins = {**self.pins, **{tool: after(self.pins.get(tool), pin) for tool, pin in later.pins.items()}}
        definitions = {**self.definitions, **later.definitions}
        return Seen(self.server, later.at, pins, definitions, self.to_end or later.to_end)


@frozen
class KnownServer:
    """What is known of the tools of one server. `revision` is higher with each change; `listed`: seen to the end.
    `since` is when the first of its lists was seen, `kept` how many characters its definitions have.
    """

    name: str
    revision: int = 0
    listed: bool = False
    pins: Mapping[str, Pin] = field(default_factory=dict[str, "Pin"])
    since: datetime | None = None
    kept: int = 0

    def is_first_sight(self, now: datetime) -> bool:
        """Whether what is listed now is listed for the first time."""
        return not self.listed and (self.since is None or now - self.since < FIRST_SIGHT)

    def after(self, seen: Seen) -> KnownServer:
        """The same with what was seen. What somebody has decided meanwhile stays. `kept` is too high until the store
        has let go of what no pin names any more.
        """
        pins = {tool: after(self.pins.get(tool), pin) for tool, pin in seen.pins.items()}
        return replace(
            self,
            listed=self.listed or seen.to_end,
            pins={**self.pins, **pins},
            since=self.since or seen.at,
            kept=self.kept + sum(map(len, seen.definitions.values())),
        )


def after(known: Pin | None, seen: Pin) -> Pin:
    """The pin of a tool that was seen: of one that is known, only what is listed changes."""
    return seen if known is None else replace(known, digest=seen.digest, fault=seen.fault)


class PinStore(Protocol):
    """Where pins are kept. Every method raises StoreUnavailable."""

    async def changed(self, since: int) -> Sequence[KnownServer]:
        """The servers that have changed after this revision, in the order of their revisions; 0 for all. All of them,
        too, where no revision is as high as this one: the store is an older one than it was.
        """
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
