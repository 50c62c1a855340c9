"""Which addresses an upstream may have, and a resolver that gives no other: public ones, unless it is `private`, and
never those at which clouds keep their metadata.

Rule: what is checked is what is connected to. The resolver hands the connector nothing but addresses it has checked,
so a name that resolves differently the second time (rebinding) gains nothing; one address that is not public refuses
all. A literal address never reaches a resolver and is checked before, by `denied_literal`.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Protocol, TypedDict

from mcpgov.destinations import is_metadata, is_public


class Found(TypedDict):
    """One address of a name, in the shape that aiohttp has for it."""

    hostname: str
    host: str
    port: int
    family: int
    proto: int
    flags: int


class Resolver(Protocol):
    """Who knows the addresses of names."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[Found]:
        """The addresses of `host`. Raises OSError."""
        ...

    async def close(self) -> None:
        """Ask no more."""
        ...


class AddressDenied(OSError):
    """A name or a literal leads to an address that is not allowed."""


def denied_literal(host: str, *, private: bool = False) -> bool:
    """Whether `host` is an IP address that is not allowed; a name is not judged here."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return is_metadata(address) or not (private or is_public(address))


def literal_address(host: str) -> str | None:
    """The IP address that stands where the host of a URL does, without brackets; None where a name does.

    Raises AddressDenied for figures that only some readers take for an address (127.1, 2130706433, 010.0.0.1).
    """
    literal = host.strip("[]")
    if ":" not in literal and not literal.replace(".", "").isdigit():
        return None
    try:
        ipaddress.ip_address(literal)
    except ValueError:
        raise AddressDenied(host) from None
    return literal


class FixedResolver:
    """Resolves as `inner` does, but for each `host:port` that the catalog gives an `address:port`."""

    def __init__(self, inner: Resolver, fixed: tuple[tuple[str, str], ...]) -> None:
        self._inner = inner
        self._fixed = dict(fixed)

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[Found]:
        """The address that the catalog gives, else the addresses of `host`."""
        there = self._fixed.get(f"{host.lower()}:{port}")
        if there is None:
            return await self._inner.resolve(host, port, family)
        address, _, other = there.rpartition(":")
        address, flags = address.strip("[]"), socket.AI_NUMERICHOST
        of = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [Found(hostname=host, host=address, port=int(other), family=of, proto=0, flags=flags)]

    async def close(self) -> None:
        """Close the resolver underneath."""
        await self._inner.close()


class PublicResolver:
    """Resolves as `inner` does and refuses a name that has an address which is not public.

    With `private` only one of a metadata service is refused.
    """

    def __init__(self, inner: Resolver, *, private: bool = False) -> None:
        self._inner = inner
        self._private = private

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[Found]:
        """The addresses of `host`, all of them allowed. Raises AddressDenied."""
        found = await self._inner.resolve(host, port, family)
        if any(denied_literal(each["host"], private=self._private) for each in found):
            raise AddressDenied(host)
        return found

    async def close(self) -> None:
        """Close the resolver underneath."""
        await self._inner.close()
