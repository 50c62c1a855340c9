"""One connection to an upstream, and the exchange of a request and its answer that is on it, if any.

Rules: one exchange at a time. A byte that comes when there is none ends the connection, so that no answer which nobody
asked for is ever taken for the next one's. Before a connection is used again the socket itself is asked, for the loop
may not have told yet what waits there; over TLS nothing waits behind it, as the layer hands over all that it has
decrypted in one call, unless reading is paused, and a connection whose answer ended so is not used again. An answer
that comes before the request was taken whole ends the sending, and the connection with the answer. Who leaves early
hangs up at once.

Refuses to know: addresses, pools, what is asked.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from typing import TYPE_CHECKING, Final, Protocol, cast

from mcpgov.upstream.answer_parser import AnswerParser, InvalidAnswer
from mcpgov.upstream.http_client import broke_off, invalid, timed_out

if TYPE_CHECKING:
    from mcpgov.errors import Refusal
    from mcpgov.upstream.http_client import Fields

Origin = tuple[str, str, int]  # scheme, host, port
MOST_UNREAD: Final = 64 * 1024  # bytes of a body that nobody has taken yet, from which on no more is read
WHOLE_WRITE: Final = 64 * 1024  # bytes; a larger body is written in pieces, and each waited for


class Owner(Protocol):
    """Who keeps connections between exchanges."""

    def add(self, connection: HttpConnection) -> None:
        """It is made."""
        ...

    def keep(self, connection: HttpConnection) -> None:
        """Its exchange is over, and it may carry another."""
        ...

    def forget(self, connection: HttpConnection) -> None:
        """It has ended."""
        ...


class HttpConnection(asyncio.Protocol):
    """One socket, to `there`. It belongs to `owner`, who connected it."""

    __slots__ = ("_exchange", "_owner", "_poll", "_transport", "idle_since", "loop", "made", "there", "writable")

    def __init__(self, owner: Owner, there: Origin) -> None:
        self.loop = asyncio.get_running_loop()
        self.there = there
        self.made = self.loop.time()
        self.idle_since = 0.0  # by the loop's clock
        self.writable = True
        self._owner = owner
        self._exchange: Exchange | None = None
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called when the socket, and TLS on it, are there."""
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLPRI)
        self._owner.add(self)

    def data_received(self, data: bytes) -> None:
        """Called for whatever comes."""
        if self._exchange is None:
            self.abort()
        else:
            self._exchange.received(data)

    def eof_received(self) -> None:
        """Called when nothing more will come; the transport then closes itself."""
        if self._exchange is not None and self._transport is not None and ended_by_peer(self._transport):
            self._exchange.ended()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when it is over."""
        self._transport = None
        self._owner.forget(self)
        if self._exchange is not None:
            self._exchange.fail(broke_off(type(exc).__name__ if exc else "BrokenOff"))

    def pause_writing(self) -> None:
        """Called when the upstream takes less than it is sent."""
        self.writable = False

    def resume_writing(self) -> None:
        """Called when it has caught up."""
        self.writable = True
        if self._exchange is not None:
            self._exchange.wake()

    @property
    def silent(self) -> bool:
        """Whether it is open, and nothing has come on it that the loop has not told yet: no byte, no end."""
        return self._transport is not None and not self._transport.is_closing() and not self._poll.poll(0)

    def open(self, deadline: float) -> Exchange:
        """Begin an exchange, which has an answer by `deadline`."""
        self._exchange = exchange = Exchange(self, deadline)
        if self._transport is None:
            self.end(broke_off("BrokenOff"))
        return exchange

    def write(self, data: bytes | memoryview) -> None:
        """Send so much."""
        if self._transport is not None:
            self._transport.write(data)

    def pause(self, *, paused: bool) -> None:
        """Read on, or not. On one that is ending it does not matter."""
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.pause_reading if paused else self._transport.resume_reading)()

    def finish(self, *, reusable: bool) -> None:
        """The exchange is over; the next may begin where all that was sent has been taken."""
        self._exchange = None
        transport = self._transport
        if reusable and transport is not None and not transport.is_closing() and not transport.get_write_buffer_size():
            self._owner.keep(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Close the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    def end(self, refusal: Refusal) -> None:
        """Close the socket at once; whoever waits on it is told so."""
        exchange, self._exchange = self._exchange, None
        self.abort()
        if exchange is not None:
            exchange.fail(refusal)


def ended_by_peer(transport: asyncio.Transport) -> bool:
    """Whether the end of a connection is its peer's. Over TLS it is where close_notify came: the end of TCP alone can
    be anybody's, who would choose where a body without a length ends (RFC 9112 section 9.8). uvloop does not tell it.
    """
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    try:
        return tls is None or not tls.read(1)
    except ssl.SSLError as error:
        return isinstance(error, ssl.SSLZeroReturnError)


class Exchange:
    """A request and its answer: an HttpResponse, once `headed`."""

    __slots__ = ("_connection", "_failure", "_late", "_loop", "_parser", "_paused", "_sending", "_timer", "_waiter")

    def __init__(self, connection: HttpConnection, deadline: float) -> None:
        self._connection: HttpConnection | None = connection
        self._loop = connection.loop
        self._parser = AnswerParser()
        self._failure: Refusal | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False  # reading is
        self._sending = False  # and part of the request is still here
        self._late = False
        self._timer: asyncio.TimerHandle | None = self._loop.call_at(deadline, self._too_late)

    # -- for who asked -------------------------------------------------------------------------------------------------

    @property
    def status(self) -> int:
        """The status code."""
        return self._parser.status

    @property
    def fields(self) -> Fields:
        """The header fields."""
        return self._parser.fields

    async def send(self, head: bytes, body: bytes) -> None:
        """Send a request; one that is large in pieces, for as long as no answer is here. Raises Refusal."""
        connection = self._connection
        if connection is None:
            return  # which `headed` tells
        if len(body) <= WHOLE_WRITE:
            connection.write(head + body)
            return
        self._sending = True
        connection.write(head)
        view = memoryview(body)
        for at in range(0, len(body), WHOLE_WRITE):
            while not connection.writable and not self._answered:
                await self._news()
            if self._answered:
                return  # the rest is wanted no more (RFC 9112 section 9.5)
            connection.write(view[at : at + WHOLE_WRITE])
        self._sending = False

    @property
    def _answered(self) -> bool:
        return bool(self._parser.status or self._failure)

    async def headed(self) -> None:
        """Wait for the head. Raises Refusal."""
        while not self._parser.status:
            if self._failure is not None:
                raise self._failure
            await self._news()

    async def read(self) -> bytes:
        """All that has come of the body, at least a byte; empty at its end. Raises Refusal."""
        parser = self._parser
        while not parser.pieces:
            if parser.complete:
                return b""
            if self._failure is not None:
                raise self._failure
            await self._news()
        taken = parser.take()
        if self._paused and self._connection is not None:
            self._paused = False
            self._connection.pause(paused=False)
        return taken

    def may_take_its_time(self) -> None:
        """The deadline no longer counts."""
        self._late = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Hang up at once, unless the answer is whole."""
        self._leave(reusable=False)

    async def _news(self) -> None:
        """Wait until something comes. Raises Refusal (upstream-timeout) once it is too late to wait."""
        if self._late:
            raise timed_out()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # -- for the connection --------------------------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """More of the answer has come."""
        parser = self._parser
        try:
            parser.feed(data)
        except InvalidAnswer:
            self._failure = invalid("InvalidAnswer")
            self._leave(reusable=False)
        else:
            if parser.complete:
                self._leave(reusable=parser.reusable and not self._paused and not self._sending)
            elif not self._paused and parser.unread > MOST_UNREAD and self._connection is not None:
                self._paused = True
                self._connection.pause(paused=True)
        self.wake()

    def ended(self) -> None:
        """The connection has ended in good order."""
        if not self._parser.end():
            self._failure = broke_off("BrokenOff")
        self._leave(reusable=False)
        self.wake()

    def fail(self, refusal: Refusal) -> None:
        """It will not come to an end."""
        self._failure = refusal
        self._leave(reusable=False)
        self.wake()

    def wake(self) -> None:
        """Let who waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _too_late(self) -> None:
        self._late, self._timer = True, None
        self.wake()

    def _leave(self, *, reusable: bool) -> None:
        """Let go of the connection, once."""
        connection, self._connection = self._connection, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._parser.stop()
        if connection is not None:
            connection.finish(reusable=reusable)
