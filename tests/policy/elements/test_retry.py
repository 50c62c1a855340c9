"""retry says when an upstream is asked again; who may be, upstream/retrying.py knows."""

from __future__ import annotations

import pytest

from mcpgov.decision import Decision, Reason, Retry
from mcpgov.errors import Refusal
from mcpgov.policy.elements.retry import Waits
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import admitted, answer, context, decision, document, performed, policy, problems

BUSY = "condition: response.status == 429 || response.status == 503"
BUSY_XML = 'condition="@(context.Response.StatusCode == 429 || context.Response.StatusCode == 503)"'


def yaml(rest: str, condition: str = BUSY) -> str:
    return f"backend: [retry: {{ {condition}, {rest}, do: [forward-request: {{ timeout: 5 }}] }}]"


def xml(rest: str, condition: str = BUSY_XML) -> str:
    inside = '<forward-request timeout="5" />'
    return f"<policies><backend><base /><retry {condition} {rest}>{inside}</retry></backend></policies>"


def retry_of(verdict: Decision) -> Retry:
    assert verdict.allowed, verdict.detail
    assert verdict.changes.retry is not None
    return verdict.changes.retry


@pytest.mark.parametrize(
    ("element", "attributes", "waits"),
    [
        ("count: 2, interval: 3", 'count="2" interval="3"', [3, 3, None]),
        ("count: 1, interval: 0", 'count="1" interval="0"', [0, None, None]),
        ("count: 3, interval: 1, delta: 2", 'count="3" interval="1" delta="2"', [1, 3, 5, None]),
        (
            "count: 5, interval: 1, max-interval: 10, delta: 2",
            'count="5" interval="1" max-interval="10" delta="2"',
            [1, 3, 7, 10, 10, None],
        ),
        (
            "count: 2, interval: 3, first-fast-retry: true",
            'count="2" interval="3" first-fast-retry="true"',
            [0, 3, None],
        ),
        ("count: '${{ 1 + 1 }}', interval: 3", 'count="@(1 + 1)" interval="3"', [3, 3, None]),
    ],
)
def test_waits_are_fixed_grow_or_double(element: str, attributes: str, waits: list[float | None]) -> None:
    for text in (yaml(element), xml(attributes)):
        retry = retry_of(decision(text, context("tools/list")))
        assert [retry.wait(attempt, 503, {}) for attempt in range(1, len(waits) + 1)] == waits


@pytest.mark.parametrize("text", [yaml("count: 9, interval: 1"), xml('count="9" interval="1"')])
@pytest.mark.parametrize(("status", "again"), [(200, False), (429, True), (500, False), (503, True)])
def test_condition_reads_each_response(text: str, status: int, *, again: bool) -> None:
    retry = retry_of(decision(text, context("tools/list")))
    assert (retry.wait(1, status, {}) is not None) is again
    assert (retry.wait(2, 503, {}), retry.wait(3, status, {}) is not None) == (1.0, again)


def test_condition_may_read_the_header_fields_of_the_response() -> None:
    retry = retry_of(decision(yaml("count: 1, interval: 1", 'condition: response.headers.later == "yes"'), context()))
    assert [retry.wait(1, 503, headers) for headers in ({}, {"later": "no"}, {"later": "yes"})] == [None, None, 1.0]


def test_what_stands_inside_is_done_once() -> None:
    assert decision(yaml("count: 1, interval: 1"), context()).changes.timeout == 5.0


def test_condition_that_fails_is_a_policy_error_that_quotes_nothing() -> None:
    text = yaml("count: 1, interval: 1", "condition: int(response.headers.later) > 1")
    retry = retry_of(decision(text, context()))
    with pytest.raises(Refusal) as refused:
        retry.wait(1, 503, {"later": "s3cret"})
    assert refused.value.reason is Reason.POLICY_ERROR
    assert "s3cret" not in refused.value.message + refused.value.detail


def test_asking_leaves_no_trace_for_what_comes_after() -> None:
    evaluation = Evaluation(policy(yaml("count: 1, interval: 1")), context("tools/list"))
    verdict = performed(evaluation.decide(), admitted)
    retry_of(verdict).wait(1, 503, {})
    assert (evaluation.at, evaluation.draft.response) == ("", None)
    shown = performed(evaluation.answered(answer({"jsonrpc": "2.0", "id": 1, "result": {"tools": []}})))
    assert shown.status == 200


def test_decision_shows_the_waits_and_nothing_of_the_request() -> None:
    verdict = decision(yaml("count: 2, interval: 3"), context(arguments={"password": "s3cret"}))
    assert "Waits(count=2, interval=3" in repr(verdict)
    assert "s3cret" not in repr(verdict)
    assert verdict == decision(yaml("count: 2, interval: 3"), context(arguments={"password": "other"}))


def test_waits_of_one_bound_are_bounded() -> None:
    assert Waits(50, 1, 240, 240, first_fast=False).after(50) == 240.0


def test_steps_inside_are_counted_for_coverage() -> None:
    (step,) = policy(yaml("count: 1, interval: 1")).general.backend
    assert [inner.rule for inner in step.element.inner()] == ["test#backend.1.1 forward-request"]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{}", ["condition is missing", "count is missing", "interval is missing", "do is missing"]),
        (
            f"{{ {BUSY}, count: 51, interval: 1, do: [forward-request: {{}}] }}",
            ["count must be a whole number from 1 to 50"],
        ),
        (
            f"{{ {BUSY}, count: 1, interval: 241, do: [forward-request: {{}}] }}",
            ["interval must be a whole number from 0"],
        ),
        (
            f"{{ {BUSY}, count: 1, interval: 1, do: [] }}",
            ["forward-request is missing (add it: it is what is done again)"],
        ),
        (
            f"{{ {BUSY}, count: 1, interval: 1, max-interval: 9, do: [forward-request: {{}}] }}",
            ["delta is missing (add delta:; without it no wait grows)"],
        ),
        (
            f"{{ {BUSY}, count: 1, interval: 1, do: [set-variable: {{ name: a, value: b }}, forward-request: {{}}] }}",
            ["only forward-request may stand in retry: nothing else is done again (move it out)"],
        ),
        (f"{{ {BUSY}, count: 1, interval: 1, do: [5] }}", ["a step is one element"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    found = [problem.partition(": ")[2] for problem in problems(f"backend: [retry: {element}]")]
    assert len(found) == len(expected), found
    for problem, begins in zip(sorted(found), sorted(expected), strict=True):
        assert problem.startswith(begins)


def test_it_stands_in_backend_only() -> None:
    (found,) = problems(f"inbound: [retry: {{ {BUSY}, count: 1, interval: 1, do: [] }}]")
    assert "retry may not stand in inbound (move it to backend)" in found


def test_what_api_management_would_do_is_told() -> None:
    assert [remark.message for remark in document(xml('count="1" interval="1"')).remarks] == [
        "tools/call is never sent a second time, nor is what may write; API Management would"
    ]
    assert document(yaml("count: 1, interval: 1")).remarks == ()
