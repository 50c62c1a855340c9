"""Which addresses an upstream may have that is not `private`, and a resolver that gives no other.

Rule: what is checked is what is connected to. The resolver hands the connector nothing but addresses it has checked,
so a name that resolves differently the second time (rebinding) gains nothing; one address that is not public refuses
all. A literal address never reaches a resolver and is checked before, by `denied_literal`.
"""

from __future__ import annotations

import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

AZURE_WIRE_SERVER = ipaddress.IPv4Address("168.63.129.16")  # looks public; answers with secrets inside Azure
NOT_PUBLIC_IPV4 = ipaddress.IPv4Network("192.0.0.0/24")  # protocol assignments; one cloud keeps its metadata there
EMBEDS_IPV4 = ipaddress.IPv6Network("64:ff9b::/96")  # NAT64 (RFC 6052)
NEVER_PUBLIC = tuple(
    ipaddress.IPv6Network(network)
    for network in ("::/96", "64:ff9b:1::/48", "2001::/23", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10")
)


class AddressDenied(OSError):
    """A name or a literal leads to an address that is not public."""


def is_public(address: IPAddress) -> bool:
    """Whether an address is one of the public internet, also when it is an IPv4 address in the clothes of IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        carries = address.ipv4_mapped or address in EMBEDS_IPV4
        if carries:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        return address.is_global and not address.is_multicast and not any(address in net for net in NEVER_PUBLIC)
    if address == AZURE_WIRE_SERVER or address in NOT_PUBLIC_IPV4:
        return False
    return address.is_global and not address.is_multicast


def denied_literal(host: str) -> bool:
    """Whether `host` is an IP address that is not public; a name is not judged here."""
    try:
        return not is_public(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return False


class PublicResolver(AbstractResolver):
    """Resolves as `inner` does and refuses a name that has an address which is not public."""

    def __init__(self, inner: AbstractResolver) -> None:
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`, all of them public. Raises AddressDenied."""
        found = await self._inner.resolve(host, port, family)
        if any(denied_literal(each["host"]) for each in found):
            raise AddressDenied(host)
        return found

    async def close(self) -> None:
        """Close the resolver underneath."""
        await self._inner.close()
