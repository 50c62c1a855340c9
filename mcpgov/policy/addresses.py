"""Which addresses a list names, whatever form an address is written in.

IPv6 has many ways to carry an IPv4 address. A mapped one (::ffff:10.0.0.1) *is* that IPv4 address: a dual-stack socket
shows callers so. The others (6to4, Teredo, NAT64, IPv4-compatible, translated) only claim to lead to it, and anyone may
write them: `forms` gives them all for a list that blocks, `unmapped` is the one for a list that admits.
Sources: RFC 4291 section 2.5.5, RFC 3056, RFC 4380, RFC 6052, RFC 8215, RFC 2765.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

from mcpgov.frozen import frozen

LONG: Final = 128  # characters; what is longer is not kept
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# Prefixes whose last 32 bits are an IPv4 address.
_IPV4_AT_THE_END: Final = tuple(
    ipaddress.IPv6Network(prefix) for prefix in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_CIDR: Final = re.compile(r"[0-9a-fA-F:.]+(?:/[0-9]{1,3})?")  # no zone, no net mask


def parse_address(text: str) -> IPAddress:
    """The address, a mapped one as its IPv4 address, without the zone (fe80::1%eth0). Raises ValueError."""
    return _parsed(text) if len(text) < LONG else _read(text)


@lru_cache(maxsize=4096)  # callers come again
def _parsed(text: str) -> IPAddress:
    return _read(text)


def _read(text: str) -> IPAddress:
    return unmapped(ipaddress.ip_address(text.partition("%")[0] if ":" in text else text))


def unmapped(address: IPAddress) -> IPAddress:
    """An IPv4-mapped address as the IPv4 address that it is; any other as it stands."""
    return getattr(address, "ipv4_mapped", None) or address


def forms(address: IPAddress) -> tuple[IPAddress, ...]:
    """The address and every IPv4 address that it may lead to."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in prefix for prefix in _IPV4_AT_THE_END):
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return (address, *(form for form in inner if form is not None))


@frozen
class AddressRange:
    """All addresses from `first` to `last`, both included."""

    first: IPAddress
    last: IPAddress

    def __contains__(self, address: IPAddress) -> bool:
        return self.first.version == address.version and int(self.first) <= int(address) <= int(self.last)


def parse_range(text: str) -> AddressRange:
    """One address, or a network in CIDR form. Raises ValueError with a message for people."""
    try:
        interface = ipaddress.ip_interface(text if _CIDR.fullmatch(text) else "")
    except ValueError:
        raise ValueError("is neither an address nor a network such as 10.0.0.0/24") from None
    network = interface.network
    if interface.ip != network.network_address:
        raise ValueError(f"has bits beyond its prefix: the network is {network}")
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        return AddressRange(unmapped(network[0]), unmapped(network[-1]))
    return AddressRange(network[0], network[-1])
