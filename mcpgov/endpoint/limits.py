"""HTTP-level limits that come before MCP: which Host and Origin may speak to us, and how much body is read.

Host and Origin are checked apart from each other (DNS rebinding sends a good-looking pair; OWASP AISVS 10.3.3).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mcpgov.decision import Reason
from mcpgov.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping

    from mcpgov.buffers import Held
    from mcpgov.models import Headers

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
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
        host = _hostname("//" + headers.get("host"))
        if self.hosts is not None and host not in self.hosts:
            raise Refusal(Reason.HOST_DENIED, "This gateway is not served under that host name. Check public_url.")
        origin = headers.get("origin")
        if origin and origin not in origins and _hostname(origin) not in (self.hosts or {host}):
            raise Refusal(Reason.ORIGIN_DENIED, "Web pages of that origin may not call this gateway.")


def is_loopback(host: str) -> bool:
    """Whether an address or name can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


async def read_body(
    receive: Callable[[], Awaitable[Mapping[str, Any]]], headers: Headers, limit: int, held: Held | None = None
) -> bytes | None:
    """The whole body, or None when the client left before it was complete.

    Raises Refusal (too-large) as soon as more than `limit` bytes are announced or have come; overloaded where `held`
    has no room for what came.
    """
    announced = headers.get("content-length")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise too_large(limit)
        if held is not None:
            held.now(size)
        if not message.get("more_body", False):
            return b"".join(parts)


def too_large(limit: int) -> Refusal:
    """The refusal of a body of more than `limit` bytes."""
    return Refusal(Reason.TOO_LARGE, f"The body is larger than {limit} bytes.")
