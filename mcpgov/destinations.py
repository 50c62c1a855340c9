"""Where a URL leads: its origin, whether a credential may go there, and whether an address is of the public internet.
And where people are led to: the paths of our own pages.

Pure. One answer for everybody who asks: the catalog when a file is read, the policy when it chooses a backend, the
forwarder when it connects. Two answers would be a way past one of them.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

from mcpgov.models import LocalUpstream, RemoteUpstream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONSENT_PATH: Final = "/consent/"  # then a ticket, or the name of a connection
CALLBACK_PATH: Final = "/oauth/callback"  # where authorization servers send browsers back to
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS: Final[Mapping[str, int]] = {"https": 443, "http": 80}
_URL: Final = re.compile(
    r"(?P<scheme>(?i:https?))://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?:[/?][!-~]*)?"
)
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})  # before an IPv4 address, in any prefix (RFC 5214 section 6.1)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # carries an IPv4 address (RFC 6052)
# Prefixes before an IPv4 address: mapped, compatible, translated, NAT64 (RFC 4291, 2765, 6052, 8215).
_CARRIERS: Final = tuple(
    map(ipaddress.IPv6Network, ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"))
)
# Where clouds answer whoever asks with the secrets of the machine: EC2, Azure and Google; ECS and EKS; Alibaba; Oracle.
_METADATA: Final = frozenset(
    ipaddress.ip_address(address)
    for address in (
        *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
        *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
    )
)
# What looks public and is not: protocol assignments, where one cloud keeps its metadata; the address that answers with
# secrets inside Azure; IPv6 in the clothes of IPv4 (compatible, translated, Teredo, 6to4); documentation, site-local.
_NEVER_PUBLIC: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("192.0.0.0/24", "168.63.129.16"),
        *(
            "::/96",
            "::ffff:0:0:0/96",
            "64:ff9b:1::/48",
            "2001::/23",
            "2002::/16",
            "3fff::/20",
            "5f00::/16",
            "fec0::/10",
        ),
    )
)


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an absolute http URL, the default port filled in (RFC 6454 section 4).

    None for any other text, also where a user name stands in it: two readers could see two hosts there.
    """
    if not (parts := _URL.fullmatch(url)):
        return None
    scheme = parts["scheme"].lower()
    return scheme, parts["host"].lower(), int(parts["port"] or _PORTS[scheme])


def may_receive(upstream: RemoteUpstream | LocalUpstream, url: str) -> bool:
    """Whether the upstream's credential may go to `url`: its own host does, and those that its `backends` name."""
    if not isinstance(upstream, RemoteUpstream):
        return False
    return origin(url) in {origin(named) for named in (upstream.url, *upstream.backends)} - {None}


def is_public(address: IPAddress) -> bool:
    """Whether an address is one of the public internet, also when it is an IPv4 address in the clothes of IPv6."""
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address in _NAT64):
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    if address.version == 6 and int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
        return False
    reserved = any(address in network for network in _NEVER_PUBLIC if network.version == address.version)
    return address.is_global and not address.is_multicast and not reserved


def is_metadata(address: IPAddress) -> bool:
    """Whether the metadata service of a cloud answers there, also in the clothes of IPv6. Nobody may be led to it."""
    return address in _METADATA or (isinstance(address, ipaddress.IPv6Address) and bool(_METADATA & set(_in(address))))


def _in(address: ipaddress.IPv6Address) -> Iterator[IPAddress]:
    """The addresses that an IPv6 address is another spelling of, or carries."""
    yield ipaddress.IPv6Address(int(address))  # without a zone
    if any(address in carrier for carrier in _CARRIERS) or int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
        yield ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield address.teredo[1]
