"""However an address is written, a list finds it: one table of forms."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.policy.addresses import AddressRange, forms, parse_address, parse_range, unmapped

# written, what it is, which IPv4 addresses it may lead to
FORMS: list[tuple[str, str, list[str]]] = [
    ("10.0.0.1", "10.0.0.1", []),
    ("0.0.0.0", "0.0.0.0", []),
    ("255.255.255.255", "255.255.255.255", []),
    ("127.0.0.1", "127.0.0.1", []),
    ("168.63.129.16", "168.63.129.16", []),
    ("169.254.169.254", "169.254.169.254", []),
    # mapped: the same address as a dual-stack socket shows it
    ("::ffff:10.0.0.1", "10.0.0.1", []),
    ("::FFFF:10.0.0.1", "10.0.0.1", []),
    ("::ffff:0a00:0001", "10.0.0.1", []),
    ("0:0:0:0:0:ffff:a00:1", "10.0.0.1", []),
    ("0000:0000:0000:0000:0000:ffff:0a00:0001", "10.0.0.1", []),
    ("::ffff:127.0.0.1", "127.0.0.1", []),
    ("::ffff:169.254.169.254", "169.254.169.254", []),
    # IPv4-compatible
    ("::10.0.0.1", "::a00:1", ["10.0.0.1"]),
    ("::127.0.0.1", "::7f00:1", ["127.0.0.1"]),
    ("::1", "::1", ["0.0.0.1"]),
    ("::", "::", ["0.0.0.0"]),
    # the translated form of SIIT
    ("::ffff:0:10.0.0.1", "::ffff:0:a00:1", ["10.0.0.1"]),
    ("::ffff:0:127.0.0.1", "::ffff:0:7f00:1", ["127.0.0.1"]),
    # those of 6to4
    ("2002:a00:1::", "2002:a00:1::", ["10.0.0.1"]),
    ("2002:a9fe:a9fe::", "2002:a9fe:a9fe::", ["169.254.169.254"]),
    ("2002:7f00:1:5::9", "2002:7f00:1:5::9", ["127.0.0.1"]),
    # NAT64, well-known and local-use prefix
    ("64:ff9b::10.0.0.1", "64:ff9b::a00:1", ["10.0.0.1"]),
    ("64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe", ["169.254.169.254"]),
    ("64:ff9b:1::10.0.0.1", "64:ff9b:1::a00:1", ["10.0.0.1"]),
    ("64:ff9b:1:ffff::7f00:1", "64:ff9b:1:ffff::7f00:1", ["127.0.0.1"]),
    # Teredo: the server, and the client with its bits turned over
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:4136:e378:8000:63bf:3fff:fdd2", ["65.54.227.120", "192.0.2.45"]),
    ("2001::f5ff:fffe", "2001::f5ff:fffe", ["0.0.0.0", "10.0.0.1"]),
    # just beside those
    ("::1:10.0.0.1", "::1:a00:1", []),
    ("64:ff9b::1:a00:1", "64:ff9b::1:a00:1", []),
    ("64:ff9b:2::a00:1", "64:ff9b:2::a00:1", []),
    ("2003:a00:1::", "2003:a00:1::", []),
    ("2001:1::f5ff:fffe", "2001:1::f5ff:fffe", []),
    ("::fffe:a00:1", "::fffe:a00:1", []),
    # ordinary IPv6
    ("2001:db8::1", "2001:db8::1", []),
    ("2001:DB8:0:0::1", "2001:db8::1", []),
    ("fe80::1", "fe80::1", []),
    ("fe80::1%eth0", "fe80::1", []),
    ("fc00::1", "fc00::1", []),
    ("fec0::1", "fec0::1", []),
    ("ff02::1", "ff02::1", []),
]


@pytest.mark.parametrize(("written", "is_", "leads_to"), FORMS)
def test_address_is_found_in_every_form(written: str, is_: str, leads_to: list[str]) -> None:
    address = parse_address(written)
    assert str(address) == is_
    assert [str(form) for form in forms(address)] == [is_, *leads_to]


def test_the_table_has_forty_forms() -> None:
    assert len({written for written, _, _ in FORMS}) >= 40


NO_ADDRESS = [
    *("", " ", "localhost", "10.0.0", "127.1", "2130706433", "0x7f.0.0.1", "010.0.0.1", "10.0.0.256", "10.0.0.1:80"),
    *("[::1]", "::1]", "10.0.0.1 ", "10.0.0.1\n", "10.0.0.1%eth0", "①⑩.0.0.1", "unknown", "1::2::3", "/32"),
]


@pytest.mark.parametrize("written", NO_ADDRESS)
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="does not appear"):
        parse_address(written)


RANGES = [
    ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
    ("10.0.0.0/24", "10.0.0.0", "10.0.0.255"),
    ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
    ("2001:db8::/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"),
    ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("::ffff:10.0.0.0/120", "10.0.0.0", "10.0.0.255"),
    ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.1"),
    ("::fffe:0:0/95", "::fffe:0:0", "::ffff:ffff:ffff"),
]


@pytest.mark.parametrize(("written", "first", "last"), RANGES)
def test_range_has_its_first_and_last_address(written: str, first: str, last: str) -> None:
    addresses = parse_range(written)
    assert addresses == AddressRange(ipaddress.ip_address(first), ipaddress.ip_address(last))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("10.0.0.5/24", "the network is 10.0.0.0/24"),
        ("2001:db8::1/64", "the network is 2001:db8::/64"),
        ("10.0.0.0/33", "neither"),
        ("10.0.0.0/255.255.255.0", "neither"),
        ("10.0.0.0/0.0.0.255", "neither"),
        ("10.0.0.0/", "neither"),
        ("fe80::1%eth0", "neither"),
        ("example.com", "neither"),
        ("", "neither"),
    ],
)
def test_what_is_no_range_is_refused_with_a_mend(written: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_range(written)


ipv4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
ipv6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)


@given(ipv4, ipv4, ipv4)
def test_a_range_holds_what_lies_between_its_ends(
    first: ipaddress.IPv4Address, last: ipaddress.IPv4Address, address: ipaddress.IPv4Address
) -> None:
    assert (address in AddressRange(first, last)) == (first <= address <= last)
    assert ipaddress.IPv6Address(int(address)) not in AddressRange(first, last)


@given(ipv4)
def test_every_way_to_carry_an_ipv4_address_is_seen(inner: ipaddress.IPv4Address) -> None:
    number = int(inner)
    carriers = [
        ipaddress.IPv6Address(number),
        ipaddress.IPv6Address((0xFFFF << 48) + number),
        ipaddress.IPv6Address((0x2002 << 112) + (number << 80)),
        ipaddress.IPv6Address((0x64FF9B << 96) + number),
        ipaddress.IPv6Address((0x64FF9B0001 << 80) + number),
        ipaddress.IPv6Address((0x20010000 << 96) + (number ^ 0xFFFF_FFFF)),
    ]
    assert all(inner in forms(carrier) for carrier in carriers)
    assert unmapped(ipaddress.IPv6Address((0xFFFF << 32) + number)) == inner


@given(ipv6)
def test_an_address_is_always_one_of_its_own_forms(address: ipaddress.IPv6Address) -> None:
    assert address in forms(address)
