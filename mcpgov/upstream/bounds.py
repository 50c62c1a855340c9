"""How much one answer may be, and how long it may go on: `limits:` on the way out, for every upstream alike.

Rules: what reaches a bound is told, what passes it is not. A stream that passes one ends with an error for its request,
the upstream is closed, and the detail of the record names the bound. A stream that only listens (GET,
subscriptions/listen) is no answer: nothing bounds its events together, for none is kept; it ends after a while as if
the server had ended it, so that its client comes back and is identified anew. Times are of the loop's clock.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.messages import SUBSCRIPTION_ID, listens
from mcpgov.models import Event, Kind
from mcpgov.strict_json import dumps
from mcpgov.upstream.sse import too_large

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from mcpgov.decision import Decision
    from mcpgov.models import Answer, Connection, Credential, Json, MCPRequest
    from mcpgov.upstream.retrying import Forwarder

_MIB: Final = 1 << 20


@frozen
class AnswerLimits:
    """The most bytes of an answer and of one event, events of an answer, seconds of an answer and of a stream that only
    listens; and the most calls and streams open on one connection, of which at most half are streams.
    """

    answer_bytes: int = 32 * _MIB
    event_bytes: int = 32 * _MIB
    events: int = 100_000
    answer_seconds: float = 3600.0
    stream_seconds: float = 86_400.0
    open_calls: int = 1000

    def most(self, request: MCPRequest) -> int:
        """The most bytes of the answer to a request."""
        return self.answer_bytes if request.answer_bytes is None else min(self.answer_bytes, request.answer_bytes)


def require_place(calls: int, streams: int, most: int, *, listening: bool) -> None:
    """Raise Refusal (overloaded) where one more call, or one more stream that listens, is one too many at an upstream
    with so many open `calls`, `streams` among them: streams have half of the places.
    """
    crowded = listening and streams >= most // 2
    if crowded or calls >= most:
        message = f"Too many {'streams' if crowded else 'calls'} to this upstream are open."
        raise Refusal(Reason.OVERLOADED, message, headers=(("Retry-After", "1"),))


@frozen
class Bounded:
    """A forwarder whose answers are bounded."""

    inner: Forwarder
    limits: AnswerLimits

    @asynccontextmanager
    async def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AsyncGenerator[Answer, None]:
        """Send the request on. Raises Refusal."""
        async with self.inner.forward(request, connection, decision, credential) as answer:
            bounded = Listened if listens(request) and answer.streaming else Counted
            yield answer.passing(bounded(answer.events, request, self.limits))


@dataclass(slots=True)
class Counted:
    """The events of an answer, as far as they may go. Not a generator: there is nothing to clean up."""

    events: AsyncIterator[tuple[Event, ...]]
    request: MCPRequest
    limits: AnswerLimits
    _size: int = 0
    _count: int = 0
    _passed: Refusal | None = None
    _deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self._deadline = asyncio.get_running_loop().time() + self.limits.answer_seconds

    def __aiter__(self) -> Counted:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        if self._passed is not None:
            raise self._passed
        try:
            events = await next_by(self._deadline, self.events)
        except TimeoutError:
            raise longer(self.limits.answer_seconds) from None
        for number, event in enumerate(events):
            self._passed = self._judge(event)
            if self._passed is not None:
                if number:
                    return events[:number]  # what came before it is told
                raise self._passed
        return events

    def _judge(self, event: Event) -> Refusal | None:
        """The Refusal of an event with which a bound is passed."""
        self._size += len(event.raw)
        self._count += 1
        if len(event.raw) > self.limits.event_bytes:
            return too_large()
        if self._size > self.limits.most(self.request):
            return larger(self.limits.most(self.request))
        return more(self.limits.events) if self._count > self.limits.events else None


@dataclass(slots=True)
class Listened:
    """The events of a stream that only listens, for as long as it may."""

    events: AsyncIterator[tuple[Event, ...]]
    request: MCPRequest
    limits: AnswerLimits
    _ended: bool = False
    _deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self._deadline = asyncio.get_running_loop().time() + self.limits.stream_seconds

    def __aiter__(self) -> Listened:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        if self._ended:
            raise StopAsyncIteration
        try:
            events = await next_by(self._deadline, self.events)
        except TimeoutError:
            return self._end()
        if any(len(event.raw) > self.limits.event_bytes for event in events):
            raise too_large()
        return events

    def _end(self) -> tuple[Event, ...]:
        """What is told at the end: of a subscription its result, as a server does that ends one (MCP 2026-07-28)."""
        self._ended = True
        if self.request.kind is not Kind.REQUEST:
            raise StopAsyncIteration
        meta: dict[str, Json] = {SUBSCRIPTION_ID: self.request.id}
        result: dict[str, Json] = {"resultType": "complete", "_meta": meta}
        message: dict[str, Json] = {"jsonrpc": "2.0", "id": self.request.id, "result": result}
        data = dumps(message)
        return (Event(b"event: message\ndata: " + data + b"\n\n", data, message),)


async def next_by(deadline: float, events: AsyncIterator[tuple[Event, ...]]) -> tuple[Event, ...]:
    """The next events. Raises TimeoutError once it is too late, also where some are here already."""
    if asyncio.get_running_loop().time() >= deadline:
        raise TimeoutError
    async with asyncio.timeout_at(deadline):
        return await anext(events)


def larger(most: int) -> Refusal:
    """The refusal of an answer that has more bytes than one may have."""
    message = f"The upstream sent an answer that is too large; the most are {most} bytes."
    return Refusal(Reason.UPSTREAM_TOO_LARGE, message, detail="limits.answer_bytes")


def more(most: int) -> Refusal:
    """The refusal of an answer that has more events than one may have."""
    message = f"The upstream sent an answer of more than {most} events."
    return Refusal(Reason.UPSTREAM_TOO_LARGE, message, detail="limits.events")


def longer(seconds: float) -> Refusal:
    """The refusal of an answer that goes on for longer than one may."""
    message = f"The upstream's answer went on for more than {seconds:g} seconds."
    return Refusal(Reason.UPSTREAM_TOO_LARGE, message, detail="limits.answer_seconds")
