"""Every answer that says no carries the id that leads to its record, whatever the reason, the era and the shape."""

import json

import pytest

from mcpgov.decision import Reason
from mcpgov.endpoint.reply import refusal_event, refusal_reply
from mcpgov.errors import ANSWERS, HIDING, Refusal
from mcpgov.models import MCPRequest
from tests.endpoint.messages import call, head, mirrors, post, stateless

CALL = post(call())
STATELESS_CALL = post(stateless("tools/call", name="echo"), mirrors("tools/call", "echo"))


@pytest.mark.parametrize("to", [CALL, STATELESS_CALL, None], ids=["handshake", "stateless", "unread"])
@pytest.mark.parametrize("reason", sorted(ANSWERS))
def test_the_correlation_id_is_on_every_answer_that_says_no_and_in_every_error(
    reason: Reason, to: MCPRequest | None
) -> None:
    about = head() if to is None else to.head
    for as_tool_result in (False, True):
        refusal = Refusal(reason, "No.", as_tool_result=as_tool_result)
        reply = refusal_reply(refusal, to, about)
        assert dict(reply.headers)[b"x-correlation-id"] == b"correlation"
        # An error for an unknown tool has no data: one that is hidden must not differ from it.
        expected = reason not in HIDING
        for message in (reply.body, refusal_event(refusal, to, about).partition(b"data: ")[2]):
            assert ('"correlationId": "correlation"' in json.dumps(json.loads(message))) is expected
