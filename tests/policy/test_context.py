"""A context can ask about a call that nobody made."""

from __future__ import annotations

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
