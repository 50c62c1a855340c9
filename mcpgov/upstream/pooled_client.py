"""Our own HTTP/1.1 client for one upstream: its connections, how they are made, and how long they are kept.

Rules: an address is judged when a connection is made, and it is that address which is connected to; no second question
is asked between. A connection is kept for KEEP_ALIVE seconds and given out again, the last one first, if nothing came
on it meanwhile (http_connection.py); one that is not silent is closed, and nothing was sent on it. None is used for
longer than LIFETIME, or a busy upstream would never be looked for anew, nor its certificate. A request is written
once: whatever happens after that is told, never repeated, whatever its method (invariant 9). Nothing is followed,
decoded, remembered between calls or read from the environment.

`close` ends every connection, and those being made: a call that is still connecting gets upstream-reset, as one that
runs does. A pool that a reload retires is closed only when its last call has ended, one that connects included
(pools.py).
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple

from mcpgov.destinations import origin
from mcpgov.trust import system_trust
from mcpgov.upstream.addresses import AddressDenied, FixedResolver, PublicResolver, literal_address
from mcpgov.upstream.http_client import address_denied, broke_off, timed_out, unreachable
from mcpgov.upstream.http_connection import Exchange, HttpConnection, Origin
from mcpgov.upstream.name_service import Remembering, SystemNames
from mcpgov.upstream.racing import first_to_arrive, in_turn

if TYPE_CHECKING:
    from mcpgov.models import RemoteUpstream
    from mcpgov.upstream.addresses import Resolver
    from mcpgov.upstream.http_client import HttpRequest, OpenClient

KEEP_ALIVE: Final = (
    4.0  # seconds; many servers close after 5, and a call that meets the closing is lost, for it is not retried
)
LIFETIME: Final = 300.0  # seconds after which a connection is not used again, for its name may lead elsewhere by now
Address = tuple[str, int]  # an IP address as text, and a port


def own_clients(tls: ssl.SSLContext | None = None, resolver: Resolver | None = None) -> OpenClient:
    """How clients of ours are opened, all of which believe the same certificates."""
    believed = tls or system_trust()
    believed.set_alpn_protocols(["http/1.1"])
    return lambda upstream: PooledClient(upstream, believed, resolver)


class Target(NamedTuple):
    """Where a URL leads: to whom, and what is asked for there."""

    origin: Origin
    path: str


@functools.lru_cache(maxsize=256)
def target(url: str) -> Target | None:
    """Read an absolute http URL as it is written, without its fragment; None where it is none."""
    there = origin(url)
    if there is None or there[2] > 65_535:
        return None
    after = url.partition("://")[2].partition("#")[0]
    start = min((at for at in map(after.find, "/?") if at >= 0), default=len(after))
    path, _, query = after[start:].partition("?")
    return Target(there, f"{path or '/'}?{query}" if query else path or "/")


class PooledClient:
    """An HttpClient. `tls` says whose certificates are believed; `resolver` finds addresses of names."""

    def __init__(self, upstream: RemoteUpstream, tls: ssl.SSLContext, resolver: Resolver | None = None) -> None:
        names = FixedResolver(Remembering(resolver or SystemNames()), upstream.resolve)
        self._resolver = PublicResolver(names, private=upstream.private)
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._open: set[HttpConnection] = set()
        self._idle: dict[Origin, list[HttpConnection]] = {}
        self._reached: dict[Origin, Address] = {}  # where the last connection was made
        self._connecting: set[asyncio.Timeout] = set()
        self._closed = False
        self._sweep: asyncio.TimerHandle | None = None

    async def request(self, request: HttpRequest) -> Exchange:
        """Send a request, once, and wait for the head of its answer. Raises Refusal."""
        there = target(request.url)
        if there is None:
            raise address_denied()
        if self._closed:
            raise broke_off("closed")
        connection = self._kept(there.origin) or await self._connect(there.origin, request.deadline)
        exchange = connection.open(request.deadline)
        headed = False
        try:
            await exchange.send(head_of(request, there.path), request.body)
            await exchange.headed()
            headed = True
        finally:
            if not headed:
                exchange.close()
        return exchange

    async def close(self) -> None:
        """Close every socket, also of calls that run or are still connecting: those get upstream-reset."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for waiting in self._connecting:
            if not waiting.expired():
                waiting.reschedule(self._loop.time())
        for connection in tuple(self._open):
            connection.end(broke_off("closed"))
        await self._resolver.close()

    # -- connections that are kept -------------------------------------------------------------------------------------

    def _kept(self, there: Origin) -> HttpConnection | None:
        """The connection that was used last and is silent, if any; those that are not are closed."""
        idle = self._idle.get(there)
        while idle:
            connection = idle.pop()
            now = self._loop.time()
            kept = now - connection.idle_since < KEEP_ALIVE and now - connection.made < LIFETIME
            if kept and connection.silent:
                return connection
            connection.abort()
        return None

    def add(self, connection: HttpConnection) -> None:
        """It is made."""
        self._open.add(connection)

    def keep(self, connection: HttpConnection) -> None:
        """Its exchange is over, and it may carry another."""
        connection.idle_since = self._loop.time()
        self._idle.setdefault(connection.there, []).append(connection)
        if self._sweep is None:
            self._sweep = self._loop.call_later(KEEP_ALIVE, self._close_old)

    def forget(self, connection: HttpConnection) -> None:
        """It has ended."""
        self._open.discard(connection)
        idle = self._idle.get(connection.there)
        if idle and connection in idle:
            idle.remove(connection)

    def _close_old(self) -> None:
        """Close what nobody has used for a while, and come back for the rest."""
        until = self._loop.time() - KEEP_ALIVE
        for there, idle in tuple(self._idle.items()):
            kept = [connection for connection in idle if connection.idle_since > until]
            for connection in idle:
                if connection.idle_since <= until:
                    connection.abort()
            if kept:
                self._idle[there] = kept
            else:
                del self._idle[there]
        self._sweep = self._loop.call_later(KEEP_ALIVE / 2, self._close_old) if self._idle else None

    # -- connections that are made -------------------------------------------------------------------------------------

    async def _connect(self, there: Origin, deadline: float) -> HttpConnection:
        """A new connection, by the deadline. Raises Refusal."""
        waiting = asyncio.timeout_at(deadline)
        try:
            async with waiting:
                self._connecting.add(waiting)
                return await self._reach(there)
        except TimeoutError:
            raise (broke_off("closed") if self._closed else timed_out()) from None
        finally:
            self._connecting.discard(waiting)

    async def _reach(self, there: Origin) -> HttpConnection:
        """A connection to whichever of the addresses answers first."""
        try:
            ways = await self._addresses(there)
        except AddressDenied as denied:
            raise address_denied(type(denied).__name__) from None
        except (OSError, UnicodeError):
            raise unreachable("DNS") from None
        try:
            return await first_to_arrive(ways, functools.partial(self._go, there))
        except OSError as error:
            raise unreachable(type(error).__name__) from None

    async def _addresses(self, there: Origin) -> list[Address]:
        """Where the host is, each address judged; a literal one was before (forward.require_reachable). Raises OSError,
        UnicodeError.
        """
        _, host, port = there
        literal = literal_address(host)
        if literal is not None:
            return [(literal, port)]
        name = host.rstrip(".").encode("idna")  # one that no certificate can have is none, whatever address it is given
        found = await self._resolver.resolve(host, port) if name else []
        if not found:
            raise OSError
        ways = [(one["host"], one["port"]) for one in found]
        return in_turn(ways, lambda way: ":" in way[0], self._reached.get(there))

    async def _go(self, there: Origin, way: Address) -> HttpConnection:
        """A connection to one address; TLS vouches for the name, not for the address. Raises OSError."""
        scheme, host, _ = there
        secure = scheme == "https"
        _, connection = await self._loop.create_connection(
            lambda: HttpConnection(self, there),
            *way,
            flags=socket.AI_NUMERICHOST,
            ssl=self._tls if secure else None,
            server_hostname=host.strip("[]").rstrip(".") if secure else None,
        )
        if self._closed:
            connection.abort()
        self._reached[there] = way
        return connection


def head_of(request: HttpRequest, path: str) -> bytes:
    """The head of a request. `fields` hold no line end (headers.py)."""
    lines = [f"{request.method} {path} HTTP/1.1\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in request.fields]
    if request.method != "GET" or request.body:
        lines.append(f"content-length: {len(request.body)}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("ascii")
