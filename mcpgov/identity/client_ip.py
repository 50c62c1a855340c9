"""Which address called: a walk over X-Forwarded-For from the right, past the proxies that we trust and no further.

Rules: a header is believed only as far as trusted proxies vouch for it, so what a caller writes at the left of the list
never counts; a list that cannot be read gives UNKNOWN, which no allow-list contains.
Source: RFC 7239 section 5.2 describes the walk; X-Forwarded-For is the form that proxies really send.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

UNKNOWN = "unknown"


def source_address(peer: str, forwarded_for: tuple[str, ...], trusted: tuple[IPNetwork, ...]) -> str:
    """The caller's own address: `peer` (the other end of the socket) unless a trusted proxy speaks for somebody else.

    `forwarded_for` holds the values of every X-Forwarded-For field, in the order received.
    """
    if not forwarded_for:
        return _alone(peer)
    address = _parse(peer)
    if address is None:
        return UNKNOWN
    for entry in _from_the_right(forwarded_for):
        if not _is_trusted(address, trusted):
            break
        address = _parse(entry)
        if address is None:
            return UNKNOWN
    return str(address)


@lru_cache(maxsize=4096)  # every call on a connection has the same peer
def _alone(peer: str) -> str:
    address = _parse(peer)
    return UNKNOWN if address is None else str(address)


def is_trusted_peer(peer: str, trusted: tuple[IPNetwork, ...]) -> bool:
    """Whether `peer` (the other end of the socket) is one of the trusted proxies itself."""
    address = _parse(peer)
    return address is not None and _is_trusted(address, trusted)


def _from_the_right(forwarded_for: tuple[str, ...]) -> Iterator[str]:
    return reversed([entry.strip() for value in forwarded_for for entry in value.split(",")])


def _is_trusted(address: IPAddress, trusted: tuple[IPNetwork, ...]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)


def _parse(text: str) -> IPAddress | None:
    """An address as proxies write it: bare, `1.2.3.4:443`, `[::1]` or `[::1]:443`; mapped IPv4 becomes IPv4."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address
