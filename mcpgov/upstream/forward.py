"""Forwards to MCP servers over Streamable HTTP. Which bytes, with which fields, is decided in headers.py.

Rules: nothing is followed, decoded, remembered or retried: no redirects, no decompression, no cookies, no proxies
from the environment, and no second attempt on a connection that broke, for a tool may have run. One pool a
connection, so that one upstream cannot starve another. What is read is what the client asked for: a slow client slows
the upstream. Leaving the context before the end closes the socket at once, which is how a STATELESS call is cancelled
(MCP 2026-07-28).
"""

from __future__ import annotations

import asyncio
import io
import ssl
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from mcpgov.buffers import Buffers
from mcpgov.decision import Reason
from mcpgov.destinations import origin
from mcpgov.errors import Refusal
from mcpgov.messages import listens
from mcpgov.models import Answer, Event, Headers, Kind, RemoteUpstream
from mcpgov.upstream.addresses import AddressDenied, FixedResolver, PublicResolver, denied_literal
from mcpgov.upstream.answers import (
    EVENT_STREAM,
    media_type,
    require_success,
    require_tellable,
    told_body,
    told_headers,
    whole,
)
from mcpgov.upstream.bounds import AnswerLimits, larger, require_place
from mcpgov.upstream.due import goes_on, owed
from mcpgov.upstream.headers import destination, outgoing
from mcpgov.upstream.lane import Lane
from mcpgov.upstream.sse import Splitter, told

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterable

    from aiohttp.abc import AbstractResolver

    from mcpgov.buffers import Held
    from mcpgov.decision import Changes, Decision
    from mcpgov.models import Connection, Credential, MCPRequest

HTTP_METHODS = {Kind.STREAM: "GET", Kind.END: "DELETE"}
READ_BUFFER = 65536  # bytes; the socket is read on when less than this is left
KEEP_ALIVE = (
    4.0  # seconds; many servers close after 5, and a call that meets the closing is lost, for it is not retried
)
CLEAN_TRIES = 3  # connections looked at until one is silent
WHOLE_WRITE = 1 << 20  # bytes; a larger body is written in pieces
NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


@dataclass(slots=True)
class Pool:
    """The sockets to one upstream. A retired pool closes when its last call ends."""

    session: aiohttp.ClientSession
    retired: bool
    open_calls: int = 0  # streams among them
    open_streams: int = 0
    lane: Lane = field(default_factory=Lane)


@dataclass(frozen=True, slots=True)
class Terms:
    """On which one answer is taken: until when, what of it is held, and where it is read."""

    deadline: float
    held: Held
    lane: Lane


PoolKey = tuple[str, RemoteUpstream]


class RemoteForwarder:
    """Stage 6 for remote upstreams. `tls` says whose certificates are believed; `resolver` finds addresses of names."""

    def __init__(
        self,
        limits: AnswerLimits | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
        buffers: Buffers | None = None,
    ) -> None:
        self._limits = limits or AnswerLimits()
        self._tls = tls or ssl.create_default_context()
        self._resolver = resolver
        self._buffers = buffers or Buffers()
        self._pools: dict[PoolKey, Pool] = {}
        self._current: frozenset[PoolKey] | None = None

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
        key = (connection.name, upstream)
        streams = listens(request)
        pool = self._acquire(key, streams=streams)
        held = self._buffers.hold(request.principal_id)
        try:
            with told_as_refusals():
                async with asyncio.timeout_at(deadline):
                    response = await pool.session.request(
                        HTTP_METHODS.get(request.kind, "POST"),
                        URL(url, encoded=True),
                        headers=fields,
                        data=io.BytesIO(request.body) if len(request.body) > WHOLE_WRITE else request.body or None,
                        allow_redirects=False,
                    )
            try:
                answer, events = await self._answer(request, response, changes, Terms(deadline, held, pool.lane))
                try:
                    yield answer
                finally:
                    await events.aclose()
            finally:
                response.close()
        finally:
            held.give_back()
            pool.open_streams -= streams
            await self._release(key, pool)

    async def _answer(
        self, request: MCPRequest, response: aiohttp.ClientResponse, changes: Changes, terms: Terms
    ) -> tuple[Answer, AsyncGenerator[tuple[Event, ...], None]]:
        status = response.status
        headers = Headers(
            tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.raw_headers)
        )
        require_tellable(status, headers)
        require_success(request, status, changes)
        if status == 200 and media_type(headers) == EVENT_STREAM:
            stream = self._stream(response, terms, None if request.kind is Kind.STREAM else terms.deadline)
            events = stream if goes_on(request) else owed(stream, request)
            return Answer(status, headers, streaming=True, events=events), events
        body = await self._whole(response, terms, self._limits.most(request))
        event = await terms.lane.read(len(body), partial(told_body, request, status, headers, body))
        events = whole(event)
        return Answer(status, told_headers(headers, body=event is not None), streaming=False, events=events), events

    async def _whole(self, response: aiohttp.ClientResponse, terms: Terms, most: int) -> bytes:
        body = bytearray()
        with told_as_refusals():
            async with asyncio.timeout_at(terms.deadline):
                while chunk := await read(response):
                    body += chunk
                    terms.held.now(len(body))
                    if len(body) > most:
                        raise larger(most)
        return bytes(body)

    async def _stream(
        self, response: aiohttp.ClientResponse, terms: Terms, deadline: float | None
    ) -> AsyncGenerator[tuple[Event, ...], None]:
        splitter = Splitter(self._limits.event_bytes)
        with told_as_refusals():
            while True:
                async with asyncio.timeout_at(deadline):
                    chunk = await read(response)
                events = splitter.split(chunk) if chunk else splitter.finish()
                terms.held.now(splitter.pending)
                if any(event.data for event in events):
                    deadline = None  # it has begun to answer, and may take its time
                largest = max((len(event.raw) for event in events), default=0)
                passed, refusal = await terms.lane.read(largest, partial(told, events))
                if passed:
                    yield passed
                if refusal is not None:
                    raise refusal
                splitter.require_room()
                if not chunk:
                    return

    def _acquire(self, key: PoolKey, *, streams: bool) -> Pool:
        pool = self._pools.get(key)
        if pool is None:
            retired = self._current is not None and key not in self._current
            pool = self._pools[key] = Pool(self._open_session(key[1]), retired)
        require_place(pool.open_calls, pool.open_streams, self._limits.open_calls, listening=streams)
        pool.open_calls += 1
        pool.open_streams += streams
        return pool

    def _open_session(self, upstream: RemoteUpstream) -> aiohttp.ClientSession:
        resolver = FixedResolver(self._resolver or aiohttp.ThreadedResolver(), upstream.resolve)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._tls,
                resolver=PublicResolver(resolver, private=upstream.private),
                limit=0,  # open_calls is the limit, and refuses instead of queueing
                keepalive_timeout=KEEP_ALIVE,
            ),
            timeout=NO_TIMEOUT,  # ours are deadlines, and end when an answer begins
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            requote_redirect_url=False,
            read_bufsize=READ_BUFFER,
            middlewares=(send_once,),
            request_class=CleanRequest,
        )

    async def _release(self, key: PoolKey, pool: Pool) -> None:
        pool.open_calls -= 1
        if pool.retired and not pool.open_calls and self._pools.get(key) is pool:
            del self._pools[key]
            await pool.session.close()

    async def update(self, connections: Iterable[Connection]) -> None:
        """Keep what these connections use; what no longer is among them closes when its calls have ended."""
        self._current = frozenset(
            (connection.name, connection.upstream)
            for connection in connections
            if isinstance(connection.upstream, RemoteUpstream)
        )
        for key, pool in self._pools.items():
            pool.retired = key not in self._current
        unused = [key for key, pool in self._pools.items() if pool.retired and not pool.open_calls]
        for pool in [self._pools.pop(key) for key in unused]:  # first all of them: while one closes, calls come and go
            await pool.session.close()

    async def close(self) -> None:
        """Close every socket, also of calls that run."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.session.close()


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
        raise Refusal(Reason.UPSTREAM_ADDRESS_DENIED, "This upstream is not allowed to have such an address.")


async def read(response: aiohttp.ClientResponse) -> bytes:
    """What has come of the body, at least one byte of it; empty at its end."""
    try:
        return await response.content.readany()
    except RuntimeError:  # how the client says that its pool was closed meanwhile
        raise aiohttp.ClientConnectionError from None


class StaleConnection(Exception):
    """A connection from the pool on which something came that nobody asked for. Nothing was sent on it."""


class CleanRequest(aiohttp.ClientRequest):
    """A request that is sent only on a connection that is silent: what waits there would be taken for its answer."""

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        """Write the request. Raises StaleConnection."""
        if conn.protocol is None or conn.protocol.should_close:
            raise StaleConnection
        return await super().send(conn)


async def send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send at most once. The client would repeat GET and DELETE after a broken connection; it does not know Refusal."""
    with told_as_refusals():
        for _ in range(CLEAN_TRIES):
            with suppress(StaleConnection):
                return await send(request)
        raise aiohttp.ClientConnectionError


@contextmanager
def told_as_refusals() -> Generator[None]:
    """Turn what goes wrong between us and an upstream into the Refusal that says so. No text of the error is told."""
    try:
        yield
    except TimeoutError:
        raise Refusal(Reason.UPSTREAM_TIMEOUT, "The upstream did not answer in time.") from None
    except aiohttp.ClientError as error:
        reason, message = why(error)
        raise Refusal(reason, message, detail=type(error).__name__) from None


def why(error: aiohttp.ClientError) -> tuple[Reason, str]:
    """The reason and the message for an error of the HTTP client."""
    if isinstance(error, aiohttp.InvalidURL) or (
        isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressDenied)
    ):
        return Reason.UPSTREAM_ADDRESS_DENIED, "This upstream is not allowed to have such an address."
    if isinstance(error, aiohttp.ClientConnectorError):
        return Reason.UPSTREAM_UNREACHABLE, "The upstream cannot be reached."
    if isinstance(error, aiohttp.ClientResponseError):
        return Reason.UPSTREAM_INVALID, "The upstream did not answer as an HTTP server."
    return Reason.UPSTREAM_RESET, "The upstream broke off the connection."
