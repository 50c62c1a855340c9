"""The places that records are exported to: a folder, a URL that takes POST, a syslog receiver.

Rules: a payload is taken when the place says so, never when it was merely sent. A folder has the file on its disk under
its name; an HTTP server has answered 2xx; a syslog receiver, whose protocol has no answer, has read to the end and
closed its side: what it had not read would come back as a reset. Over TLS it says so in close_notify: the end of TCP
alone can be made by whoever stands on the way. No text of an error holds a path, a query or a header: secrets stand
there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import socket
import ssl
import time
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, Protocol

from mcpgov.audit.exporting import TargetRefused, TargetUnavailable
from mcpgov.destinations import is_public
from mcpgov.errors import StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.web import WebUnavailable, system_addresses

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mcpgov.audit.exported import Payload
    from mcpgov.models import Secret
    from mcpgov.web import Fields, Resolve, WebAnswer

OK: Final = range(200, 300)
NEVER: Final = frozenset({400, 413, 422})  # the payload is at fault; anything else is a matter of when
PATIENCE: Final = 30.0  # seconds that a syslog receiver may take for a payload, all in all
CHUNK: Final = 65_536  # bytes
ANY_END: Final[int] = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)  # takes any end of TCP for a close_notify; OpenSSL 3


class Posts(Protocol):
    """What can POST over HTTP: the Web of mcpgov.web. Raises WebUnavailable."""

    async def send(self, url: str, body: bytes, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        """POST these bytes to `url`."""
        ...


@frozen
class FolderFiles:
    """A folder. `place` writes a file whole, or leaves the one that is there: it has the same records."""

    folder: Path
    place: Callable[[Path, bytes], None]

    @property
    def name(self) -> str:
        """The folder as a URL."""
        return self.folder.as_uri()

    async def put(self, payload: Payload) -> None:
        """Make the file."""
        try:
            await asyncio.to_thread(self.place, self.folder / payload.name, payload.body)
        except (OSError, StoreUnavailable) as error:
            raise TargetUnavailable(f"{self.name}: {error}") from error


@frozen
class HttpPost:
    """A URL that takes POST. `name` is its origin, `headers` are secret."""

    name: str
    url: Secret
    web: Posts
    headers: tuple[tuple[str, Secret], ...] = ()
    private: bool = False

    async def put(self, payload: Payload) -> None:
        """POST it."""
        fields = (("content-type", payload.media_type), *((name, value.reveal()) for name, value in self.headers))
        try:
            answer = await self.web.send(self.url.reveal(), payload.body, fields, private=self.private)
        except WebUnavailable as error:
            raise TargetUnavailable(f"{self.name}: {error}") from error
        if answer.status in NEVER:
            raise TargetRefused(f"{self.name}: answered {answer.status}")
        if answer.status not in OK:
            raise TargetUnavailable(f"{self.name}: answered {answer.status}", seconds(answer))
        if rejected(answer.body):
            raise TargetRefused(f"{self.name}: answered {answer.status}, and rejected {rejected(answer.body)} of them")


def seconds(answer: WebAnswer) -> float | None:
    """What Retry-After asks for, in seconds (RFC 9110, 10.2.3); None where it is not there, or is a date."""
    asked = answer.headers.get("retry-after", "").strip()
    return float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else None


def rejected(body: bytes) -> int:
    """How many log records an OTLP receiver took and threw away (`partialSuccess`); 0 for any other answer."""
    try:
        told: Any = json.loads(body)
        return int(told["partialSuccess"]["rejectedLogRecords"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return 0


@frozen
class SyslogStream:
    """A syslog receiver over TLS (RFC 5425), or with `tls` None over plain TCP (RFC 6587). Each payload has a
    connection of its own, whose orderly end says that all of it was read. Without `close_notify` the end of TCP is one.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None
    private: bool = False
    resolve: Resolve = system_addresses
    patience: float = field(default=PATIENCE)
    close_notify: bool = True

    @property
    def name(self) -> str:
        """The receiver as a URL."""
        return f"syslog+{'tls' if self.tls else 'tcp'}://{self.host}:{self.port}"

    async def put(self, payload: Payload) -> None:
        """Send the messages and see the receiver close."""
        try:
            addresses = await self.resolve(self.host, self.port)
            if not self.private and not all(is_public(ipaddress.ip_address(address)) for address in addresses):
                raise TargetUnavailable(f"{self.name}: has an address that is not public; private: true allows it")
            await asyncio.to_thread(self._send, addresses[0], payload.body)
        except (OSError, IndexError) as error:  # no address, unreachable, TLS, reset, too slow
            raise TargetUnavailable(f"{self.name}: {type(error).__name__}: {error}") from error

    def _send(self, address: str, body: bytes) -> None:
        end = time.monotonic() + self.patience
        with socket.create_connection((address, self.port), self.patience) as plain:
            if self.tls is None:
                send(plain, body, end)
                closed_after(plain, end)
                return
            if self.close_notify:
                self.tls.options &= ~ANY_END
            plain.settimeout(left(end))
            with self.tls.wrap_socket(plain, server_hostname=self.host) as secured:
                send(secured, body, end)
                secured.settimeout(left(end))
                with contextlib.suppress(*(() if self.close_notify else (ssl.SSLEOFError,))):
                    closed_after(secured.unwrap(), end)


def left(end: float) -> float:
    """How many seconds there are until `end` (monotonic). Raises TimeoutError where there are none."""
    if (found := end - time.monotonic()) > 0:
        return found
    raise TimeoutError("timed out")


def send(stream: socket.socket, body: bytes, end: float) -> None:
    """Send all of it. Raises OSError."""
    rest = memoryview(body)
    while rest:
        stream.settimeout(left(end))
        rest = rest[stream.send(rest) :]


def closed_after(stream: socket.socket, end: float) -> None:
    """End our side, and return when the other has ended its own. Raises OSError where it broke off instead."""
    stream.shutdown(socket.SHUT_WR)
    more = True
    while more:
        stream.settimeout(left(end))
        more = bool(stream.recv(CHUNK))
