"""The walk over X-Forwarded-For: believed as far as trusted proxies vouch for it, and no further."""

import ipaddress

import pytest

from mcpgov.identity.client_ip import UNKNOWN, is_trusted_peer, source_address

TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


def test_without_trusted_proxies_the_peer_is_the_caller_whatever_the_header_says() -> None:
    assert source_address("198.51.100.7", ("203.0.113.9",), ()) == "198.51.100.7"


def test_an_untrusted_peer_cannot_speak_for_anybody_else() -> None:
    assert source_address("198.51.100.7", ("10.1.1.1, 203.0.113.9",), TRUSTED) == "198.51.100.7"


def test_a_trusted_proxy_names_the_caller() -> None:
    assert source_address("10.0.0.1", ("203.0.113.9",), TRUSTED) == "203.0.113.9"


def test_what_the_caller_wrote_at_the_left_never_counts() -> None:
    assert source_address("10.0.0.1", ("127.0.0.1, 10.9.9.9, 203.0.113.9",), TRUSTED) == "203.0.113.9"


def test_several_header_fields_are_one_list_read_from_the_right() -> None:
    assert source_address("10.0.0.1", ("127.0.0.1", "203.0.113.9, 10.0.0.2"), TRUSTED) == "203.0.113.9"


def test_when_every_hop_is_trusted_the_leftmost_is_the_caller() -> None:
    assert source_address("10.0.0.1", ("10.0.0.3, 10.0.0.2",), TRUSTED) == "10.0.0.3"


def test_a_trusted_proxy_without_the_header_is_the_caller_itself() -> None:
    assert source_address("10.0.0.1", (), TRUSTED) == "10.0.0.1"


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_addresses_are_read_in_every_form_that_proxies_write(written: str, address: str) -> None:
    assert source_address("10.0.0.1", (written,), TRUSTED) == address


@pytest.mark.parametrize("garbage", ["", "unknown", "_hidden", "1.2.3", "203.0.113.9, "])
def test_a_list_that_cannot_be_read_gives_an_address_that_no_allow_list_contains(garbage: str) -> None:
    assert source_address("10.0.0.1", (garbage,), TRUSTED) == UNKNOWN


def test_a_peer_without_an_ip_address_is_unknown() -> None:
    assert source_address("", ("203.0.113.9",), TRUSTED) == UNKNOWN


def test_a_mapped_trusted_proxy_is_trusted() -> None:
    assert source_address("::ffff:10.0.0.1", ("203.0.113.9",), TRUSTED) == "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [("10.0.0.1", True), ("::ffff:10.0.0.1", True), ("fd00::1", True), ("11.0.0.1", False), ("", False), ("x", False)],
)
def test_a_peer_is_trusted_by_its_own_address_alone(peer: str, *, trusted: bool) -> None:
    assert is_trusted_peer(peer, TRUSTED) is trusted
