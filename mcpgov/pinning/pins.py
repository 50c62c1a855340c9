"""The pins in force: which tools may be called, and which of those that a server lists are shown.

The rules are in pinning/judgement.py; here they meet calls, lists and the store. A call asks the memory of this process
and waits for nobody. A list is judged as the server sent it, before any policy sees it; what is new in it is recorded,
then kept, then shown. What other processes and people change is read from the store about once a second; where that
fails a few times, a server whose entry says `pin: require` is closed until the store is back, and the others go by what
was known last. What could not be written meanwhile is written then. First sight ends where the first list ends, after
so many pages of it, or an hour after it began. Refuses to know: who approves, and how.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from mcpgov.audit.control_events import ControlEvent
from mcpgov.decision import Reason
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.pinning.judgement import PinnedServer, PinState
from mcpgov.pinning.lists import LARGE, PinnedList
from mcpgov.pinning.mode import PinMode
from mcpgov.pinning.pin_store import KnownServer, Seen
from mcpgov.pinning.place import name_in, pinned_as, place_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mcpgov.models import Answer, Connection, Json, MCPRequest
    from mcpgov.pinning.judgement import Judgement, PinChange
    from mcpgov.pinning.lists import Page
    from mcpgov.pinning.pin_store import PinStore

LIST_METHOD: Final = "tools/list"
MISSED: Final = 3  # looks at the store that may fail before what is known counts as old
NOTED: Final = 100  # changes of one list that have a record of their own
PAGES: Final = 100  # of one server's list, with which first sight ends though the list goes on
Detail = str | int | list[str]


class Note(Protocol):
    """Writes down what happened to a pin."""

    def __call__(self, event: ControlEvent, /, **details: Detail) -> Awaitable[None]:
        """Return when it is durable. Raises StoreUnavailable."""
        ...


@frozen
class Owed:
    """What was seen and is to be written: the changes into the ledger, then the pins into the store."""

    seen: Seen
    changes: Mapping[str, PinChange]  # by tool
    about: Mapping[str, str]  # of the call that listed them

    def followed_by(self, later: Owed | None) -> Owed:
        """Both, the later one where they differ."""
        if later is None:
            return self
        return Owed(self.seen.followed_by(later.seen), {**self.changes, **later.changes}, later.about)


@dataclass(slots=True)
class Pins:
    """The pins of one process. `note` writes into the ledger, `now` gives the time in UTC."""

    store: PinStore
    note: Note
    now: Callable[[], datetime]
    _known: dict[str, KnownServer] = field(default_factory=dict[str, KnownServer])
    _owed: dict[str, Owed] = field(default_factory=dict[str, Owed])
    _following: dict[str, set[str]] = field(default_factory=lambda: defaultdict[str, set[str]](set))
    _revision: int = 0
    _missed: int = 0
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    # -- what a call asks -----------------------------------------------------------------------------------------

    def require(self, request: MCPRequest, connection: Connection) -> None:
        """Raise Refusal where the tool that is called is not as somebody approved it: tool-changed, tool-unapproved; or
        where that cannot be said: pins-unavailable.
        """
        tool = request.tool
        if connection.pin is PinMode.OFF or not (tool or request.method == LIST_METHOD):
            return
        if connection.pin is PinMode.REQUIRE and self._missed >= MISSED:
            message = "What is approved of this server cannot be read at the moment. Try again later."
            raise Refusal(Reason.PINS_UNAVAILABLE, message, headers=(("Retry-After", "1"),))
        if not tool:
            return
        known = self._of(pinned_as(connection))
        pin = known.pins.get(tool)
        first_sight = known.is_first_sight(self.now())
        if pin is None and connection.pin is PinMode.TRUST_ON_FIRST_USE and first_sight:
            return  # nothing is pinned yet, so nothing can have changed
        if refusal := PinnedServer(known.name, connection.pin, known.pins, first_sight).refusal_of_call(tool):
            raise refusal

    def judged(self, answer: Answer, request: MCPRequest, connection: Connection) -> Answer:
        """The same answer, in whose lists there are only tools that may be called; what they list is kept. Whatever was
        asked: a list may be in any answer, for a client that reads it otherwise than we do.
        """
        if connection.pin is PinMode.OFF:
            return answer
        return answer.passing(PinnedList(answer, request, connection, self.judge))

    async def judge(self, tools: Sequence[Json], page: Page) -> Collection[int]:
        """The places of those of `tools` that are shown. Raises Refusal: upstream-too-large."""
        server = pinned_as(page.connection)
        while True:
            known = self._of(server)
            pinned = PinnedServer(server, page.connection.pin, known.pins, known.is_first_sight(self.now()), known.kept)
            judgement = await asyncio.to_thread(pinned.judge, tools) if page.size > LARGE else pinned.judge(tools)
            if self._of(server) is known:
                break  # else another list was judged meanwhile, and only one is the first
        to_end = not known.listed and self._is_end(page, server)
        if judgement.pins or to_end or known.since is None:
            await self._keep(judgement, page, to_end=to_end)
        return judgement.shown

    def unlisted(self, connections: Iterable[Connection]) -> Sequence[Connection]:
        """Those whose servers have never been listed to the end: of those that wait for a person all, of those that are
        trusted at first sight the ones that still are.
        """
        return [connection for connection in connections if self._is_unlisted(connection)]

    def known(self, connections: Iterable[Connection]) -> Iterator[KnownServer]:
        """What is known of the servers of these connections, each once, as far as anybody looks at their tools."""
        for server in dict.fromkeys(pinned_as(one) for one in connections if one.pin is not PinMode.OFF):
            yield self._of(server)

    def waiting(self, connections: Iterable[Connection]) -> Mapping[str, int]:
        """How many tools wait for a person, by the name of the server; those of which none waits are left out."""
        counts: Counter[str] = Counter()
        for known in self.known(connections):
            counts[name_in(known.name)] += sum(pin.waits for pin in known.pins.values())
        return +counts

    def _is_unlisted(self, connection: Connection) -> bool:
        known = self._of(pinned_as(connection))
        if connection.pin is PinMode.REQUIRE:
            return not known.listed
        return connection.pin is PinMode.TRUST_ON_FIRST_USE and known.is_first_sight(self.now())

    def _of(self, server: str) -> KnownServer:
        if server not in self._known:
            self._known[server] = KnownServer(server)
        return self._known[server]

    # -- what is kept ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read all pins that there are. Raises StoreUnavailable."""
        await self._read()

    async def watch(self, pause: Callable[[], Awaitable[None]]) -> None:
        """Look at the store after each pause, until cancelled. Whatever ends it, what is known is old from then on."""
        try:
            while True:
                await pause()
                await self.refresh()
        finally:
            self._missed = MISSED

    async def refresh(self) -> None:
        """Write what is owed, and read what others have changed."""
        async with self._writing:
            try:
                await self._settle()
                await self._read()
            except StoreUnavailable as error:
                self._missed += 1
                if self._missed == MISSED:
                    structlog.get_logger().error("pins-unavailable", error=str(error))
                return
            if self._missed >= MISSED:
                structlog.get_logger().info("pins-recovered")
            self._missed = 0

    async def _keep(self, judgement: Judgement, page: Page, *, to_end: bool) -> None:
        server = pinned_as(page.connection)
        pins = {pin.tool: pin for pin in judgement.pins}
        seen = Seen(server, self.now(), pins, judgement.definitions, to_end)
        self._known[server] = self._of(server).after(seen)
        about = {"connection": page.connection.name, "correlation_id": page.correlation_id}
        owed = Owed(seen, {change.tool: change for change in judgement.changes}, about)
        self._owed[server] = self._owed[server].followed_by(owed) if server in self._owed else owed
        async with self._writing:
            try:
                await self._settle()
            except StoreUnavailable as error:
                structlog.get_logger().error("pins-not-kept", server=server, error=str(error))

    async def _settle(self) -> None:
        while self._owed:
            server = next(iter(self._owed))
            owed = self._owed.pop(server)
            written = False
            try:
                await asyncio.gather(*(self.note(event, **details) for event, details in records_of(owed)))
                await self.store.keep(owed.seen)
                written = True
            finally:
                if not written:  # the store is away, or the caller has gone
                    self._owed[server] = owed.followed_by(self._owed.get(server))

    async def _read(self) -> None:
        found = await self.store.changed(self._revision)
        if found and found[0].revision <= self._revision:  # the store is an older one: what it does not know is unknown
            self._known = {server: KnownServer(server).after(owed.seen) for server, owed in self._owed.items()}
        for known in found:
            owed = self._owed.get(known.name)
            self._known[known.name] = known.after(owed.seen) if owed else known
            self._revision = known.revision

    def _is_end(self, page: Page, server: str) -> bool:
        """Whether a page is the last one of a list that was followed from its first page, or the last that counts."""
        following = self._following[server]
        if not page.own or (page.cursor is not None and page.cursor not in following):
            return False
        following.add(page.following)
        is_end = page.following in {"", page.cursor} or len(following) >= PAGES
        if is_end:
            del self._following[server]
        return is_end


def records_of(owed: Owed) -> Iterator[tuple[ControlEvent, dict[str, Detail]]]:
    """What is written down of changes: one record for all that is trusted, one for each that is not, up to a bound."""
    server: dict[str, Detail] = {"server": name_in(owed.seen.server), "place": place_in(owed.seen.server), **owed.about}
    changes = list(owed.changes.values())
    trusted = [change.tool for change in changes if is_trusted(change)]
    if trusted:
        yield ControlEvent.TOOLS_TRUSTED, {**server, "count": len(trusted), "tools": trusted[:NOTED]}
    others = [change for change in changes if not is_trusted(change)]
    for change in others[:NOTED]:
        told = {"old": change.old, "new": change.new, "state": str(change.state), "why": change.why}
        yield event_of(change), {**server, "tool": change.tool, **{name: said for name, said in told.items() if said}}
    if len(others) > NOTED:
        yield ControlEvent.TOOL_DEFINITION_CHANGED, {**server, "more": len(others) - NOTED}


def is_trusted(change: PinChange) -> bool:
    """Whether a tool is shown though nobody has looked at it."""
    return change.state is PinState.APPROVED and not change.old


def event_of(change: PinChange) -> ControlEvent:
    """What happened to a tool: it is new, or it is not as it was."""
    is_new = not change.old and change.state in {PinState.PENDING, PinState.UNFIT}
    return ControlEvent.TOOL_PENDING if is_new else ControlEvent.TOOL_DEFINITION_CHANGED
