"""However an address that is not public is spelled, nobody is led to it: not by a URL, and not by a name service.

Every name that is no address leads to the canary, as an attacker's own name service would have it. The witness is that
nobody ever visits.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import RemoteUpstream
from mcpgov.upstream.addresses import Found
from mcpgov.upstream.forward import require_reachable
from mcpgov.web import GuardedWeb, WebUnavailable
from tests.upstream.calls import ALLOWED, NOBODY, body_of, call, to
from tests.upstream.clients import CLIENTS, Forwarding, forwarding
from tests.upstream.loopback import Canary, canary

CANARY = "127.0.0.2"
# The canary itself; metadata services of EC2, Azure, Google and Oracle, ECS and EKS, Alibaba, Azure's wire server;
# private, shared, link-local and no networks.
ADDRESSES = (
    *(CANARY, "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16"),
    *("192.0.0.192", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0", "127.0.0.1"),
)
IPV6 = (
    *("::1", "::", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fe80::1", "fe80::1%25lo", "fe80::1%lo", "fc00::1"),
    *("fec0::1", "ff02::1", "2001:db8::1", "3fff::1", "5f00::1", "0:0:0:0:0:0:0:1", "0000::0001", "::0.0.0.1"),
)
FULL_WIDTH = str.maketrans("0123456789.", "".join(chr(0xFF10 + digit) for digit in range(10)) + "。")
CIRCLED = str.maketrans("123456789", "".join(chr(0x2460 + digit) for digit in range(9)))


def spelled(address: str) -> Iterator[str]:
    """An IPv4 address in every way that somebody reads as one."""
    whole = int(ipaddress.IPv4Address(address))
    a, b, c, d = whole.to_bytes(4, "big")
    yield from (address, f"{address}.", str(whole), hex(whole), f"0{whole:o}", str(whole + (1 << 32)))
    yield from (f"{a}.{whole & 0xFFFFFF}", f"{a}.{b}.{whole & 0xFFFF}", f"{a:#x}.{b:#x}.{c:#x}.{d:#x}")
    yield from (f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"{a:03}.{b:03}.{c:03}.{d:03}", f"{a:#x}.{b}.0{c:o}.{d}")
    yield from (address.translate(FULL_WIDTH), address.translate(CIRCLED), address.replace(".", "\u3002"))
    yield from (address.replace(".", "%2e"), f"%{ord(address[0]):02x}{address[1:]}", f"{address}%00.example.com")
    yield from (f"8.8.8.8@{address}", f"{address}#@8.8.8.8", f"8.8.8.8\\@{address}", f"{address}\\.example.com")
    yield from (f"{address}\t", f" {address}", f"{address}\r\n", f"a:b@{address}", f"8.8.8.8:80@{address}")
    two = f"{whole >> 16:x}:{whole & 0xFFFF:x}"
    carried = (f"::ffff:{two}", f"::ffff:{address}", f"::{two}", f"::ffff:0:{two}", f"64:ff9b::{two}")
    tunnelled = (
        f"64:ff9b:1::{two}",
        f"2002:{two}::1",
        f"2001:0:808:808:0:0:{~whole >> 16 & 0xFFFF:x}:{~whole & 0xFFFF:x}",
    )
    isatap = (f"2606:4700::5efe:{two}", f"2606:4700::200:5efe:{two}", f"fe80::5efe:{two}")
    yield from (f"[{one}]" for one in (*carried, *tunnelled, *isatap))


NAMES = ("canary.example", "localhost", "canary.example.", "LOCALHOST", "xn--nxasmq6b.example", "a" * 63 + ".example")
SPELLED = (host for address in ADDRESSES for host in spelled(address))
HOSTS = tuple(dict.fromkeys((*SPELLED, *(f"[{one}]" for one in IPV6), *NAMES)))


class Attackers:
    """A name service that reads addresses as the system does, and leads every other name to the canary."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[Found]:
        self.asked.append(host)
        (address,) = await addresses(host, port)
        of = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [Found(hostname=host, host=address, port=port, family=of, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


async def addresses(host: str, port: int) -> tuple[str, ...]:
    """The same for the control plane."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return (CANARY,)
    return (str(found[0][4][0]),)


@pytest.fixture
async def bird() -> AsyncGenerator[Canary]:
    async with canary() as listening:
        yield listening


@pytest.fixture(params=CLIENTS)
def remote(request: pytest.FixtureRequest) -> Forwarding:
    """What makes forwarders over each HTTP client there is."""
    return forwarding(request.param)


def test_there_are_many_spellings() -> None:
    assert len(HOSTS) > 500


async def test_no_spelling_leads_an_upstream_to_an_address_that_is_not_public(bird: Canary, remote: Forwarding) -> None:
    forwarder = remote(resolver=Attackers())
    for host in HOSTS:
        for scheme in ("https", "http"):
            connection = to(f"{scheme}://{host}:{bird.port}/mcp", private=False)
            with pytest.raises(Refusal) as refused:
                async with forwarder.forward(call(), connection, ALLOWED, NOBODY) as answer:
                    await body_of(answer)
            assert refused.value.reason is Reason.UPSTREAM_ADDRESS_DENIED, (host, refused.value.reason)
    await forwarder.close()
    assert bird.visits == 0


async def test_no_spelling_leads_the_control_plane_to_an_address_that_is_not_public(bird: Canary) -> None:
    web = GuardedWeb(resolve=addresses)
    for host in HOSTS:
        for scheme in ("https", "http"):
            with pytest.raises(WebUnavailable):
                await web.get(f"{scheme}://{host}:{bird.port}/keys")
    assert bird.visits == 0


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192"])
async def test_no_spelling_leads_a_private_upstream_to_a_metadata_service(address: str, remote: Forwarding) -> None:
    forwarder, web = remote(resolver=Attackers()), GuardedWeb(resolve=addresses)
    for host in spelled(address):
        if host.endswith(".") or await addresses(host.strip("[]"), 80) == (CANARY,):
            continue  # to a private upstream that is a name like any other
        with pytest.raises(Refusal) as refused:
            async with forwarder.forward(call(), to(f"http://{host}/mcp"), ALLOWED, NOBODY):
                raise AssertionError(host)
        assert refused.value.reason is Reason.UPSTREAM_ADDRESS_DENIED, host
        with pytest.raises(WebUnavailable):
            await web.get(f"http://{host}/keys", private=True)
    await forwarder.close()


class Flipping:
    """A name service that says another address each time (rebinding)."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[Found]:
        address = self.answers.pop(0)
        return [Found(hostname=host, host=address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_name_that_changes_its_address_is_asked_once_a_connection_and_judged_each_time(
    bird: Canary, remote: Forwarding
) -> None:
    names = Flipping(CANARY, "8.8.8.8")
    forwarder = remote(resolver=names)
    connection = to(f"https://changes.example:{bird.port}/mcp", private=False)
    with pytest.raises(Refusal, match="upstream-address-denied"):
        async with forwarder.forward(call(), connection, ALLOWED, NOBODY):
            raise AssertionError
    assert names.answers == ["8.8.8.8"]  # what was checked would have been connected to: there was no second question
    await forwarder.close()
    assert bird.visits == 0


async def test_a_private_name_that_becomes_a_metadata_service_is_left(bird: Canary, remote: Forwarding) -> None:
    forwarder = remote(resolver=Flipping("127.0.0.1", "169.254.169.254"))
    connection = to("http://changes.example:9/mcp")
    with pytest.raises(Refusal, match="upstream-unreachable"):
        async with forwarder.forward(call(), connection, ALLOWED, NOBODY):
            raise AssertionError
    again = replace(connection, name="other")  # whose addresses are not known from before
    with pytest.raises(Refusal, match="upstream-address-denied"):
        async with forwarder.forward(call(), again, ALLOWED, NOBODY):
            raise AssertionError
    await forwarder.close()
    assert bird.visits == 0


@pytest.mark.parametrize(
    "url", ["https://8.8.8.8\\@10.0.0.1/", "https://a@8.8.8.8/", "https://8.8.8.8#@x/", "ftp://8.8.8.8/"]
)
def test_a_url_in_which_two_readers_could_see_two_hosts_is_refused(url: str) -> None:
    with pytest.raises(Refusal, match="upstream-address-denied"):
        require_reachable(url, RemoteUpstream(url, private=True))
