"""Listens to the members on a caller's behalf: their streams become one.

HANDSHAKE: GET, in each member's session; STATELESS: subscriptions/listen, acknowledged once for all of them. Rules:
each stream is a request of its own, and passes that connection's policies; a member that cannot be listened to is left
out; when one that could ends its stream the whole ends, so that the client comes back, is identified anew, and misses
nobody for long.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from mcpgov.aggregate.callbacks import Letters, Renumbered
from mcpgov.aggregate.events import ACKNOWLEDGED, Subscribed, acknowledged, honoured
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.handles.event_ids import without_ids
from mcpgov.messages import SUBSCRIPTION_ID, message_in
from mcpgov.models import Event
from mcpgov.policy.rewriting import Rewritten
from mcpgov.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from mcpgov.aggregate.asking import Asking
    from mcpgov.aggregate.sessions import Session
    from mcpgov.models import Answer, Json, JSONRPCId

ATTENTION: Final = 5.0  # seconds in which members say whether they can be listened to
WAITING: Final = 100  # events for a client that is slow; then the members wait, too


class Listening:
    """The events of all members. Not a generator: `opened` cleans up."""

    def __init__(
        self,
        asking: Asking,
        session: Session | None,
        wanted: Mapping[str, Mapping[str, Json]],
        request_id: JSONRPCId | None,
    ) -> None:
        """`wanted` says by member what is to be told of (STATELESS)."""
        self._asking = asking
        self._session = session
        self._wanted = wanted
        self._id = request_id
        self._said: asyncio.Queue[tuple[Event, ...] | None] = asyncio.Queue(WAITING)
        self._begun: dict[str, asyncio.Future[Mapping[str, Json] | None]] = {}
        self._first: tuple[Event, ...] = ()

    @asynccontextmanager
    async def opened(self, asked: Mapping[str, Json]) -> AsyncGenerator[bool]:
        """Begin to listen; whether there is anybody to listen to. `asked` is what the client wants to be told of."""
        loop = asyncio.get_running_loop()
        self._begun = {member: loop.create_future() for member in self._wanted}
        tasks = [asyncio.create_task(self._listen(member)) for member in self._wanted]
        why: tuple[object, ...] = (Reason.CLIENT_GONE,)
        try:
            if tasks:
                await asyncio.wait(self._begun.values(), timeout=ATTENTION)
            agreed = [said for one in self._begun.values() if one.done() and (said := one.result()) is not None]
            if self._session is None:
                self._first = (self._acknowledgement(honoured(asked, agreed)),)
            yield bool(agreed) or not all(one.done() for one in self._begun.values())
        except asyncio.CancelledError as error:
            why = error.args
            raise
        finally:
            for task in tasks:
                task.cancel(*why)
            await asyncio.gather(*tasks, return_exceptions=True)

    def __aiter__(self) -> Listening:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        first, self._first = self._first, ()
        if events := first or await self._said.get():
            return events
        raise StopAsyncIteration

    async def _listen(self, member: str) -> None:
        """One member, for as long as it speaks."""
        begun = self._begun[member]
        with suppress(Refusal):  # its record says why
            await self._asking.listen(member, self._session, self._wanted[member], partial(self._hear, member))
        listened = begun.done()
        if not listened:
            begun.set_result(None)
        if listened or all(one.done() and one.result() is None for one in self._begun.values()):
            await self._said.put(None)

    async def _hear(self, member: str, answer: Answer) -> None:
        """What one member says."""
        begun, letters = self._begun[member], self._session.letters if self._session else Letters()
        apart = Renumbered(member, letters)
        if self._session:
            begun.set_result({})
        else:
            letters.sent(self._id, member)
        async for events in Rewritten(answer, (apart,) if self._session else (Subscribed(self._id), apart)):
            told = tuple(without_ids(event) for event in events if self._tells(begun, event))
            if told:
                await self._said.put(told)

    def _tells(self, begun: asyncio.Future[Mapping[str, Json] | None], event: Event) -> bool:
        """Whether an event is the client's: a message or a comment, and nothing before the member has agreed."""
        if not begun.done():
            agreed = acknowledged(message_in(event) or {})
            if agreed is not None:
                begun.set_result(agreed)
            return False
        return event.data is not None or event.raw.startswith(b":")

    def _acknowledgement(self, notifications: dict[str, Json]) -> Event:
        params: dict[str, Json] = {"notifications": notifications, "_meta": {SUBSCRIPTION_ID: self._id}}
        data = dumps({"jsonrpc": "2.0", "method": ACKNOWLEDGED, "params": params})
        return Event(b"data: " + data + b"\n\n", data)
