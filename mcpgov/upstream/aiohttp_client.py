"""The seam over aiohttp's client, the one that may be chosen instead of our own.

What it would do of itself is switched off: redirects, cookies, decompression, proxies from the environment. Two things
have no switch (decision 8): it repeats GET and DELETE when a connection breaks, and takes what waits on an idle
connection for the next answer.
"""

from __future__ import annotations

import asyncio
import io
import ssl
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, cast

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from mcpgov.trust import system_trust
from mcpgov.upstream.addresses import AddressDenied, FixedResolver, PublicResolver, Resolver
from mcpgov.upstream.http_client import address_denied, broke_off, invalid, timed_out, unreachable

if TYPE_CHECKING:
    from collections.abc import Generator

    from mcpgov.errors import Refusal
    from mcpgov.models import RemoteUpstream
    from mcpgov.upstream.http_client import Fields, HttpRequest, OpenClient

READ_BUFFER: Final = 65536  # bytes; the socket is read on when less than this is left
KEEP_ALIVE: Final = (
    4.0  # seconds; many servers close after 5, and a call that meets the closing is lost, for it is not retried
)
CLEAN_TRIES: Final = 3  # connections looked at until one is silent
WHOLE_WRITE: Final = 1 << 20  # bytes; a larger body is written in pieces
NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


def aiohttp_clients(tls: ssl.SSLContext | None = None, resolver: Resolver | None = None) -> OpenClient:
    """How its clients are opened, all of which believe the same certificates."""
    believed = tls or system_trust()
    return lambda upstream: AiohttpClient(upstream, believed, resolver)


class AiohttpClient:
    """An HttpClient. `tls` says whose certificates are believed; `resolver` finds addresses of names."""

    def __init__(self, upstream: RemoteUpstream, tls: ssl.SSLContext, resolver: Resolver | None = None) -> None:
        names = FixedResolver(resolver or cast("Resolver", aiohttp.ThreadedResolver()), upstream.resolve)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=tls,
                resolver=cast("AbstractResolver", PublicResolver(names, private=upstream.private)),
                limit=0,  # the limit of open calls is another's, who refuses instead of queueing
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

    async def request(self, request: HttpRequest) -> AiohttpResponse:
        """Send a request, once. Raises Refusal."""
        body = request.body
        with told_as_refusals():
            async with asyncio.timeout_at(request.deadline):
                response = await self._session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers=request.fields,
                    data=io.BytesIO(body) if len(body) > WHOLE_WRITE else body or None,
                    allow_redirects=False,
                )
        return AiohttpResponse(response, request.deadline)

    async def close(self) -> None:
        """Close every socket, also of calls that run."""
        await self._session.close()


class AiohttpResponse:
    """An HttpResponse."""

    def __init__(self, response: aiohttp.ClientResponse, deadline: float) -> None:
        self._response = response
        self._deadline: float | None = deadline
        self.status = response.status
        self.fields: Fields = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.raw_headers
        )

    async def read(self) -> bytes:
        """All that has come of the body, at least a byte; empty at its end. Raises Refusal."""
        with told_as_refusals():
            async with asyncio.timeout_at(self._deadline):
                try:
                    return await self._response.content.readany()
                except RuntimeError:  # how it says that its pool was closed meanwhile
                    raise aiohttp.ClientConnectionError from None

    def may_take_its_time(self) -> None:
        """The deadline no longer counts."""
        self._deadline = None

    def close(self) -> None:
        """Hang up at once, unless the answer is whole."""
        self._response.close()


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
        raise timed_out() from None
    except aiohttp.ClientError as error:
        raise why(error) from None


def why(error: aiohttp.ClientError) -> Refusal:
    """The refusal for an error of the HTTP client."""
    detail = type(error).__name__
    if isinstance(error, aiohttp.InvalidURL) or (
        isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressDenied)
    ):
        return address_denied(detail)
    if isinstance(error, aiohttp.ClientConnectorError):
        return unreachable(detail)
    if isinstance(error, aiohttp.ClientResponseError):
        return invalid(detail)
    return broke_off(detail)
