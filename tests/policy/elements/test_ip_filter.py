"""ip-filter admits an address only as what it is, and catches a forbidden one in every form."""

from __future__ import annotations

import pytest

from mcpgov.decision import Reason
from tests.policy.calls import assert_refused, context, decision


def allowed(element: str, address: str, method: str = "tools/call") -> bool:
    verdict = decision(f"inbound: [ip-filter: {{ {element} }}]", context(method, address=address))
    assert verdict.reason in {Reason.ALLOWED, Reason.SOURCE_IP_DENIED}
    return verdict.allowed


OFFICE = "action: allow, addresses: [10.0.0.0/24, 20.50.123.45, '2001:db8::/32']"


@pytest.mark.parametrize(
    "address", ["10.0.0.0", "10.0.0.255", "20.50.123.45", "::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1%eth0"]
)
def test_listed_address_is_allowed(address: str) -> None:
    assert allowed(OFFICE, address)


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.1.0", "20.50.123.46", "2001:db9::1", "", "unknown", "10.0.0.1, 1.2.3.4", "127.0.0.1", "::1"),
        *("2002:a00:1::", "64:ff9b::a00:1", "::10.0.0.1", "::ffff:0:10.0.0.1", "2001::f5ff:fffe"),
    ],
)
def test_address_that_is_not_listed_is_denied_also_when_it_claims_to_lead_to_one_that_is(address: str) -> None:
    assert not allowed(OFFICE, address)


BLOCKED = "action: forbid, addresses: [10.0.0.0/24, '2001:db8::/32']"


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "::ffff:10.0.0.1", "2002:a00:1::", "64:ff9b::a00:1", "::10.0.0.1", "::ffff:0:10.0.0.1"),
        *("2001::f5ff:fffe", "2001:db8::1", "", "unknown"),
    ],
)
def test_forbidden_address_is_denied_in_every_form_and_so_is_an_unreadable_one(address: str) -> None:
    assert not allowed(BLOCKED, address)


@pytest.mark.parametrize("address", ["10.0.1.1", "2001:db9::1", "2002:a00:101::"])
def test_address_that_is_not_forbidden_is_allowed(address: str) -> None:
    assert allowed(BLOCKED, address)


def test_range_includes_both_ends() -> None:
    element = "action: allow, address-range: { from: 10.0.0.5, to: 10.0.0.9 }"
    assert [allowed(element, f"10.0.0.{last}") for last in (4, 5, 7, 9, 10)] == [False, True, True, True, False]


def test_range_and_addresses_stand_together() -> None:
    element = "action: allow, addresses: [10.0.0.1], address-range: { from: '::ffff:10.0.0.5', to: 10.0.0.5 }"
    assert [allowed(element, f"10.0.0.{last}") for last in (1, 2, 5)] == [True, False, True]


def test_every_kind_of_request_is_filtered() -> None:
    assert not any(allowed(OFFICE, "1.2.3.4", method) for method in ("initialize", "tools/list", ""))


def test_denial_names_the_rule_and_not_the_address() -> None:
    verdict = decision(f"inbound: [ip-filter: {{ {OFFICE} }}]", context(address="1.2.3.4"))
    assert (verdict.reason, verdict.rule) == (Reason.SOURCE_IP_DENIED, "test#1 ip-filter")
    assert verdict.message == "Calls from your network address are not allowed."
    assert verdict.detail == "the caller's address is not allowed"
    assert not verdict.as_tool_result


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- action is missing (add action:)", "{} <- no address is listed (add addresses: [10.0.0.0/24])"]),
        ("{ action: alow, addresses: ['::1'] }", ["alow, addresses: [ <- action must be allow or forbid"]),
        (
            "{ action: allow, addresses: [] }",
            ["{ action: allow, a <- no address is listed (add addresses: [10.0.0.0/24])"],
        ),
        (
            "{ action: allow, addresses: 10.0.0.1 }",
            ["10.0.0.1 } <- addresses must be a list"],
        ),
        (
            "{ action: allow, addresses: [10.0.0.5/24, 7] }",
            ["10.0.0.5/24, 7] } <- 10.0.0.5/24 has bits", "7] } <- must be text"],
        ),
        (
            "{ action: allow, adresses: ['::1'] }",
            ["{ action: allow, a <- no address", "adresses: ['::1']  <- there is no key adresses here (did you mean"],
        ),
        (
            "{ action: allow, address-range: { from: x } }",
            ["{ from: x } } <- to is missing", "x } } <- x is not an address"],
        ),
        (
            "{ action: allow, address-range: { from: 10.0.0.2, to: 10.0.0.1 } }",
            ["{ from: 10.0.0.2,  <- the range ends before it"],
        ),
        (
            "{ action: allow, address-range: { from: 10.0.0.2, to: '::3' } }",
            ["{ from: 10.0.0.2,  <- the range ends before it"],
        ),
        ("{ action: allow, address-range: 5 }", ["5 } <- address-range must be a list"]),
        ("allow", ["allow <- must be a mapping (write { action: … })"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("ip-filter", element, expected)
