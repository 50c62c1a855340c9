"""The in-memory twin of stage 6: plays scripted answers and keeps a ledger of what it got. It opens no socket.

It keeps the same contract as the forwarder over HTTP: the same fields are made, the same answers are refused, the
same deadline ends the wait, and leaving early is noted. So a whole gateway can be tested against it.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Answer, Event, Headers, Kind, RemoteUpstream
from mcpgov.strict_json import dumps
from mcpgov.upstream.answers import (
    EVENT_STREAM,
    JSON,
    media_type,
    require_success,
    require_tellable,
    told_body,
    told_headers,
    whole,
)
from mcpgov.upstream.headers import destination, outgoing
from mcpgov.upstream.sse import Splitter, told

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

    from mcpgov.decision import Decision
    from mcpgov.models import Connection, Credential, MCPRequest

EVENT_BYTES = 1 << 20


@frozen
class ScriptedAnswer:
    """What an upstream is to answer. Without `ends` it goes silent after the last of `chunks`."""

    status: int = 200
    content_type: str = JSON
    chunks: tuple[bytes, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    ends: bool = True


@dataclass(slots=True)
class Sent:
    """One request as the upstream got it. `cut` is set when the caller left before the answer was complete."""

    http_method: str
    url: str
    headers: Headers
    body: bytes
    cut: asyncio.Event = field(default_factory=asyncio.Event)


def answer_ok(request: MCPRequest) -> ScriptedAnswer:
    """An empty result for a request, 202 for what is not answered, 405 for GET."""
    if request.kind is Kind.REQUEST:
        return ScriptedAnswer(chunks=(dumps({"jsonrpc": "2.0", "id": request.id, "result": {}}),))
    return ScriptedAnswer(status=405 if request.kind is Kind.STREAM else 202, content_type="")


class MemoryUpstream:
    """Stage 6 without a socket. What `script` was given is played first, then `answer` decides."""

    def __init__(self, answer: Callable[[MCPRequest], ScriptedAnswer] = answer_ok) -> None:
        self.ledger: list[Sent] = []
        self._answer = answer
        self._script: list[ScriptedAnswer | Refusal] = []

    def script(self, *answers: ScriptedAnswer | Refusal) -> None:
        """Play these to the next requests, in this order; a Refusal is raised."""
        self._script.extend(answers)

    @asynccontextmanager
    async def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AsyncGenerator[Answer, None]:
        """Note the request and play the answer to it."""
        changes = decision.changes
        deadline = asyncio.get_running_loop().time() + (changes.timeout or connection.timeout)
        upstream = connection.upstream
        remote = isinstance(upstream, RemoteUpstream)
        url = destination(upstream, changes) if remote else f"http://{connection.name}/"
        sent = Sent(request.head.http_method, url, Headers(outgoing(request, decision, credential, url)), request.body)
        self.ledger.append(sent)
        scripted = self._script.pop(0) if self._script else self._answer(request)
        if isinstance(scripted, Refusal):
            raise scripted
        headers = Headers((*scripted.headers, ("content-type", scripted.content_type)))
        events = play(scripted, deadline, sent)
        try:
            require_tellable(scripted.status, headers)
            require_success(request, scripted.status, changes)
            streaming = scripted.status == 200 and media_type(headers) == EVENT_STREAM
            if not streaming:
                body = b"".join([event.raw async for some in events for event in some])
                event = told_body(request, scripted.status, headers, body)
                events, headers = whole(event), told_headers(headers, body=event is not None)
            yield Answer(scripted.status, headers, streaming, events)
        finally:
            await events.aclose()

    async def update(self, connections: Iterable[Connection]) -> None:
        """Nothing is kept between calls."""

    async def close(self) -> None:
        """Nothing is held open."""


async def play(scripted: ScriptedAnswer, deadline: float, sent: Sent) -> AsyncGenerator[tuple[Event, ...], None]:
    """The events of an answer, chunk by chunk."""
    splitter = Splitter(EVENT_BYTES)
    complete = False
    try:
        for chunk in scripted.chunks:
            if scripted.content_type == EVENT_STREAM:
                passed, refusal = told(splitter.split(chunk))
                yield passed
                if refusal is not None:
                    raise refusal
                splitter.require_room()
            else:
                yield (Event(chunk, chunk),)
        if not scripted.ends:
            async with asyncio.timeout_at(None if scripted.chunks else deadline):
                await asyncio.Event().wait()
        complete = True
    except TimeoutError:
        raise Refusal(Reason.UPSTREAM_TIMEOUT, "The upstream did not answer in time.") from None
    finally:
        if not complete:
            sent.cut.set()
