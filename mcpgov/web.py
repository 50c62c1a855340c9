"""The HTTP client of the control plane: key sets, token endpoints, metadata, Key Vault. Never the upstreams' own.

Rules: https to public addresses, unless the caller says `private`; what is checked is what is connected to; nothing is
followed, no proxy of the environment is used, no cookie kept, no connection shared, an answer has a bound and a
deadline. No text of an error holds a path, a query or a body: secrets stand there.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import field
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlencode

import httpx2

from mcpgov.destinations import is_metadata, is_public, origin
from mcpgov.frozen import frozen
from mcpgov.models import Headers
from mcpgov.trust import system_trust

if TYPE_CHECKING:
    from collections.abc import Mapping

Fields = tuple[tuple[str, str], ...]
Resolve = Callable[[str, int], Awaitable[tuple[str, ...]]]

MAX_BODY: Final = 1 << 20  # bytes of an answer
MAX_ADDRESSES: Final = 4  # of one name that are tried; every one is checked
ALWAYS: Final = (("user-agent", "mcpgov"), ("accept-encoding", "identity"))
FORM: Final = (("content-type", "application/x-www-form-urlencoded"),)


@frozen
class WebAnswer:
    """What was answered, whole. A redirect is an answer like any other."""

    status: int
    headers: Headers
    body: bytes


class WebUnavailable(Exception):
    """No answer could be had, or none that may be read. The text names the host and no secret."""


class Web(Protocol):
    """Asks, once. Every method raises WebUnavailable."""

    async def get(self, url: str, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        """GET `url`. `private` allows plain http, loopback and private addresses."""
        ...

    async def post(
        self, url: str, form: Mapping[str, str], headers: Fields = (), *, private: bool = False
    ) -> WebAnswer:
        """POST a form (application/x-www-form-urlencoded) to `url`."""
        ...


async def system_addresses(host: str, port: int) -> tuple[str, ...]:
    """The addresses that the system's resolver has for `host`. Raises OSError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label that is empty or too long
        raise OSError("is not a host name") from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def new_transport(tls: ssl.SSLContext) -> httpx2.AsyncBaseTransport:
    """What carries one request: it follows, decodes and remembers nothing, and logs no URL."""
    return httpx2.AsyncHTTPTransport(verify=tls, trust_env=False)


@frozen
class GuardedWeb:
    """The Web of a running gateway: each request on a connection of its own, to an address that was checked.

    `tls` says whose certificates are believed; the default is those of the system, or of SSL_CERT_FILE. `deadline`
    bounds a request as a whole, `connecting` the part until it can be sent; both in seconds. `resolve` finds the
    addresses of a name. There is nothing to close.
    """

    tls: ssl.SSLContext = field(default_factory=system_trust)
    deadline: float = 10.0
    connecting: float = 5.0
    resolve: Resolve = system_addresses
    transport: Callable[[ssl.SSLContext], httpx2.AsyncBaseTransport] = new_transport

    async def get(self, url: str, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        """GET `url`. Raises WebUnavailable."""
        return await self._ask("GET", url, headers, None, private=private)

    async def post(
        self, url: str, form: Mapping[str, str], headers: Fields = (), *, private: bool = False
    ) -> WebAnswer:
        """POST a form to `url`. Raises WebUnavailable."""
        return await self._ask("POST", url, (*FORM, *headers), urlencode(form).encode(), private=private)

    async def send(self, url: str, body: bytes, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        """POST these bytes to `url`. Raises WebUnavailable."""
        return await self._ask("POST", url, headers, body, private=private)

    async def put(self, url: str, body: bytes, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        """PUT these bytes at `url`. Raises WebUnavailable."""
        return await self._ask("PUT", url, headers, body, private=private)

    async def _ask(self, method: str, url: str, headers: Fields, body: bytes | None, *, private: bool) -> WebAnswer:
        there = origin(url)
        if there is None or there[2] > 65_535 or (there[0] != "https" and not private):
            raise WebUnavailable("what was to be asked is not an https URL")
        _, host, port = there
        try:
            async with asyncio.timeout(self.deadline):
                addresses = await self._addresses(host.strip("[]"), port, private=private)
                return await self._first(method, httpx2.URL(url), (*ALWAYS, *headers), body, addresses)
        except (TimeoutError, httpx2.TimeoutException):
            raise WebUnavailable(f"{host} did not answer in time") from None
        except (OSError, httpx2.TransportError, httpx2.InvalidURL) as error:
            raise WebUnavailable(f"{host} could not be reached, or broke off: {type(error).__name__}") from None
        except Unreadable as error:
            raise WebUnavailable(f"{host} {error}") from None

    async def _addresses(self, host: str, port: int, *, private: bool) -> tuple[str, ...]:
        """Where to connect to: what `host` resolves to, asked once; one address that is not public refuses all.

        One of a cloud's metadata service does also where `private` is said.
        """
        found = await self.resolve(host, port)
        judged = [ipaddress.ip_address(address) for address in found]
        if not all(private or is_public(address) for address in judged):
            raise Unreadable("has an address that is not public")
        if any(map(is_metadata, judged)):
            raise Unreadable("has an address of a metadata service")
        return found[:MAX_ADDRESSES]

    async def _first(
        self, method: str, url: httpx2.URL, fields: Fields, body: bytes | None, addresses: tuple[str, ...]
    ) -> WebAnswer:
        """What the first address answers that can be connected to; the name stands in Host and in TLS.

        A connection is made to an address and never to the name: a name that resolves differently the second time
        (rebinding) gains nothing.
        """
        raw = [(name.encode(), value.encode("latin-1")) for name, value in (("host", url.netloc.decode()), *fields)]
        # Addresses share the time for connecting, so that one that swallows packets leaves some for the next.
        extensions = {"sni_hostname": url.host, "timeout": {"connect": self.connecting / (len(addresses) or 1)}}
        refused: httpx2.TransportError | None = None
        for address in addresses:
            request = httpx2.Request(method, url.copy_with(host=address), headers=raw, content=body)
            request.extensions.update(extensions)
            async with self.transport(self.tls) as transport:
                try:
                    answer = await transport.handle_async_request(request)
                except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                    refused = error  # nothing was sent: the next may be tried
                    continue
                async with aclosing(answer):
                    return await whole(answer)
        raise refused or Unreadable("has no address")


class Unreadable(Exception):
    """An address or an answer that is not taken. The text says why, and follows the name of the host."""


async def whole(answer: httpx2.Response) -> WebAnswer:
    """An answer with its body, as it came. Raises Unreadable for one that is encoded or too large."""
    raw = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in answer.headers.raw)
    headers = Headers(raw)
    encodings = *headers.all("content-encoding"), *headers.all("transfer-encoding")
    if any(encoding.strip().lower() not in {"identity", "chunked"} for encoding in encodings):
        raise Unreadable("encoded an answer that was asked for plain")
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY:
            raise Unreadable("sent an answer that is too large")
    return WebAnswer(answer.status_code, headers, bytes(body))
