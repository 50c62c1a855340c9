"""The messages that a local server sends for one open request or stream, on their way to an answer.

Rule: a mailbox holds a bounded number of bytes. Whoever fills it looks at `full` first, and either waits for `room`
or closes it. The first message decides the form of the answer, as the transport allows: the response alone becomes
application/json, anything before it makes the answer a stream that ends with the response.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Answer, Event, Headers
from mcpgov.upstream.answers import EVENT_STREAM, JSON, whole
from mcpgov.upstream.sse import told

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable


class Mailbox:
    """`limit` is the number of bytes from which on it is full; a single message may be larger."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._messages: deque[bytes] = deque()
        self._size = 0
        self._closed = False
        self.complete = False  # whether the last message is in
        self._failure: Refusal | None = None
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether more should wait."""
        return self._size >= self._limit and not self._closed

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken in."""
        return self._closed

    def put(self, message: bytes, *, last: bool = False) -> None:
        """Take a message in; after the last one, or when closed, nothing more."""
        if self._closed:
            return
        self._messages.append(message)
        self._size += len(message)
        self._closed = self.complete = last
        self._changed.set()

    def close(self, failure: Refusal | None = None) -> None:
        """Take nothing more in. What is here can still be taken out; then comes `failure`, if there is one."""
        if not self._closed:
            self._closed, self._failure = True, failure
        self._changed.set()
        self._room.set()

    async def room(self) -> None:
        """Wait until it is no longer full, or closed."""
        while self.full:
            await self.woken()

    async def woken(self) -> None:
        """Wait until something was taken out, it was closed, or somebody called `wake`."""
        self._room.clear()
        await self._room.wait()

    def wake(self) -> None:
        """Have whoever waits for room look again: what is waiting may belong elsewhere now."""
        self._room.set()

    async def take(self) -> tuple[bytes, ...]:
        """What is here, at least one message; nothing at the end. Raises the failure it was closed with."""
        while not self._messages and not self._closed:
            self._changed.clear()
            await self._changed.wait()
        taken = self.leftover()
        if not taken and self._failure is not None:
            raise self._failure
        return taken

    def leftover(self) -> tuple[bytes, ...]:
        """What is here now, taken out."""
        taken = tuple(self._messages)
        self._messages.clear()
        self._size = 0
        self._room.set()
        return taken


async def streamed(first: tuple[bytes, ...], mailbox: Mailbox) -> AsyncGenerator[tuple[Event, ...], None]:
    """`first` and then everything that comes, as server-sent events."""
    messages = first or await mailbox.take()
    while messages:
        events, refusal = told(map(server_sent, messages))
        yield events
        if refusal is not None:
            raise refusal
        messages = await mailbox.take()


def server_sent(message: bytes) -> Event:
    """One message as an event. A CR between two tokens of its JSON would end the line (HTML section 9.2.6)."""
    data = message.replace(b"\r", b" ")
    return Event(b"event: message\ndata: " + data + b"\n\n", data)


def empty_answer(status: int) -> Answer:
    """An answer that is only a status."""
    return Answer(status, Headers(), streaming=False, events=whole(None))


def json_answer(message: bytes, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """A complete answer with one message."""
    return Answer(
        status, Headers((("content-type", JSON), *headers)), streaming=False, events=whole(Event(message, message))
    )


async def first_messages(mailbox: Mailbox, sending: Awaitable[None], deadline: float) -> tuple[bytes, ...]:
    """Send, and wait for what comes first. Raises Refusal (upstream-timeout), and what the mailbox is closed with."""
    try:
        async with asyncio.timeout_at(deadline):
            await sending
            return await mailbox.take()
    except TimeoutError:
        raise Refusal(Reason.UPSTREAM_TIMEOUT, "The local server did not answer in time.") from None


def stream_answer(first: tuple[bytes, ...], mailbox: Mailbox, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer that is a stream."""
    told = Headers((("content-type", EVENT_STREAM), *headers))
    return Answer(200, told, streaming=True, events=streamed(first, mailbox))
