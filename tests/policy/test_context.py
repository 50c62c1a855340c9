"""A context can ask about a call that nobody made; a response and an error need no more than is known."""

from __future__ import annotations

from mcpgov.policy.context import LastError, Response
from tests.policy.calls import context


def test_asking_about_another_tool_keeps_the_caller_and_drops_the_arguments() -> None:
    asked = context(tool="a", arguments={"x": 1}, headers={"x-region": "eu"})
    other = asked.calling("b")
    assert (other.request.method, other.request.tool, other.request.arguments) == ("tools/call", "b", {})
    assert (other.principal, other.connection, other.request.head) == (
        asked.principal,
        asked.connection,
        asked.request.head,
    )
    assert asked.request.tool == "a"


def test_response_without_header_fields_has_none() -> None:
    assert Response(502).headers == {}
    assert Response(502) == Response(502, {})


def test_error_says_who_why_and_what_and_leaves_the_rest_empty() -> None:
    error = LastError("ip-filter", "CallerIpNotAllowed", "Not from here.")
    assert (error.source, error.reason, error.message) == ("ip-filter", "CallerIpNotAllowed", "Not from here.")
    assert (error.section, error.path, error.scope, error.policy_id, error.decision) == ("",) * 5
