"""set-backend-service sends a call only where the connection's credential may go."""

from __future__ import annotations

import pytest

from mcpgov.decision import Reason
from mcpgov.models import Connection, RemoteUpstream
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import LOCAL, REMOTE, assert_refused, context, decision, performed, policy

NAMED = RemoteUpstream(
    "https://api.contoso.com/mcp",
    backends=("https://eu.contoso.com", "https://us.contoso.com/base"),
    backend_names=(("eu", "https://eu.contoso.com"), ("us", "https://us.contoso.com/base")),
)


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
    xml = f'<policies><inbound><set-backend-service base-url="{base_url}" /></inbound></policies>'
    for text in (to(base_url), xml):
        verdict = decision(text, context())
        assert (verdict.allowed, verdict.changes.backend) == (True, base_url)


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
    assert (verdict.reason, verdict.changes.backend) == (Reason.POLICY_ERROR, None)
    assert verdict.rule == "test#1 set-backend-service"


@pytest.mark.parametrize(
    ("region", "chosen"),
    [
        ("europe-api", "https://europe-api.contoso.com"),
        ("evil", None),
        ("europe-api.contoso.com/?x", None),
        ("europe-api.contoso.com/#", None),
        ("europe-api.contoso.com@evil.example/", None),
    ],
)
def test_computed_host_is_judged_on_every_call(region: str, chosen: str | None) -> None:
    in_force = policy(to("https://${{ request.headers.region }}.contoso.com"))
    verdict = decision(in_force, context(headers={"region": region}))
    assert (verdict.allowed, verdict.changes.backend) == (chosen is not None, chosen)
    assert region not in verdict.detail
    again = performed(Evaluation(in_force, context(), given=verdict.answers).decide())
    assert again.reason is verdict.reason


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("inbound: [set-backend-service: { backend-id: us }]", "https://us.contoso.com/base"),
        (
            '<policies><inbound><set-backend-service backend-id="eu" /></inbound></policies>',
            "https://eu.contoso.com",
        ),
        ("inbound: [set-backend-service: { backend-id: '${{ request.headers.region }}' }]", "https://eu.contoso.com"),
        ("inbound: [set-backend-service: { backend-id: asia }]", None),
    ],
)
def test_backend_may_be_chosen_by_its_name(text: str, chosen: str | None) -> None:
    verdict = decision(text, context(upstream=NAMED, headers={"region": "eu"}))
    assert (verdict.allowed, verdict.changes.backend) == (chosen is not None, chosen)


def test_local_server_has_no_other_backend() -> None:
    assert decision(to("https://api.contoso.com"), context(upstream=LOCAL)).reason is Reason.POLICY_ERROR
    by_name = "inbound: [set-backend-service: { backend-id: eu }]"
    assert decision(by_name, context(upstream=LOCAL)).reason is Reason.POLICY_ERROR


def test_later_choice_wins_and_backend_comes_after_inbound() -> None:
    text = """\
backend: [set-backend-service: { base-url: "https://api.contoso.com" }]
inbound: [set-backend-service: { base-url: "https://europe-api.contoso.com" }]
"""
    assert decision(text, context()).changes.backend == "https://api.contoso.com"


@pytest.mark.parametrize(
    ("text", "upstream", "missing"),
    [
        (to("https://evil.example/v1"), REMOTE, "https://evil.example/v1"),
        (to("https://europe-api.contoso.com"), REMOTE, ""),
        (to("https://${{ request.headers.region }}.example"), REMOTE, ""),
        ("inbound: [set-backend-service: { backend-id: asia }]", NAMED, "asia"),
        ("inbound: [set-backend-service: { backend-id: eu }]", NAMED, ""),
        ("inbound: [set-backend-service: { backend-id: '${{ request.headers.region }}' }]", NAMED, ""),
    ],
)
def test_what_the_connection_does_not_name_is_found_when_files_are_put_together(
    text: str, upstream: RemoteUpstream, missing: str
) -> None:
    found = policy(text).foreign_backends(Connection("github", "com.contoso/github", upstream))
    assert [missing in problem.mend for problem in found] == ([True] if missing else [])


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["{} <- one of base-url and backend-id is needed"]),
        ("{ base-url: 'https://x', backend-id: y }", ["{ base-url: <- one of base-url and backend-id is needed"]),
        ("{ base-url: 'ftp://x' }", ["'ftp://x' } <- base-url is not an absolute URL"]),
        ("{ base-url: '' }", ["'' } <- base-url is empty"]),
        ("{ base-url: 'https://x?y' }", ["'https://x?y' } <- base-url is not an absolute URL without a query"]),
        ("{ base-url: 'https://x#y' }", ["'https://x#y' } <- base-url is not an absolute URL without a query"]),
        ("{ backend-id: '' }", ["'' } <- backend-id is empty"]),
        ("{ backend-id: 5 }", ["5 } <- backend-id must be text"]),
        ("5", ["5 <- must be a mapping"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("set-backend-service", element, expected)
