"""Stage 1 of 6 · wire in, wire out: the raw ASGI endpoint of the data plane.

    POST, GET, DELETE, OPTIONS /mcp/{connection}    the only thing that reaches govern(), and all of it recorded
    POST, DELETE /mcp                               the aggregate, which is a client of govern() for each of its members
    GET /.well-known/oauth-protected-resource…      how clients sign in; public (see metadata.py)
    GET, POST /consent/…, GET /oauth/callback…      the pages where people consent, if there are any
    GET /v0.1/servers…                              the registry: see mcpgov/registry
    GET /livez, /readyz                             for probes

It decides nothing. It reads, hands over, streams what comes back, and watches whether the client is still there:
in the STATELESS era a client that closes the connection cancels its call (MCP 2026-07-28, Cancellation), at any moment;
in the HANDSHAKE era a disconnect is not a cancellation (2025-11-25, same page), so the upstream call runs to its end.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from mcpgov.buffers import Buffers
from mcpgov.decision import Reason
from mcpgov.destinations import CALLBACK_PATH, CONSENT_PATH
from mcpgov.endpoint.challenge import challenge
from mcpgov.endpoint.correlation import CorrelationIds
from mcpgov.endpoint.draining import Draining, stopping
from mcpgov.endpoint.http_cycle import LEAVING, WHOLE
from mcpgov.endpoint.inbound import is_disguised, parse_request
from mcpgov.endpoint.limits import PACE, Pace, read_body
from mcpgov.endpoint.metadata import WELL_KNOWN, public_reply
from mcpgov.endpoint.reply import refusal_event, refusal_reply, reply_headers
from mcpgov.errors import ClientGone, Refusal
from mcpgov.frozen import frozen
from mcpgov.identity.client_ip import IPNetwork, source_address
from mcpgov.models import Era, Headers, Kind, RequestHead
from mcpgov.pipeline import Stages, govern

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping

    from mcpgov.buffers import Held
    from mcpgov.decision import Decision
    from mcpgov.endpoint.limits import Sites
    from mcpgov.endpoint.metadata import ResourceMetadata
    from mcpgov.models import Answer, MCPRequest, Principal
    from mcpgov.pipeline import Exchange
    from mcpgov.strict_json import JsonLimits

    Scope = Mapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

PREFIX = b"/mcp/"
METADATA = WELL_KNOWN.encode()
PAGES = CONSENT_PATH.encode()
CALLBACK = CALLBACK_PATH.encode()
CONNECTION_NAME = re.compile(rb"[a-z0-9][a-z0-9-]{0,62}")
CLAIMED_CORRELATION = ("x-correlation-id", "x-ms-correlation-id", "x-request-id")
CLAIMED_LENGTH = 128
SLICE = 256 * 1024  # bytes; what is sent at once, and no more waits in the socket for a client that takes its time
WITHOUT_LENGTH = (204, 304)  # RFC 9110 section 8.6


@frozen
class EndpointSettings:
    """What the endpoint needs to know. `drain` is how long, in seconds, a call whose client left may still run.

    `metadata` is there where clients can sign in with a token. `caller_headers` are those in which callers prove who
    they are, in lower case.
    """

    limits: JsonLimits
    sites: Sites
    trusted_proxies: tuple[IPNetwork, ...] = ()
    drain: float = 90.0
    pace: Pace = PACE
    caller_headers: tuple[str, ...] = ()
    metadata: ResourceMetadata | None = None
    buffers: Buffers = field(default_factory=Buffers)


class Pages(Protocol):
    """The pages of people: an ASGI application for what is under /consent/ and /oauth/callback."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None:
        """Serve one HTTP request."""
        ...


class ReadRoom(Pages, Protocol):
    """What tells callers of the catalog: an ASGI application that knows its own paths."""

    def serves(self, path: bytes, /) -> bool:
        """Whether a raw path is one of its own; it goes before those of the gateway."""
        ...


class Gateway:
    """The ASGI application of the data plane. `aggregate` takes a request at /mcp to its end."""

    def __init__(
        self,
        stages: Stages,
        settings: EndpointSettings,
        ready: Callable[[], bool],
        pages: Pages | None = None,
        aggregate: Callable[[Exchange], Awaitable[None]] | None = None,
        registry: ReadRoom | None = None,
    ) -> None:
        self._stages = stages
        self._settings = settings
        self._ready = ready
        self._pages = pages
        self._aggregate = aggregate
        self._registry = registry
        self._draining = Draining()
        self._ids = CorrelationIds()

    def drain(self) -> None:
        """The gateway was told to end: it is no longer ready, and streams that only listen end now."""
        self._draining.begin()

    @property
    def _is_ready(self) -> bool:
        return self._ready() and not self._draining.began

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] != "http":
            return
        path: bytes = scope["raw_path"]
        if path == b"/livez":
            await answer_plainly(send, 200, b"live\n")
        elif path == b"/readyz":
            await answer_plainly(send, *((200, b"ready\n") if self._is_ready else (503, b"not ready\n")))
        elif self._registry is not None and self._registry.serves(path):
            await self._registry(scope, receive, send)
        elif path.startswith(PREFIX) or path == PREFIX[:-1]:
            settings = self._settings
            head = head_of(scope, path, settings.trusted_proxies, settings.caller_headers, self._ids.next())
            scope["headers"].clear()  # the head has them; the server keeps the scope while the call is open
            exchange = HttpExchange(head, Wire(scope, receive, send), settings, self._draining)
            await self._govern(exchange, whole=path == PREFIX[:-1])
        elif path.startswith(METADATA):
            await self._tell_metadata(scope, path, send)
        elif self._pages is not None and (path == CALLBACK or path.startswith((PAGES, CALLBACK + b"/"))):
            await self._pages(scope, receive, send)
        else:
            await answer_plainly(send, 404, b"not found\n")

    async def _tell_metadata(self, scope: Scope, path: bytes, send: Send) -> None:
        reply = public_reply(scope["method"], path.decode("latin-1"), self._settings.metadata)
        headers = [(name.encode(), value.encode()) for name, value in reply.headers]
        await answer_whole(send, reply.status, headers, reply.body)

    async def _govern(self, exchange: HttpExchange, *, whole: bool) -> None:
        try:
            if self._aggregate is not None and whole:
                await self._aggregate(exchange)
            else:
                await govern(exchange, self._stages)
        except asyncio.CancelledError:
            await exchange.stop()
        finally:
            exchange.close()


class Wire:
    """One HTTP request as the server underneath hands it over."""

    __slots__ = ("_scope", "receive", "send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self.receive = receive
        self.send = send

    def when_left(self, call: Callable[[], object]) -> None:
        """Have `call` called when the client leaves before the answer is complete; now, where it has left."""
        self._scope["extensions"][LEAVING](call)

    @property
    def is_whole(self) -> bool:
        """Whether all of the body has come."""
        return bool(self._scope["extensions"][WHOLE]())


class HttpExchange:
    """One HTTP request and its reply: implements pipeline.Exchange."""

    def __init__(self, head: RequestHead, wire: Wire, settings: EndpointSettings, draining: Draining) -> None:
        self.head = head
        self.cancelled = False
        self._wire = wire
        self._send = wire.send
        self._settings = settings
        self._draining = draining
        self._call: asyncio.Task[object] | None = None
        self._request: MCPRequest | None = None
        self._started = False
        self._gone = False
        self._answered = False
        self._ending: asyncio.TimerHandle | None = None  # the call of a client that left
        self._held: Held | None = None
        self._telling: Held | None = None

    async def read(self, principal: Principal, origins: Collection[str] = ()) -> MCPRequest:
        """Read the body, parse it once, and from then on watch for the client's leaving."""
        self._settings.sites.check(self.head.headers, origins)
        settings = self._settings
        self._held = settings.buffers.hold(principal.id)
        pace = None if self._wire.is_whole else settings.pace
        body = await read_body(self._wire.receive, self.head.headers, settings.limits.body, pace, self._held)
        if body is None:
            raise ClientGone
        self._request = parse_request(self.head, body, settings.limits, principal.id)
        self._call = call = asyncio.current_task()
        if call is not None:
            self._draining.enter(self._request, call)
        self._wire.when_left(self._left)
        return self._request

    def _left(self) -> None:
        """The client has left before its answer was complete."""
        self._gone = True
        if self._cancels():
            self._cancel()
        else:
            self._ending = asyncio.get_running_loop().call_later(self._settings.drain, self._cancel)

    def _cancel(self) -> None:
        if self._call is not None and not self._answered:
            self.cancelled = True
            self._call.cancel(Reason.CLIENT_GONE)

    def _cancels(self) -> bool:
        request = self._request
        return request is None or request.era is Era.STATELESS or request.kind is Kind.STREAM

    async def relay(self, answer: Answer, decision: Decision) -> None:
        """Send the answer on as it comes; the next piece is asked for when the client has taken the one before."""
        status = (answer.reply and answer.reply.status) or answer.status
        if answer.streaming:
            if self._request is not None:
                self._telling = self._settings.buffers.hold(self._request.principal_id)
            await self._start(status, self._fields(answer, decision))
            async for events in answer.events:
                await self._tell(b"".join([event.raw for event in events]))
            await self._body(b"", more=False)
        else:
            body = b"".join([event.raw async for events in answer.events for event in events])
            await self._whole(status, self._fields(answer, decision), body)
        if self._gone:
            raise ClientGone

    async def _tell(self, events: bytes) -> None:
        """Send a piece of a stream, which counts until the client has taken it. Raises Refusal (overloaded, ...)."""
        if self._telling is not None:
            self._telling.now(len(events))
        await self._body(events, more=True)
        if self._telling is not None:
            self._telling.now(0)

    def _fields(self, answer: Answer, decision: Decision) -> list[tuple[bytes, bytes]]:
        """The header fields of an answer, with its session."""
        fields = list(reply_headers(answer, decision, self.head.correlation_id))
        if session := answer.headers.get("mcp-session-id"):
            fields.append((b"mcp-session-id", session.encode()))
        return fields

    async def refuse(self, refusal: Refusal) -> None:
        """Answer no: as a whole reply, or as the last event of a stream that has begun."""
        if self._started:
            await self._body(refusal_event(refusal, self._request, self.head), more=False)
            return
        refusal.headers = (*challenge(refusal, self.head, self._settings.metadata), *refusal.headers)
        reply = refusal_reply(refusal, self._request, self.head)
        await self._whole(reply.status, list(reply.headers), reply.body)

    async def _whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        if status not in WITHOUT_LENGTH:
            headers.append((b"content-length", str(len(body)).encode()))
        await self._start(status, headers)
        await self._body(body, more=False)

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        self._started = True

    async def _body(self, body: bytes, *, more: bool) -> None:
        if len(body) > SLICE:
            last = (len(body) - 1) // SLICE * SLICE
            for at in range(0, last, SLICE):
                await self._send({"type": "http.response.body", "body": body[at : at + SLICE], "more_body": True})
            body = body[last:]
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
        self._answered = self._answered or not (more or self._gone)

    async def stop(self) -> None:
        """The call was cancelled: by its client, who is gone, or by the server, which ends and says so.

        The stream of a GET just ends: it has no id to be answered (MCP 2025-11-25, Listening for Messages from the
        Server), and clients open another.
        """
        if self.cancelled or self._answered:
            return
        if self._started and self._request is not None and self._request.kind is Kind.STREAM:
            await self._body(b"", more=False)
        else:
            await self.refuse(stopping())

    def close(self) -> None:
        """Stop watching for the client, and let go of its body."""
        self._draining.leave(self._call)
        self._call = None  # which holds this exchange
        for held in (self._held, self._telling):
            if held is not None:
                held.give_back()
        if self._ending is not None:
            self._ending.cancel()


def head_of(
    scope: Scope,
    path: bytes,
    trusted_proxies: tuple[IPNetwork, ...],
    caller_headers: tuple[str, ...] = (),
    correlation_id: str = "",
) -> RequestHead:
    """The head of a request. The connection's name is taken from the raw path, so no encoding can spell another.

    A field whose name has an underscore is dropped: servers further on read `-` and `_` as one (GHSA-vjrc-mh2v-45x6).
    One that would then be a field of ours is kept, for parse_request to refuse it (decision 28).
    """
    fields = tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])
    headers = Headers(fields)
    if "_" in "".join(headers.names):
        headers = Headers(tuple(one for one in fields if "_" not in one[0] or is_disguised(one[0], caller_headers)))
    client = scope.get("client")
    peer = str(client[0]) if client else ""
    named = path[len(PREFIX) :]
    return RequestHead(
        http_method=scope["method"],
        connection=named.decode() if CONNECTION_NAME.fullmatch(named) else "",
        headers=headers,
        peer=peer,
        source_address=source_address(peer, headers.all("x-forwarded-for"), trusted_proxies),
        received_at=datetime.now(UTC),
        correlation_id=correlation_id or secrets.token_hex(16),
        claimed_correlation_id=_claimed(headers),
    )


def _claimed(headers: Headers) -> str:
    """What the caller calls the request, if it does."""
    for name in CLAIMED_CORRELATION:
        if name in headers:
            return headers.get(name)[:CLAIMED_LENGTH]
    return ""


async def answer_plainly(send: Send, status: int, text: bytes) -> None:
    """A short text for people and probes."""
    await answer_whole(send, status, [(b"content-type", b"text/plain; charset=utf-8")], text)


async def answer_whole(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """A reply that is no part of a call."""
    if status not in WITHOUT_LENGTH:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
