"""forward-request says how long the upstream has, and what counts as an answer."""

from __future__ import annotations

import pytest
from jsonschema_rs import validator_for

from mcpgov.decision import Reason
from mcpgov.policy.attributes import mapping_schema
from mcpgov.policy.elements.forward_request import ForwardRequest
from tests.policy.calls import assert_refused, context, decision, document, problems


def timeout(text: str) -> float | None:
    verdict = decision(text, context(headers={"x": "7"}))
    assert verdict.allowed
    return verdict.changes.timeout


@pytest.mark.parametrize(
    ("element", "xml", "seconds"),
    [
        ("{}", "", None),
        ("{ timeout: 20 }", 'timeout="20"', 20.0),
        ("{ timeout-ms: 1500 }", 'timeout-ms="1500"', 1.5),
        ("{ timeout: '${{ int(request.headers.x) }}' }", 'timeout="@(3 + 4)"', 7.0),
        ("{ http-version: '1' }", 'http-version="1"', None),
        ("{ buffer-request-body: true }", 'buffer-request-body="true"', None),
        (
            "{ follow-redirects: false, buffer-response: false }",
            'follow-redirects="false" buffer-response="false"',
            None,
        ),
    ],
)
def test_time_out_is_part_of_the_decision(element: str, xml: str, seconds: float | None) -> None:
    assert timeout(f"backend: [forward-request: {element}]") == seconds
    assert timeout(f"<policies><backend><forward-request {xml} /></backend></policies>") == seconds


def test_later_one_wins_where_it_says_something() -> None:
    text = "backend: [forward-request: { timeout: 5 }, forward-request: { timeout: 7 }, forward-request: {}]"
    assert timeout(text) == 7.0


def test_computed_time_out_has_bounds() -> None:
    text = "backend: [forward-request: { timeout: '${{ int(request.headers.x) }}' }]"
    assert decision(text, context(headers={"x": "86401"})).reason is Reason.POLICY_ERROR


@pytest.mark.parametrize("text", ["{ timeout: 300 }", "{ timeout-ms: 300000 }"])
def test_longer_time_out_than_anybody_waits_is_cut_and_remarked_on(text: str) -> None:
    in_force = document(f"backend: [forward-request: {text}]")
    assert timeout(f"backend: [forward-request: {text}]") == 240
    assert [str(remark).partition(": ")[2] for remark in in_force.remarks] == [
        "240 seconds is the longest that is waited (nothing on the way waits longer)"
    ]


@pytest.mark.parametrize("fails", [True, False])
def test_an_http_error_may_be_a_refusal(*, fails: bool) -> None:
    word = str(fails).lower()
    for text in (
        f"backend: [forward-request: {{ fail-on-error-status-code: {word} }}]",
        f'<policies><backend><forward-request fail-on-error-status-code="{word}" /></backend></policies>',
    ):
        assert decision(text, context()).changes.fail_on_error is fails


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{ timeout: 0 }", ["0 } <- timeout must be a whole number from 1 to 86400"]),
        ("{ timeout: 5, timeout-ms: 5 }", ["timeout-ms: 5 } <- timeout stands here too (keep one of them)"]),
        (
            "{ follow-redirects: true }",
            ["true } <- a redirect is never followed (write the final URL into the catalog)"],
        ),
        ("{ http-version: '2' }", ["'2' } <- http-version must be 1 or 1.1 or 2or1"]),
        (
            "{ continue-timeout: 1 }",
            ["continue-timeout: 1 } <- continue-timeout is not supported (remove it: a request is never sent in two"],
        ),
        ("{ retries: 1 }", ["retries: 1 } <- there is no key retries here"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    text = f"backend: [forward-request: {element}]"
    assert len(expected) == 1
    at, _, begins = expected[0].partition(" <- ")
    (found,) = problems(text)
    column, _, message = found.removeprefix("1:").partition(": ")
    assert text[int(column) - 1 :].startswith(at)
    assert message.startswith(begins)


def test_it_stands_in_backend_only() -> None:
    assert_refused("forward-request", "{}", ["forward-request <- forward-request may not stand in inbound"])


@pytest.mark.parametrize(
    ("attribute", "remark"),
    [
        ('buffer-response="true"', "nothing is buffered here"),
        ('http-version="2or1"', "HTTP/1.1 is spoken here"),
    ],
)
def test_what_api_management_would_do_is_told(attribute: str, remark: str) -> None:
    text = f"<policies><backend><base /><forward-request {attribute} /></backend></policies>"
    assert [one.message for one in document(text).remarks] == [remark]


def test_editors_are_told_that_no_value_of_a_refused_attribute_fits() -> None:
    schema = validator_for(mapping_schema(ForwardRequest.attributes))
    assert schema.is_valid({"timeout": 5})
    assert not schema.is_valid({"continue-timeout": 5})
