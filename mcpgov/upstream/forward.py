"""Forwards to MCP servers over Streamable HTTP. Which bytes, with which fields, is decided in headers.py; how they go
and come is the business of the client behind http_client.py.

Rules: nothing is followed, decoded, remembered or retried: no redirects, no decompression, no cookies, no proxies
from the environment, and no second attempt on a connection that broke, for a tool may have run. One pool a
connection, so that one upstream cannot starve another. What is read is what the client asked for: a slow client slows
the upstream. Leaving the context before the end closes the socket at once, which is how a STATELESS call is cancelled
(MCP 2026-07-28).
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from mcpgov.buffers import Buffers
from mcpgov.destinations import origin
from mcpgov.frozen import frozen
from mcpgov.messages import listens
from mcpgov.models import Answer, Event, Headers, Kind, RemoteUpstream
from mcpgov.upstream.addresses import denied_literal
from mcpgov.upstream.answers import (
    EVENT_STREAM,
    media_type,
    require_success,
    require_tellable,
    told_body,
    told_headers,
    whole,
)
from mcpgov.upstream.bounds import AnswerLimits, larger
from mcpgov.upstream.due import goes_on, owed
from mcpgov.upstream.headers import destination, outgoing
from mcpgov.upstream.http_client import HttpRequest, address_denied
from mcpgov.upstream.pools import Pools
from mcpgov.upstream.sse import Splitter, told

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from mcpgov.buffers import Held
    from mcpgov.decision import Changes, Decision
    from mcpgov.models import Connection, Credential, MCPRequest
    from mcpgov.upstream.http_client import HttpResponse, OpenClient
    from mcpgov.upstream.lane import Lane

HTTP_METHODS: Final = {Kind.STREAM: "GET", Kind.END: "DELETE"}


@frozen
class Terms:
    """On which one answer is taken: what of it is held, and where it is read."""

    held: Held
    lane: Lane


class RemoteForwarder:
    """Stage 6 for remote upstreams. `opens` gives each its HTTP client."""

    def __init__(
        self, opens: OpenClient, limits: AnswerLimits | None = None, *, buffers: Buffers | None = None
    ) -> None:
        self._limits = limits or AnswerLimits()
        self._buffers = buffers or Buffers()
        self._pools = Pools(opens, self._limits.open_calls)

    @asynccontextmanager
    async def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AsyncGenerator[Answer, None]:
        """Send the request on; the time-out bounds the wait until the answer, or the first event, is here."""
        changes = decision.changes
        deadline = asyncio.get_running_loop().time() + (changes.timeout or connection.timeout)
        upstream = remote(connection)
        url = destination(upstream, changes)
        require_reachable(url, upstream)
        fields = outgoing(request, decision, credential, url)
        streams = listens(request)
        pool = self._pools.acquire(connection, upstream, listens=streams)
        held = self._buffers.hold(request.principal_id)
        try:
            method = HTTP_METHODS.get(request.kind, "POST")
            response = await pool.client.request(HttpRequest(method, url, fields, request.body, deadline))
            try:
                answer, events = await self._answer(request, response, changes, Terms(held, pool.lane))
                try:
                    yield answer
                finally:
                    await events.aclose()
            finally:
                response.close()
        finally:
            held.give_back()
            await self._pools.release(pool, listens=streams)

    async def _answer(
        self, request: MCPRequest, response: HttpResponse, changes: Changes, terms: Terms
    ) -> tuple[Answer, AsyncGenerator[tuple[Event, ...], None]]:
        status, headers = response.status, Headers(response.fields)
        require_tellable(status, headers)
        require_success(request, status, changes)
        if status == 200 and media_type(headers) == EVENT_STREAM:
            if request.kind is Kind.STREAM:
                response.may_take_its_time()  # nothing was asked that it could answer
            stream = self._stream(response, terms)
            events = stream if goes_on(request) else owed(stream, request)
            return Answer(status, headers, streaming=True, events=events), events
        body = await self._whole(response, terms, self._limits.most(request))
        event = await terms.lane.read(len(body), partial(told_body, request, status, headers, body))
        events = whole(event)
        return Answer(status, told_headers(headers, body=event is not None), streaming=False, events=events), events

    async def _whole(self, response: HttpResponse, terms: Terms, most: int) -> bytes:
        first = piece = await response.read()  # mostly all there is
        rest = bytearray()
        while piece:
            size = len(first) + len(rest)
            terms.held.now(size)
            if size > most:
                raise larger(most)
            piece = await response.read()
            rest += piece
        return first + rest if rest else first

    async def _stream(self, response: HttpResponse, terms: Terms) -> AsyncGenerator[tuple[Event, ...], None]:
        splitter = Splitter(self._limits.event_bytes)
        while True:
            chunk = await response.read()
            events = splitter.split(chunk) if chunk else splitter.finish()
            terms.held.now(splitter.pending)
            if any(event.data for event in events):
                response.may_take_its_time()  # it has begun to answer
            largest = max((len(event.raw) for event in events), default=0)
            passed, refusal = await terms.lane.read(largest, partial(told, events))
            if passed:
                yield passed
            if refusal is not None:
                raise refusal
            splitter.require_room()
            if not chunk:
                return

    async def update(self, connections: Iterable[Connection]) -> None:
        """Keep what these connections use; what no longer is among them closes when its calls have ended."""
        await self._pools.update(connections)

    async def close(self) -> None:
        """Close every socket, also of calls that run or are still connecting: those get upstream-reset."""
        await self._pools.close()


def remote(connection: Connection) -> RemoteUpstream:
    """The remote upstream of a connection that has one."""
    if not isinstance(connection.upstream, RemoteUpstream):
        raise TypeError(connection.name)
    return connection.upstream


def require_reachable(url: str, upstream: RemoteUpstream) -> None:
    """Refuse plain http and literal addresses that are not public, unless the upstream is `private`.

    Metadata services are refused to all.
    """
    there = origin(url)  # none where two readers could see two hosts
    plain = there is not None and there[0] != "https" and not upstream.private
    if there is None or plain or denied_literal(there[1], private=upstream.private):
        raise address_denied()
