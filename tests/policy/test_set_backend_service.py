"""set-backend-service sends a call only where the connection's credential may go."""

from __future__ import annotations

import pytest

from mcpgov.decision import Reason
from tests.policy.calls import LOCAL, assert_refused, context, decision


def to(base_url: str) -> str:
    return f"inbound: [set-backend-service: {{ base-url: '{base_url}' }}]"


@pytest.mark.parametrize(
    "base_url",
    [
        "https://europe-api.contoso.com",
        "https://europe-api.contoso.com:443/v2",
        "https://EUROPE-api.contoso.com/",
        "https://api.contoso.com/other",
    ],
)
def test_named_backend_and_own_upstream_may_be_chosen(base_url: str) -> None:
    verdict = decision(to(base_url), context())
    assert (verdict.allowed, verdict.backend) == (True, base_url)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://evil.example",
        "http://europe-api.contoso.com",
        "https://europe-api.contoso.com:8443",
        "https://europe-api.contoso.com.evil.example",
        "https://europe-api.contoso.com.",
    ],
)
def test_foreign_backend_denies(base_url: str) -> None:
    verdict = decision(to(base_url), context())
    assert (verdict.reason, verdict.backend) == (Reason.POLICY_ERROR, None)
    assert verdict.rule == "test#1 set-backend-service"


def test_local_server_has_no_other_backend() -> None:
    assert decision(to("https://api.contoso.com"), context(upstream=LOCAL)).reason is Reason.POLICY_ERROR


def test_later_choice_wins_and_backend_comes_after_inbound() -> None:
    text = """\
backend: [set-backend-service: { base-url: "https://api.contoso.com" }]
inbound: [set-backend-service: { base-url: "https://europe-api.contoso.com" }]
"""
    assert decision(text, context()).backend == "https://api.contoso.com"


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- base-url is missing"]),
        ("{ base-url: 'ftp://x' }", ["'ftp://x' } <- base-url is not an absolute URL"]),
        ("{ base-url: 'https://${{ mcp.method }}' }", ["'https://${{ mcp.m <- base-url is not an absolute URL"]),
        ("{ base-url: 'https://x?y' }", ["'https://x?y' } <- base-url is not an absolute URL without a query"]),
        ("{ base-url: 'https://x#y' }", ["'https://x#y' } <- base-url is not an absolute URL without a query"]),
        (
            "{ backend-id: x }",
            ["{ backend-id: x } <- base-url is missing", "backend-id: x } <- there is no key backend-id here"],
        ),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("set-backend-service", element, expected)
