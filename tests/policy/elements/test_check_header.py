"""check-header lets a request in only with the header that it asks for."""

from __future__ import annotations

import pytest

from mcpgov.decision import Reason, Reply
from mcpgov.errors import Refusal
from mcpgov.policy.evaluate import Evaluation
from tests.policy.calls import assert_refused, context, decision, document, performed, policy, problems, refused

REST = "failed-check-httpcode: 401, failed-check-error-message: Not with that header"
KNOWN = f"name: X-Client, {REST}, ignore-case: false, value: [foundry, 'by ${{{{ principal.id }}}}']"
KNOWN_XML = """\
<policies><inbound>
  <check-header name="X-Client" failed-check-httpcode="401"
                failed-check-error-message="Not with that header" ignore-case="false">
    <value>foundry</value>
    <value>@("by " + context.Subscription.Id)</value>
  </check-header>
</inbound></policies>
"""
FORMS = pytest.mark.parametrize("text", [f"inbound: [check-header: {{ {KNOWN} }}]", KNOWN_XML], ids=["yaml", "xml"])


@FORMS
@pytest.mark.parametrize("value", ["foundry", "by key:k1"])
def test_one_of_the_values_passes(text: str, value: str) -> None:
    assert decision(text, context(headers={"x-client": value})).allowed


@FORMS
@pytest.mark.parametrize("value", ["", "Foundry", "foundry ", "foundry, foundry", "foundr", "by key:k2"])
def test_another_value_is_denied_as_the_policy_says(text: str, value: str) -> None:
    verdict = decision(text, context(headers={"x-client": value}))
    assert (verdict.reason, verdict.rule) == (Reason.HEADER_DENIED, "test#1 check-header")
    assert verdict.message == "Not with that header"
    assert verdict.detail == "the header x-client has a value that is not allowed"
    assert verdict.reply == Reply(401)


@FORMS
def test_header_that_is_not_there_is_denied(text: str) -> None:
    verdict = decision(text, context(headers={"x-other": "foundry"}))
    assert (verdict.reason, verdict.detail) == (Reason.HEADER_DENIED, "the header x-client is missing")


@FORMS
def test_header_that_stands_twice_has_no_allowed_value(text: str) -> None:
    verdict = decision(text, context(headers=(("x-client", "foundry"), ("x-client", "foundry"))))
    assert verdict.reason is Reason.HEADER_DENIED


def test_case_is_ignored_where_it_says_so() -> None:
    text = f"inbound: [check-header: {{ name: x, {REST}, ignore-case: true, value: Foundry }}]"
    assert decision(text, context(headers={"x": "fOUNDRY"})).allowed


def test_without_values_it_only_has_to_be_there() -> None:
    text = f"inbound: [check-header: {{ name: x, {REST} }}]"
    assert decision(text, context(headers=(("x", ""), ("x", "b")))).allowed
    assert decision(text, context()).reason is Reason.HEADER_DENIED


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "cookie"])
def test_header_that_no_expression_sees_can_be_asked_for(header: str) -> None:
    text = f"inbound: [check-header: {{ name: {header}, {REST}, value: Bearer mcpgov_k }}]"
    assert decision(text, context(headers={header: "Bearer mcpgov_k"})).allowed
    verdict = decision(text, context(headers={header: "Bearer mcpgov_other"}))
    assert not verdict.allowed
    assert "mcpgov_" not in repr(verdict)


@pytest.mark.parametrize(
    ("edit", "passes"),
    [
        ("name: X, value: good", True),
        ("name: X, exists-action: delete", False),
        ("name: X, exists-action: skip, value: good", False),
        ("name: X, exists-action: append, value: good", False),
        ("name: Y, value: good", False),
    ],
)
def test_it_sees_what_the_elements_before_made_of_the_header(edit: str, *, passes: bool) -> None:
    text = f"inbound: [set-header: {{ {edit} }}, check-header: {{ name: x, {REST}, value: good }}]"
    assert decision(text, context(headers=(("x", "bad"), ("x", "worse")))).allowed is passes


def test_skip_sets_a_header_that_is_not_there() -> None:
    edit = "set-header: { name: x, exists-action: skip, value: good }"
    assert decision(f"inbound: [{edit}, check-header: {{ name: x, {REST}, value: good }}]", context()).allowed


@pytest.mark.parametrize("headers", [{"x-client": "foundry"}, {"x-client": "other"}, {}])
def test_recorded_verdict_is_the_same_without_the_header(headers: dict[str, str]) -> None:
    in_force = policy(f"inbound: [check-header: {{ {KNOWN} }}]")
    first = decision(in_force, context(headers=headers))
    again = performed(Evaluation(in_force, context(), given=first.answers).decide())
    assert (again.reason, again.detail, again.answers) == (first.reason, first.detail, first.answers)


def test_status_and_message_may_be_computed() -> None:
    text = """\
inbound:
  - check-header:
      name: x
      failed-check-httpcode: "${{ mcp.method == 'tools/call' ? 403 : 401 }}"
      failed-check-error-message: "no ${{ mcp.tool.name }} without x"
"""
    verdict = decision(text, context())
    assert (verdict.reply, verdict.message) == (Reply(403), "no get_issue without x")


@pytest.mark.parametrize(("headers", "word"), [({}, "HeaderNotFound"), ({"x": "b"}, "HeaderValueNotAllowed")])
def test_on_error_reads_the_platforms_word(headers: dict[str, str], word: str) -> None:
    text = """\
<policies>
  <inbound>
    <check-header name="x" failed-check-httpcode="403" failed-check-error-message="no" ignore-case="true">
      <value>a</value>
    </check-header>
  </inbound>
  <on-error>
    <set-header name="x-why"><value>@(context.LastError.Source + " " + context.LastError.Reason)</value></set-header>
  </on-error>
</policies>
"""
    refusal = refused(text, context(headers=headers), Refusal(Reason.HEADER_DENIED, "no"))
    assert refusal.reply is not None
    assert refusal.reply.edits[0].values == (f"check-header {word}",)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (
            "{}",
            [
                "{} <- name is missing",
                "{} <- failed-check-httpcode is missing",
                "{} <- failed-check-error-message is missing",
            ],
        ),
        (f"{{ name: 'a b', {REST} }}", ["'a b', failed <- name is not a header name"]),
        (
            "{ name: a, failed-check-httpcode: 200, failed-check-error-message: b }",
            ["200, failed <- failed-check-httpcode must be a whole number from 400 to 599"],
        ),
        (f"{{ name: a, {REST}, ignore-case: 1 }}", ["1 } <- ignore-case must be true or false"]),
        (f"{{ name: a, {REST}, value: [5] }}", ["5] } <- value must be text"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("check-header", element, expected)


def test_what_api_management_would_miss_is_told() -> None:
    element = '<check-header name="a" failed-check-httpcode="401" failed-check-error-message="b" />'
    text = f"<policies><inbound><base />{element}</inbound></policies>"
    assert [remark.message for remark in document(text).remarks] == ["API Management requires ignore-case"]
    assert document(KNOWN_XML.replace("<inbound>", "<inbound><base />")).remarks == ()


def test_answers_are_not_asked_for_headers() -> None:
    (found,) = problems(f"outbound: [check-header: {{ name: a, {REST} }}]")
    assert "check-header may not stand in outbound" in found
