"""One look at a server: is it there, what time does it think it is, and until when does its certificate hold.

It sends one HEAD without a credential and reads the head of the answer, whatever its status: a server that answers 401
or 405 is there. It goes where the gateway itself would go: only to public addresses unless the file says `private`, and
never to a metadata service; a name is resolved once, and what was looked at is what is connected to.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from contextlib import suppress
from dataclasses import field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mcpgov.destinations import is_metadata, is_public, origin
from mcpgov.frozen import frozen
from mcpgov.trust import system_trust
from mcpgov.web import Resolve, system_addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcpgov.models import RemoteUpstream

DEADLINE: Final = 5.0  # seconds, for all of it
LONGEST: Final = 64 * 1024  # bytes of a head


@frozen
class Visit:
    """What was met: why there was no answer (empty: there was), the skew in seconds, the end of the certificate."""

    fault: str = ""
    skew: float | None = None
    expires: datetime | None = None


@frozen
class Visitor:
    """Looks at servers. `tls` says whose certificates are believed, `now` what time it is here."""

    now: Callable[[], datetime]
    tls: ssl.SSLContext = field(default_factory=system_trust)
    resolve: Resolve = system_addresses
    deadline: float = DEADLINE

    async def visit(self, upstream: RemoteUpstream) -> Visit:
        """Look at the server of a URL, at the address that is fixed for it if one is."""
        there = origin(upstream.url)
        if there is None:
            return Visit("is no URL of a server")
        scheme, host, port = there
        try:
            async with asyncio.timeout(self.deadline):
                address = await self._address(host.strip("[]"), port, upstream)
                tls = self.tls if scheme == "https" else None
                name = host.strip("[]") if tls else None
                reader, writer = await asyncio.open_connection(
                    address, port, ssl=tls, server_hostname=name, limit=LONGEST
                )
                try:
                    return await self._asked(reader, writer, upstream.url)
                finally:
                    writer.transport.abort()
                    with suppress(OSError):
                        await writer.wait_closed()
        except TimeoutError:
            return Visit(f"gave no answer within {self.deadline:g} s")
        except ssl.SSLCertVerificationError as error:
            return Visit(f"has a certificate that does not hold: {error.verify_message}")
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            return Visit(f"gave no answer: {getattr(error, 'strerror', None) or type(error).__name__}")

    async def _address(self, host: str, port: int, upstream: RemoteUpstream) -> str:
        """The address to connect to. Raises OSError for one that the gateway would not connect to either."""
        fixed = dict(upstream.resolve).get(f"{host}:{port}")
        found = (fixed,) if fixed else await self.resolve(host, port)
        judged = [ipaddress.ip_address(address) for address in found]
        if not all(upstream.private or is_public(address) for address in judged):
            raise OSError(0, "it has an address that is not public, and the file does not say private: true")
        if not judged or any(map(is_metadata, judged)):
            raise OSError(0, "it has no address that may be connected to")
        return found[0]

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> Visit:
        certificate: Mapping[str, Any] = writer.get_extra_info("peercert") or {}
        expires = str(certificate.get("notAfter", ""))
        parts = urlsplit(url)
        head = f"HEAD {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\nUser-Agent: mcpgov\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if not answer.startswith("HTTP/1."):
            return Visit("does not speak HTTP")
        return Visit("", self._skew(answer), until(expires) if expires else None)

    def _skew(self, answer: str) -> float | None:
        """How far the clock of the server is ahead; its Date is of a whole second, which has begun."""
        fields = (line.partition(":") for line in answer.split("\r\n")[1:])
        said = next((value.strip() for name, _, value in fields if name.lower() == "date"), "")
        try:
            ahead = (parsedate_to_datetime(said) - self.now()).total_seconds() if said else None
        except (ValueError, TypeError):
            return None
        return None if ahead is None else ahead + 0.5


def until(text: str) -> datetime:
    """The time in a certificate."""
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
