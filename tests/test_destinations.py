"""Where a URL leads, asked by everybody in one place."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.destinations import is_public, may_receive, origin
from tests.policy.calls import LOCAL, REMOTE

NO_ORIGIN = [
    *("", "europe-api.contoso.com", "ftp://api.contoso.com", "https://", "https:///x", "//api.contoso.com"),
    *("https://user@api.contoso.com", "https://api.contoso.com@evil.example", "https://api.contoso.com\\@evil.example"),
    *("https://api.contoso.com\n", "https://api contoso.com", "https://${{ x }}.com", "https://ä.example"),
    *("https://api.contoso.com:port", "https://[zz]"),
]


@pytest.mark.parametrize("url", NO_ORIGIN)
def test_url_that_two_readers_could_read_differently_has_no_origin(url: str) -> None:
    assert origin(url) is None
    assert not may_receive(REMOTE, url)


def test_origin_fills_in_the_port_and_folds_the_host() -> None:
    assert origin("HTTPS://A.example/x?y#z") == ("https", "a.example", 443)
    assert origin("http://[2001:DB8::1]:8080") == ("http", "[2001:db8::1]", 8080)


def test_a_credential_may_go_to_the_upstream_and_its_named_backends_and_nowhere_else() -> None:
    assert may_receive(REMOTE, "https://API.contoso.com:443/other")
    assert may_receive(REMOTE, "https://europe-api.contoso.com")
    for elsewhere in ("http://api.contoso.com", "https://api.contoso.com:8443", "https://asia-api.contoso.com"):
        assert not may_receive(REMOTE, elsewhere)
    assert not may_receive(LOCAL, "https://api.contoso.com")


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_an_ipv6_address_is_judged_too(address: ipaddress.IPv4Address) -> None:
    for prefix in ("::ffff:0:0", "64:ff9b::", "::"):
        carrier = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + int(address))
        assert is_public(address) or not is_public(carrier)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
