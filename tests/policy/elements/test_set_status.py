"""set-status sets the status of the reply, and none that would break it."""

from __future__ import annotations

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from tests.policy.calls import answer, answered, context, decision, document, problems, refused


def test_on_error_sets_the_status_of_the_refusal_in_both_syntaxes() -> None:
    for text in (
        "on-error: [set-status: { code: 503, reason: Service Unavailable }]",
        '<on-error><set-status code="503" reason="Service Unavailable" /></on-error>',
    ):
        shown = refused(text, context(), Refusal(Reason.RATE_LIMITED, "no"))
        assert shown.reply is not None
        assert (shown.reply.status, shown.reply.body) == (503, None)


async def test_outbound_sets_the_status_of_the_answer() -> None:
    shown, _ = await answered("outbound: [set-status: { code: 201 }]", context(), answer({"result": {}}))
    assert shown.reply is not None
    assert shown.reply.status == 201


def test_status_may_be_computed() -> None:
    text = "on-error: [set-status: { code: '${{ size(mcp.tool.name) + 500 }}' }]"
    shown = refused(text, context(tool="abc"), Refusal(Reason.RATE_LIMITED, "no"))
    assert shown.reply is not None
    assert shown.reply.status == 503


@pytest.mark.parametrize("tool", ["a" * 4, "a" * 5])
def test_computed_status_without_a_body_is_left_out_where_there_is_one(tool: str) -> None:
    text = "on-error: [set-status: { code: '${{ size(mcp.tool.name) + 200 }}' }]"
    refusal = Refusal(Reason.RATE_LIMITED, "no")
    assert refused(text, context(tool=tool), refusal).reply is None


def test_response_of_a_policy_may_have_a_status_without_a_body() -> None:
    verdict = decision("inbound: [return-response: { do: [set-status: { code: 204 }] }]", context())
    assert verdict.reply is not None
    assert verdict.reply.status == 204


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on-error: [set-status: {}]", "code is missing"),
        ("on-error: [set-status: { code: 100 }]", "code must be a whole number from 200 to 599"),
        ("on-error: [set-status: { code: 600 }]", "code must be a whole number from 200 to 599"),
        ("on-error: [set-status: { code: 204 }]", "an answer with status 204 has no body (use return-response)"),
        ("outbound: [set-status: { code: 304 }]", "an answer with status 304 has no body (use return-response)"),
        ("inbound: [set-status: { code: 403 }]", "set-status may not stand in inbound (move it to outbound)"),
        ("on-error: [set-status: { code: 403, reason: 5 }]", "reason must be text"),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(text: str, expected: str) -> None:
    (found,) = problems(text)
    assert expected in found


def test_lint_says_that_the_reason_phrase_is_not_sent() -> None:
    with_reason = document('<on-error><base /><set-status code="503" reason="Gone" /></on-error>')
    assert [remark.message for remark in with_reason.remarks] == [
        "API Management sends the reason phrase, mcpgov does not"
    ]
    assert document('<on-error><base /><set-status code="503" /></on-error>').remarks == ()
    assert document("on-error: [set-status: { code: 503, reason: Gone }]").remarks == ()
