"""forward-headers lets the caller's header fields cross that it names, and no credential among them."""

from __future__ import annotations

import pytest

from mcpgov.decision import Reason
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.elements.forward_headers import why_not
from tests.policy.calls import assert_refused, context, decision, document, problems
from tests.policy.tokens import CONFIGURATION, decided, token

SENT = (
    ("X-Tenant".lower(), "blue"),
    ("x-trace-id", "1"),
    ("x-trace-id", "2"),
    ("x-trace-span", "3"),
    ("x-other", "4"),
    ("x-team-key", "Bearer mcpgov_s3cret"),
    ("authorization", "Bearer mcpgov_s3cret"),
    ("x-api-key", "k"),
    ("x_api_key", "k"),
    ("cookie", "c"),
    ("mcp-session-id", "s"),
    ("x-forwarded-for", "10.0.0.1"),
    ("user-agent", "agent"),
    ("referer", "https://intranet.example"),
)
XML = """\
<policies><inbound>
  <forward-headers><header>X-Tenant</header><header>x-trace-*</header></forward-headers>
</inbound></policies>
"""


def crossing(text: str) -> tuple[str, ...]:
    verdict = decision(text, context(headers=SENT))
    assert verdict.allowed
    return verdict.changes.forwarded


@pytest.mark.parametrize("text", ["inbound: [forward-headers: { headers: [X-Tenant, x-trace-*] }]", XML])
def test_fields_that_are_named_cross(text: str) -> None:
    assert crossing(text) == ("x-tenant", "x-trace-id", "x-trace-span")


def test_several_lists_add_up() -> None:
    text = "inbound: [forward-headers: { headers: [x-tenant] }, forward-headers: { headers: [referer] }]"
    assert crossing(text) == ("x-tenant", "referer")


@pytest.mark.parametrize("pattern", ["x-*", "x_*", "au*", "co*", "mcp-*", "us*", "x-team-key"])
def test_no_credential_crosses_whatever_is_listed(pattern: str) -> None:
    found = crossing(f"inbound: [forward-headers: {{ headers: ['{pattern}'] }}]")
    assert not {*found} - {"x-tenant", "x-trace-id", "x-trace-span", "x-other"}


VERIFYING = f"""\
inbound:
  - forward-headers: {{ headers: [x_tok*, x-t*] }}
  - validate-jwt: {{ VERIFY, openid-config: {{ url: {CONFIGURATION} }} }}
  - forward-headers: {{ headers: [x_tok*, x-tok*] }}
  - set-header: {{ name: X-Seen, value: '${{{{ string(size(request.headers)) }}}}' }}
"""


@pytest.mark.parametrize("where", ["header-name: X-Token", """token-value: '${{ request.headers["x-token"] }}'"""])
def test_a_token_that_a_policy_verified_crosses_in_no_header(where: str) -> None:
    theirs = token()
    asked = context(headers=(("x-tenant", "blue"), ("x-token", theirs), ("x_token", theirs)))
    made, draft = decided(VERIFYING.replace("VERIFY", where), asked)
    assert (made.reason, made.changes.forwarded) == (Reason.ALLOWED, ("x-tenant",))
    assert ("x-token" in draft.request_headers) is where.startswith("token-value")


def test_a_field_in_which_a_credential_may_come_stays_behind() -> None:
    in_force = compile_policy(
        [], [], [document("inbound: [forward-headers: { headers: [x-t*, x_t*] }]")], {}, ["X-Team-Key", "x-trace-id"]
    )
    asked = context(headers=(("x-team-key", "opaque"), ("x_team_key", "opaque"), ("x-trace-id", "1"), ("x-tell", "2")))
    verdict = decision(in_force, asked)
    assert verdict.changes.forwarded == ("x-tell",)
    assert verdict.changes.withheld == {"x-team-key", "x-trace-id"}


def test_fields_that_are_not_there_do_not_matter() -> None:
    assert decision("inbound: [forward-headers: { headers: [x-tenant] }]", context()).changes.forwarded == ()


@pytest.mark.parametrize("name", ["x-tenant", "referer", "origin", "x-functions-key", "accept-language"])
def test_what_may_be_named(name: str) -> None:
    assert why_not(name) == ""


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("Authorization", "the header authorization cannot cross (it carries the caller's credential"),
        ("proxy-authorization", "the header proxy-authorization cannot cross (it carries"),
        ("X_API_Key", "the header x_api_key cannot cross (it carries"),
        ("cookie", "the header cookie cannot cross (it carries"),
        ("Host", "the header host cannot cross (mcpgov writes it itself)"),
        ("mcp-name", "the header mcp-name cannot cross (mcpgov writes it itself)"),
        ("user-agent", "the header user-agent cannot cross (mcpgov writes it itself)"),
        ("x-correlation-id", "the header x-correlation-id cannot cross (mcpgov writes it itself)"),
        ("x-forwarded-for", "the header x-forwarded-for cannot cross (the upstream would believe the caller"),
        ("Forwarded", "the header forwarded cannot cross (the upstream would believe"),
        ("*", "the pattern names too many headers (write at least 2 characters before the *)"),
        ("x*", "the pattern names too many headers"),
        ("a b", "this is neither a header name nor a pattern"),
        ("@(context.RequestId)", "this is neither a header name nor a pattern"),
    ],
)
def test_what_cannot_cross_is_refused_at_load(header: str, says: str) -> None:
    assert_refused("forward-headers", f"{{ headers: ['{header}'] }}", [f"'{header}' <- {says}"])


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- headers is missing"]),
        ("{ headers: [] }", ["{ headers: [] } <- no header is listed"]),
        ("{ headers: [5] }", ["5] } <- must be text"]),
        ("{ headers: x }", ["x } <- headers must be a list"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("forward-headers", element, expected)


def test_an_empty_element_is_refused_in_xml() -> None:
    (found,) = problems("<policies><inbound><forward-headers /></inbound></policies>", "policies/test.xml")
    assert "headers is missing" in found
