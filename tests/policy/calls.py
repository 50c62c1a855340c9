"""Requests, policies and verdicts for the tests of this room, each with only what the test is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Spent
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import (
    Connection,
    Era,
    Headers,
    Kind,
    LocalUpstream,
    MCPRequest,
    Principal,
    PrincipalKind,
    RemoteUpstream,
    RequestHead,
)
from mcpgov.policy.context import Context
from mcpgov.policy.document import ConnectionPolicy, compile_policy, parse_document
from mcpgov.policy.evaluate import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcpgov.decision import Decision, Spend
    from mcpgov.models import Json

REMOTE = RemoteUpstream("https://api.contoso.com/mcp?v=1", backends=("https://europe-api.contoso.com",))
LOCAL = LocalUpstream(("mcp-server-time",))


def context(
    method: str = "tools/call",
    tool: str = "get_issue",
    *,
    address: str = "10.0.0.7",
    arguments: Mapping[str, Json] | None = None,
    headers: Mapping[str, str] | tuple[tuple[str, str], ...] = (),
    **rest: object,
) -> Context:
    """A request for `method` by the key k1 of the project agents; `rest`: era, kind, id, upstream, principal."""
    fields = tuple(headers.items()) if not isinstance(headers, tuple) else headers
    head = RequestHead("POST", "github", Headers(fields), address, address, datetime(2026, 11, 21, tzinfo=UTC), "c1")
    era, kind = rest.get("era", Era.HANDSHAKE), rest.get("kind", Kind.REQUEST)
    upstream, principal = rest.get("upstream", REMOTE), rest.get("principal", "key:k1")
    assert isinstance(era, Era)
    assert isinstance(kind, Kind)
    assert isinstance(upstream, RemoteUpstream | LocalUpstream)
    is_call = method == "tools/call"
    params: dict[str, Json] = {"name": tool, "arguments": dict(arguments or {})} if is_call else {}
    name = tool if is_call else ""
    request = MCPRequest(head, era, kind, "2025-11-25", b"", 1, method, name, params)
    caller = Principal(str(principal), PrincipalKind.KEY, name="first", project="agents")
    return Context(request, caller, Connection("github", "com.contoso/github", upstream))


def policy(text: str, tools: Mapping[str, str] | None = None) -> ConnectionPolicy:
    """The policy of a connection whose only document is `text`, with one document for each of `tools`."""
    scoped = {tool: [parse_document(one, "policies/scoped.yaml")] for tool, one in (tools or {}).items()}
    return compile_policy([], [], [parse_document(text, "policies/test.yaml")], scoped)


def admitted(spend: Spend) -> Spent:
    """Room for ten more."""
    return Spent(allowed=True, limit=spend.calls, remaining=10, reset=spend.period)


def decision(
    in_force: str | ConnectionPolicy, asked: Context, counters: Callable[[Spend], Spent] = admitted
) -> Decision:
    """The verdict on one request."""
    evaluation = evaluate(policy(in_force) if isinstance(in_force, str) else in_force, asked)
    try:
        effect = next(evaluation)
        while True:
            effect = evaluation.send(counters(effect))
    except StopIteration as verdict:
        return verdict.value


def problems(text: str, file: str = "policies/test.yaml") -> list[str]:
    """Everything wrong with a document, without the file's name."""
    with pytest.raises(InvalidConfiguration) as raised:
        parse_document(text, file)
    return [str(problem).removeprefix(f"{file}:") for problem in raised.value.problems]


def assert_refused(name: str, element: str, expected: list[str]) -> None:
    """`expected` lists each problem as `what stands at its place <- how its message begins`."""
    text = f"inbound: [{name}: {element}]"
    with pytest.raises(InvalidConfiguration) as raised:
        parse_document(text, "policies/test.yaml")
    found = [(problem.column, str(problem).partition(": ")[2]) for problem in raised.value.problems]
    assert len(found) == len(expected), found
    for (column, message), (at, _, begins) in zip(found, (one.partition(" <- ") for one in expected), strict=True):
        assert message.startswith(begins)
        assert text[column - 1 :].startswith(at), message
