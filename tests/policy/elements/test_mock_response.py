"""mock-response answers in place of the server, with the emptiest result there is."""

from __future__ import annotations

import json

import pytest

from mcpgov.decision import HeaderEdit, Reason, Reply
from mcpgov.models import Era, Kind
from tests.policy.calls import context, decision, document, problems

BOTH = pytest.mark.parametrize("text", ["inbound: [mock-response: {}]", "<inbound><mock-response /></inbound>"])


def mocked(text: str, method: str = "tools/call", era: Era = Era.HANDSHAKE, kind: Kind = Kind.REQUEST) -> Reply:
    """The reply to a request."""
    verdict = decision(text, context(method, era=era, kind=kind))
    assert verdict.reason is Reason.POLICY_RESPONSE
    assert verdict.reply is not None
    return verdict.reply


@BOTH
@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("tools/call", {"content": [{"type": "text", "text": "mock"}]}),
        ("tools/list", {"tools": []}),
        ("ping", {}),
    ],
)
def test_a_request_gets_an_empty_result(text: str, method: str, result: object) -> None:
    reply = mocked(text, method)
    assert reply.status == 200
    assert json.loads(reply.body or b"") == {"jsonrpc": "2.0", "id": 1, "result": result}
    assert reply.edits == (HeaderEdit("content-type", "override", ("application/json",)),)


@BOTH
def test_in_2026_the_result_says_that_it_is_complete(text: str) -> None:
    reply = mocked(text, "ping", era=Era.STATELESS)
    assert json.loads(reply.body or b"")["result"] == {"resultType": "complete"}


@BOTH
@pytest.mark.parametrize("kind", [Kind.NOTIFICATION, Kind.RESPONSE, Kind.STREAM, Kind.END])
def test_what_is_no_request_is_accepted(text: str, kind: Kind) -> None:
    assert mocked(text, "x", kind=kind) == Reply(202, (), b"")


def test_another_status_has_an_empty_body() -> None:
    assert mocked("inbound: [mock-response: { status-code: 503 }]") == Reply(503, (), b"")
    assert mocked('<inbound><mock-response status-code="404" /></inbound>') == Reply(404, (), b"")


def test_the_message_may_come_as_an_event() -> None:
    reply = mocked('<inbound><mock-response content-type="Text/Event-Stream" /></inbound>', "ping")
    assert reply.body == b'event: message\ndata: {"jsonrpc":"2.0","id":1,"result":{}}\n\n'
    assert reply.edits == (HeaderEdit("content-type", "override", ("text/event-stream",)),)


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{ status-code: 100 }", "status-code must be a whole number from 200 to 599"),
        ("{ content-type: text/html }", "an MCP server answers with application/json or text/event-stream"),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: str) -> None:
    (found,) = problems(f"inbound: [mock-response: {element}]")
    assert expected in found


def test_lint_says_what_api_management_answers() -> None:
    (remark,) = document("<inbound><base /><mock-response /></inbound>").remarks
    assert "answers with an example of the operation" in remark.message
    assert document("inbound: [mock-response: {}]").remarks == ()
