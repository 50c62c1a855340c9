"""An explanation says everything that happened, and no secret."""

from dataclasses import replace

import pytest

from mcpgov.cli.explained import Explained, as_json, explain_request, lines_of, show
from mcpgov.cli.hiding import Hiding
from mcpgov.models import Principal, PrincipalKind, Secret
from mcpgov.policy.context import Context
from tests.policy.calls import LOCAL, context, policy

HIDING = Hiding.of([Secret("s3cret")])


def explained(text: str, asked: Context | None = None, **annotations: bool) -> Explained:
    return explain_request(policy(text), asked or context(), annotations)


def text_of(given: Explained) -> str:
    return "\n".join(lines_of(given, HIDING))


def test_an_allowed_call_shows_where_it_goes_and_with_what() -> None:
    shown = text_of(explained("inbound: [set-header: { name: X-Key, value: s3cret }]"))
    assert shown.startswith("tools/call get_issue on github, by key:k1 from 10.0.0.7\n\ninbound\n  test#1 set-header\n")
    assert "      upstream header x-key: ***\n" in shown
    assert "\nDecision: allowed\n\nSent to https://api.contoso.com/mcp?…\n  host: api.contoso.com\n" in shown
    assert "\n  x-key: ***" in shown


def test_a_caller_that_is_no_key_is_shown_with_its_kind() -> None:
    agent = Principal("entra:t:a1", PrincipalKind.AGENT)
    given = explained("inbound: []", replace(context(), principal=agent))
    assert "by entra:t:a1 (agent) from 10.0.0.7\n" in text_of(given)
    assert as_json(given, HIDING)["kind"] == "agent"


def test_a_local_server_is_named_without_its_arguments() -> None:
    shown = text_of(explained("inbound: []", context(upstream=LOCAL)))
    assert "No policy is in force." in shown
    assert shown.endswith("\nSent to the local server mcp-server-time, which reads no headers")


def test_a_denied_call_shows_its_answer() -> None:
    shown = text_of(explained("inbound: [ip-filter: { action: forbid, addresses: [10.0.0.7] }]"))
    assert "      denies: source-ip-denied: the caller's address is forbidden\n" in shown
    assert "\nDecision: source-ip-denied, by test#1 ip-filter\n\nAnswered with HTTP 403\n" in shown
    assert '"message":"Calls from your network address are not allowed."' in shown
    assert "Sent to" not in shown


def test_a_limit_shows_what_is_left_and_the_headers_that_tell() -> None:
    shown = text_of(explained("inbound: [rate-limit-by-key: { calls: 5, renewal-period: 60 }]"))
    assert "      counts: 4 of 5 left\n" in shown
    assert "\nAnswered with HTTP 200\n  x-ratelimit-limit: 5\n" in shown
    over = "inbound: [rate-limit-by-key: { calls: 5, renewal-period: 60, increment-count: 6 }]"
    assert "      counts: all 5 are used up\n      denies: rate-limited\n" in text_of(explained(over))


def test_report_mode_is_said_and_what_it_would_deny() -> None:
    shown = text_of(explained("mode: report\ninbound: [tool-rules: { deny: [get_issue] }]"))
    assert (
        """
  test: report mode, not enforced
      would deny: tool-hidden, by test#1 tool-rules
    test#1 tool-rules
        would deny: tool-hidden

Decision: allowed
  report mode would deny: tool-hidden, by test#1 tool-rules
"""
        in shown
    )


def test_what_follows_a_document_in_report_mode_is_enforced() -> None:
    both = "mode: report\ninbound: [tool-rules: { deny: [x] }]\noutbound: []\n"
    assert "would deny" not in text_of(explained(both))


def test_lines_for_the_log_and_measurements_stand_with_their_element() -> None:
    text = """\
inbound:
  - trace: { source: me, severity: error, message: "tool ${{ mcp.tool.name }}" }
  - emit-metric: { name: calls, namespace: mcp, dimensions: [{ name: tool, value: a }] }
"""
    shown = text_of(explained(text))
    assert "  test#1 trace\n      mcp.tool.name -> 'get_issue'\n      logs (error): tool get_issue\n" in shown
    assert "  test#2 emit-metric\n      measures calls: 1\n" in shown


def test_the_sections_after_the_answer_are_shown() -> None:
    text = """\
backend: [forward-request: { timeout: 5 }]
outbound:
  - set-header: { name: X-Out, value: "${{ string(response.status) }}" }
  - set-status: { code: 202 }
on-error: [set-header: { name: X-Err, value: "yes" }]
"""
    shown = text_of(explained(text))
    assert "\nbackend\n  test#backend.1 forward-request\n      time-out in seconds: 5" in shown
    assert "\noutbound, for an answer with status 200\n  test#outbound.1 set-header\n" in shown
    assert shown.endswith("\nAnswered with HTTP 202\n  x-out: 200")
    denied = text_of(explained(f"inbound: [ip-filter: {{ action: forbid, addresses: [10.0.0.7] }}]\n{text}"))
    assert "\non-error\n  test#on-error.1 set-header\n      reply header x-err: yes\n" in denied
    assert "\n  x-err: yes\n" in denied


def test_an_answer_that_a_policy_refuses_is_shown_as_it_is_answered() -> None:
    text = "outbound: [return-response: { do: [set-status: { code: 503 }, set-body: { value: Later. }] }]"
    shown = text_of(explained(text))
    assert "Decision: allowed" in shown
    assert shown.endswith("\nAnswered with HTTP 503\n  Later.")


def test_a_header_that_cannot_be_sent_is_a_refusal() -> None:
    text = "inbound: [forward-headers: { headers: [x-odd] }]"
    shown = text_of(explained(text, context(headers={"x-odd": "é"})))
    assert "\nDecision: allowed\n\nAnswered with HTTP 400\n" in shown


def test_json_says_the_same() -> None:
    text = "inbound: [set-header: { name: X-Key, value: s3cret }, tool-rules: { deny: [get_issue] }]"
    said = as_json(explained(text), HIDING)
    assert said["decision"] == "tool-hidden"
    assert [(one["rule"], one["denies"]) for one in said["elements"]] == [
        ("test#1 set-header", None),
        ("test#2 tool-rules", "tool-hidden"),
    ]
    assert said["elements"][0]["changes"] == [["upstream header x-key", "***"]]
    assert "sent" not in said
    assert said["replied"]["status"] == 200
    assert "s3cret" not in str(as_json(explained("inbound: [set-header: { name: X-Key, value: s3cret }]"), HIDING))


def test_a_recorded_decision_has_no_reply() -> None:
    given = explained("inbound: [tool-rules: { deny: [get_issue] }]")
    again = Explained(given.context, given.decision, given.explanation)
    assert text_of(again).endswith(
        "Decision: tool-hidden, by test#1 tool-rules\n  the caller is told: Unknown tool: get_issue"
    )
    assert "replied" not in as_json(again, HIDING)


def test_what_a_caller_chose_cannot_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show(explained("inbound: []", context(tool="a\x1b[2J")), HIDING)
    assert "tools/call a\\x1b[2J on github" in capsys.readouterr().out
