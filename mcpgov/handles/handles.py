"""Opens what a client presents and seals what an upstream gives: sessions, tasks, events. Pure; govern() calls it.

A request is opened once the policies have said where it goes, and before a credential is fetched: an id that was given
at one upstream is never sent to another, whichever policy, reload or connection leads there. Policies see ids as the
client does; the record, from then on, has the upstream's own. What the gateway answers itself (connection "") is
another's to bind: see aggregate/sessions.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.handles import tasks
from mcpgov.handles.event_ids import with_ids
from mcpgov.handles.seal import Holder, Sort
from mcpgov.models import Answer, Era, Event, Headers
from mcpgov.pinning.place import place_of
from mcpgov.policy.rewriting import with_data
from mcpgov.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcpgov.decision import Decision
    from mcpgov.handles.seal import Seal
    from mcpgov.models import Connection, MCPRequest

SESSION: Final = "mcp-session-id"
LAST_EVENT: Final = "last-event-id"
SESSION_ID: Final = re.compile(r"[!-~]{1,1024}")  # visible ASCII (MCP 2025-11-25, Transports, "Session Management")


class Handles:
    """All sorts of them, under one seal."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def opened(self, request: MCPRequest, connection: Connection, decision: Decision) -> MCPRequest:
        """The request with the upstream's own ids. Raises Refusal: unknown-session, unknown-task."""
        if not connection.name:
            return request
        holder = Holding(request, connection, decision)
        if request.session_id:
            own = self._seal.unseal(request.session_id, Sort.SESSION, holder.now)
            if own is None:
                raise unknown_session("There is no such session. Initialize a new one.")
            request = replace(request, session_id=own.decode())
        left = request.head.headers.get(LAST_EVENT).strip(" \t") if request.era is Era.HANDSHAKE else ""
        if left:
            own = self._seal.unseal(left, Sort.EVENT, holder.now.within(request.session_id))
            if own is None:
                raise unknown_session("There is no such event to go on from. Initialize a new session.")
            request = _coming_back(request, own)
        return tasks.opened(request, partial(self._task, holder))

    def sealed(
        self, answer: Answer, request: MCPRequest, connection: Connection, decision: Decision, *, resumable: bool = True
    ) -> Answer:
        """The answer as this caller may see it. Raises Refusal (upstream-invalid) for a session id that is none.

        Events of one that is not `resumable` have no ids, so that nobody can come back for the rest.
        """
        if not connection.name:
            return answer
        holder = Holding(request, connection, decision)
        headers, session = answer.headers, answer.headers.get(SESSION)
        if session:
            if not SESSION_ID.fullmatch(session):
                message = "The server gave a session id that is too long or not text."
                raise Refusal(Reason.UPSTREAM_INVALID, message)
            others = (field for field in headers.fields if field[0] != SESSION)
            given = self._seal.seal(session.encode(), Sort.SESSION, holder.now) or ""
            headers = Headers((*others, (SESSION, given)))
        numbered = answer.streaming and request.era is Era.HANDSHAKE
        inside = holder.now.within(session or request.session_id) if numbered else None
        passing = _Passing(answer.events, self._seal, holder, inside, answer.streaming, resumable)
        return Answer(answer.status, headers, answer.streaming, passing, answer.reply, answer.attempts)

    def _task(self, holder: Holding, given: str) -> str | None:
        own = self._seal.unseal(given, Sort.TASK, holder.now)
        return None if own is None else own.decode()


class Holding:
    """The holder of what a call brings and gets, put together when there is something: most calls have nothing."""

    __slots__ = ("_connection", "_decision", "_holder", "_request")

    def __init__(self, request: MCPRequest, connection: Connection, decision: Decision) -> None:
        self._request = request
        self._connection = connection
        self._decision = decision
        self._holder: Holder | None = None

    @property
    def now(self) -> Holder:
        """The holder."""
        if self._holder is None:
            self._holder = holder_of(self._request, self._connection, self._decision)
        return self._holder


def holder_of(request: MCPRequest, connection: Connection, decision: Decision) -> Holder:
    """Who holds what this request brings and gets, and where.

    The place is the entry's upstream and the backend that a policy chose. A path that a policy writes anew is none of
    it: that is the same server, asked elsewhere, perhaps for one tool only.
    """
    place = [place_of(connection), decision.changes.backend or ""]
    return Holder(request.principal_id, connection.name, dumps(place).decode())


@dataclass(slots=True)
class _Passing:
    """The events of an answer as they pass. Not a generator: there is nothing to clean up. `inside` is who holds their
    ids, if they have any that count.
    """

    events: AsyncIterator[tuple[Event, ...]]
    seal: Seal
    holder: Holding
    inside: Holder | None
    streaming: bool
    resumable: bool

    def __aiter__(self) -> _Passing:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        events = await anext(self.events)
        if self.inside is None and not any(event.data and tasks.may_name_one(event.data) for event in events):
            return events
        return tuple([self._shown(event) for event in events])

    def _shown(self, event: Event) -> Event:
        if event.data is not None:
            data = tasks.sealed(event.data, self._task, event.message)
            if data is not event.data:
                event = with_data(event, data, streaming=self.streaming)
        return event if self.inside is None else with_ids(event, partial(self._event, self.inside))

    def _task(self, own: str) -> str:
        return self.seal.seal(own.encode(), Sort.TASK, self.holder.now) or own

    def _event(self, holder: Holder, own: bytes) -> bytes | None:
        given = self.seal.seal(own, Sort.EVENT, holder) if self.resumable else None
        return None if given is None else given.encode()


def _coming_back(request: MCPRequest, event_id: bytes) -> MCPRequest:
    """The request with the id under which the upstream knows the event."""
    others = (field for field in request.head.headers.fields if field[0] != LAST_EVENT)
    headers = Headers((*others, (LAST_EVENT, event_id.decode("latin-1"))))
    return replace(request, head=replace(request.head, headers=headers))


def unknown_session(message: str) -> Refusal:
    """The refusal of an id that is not this caller's, or not from here: as of one that never was."""
    return Refusal(Reason.UNKNOWN_SESSION, message)
