"""HTTP-level limits that come before MCP: what a head may be, which Host and Origin may speak to us, how much body is
read, and for how long.

Host and Origin are checked apart from each other (DNS rebinding sends a good-looking pair; OWASP AISVS 10.3.3).
A body has `Pace.seconds` to be whole; from then on, what has come of it must have come at `Pace.rate` on the average.
So a small body may be slow and a large one may take long, but none can be both.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from functools import lru_cache
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from mcpgov.buffers import Held
    from mcpgov.models import Headers

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
AUTHORITY: Final = re.compile(
    r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
)  # RFC 9112 section 3.2, no user
ORIGIN: Final = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*://{AUTHORITY.pattern}")  # RFC 6454 section 7; `null` is nobody's
MEANING: Final = (b"host", b"content-length", b"transfer-encoding")
LONG: Final = 256  # characters of a URL; what is longer is not kept
LENGTH: Final = re.compile(rb"[0-9]{1,19}")
REQUEST_LINE: Final = len(b"POST  HTTP/1.1\r\n\r\n")  # but for its target; the end of the head with it


@frozen
class Pace:
    """How a body must come: whole after so many seconds, or else at so many bytes a second so far."""

    seconds: float = 30
    rate: int = 1024


PACE: Final = Pace()


@frozen
class ConnectionLimits:
    """What one connection may do, and how many of them there may be. `header_bytes` counts a head as it is written:
    the request line, and each field with its colon, one space and its line end.
    """

    header_fields: int = 64
    header_bytes: int = 16 * 1024
    header_seconds: float = 10
    idle_seconds: float = 5
    connections: int = 20_000
    pace: Pace = PACE  # at which a client takes its answers, too


UNTOLD: Final = ConnectionLimits()  # for who is told of no settings


def head_fault(target: bytes, fields: list[tuple[bytes, bytes]], version: str, limits: ConnectionLimits) -> bytes:
    """The HTTP status of a head that is too large, or that two servers could read differently; empty for a good one.

    Servers do not agree on what `GET http://elsewhere/` names, which of two lengths counts (request smuggling; RFC 9112
    sections 3.2 and 6.3), or what a fragment is for. What is said here must hold whatever the parser let through.
    """
    size = len(target) + sum(map(len, chain.from_iterable(fields))) + 4 * len(fields)
    if len(fields) > limits.header_fields or size + REQUEST_LINE > limits.header_bytes:
        return b"431 Request Header Fields Too Large"
    if not target.startswith(b"/") or b"#" in target:
        return b"400 Bad Request"
    values = dict(fields)
    twice = len(values) < len(fields) and any(map(_stand_twice, repeat(fields), MEANING))
    # HTTP/1.0 knows neither chunks nor, at its oldest, Host; a target or a page for a name is then refused further on.
    known = b"host" in values if version == "1.1" else version == "1.0" and b"transfer-encoding" not in values
    return b"" if known and not twice and _is_framed(values) else b"400 Bad Request"


def _is_framed(values: dict[bytes, bytes]) -> bool:
    """Whether it is said once, or not at all, how long the body is."""
    length, coding = values.get(b"content-length"), values.get(b"transfer-encoding")
    if coding is not None:
        return length is None and coding.strip(b" \t").lower() == b"chunked"
    return length is None or LENGTH.fullmatch(length.strip(b" \t")) is not None


def _stand_twice(fields: list[tuple[bytes, bytes]], wanted: bytes) -> bool:
    return sum(name == wanted for name, _ in fields) > 1


@frozen
class Sites:
    """The host names by which this gateway may be called. None: any, because a load balancer in front decides."""

    hosts: frozenset[str] | None

    @classmethod
    def of(cls, listen_host: str, public_url: str) -> Sites:
        """The names that follow from where we listen and from the public URL."""
        public = _hostname(public_url)
        if not public and not is_loopback(listen_host):
            return cls(None)
        return cls(LOOPBACK_NAMES | {listen_host.lower(), public or listen_host.lower()})

    def check(self, headers: Headers, origins: Collection[str] = ()) -> None:
        """Raise Refusal (host-denied, origin-denied) unless Host is ours, and Origin, if any, ours or in `origins`."""
        called = headers.get("host")
        host = _hostname("//" + called)
        if not AUTHORITY.fullmatch(called) or (self.hosts is not None and host not in self.hosts):
            raise Refusal(Reason.HOST_DENIED, "This gateway is not served under that host name. Check public_url.")
        origin = headers.get("origin")
        ours = self.hosts or {host}
        if origin and origin not in origins and not (ORIGIN.fullmatch(origin) and _hostname(origin) in ours):
            raise Refusal(Reason.ORIGIN_DENIED, "Web pages of that origin may not call this gateway.")


def is_loopback(host: str) -> bool:
    """Whether an address or name can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _hostname(url: str) -> str:
    return _known(url) if len(url) < LONG else _split(url)


@lru_cache(maxsize=1024)  # a client says the same in every call
def _known(url: str) -> str:
    return _split(url)


def _split(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


async def read_body(
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    headers: Headers,
    limit: int,
    pace: Pace | None = PACE,
    held: Held | None = None,
) -> bytes | None:
    """The whole body, or None when the client left before it was complete. Without a `pace` all of it is there already.

    Raises Refusal: too-large, as soon as more than `limit` bytes are announced or have come; request-timeout;
    overloaded, where `held` has no room for what came.
    """
    announced = headers.get("content-length")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large(limit)
    if pace is None:
        return await _gathered(receive, limit, held)
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(began + pace.seconds) as patience:
            return await _gathered(
                receive, limit, held, lambda size: patience.reschedule(began + max(pace.seconds, size / pace.rate))
            )
    except TimeoutError:
        message = f"The body did not come within {pace.seconds:g} seconds, nor at {pace.rate} bytes a second."
        raise Refusal(Reason.REQUEST_TIMEOUT, message, headers=(("Connection", "close"),)) from None


async def _gathered(
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    limit: int,
    held: Held | None,
    came: Callable[[int], object] | None = None,
) -> bytes | None:
    """The body, piece by piece; `came` is told how much there is of one that is not complete."""
    body = bytearray()  # and no list of pieces: each byte may come by itself, and would take forty
    while (message := await receive())["type"] != "http.disconnect":
        body += message.get("body", b"")
        if len(body) > limit:
            raise too_large(limit)
        if held is not None:
            held.now(len(body))
        if not message.get("more_body", False):
            return bytes(body)
        if came is not None:
            came(len(body))
    return None


def too_large(limit: int) -> Refusal:
    """The refusal of a body of more than `limit` bytes."""
    return Refusal(Reason.TOO_LARGE, f"The body is larger than {limit} bytes.")
