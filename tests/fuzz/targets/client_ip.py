"""Which address called: compared with the walk over X-Forwarded-For written down again, from the standard's words.

A case is the peer, and each field of X-Forwarded-For, one a line.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from mcpgov.identity.client_ip import UNKNOWN, is_trusted_peer, source_address
from tests.fuzz.target import Target

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"), ip_network("192.0.2.7/32"))
WORDS = (
    *(
        "10.0.0.1",
        "10.255.255.255",
        "192.0.2.7",
        "203.0.113.9",
        "fd00::1",
        "[fd00::1]:443",
        "2001:db8::1",
        "\n",
        ", ",
    ),
    *("::ffff:10.0.0.1", "::ffff:203.0.113.9", "[::1]", "unknown", ":80", "%eth0", "010.0.0.1", "1.2.3", "\u0661"),
)


def judge(data: bytes) -> None:
    """One chain of proxies."""
    peer, *fields = data.decode("latin-1").split("\n")
    found = source_address(peer, tuple(fields), TRUSTED)
    hops = [entry.strip() for entry in ",".join(fields).split(",")] if fields else []
    vouching, path = peer, [peer, *reversed(hops)]
    for hop in path:
        vouching = hop
        if not vouched(hop):
            break
    assert found == UNKNOWN or found == str(ip_address(found)), "an address in no usual form"
    assert found == (plain(vouching) or UNKNOWN), "somebody else is named"
    assert is_trusted_peer(peer, TRUSTED) is vouched(peer)
    assert source_address(peer, tuple(fields), ()) == (plain(peer) or UNKNOWN), "believed without a trusted proxy"


def plain(text: str) -> str:
    """An address without its port; empty where it is none."""
    bare = text.partition(":")[0] if text.count(":") == 1 else text
    if text[:1] == "[":
        bare = text[1:].partition("]")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return ""
    return str(getattr(address, "ipv4_mapped", None) or address)


def vouched(text: str) -> bool:
    """Whether an address is one of the trusted proxies, by comparing numbers."""
    address = plain(text)
    return bool(address) and any(ip_address(address) in network for network in TRUSTED)


TARGET = Target(judge, WORDS, 256)
