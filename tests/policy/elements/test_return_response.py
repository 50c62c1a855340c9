"""return-response answers in place of what would be answered, and of nothing that was done to the reply before."""

from __future__ import annotations

import pytest

from mcpgov.decision import HeaderEdit, Reason, Reply
from mcpgov.errors import Refusal
from mcpgov.policy.evaluate import Evaluation
from mcpgov.policy.explain import Explanation
from tests.policy.calls import answer, answered, context, decision, document, performed, policy, problems, refused

YAML = """\
{section}:
  - return-response:
      do:
        - set-status: {{ code: 403, reason: No }}
        - set-header: {{ name: X-Why, value: because }}
        - set-body: {{ value: no }}
"""
XML = """\
<{section}>
  <return-response>
    <set-status code="403" reason="No" />
    <set-header name="X-Why" exists-action="override"><value>because</value></set-header>
    <set-body>no</set-body>
  </return-response>
</{section}>
"""
RESPONSE = Reply(403, (HeaderEdit("x-why", "override", ("because",)),), b"no")
BOTH = pytest.mark.parametrize("form", [YAML, XML], ids=["yaml", "xml"])


@BOTH
@pytest.mark.parametrize("section", ["inbound", "backend"])
def test_a_request_is_answered_by_the_policy(form: str, section: str) -> None:
    verdict = decision(form.format(section=section), context())
    assert (verdict.reason, verdict.reply) == (Reason.POLICY_RESPONSE, RESPONSE)
    assert verdict.rule.endswith("1 return-response")


@BOTH
async def test_an_answer_is_thrown_away(form: str) -> None:
    with pytest.raises(Refusal) as caught:
        await answered(form.format(section="outbound"), context(), answer({"result": {}}))
    assert (caught.value.reason, caught.value.reply) == (Reason.POLICY_RESPONSE, RESPONSE)


@BOTH
def test_a_refusal_keeps_its_reason_and_is_answered_so(form: str) -> None:
    shown = refused(form.format(section="on-error"), context(), Refusal(Reason.RATE_LIMITED, "no"))
    assert (shown.reason, shown.reply) == (Reason.RATE_LIMITED, RESPONSE)


@pytest.mark.parametrize(
    "text",
    [
        "inbound: [return-response: {}]",
        "inbound: [return-response: { do: [] }]",
        "<inbound><return-response /></inbound>",
    ],
)
def test_what_is_not_said_is_200_and_nothing(text: str) -> None:
    assert decision(text, context()).reply == Reply(200, (), b"")
    assert "an empty body is no JSON-RPC message" in str(document(text).remarks)


def test_an_error_without_a_body_of_its_own_gets_ours() -> None:
    text = "inbound: [return-response: { do: [set-status: { code: 429 }] }]"
    assert decision(text, context()).reply == Reply(429, (), None)


@pytest.mark.parametrize(("code", "body"), [(399, b""), (400, None)])
def test_an_error_begins_at_400(code: int, body: bytes | None) -> None:
    text = f"inbound: [return-response: {{ do: [set-status: {{ code: {code} }}] }}]"
    assert decision(text, context()).reply == Reply(code, (), body)


def test_what_was_done_to_the_reply_before_does_not_count() -> None:
    text = """\
on-error:
  - set-header: { name: X-Before, value: a }
  - set-status: { code: 500 }
  - set-body: { value: before }
  - return-response: {}
"""
    assert refused(text, context(), Refusal(Reason.RATE_LIMITED, "no")).reply == Reply(200, (), b"")


def test_headers_of_the_response_are_no_headers_of_the_request() -> None:
    assert decision(YAML.format(section="inbound"), context()).changes.headers == ()


def test_what_comes_after_it_is_not_run() -> None:
    text = "inbound: [return-response: {}, set-header: { name: a, value: b }]"
    assert decision(text, context()).changes.headers == ()


def test_a_response_that_cannot_be_made_denies_by_the_element_that_failed() -> None:
    value = '${{ request.headers["nowhere"] }}'
    text = f"inbound: [return-response: {{ do: [set-status: {{ code: 403 }}, set-body: {{ value: '{value}' }}] }}]"
    verdict = decision(text, context())
    assert (verdict.reason, verdict.rule, verdict.reply) == (Reason.POLICY_ERROR, "test#1.2 set-body", None)


def test_its_elements_are_explained() -> None:
    explanation = Explanation()
    performed(Evaluation(policy(YAML.format(section="inbound")), context(), watch=explanation).decide())
    assert [(entry.rule, entry.depth) for entry in explanation.entries] == [
        ("test#1 return-response", 0),
        ("test#1.1 set-status", 1),
        ("test#1.2 set-header", 1),
        ("test#1.3 set-body", 1),
    ]


def test_a_tool_that_is_answered_so_stays_listed() -> None:
    assert not policy(YAML.format(section="inbound")).hides_tools


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("inbound: [return-response: { do: [choose: { when: [] }] }]", "choose may not stand in return-response"),
        ("inbound: [return-response: { do: [rate-limit-by-key: {}] }]", "may not stand in return-response"),
        ("inbound: [return-response: { response-variable-name: r }]", "only send-request makes such a response"),
        ("inbound: [return-response: { do: {} }]", "do must be a list"),
        ("inbound: [return-response: 5]", "must be a mapping"),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(text: str, expected: str) -> None:
    (found,) = problems(text)
    assert expected in found
