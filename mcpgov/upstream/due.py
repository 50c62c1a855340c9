"""What a stream owes to the request that it answers: that answer, once, and no other. Pure.

Rules: a response to another request never passes, for it would show one caller's result to another, or escape what is
asked of that request's own answer; so where nothing was asked (a notification, a GET that goes on from no event), none
does (MCP 2025-11-25, Listening for Messages from the Server). What comes after the answer that is a response too is
where the stream ends, for a client could take either; and a stream that ends without its answer says so where nobody
can come back for the rest (MCP 2026-07-28 has no resumption), or the client waits for as long as it likes. Refuses to
know: what cannot be read as a message; sse.py lets none of that come here.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.messages import answers, is_response, listens, message_in
from mcpgov.models import Era, Kind

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcpgov.models import Event, MCPRequest

Events = tuple["Event", ...]
LAST_EVENT: Final = "last-event-id"


class Due:
    """How far one stream has come with the answer to one request."""

    def __init__(self, request: MCPRequest) -> None:
        self._request = request
        self._open = request.kind is Kind.REQUEST and not listens(request)  # who listens is answered at the end
        self._awaits = request.kind is Kind.REQUEST
        self._answered = False
        self.ended = False
        self.foreign = False

    @property
    def missing(self) -> bool:
        """Whether the stream may not end yet."""
        return self._open and self._request.era is Era.STATELESS

    def take(self, events: Events) -> Events:
        """Those of the events that pass, up to where the stream `ended`, or told what is `foreign`."""
        for number, event in enumerate(events):
            message = message_in(event)
            if message is not None and is_response(message):
                self.foreign = not self._answered and not (self._awaits and answers(message, self._request.id))
                self.ended = self.foreign or self._answered
                if self.ended:
                    return events[:number]
                self._answered, self._open = True, False
        return events


async def owed(stream: AsyncGenerator[Events, None], request: MCPRequest) -> AsyncGenerator[Events, None]:
    """The events of a stream as far as they may pass. Raises Refusal: upstream-invalid, upstream-reset."""
    due = Due(request)
    async with aclosing(stream):
        async for events in stream:
            passing = due.take(events)
            if passing:
                yield passing
            if due.foreign:
                raise Refusal(Reason.UPSTREAM_INVALID, "The upstream answered another request.")
            if due.ended:
                return
    if due.missing:
        raise Refusal(Reason.UPSTREAM_RESET, "The upstream ended its answer before the end.", detail="no answer")


def goes_on(request: MCPRequest) -> bool:
    """Whether a GET goes on from an event: then also the answer to an earlier request may come (HANDSHAKE)."""
    return request.kind is Kind.STREAM and bool(request.head.headers.get(LAST_EVENT).strip(" \t"))
