"""Which addresses are public, in every form an address can be written in, and the resolver that gives no other."""

import socket

import pytest

from mcpgov.upstream.addresses import (
    AddressDenied,
    FixedResolver,
    Found,
    PublicResolver,
    denied_literal,
    literal_address,
)

DENIED = (
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
    *("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "224.0.0.1", "255.255.255.255"),
    *("::1", "[::1]", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1"),
    *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::"),
    *("2001::1", "2001:db8::1", "3fff::1", "5f00::1", "::ffff:0:7f00:2", "2606:4700::5efe:7f00:2"),
)
ALLOWED = ("8.8.8.8", "20.50.123.45", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "[2606:4700::1111]")


@pytest.mark.parametrize("host", DENIED)
def test_an_address_that_is_not_public_is_denied(host: str) -> None:
    assert denied_literal(host)


METADATA = (
    *("169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "[fd00:ec2::254]", "fd00:ec2::254%eth0"),
    *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:0:169.254.169.254"),
    "2606:4700::200:5efe:169.254.169.254",
)


@pytest.mark.parametrize("host", METADATA)
async def test_a_private_upstream_may_be_anywhere_but_at_a_metadata_service(host: str) -> None:
    assert denied_literal(host, private=True)
    with pytest.raises(AddressDenied):
        await PublicResolver(Names("10.0.0.7", host.strip("[]")), private=True).resolve("inside.example", 80)
    assert not denied_literal("169.254.0.1", private=True)
    found = await PublicResolver(Names("10.0.0.7"), private=True).resolve("inside.example", 80)
    assert [one["host"] for one in found] == ["10.0.0.7"]


@pytest.mark.parametrize("host", ALLOWED)
def test_a_public_address_is_allowed(host: str) -> None:
    assert not denied_literal(host)


@pytest.mark.parametrize("host", ["example.com", "localhost", "127.1", "2130706433", ""])
def test_a_name_is_judged_by_what_it_resolves_to(host: str) -> None:
    assert not denied_literal(host)


@pytest.mark.parametrize(("host", "address"), [("8.8.8.8", "8.8.8.8"), ("[2606:4700::1111]", "2606:4700::1111")])
def test_an_address_in_a_url_is_asked_of_nobody(host: str, address: str) -> None:
    assert literal_address(host) == address
    assert literal_address("a8.example") is literal_address("0x7f.1") is None


@pytest.mark.parametrize("host", ["127.1", "2130706433", "010.0.0.1", "256.1.1.1", "1.2.3.4.5", "1.1.1.1.", "[::1::]"])
def test_figures_that_only_some_take_for_an_address_are_denied(host: str) -> None:
    with pytest.raises(AddressDenied):
        literal_address(host)


class Names:
    """One name with these addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.closed = False

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[Found]:
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address in self.addresses
        ]

    async def close(self) -> None:
        self.closed = True


async def test_a_name_with_public_addresses_resolves() -> None:
    inner = Names("8.8.8.8", "2606:4700::1111")
    resolver = PublicResolver(inner)
    assert [found["host"] for found in await resolver.resolve("example.com", 443)] == list(inner.addresses)
    await resolver.close()
    assert inner.closed


@pytest.mark.parametrize("host", DENIED[:6])
async def test_one_address_that_is_not_public_refuses_the_name(host: str) -> None:
    with pytest.raises(AddressDenied):
        await PublicResolver(Names("8.8.8.8", host)).resolve("example.com", 443)


@pytest.mark.parametrize(
    ("where", "host", "port", "family"),
    [
        ("10.0.0.7:8443", "10.0.0.7", 8443, socket.AF_INET),
        ("[2001:db8::7]:443", "2001:db8::7", 443, socket.AF_INET6),
    ],
)
async def test_a_fixed_address_stands_for_one_port_of_one_name(where: str, host: str, port: int, family: int) -> None:
    names = Names("8.8.8.8")
    resolver = FixedResolver(names, (("api.contoso.test:443", where),))
    (found,) = await resolver.resolve("API.contoso.test", 443)
    assert (found["host"], found["port"], found["family"]) == (host, port, family)
    for name, other in (("api.contoso.test", 80), ("other.contoso.test", 443)):
        assert [each["host"] for each in await resolver.resolve(name, other)] == ["8.8.8.8"]
    await resolver.close()
    assert names.closed
