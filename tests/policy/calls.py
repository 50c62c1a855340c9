"""Requests, policies and verdicts for the tests of this room, each with only what the test is about."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from mcpgov.decision import Describe, FetchKeys, Hold, Spend, Spent, Tell, Trace
from mcpgov.errors import InvalidConfiguration
from mcpgov.json_web_token import KeySet
from mcpgov.models import (
    Answer,
    Connection,
    Era,
    Event,
    Headers,
    Kind,
    LocalUpstream,
    MCPRequest,
    Principal,
    PrincipalKind,
    RemoteUpstream,
    RequestHead,
)
from mcpgov.policy.compiled import ConnectionPolicy, compile_policy
from mcpgov.policy.context import Context
from mcpgov.policy.document import PolicyDocument, parse_document
from mcpgov.policy.evaluate import Evaluation
from mcpgov.policy.expression import NO_REFERENCES, References
from mcpgov.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Mapping

    from mcpgov.decision import Decision, Effect
    from mcpgov.errors import Refusal
    from mcpgov.models import Json

T = TypeVar("T")

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
    """A request for `method` by the key k1 of the project agents; `rest`: era, kind, upstream, principal, project."""
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
    caller = Principal(str(principal), PrincipalKind.KEY, name="first", project=str(rest.get("project", "agents")))
    return Context(request, caller, Connection("github", "com.contoso/github", upstream))


def policy(
    text: str, tools: Mapping[str, str] | None = None, references: References = NO_REFERENCES
) -> ConnectionPolicy:
    """The policy of a connection whose only document is `text`, with one document for each of `tools`.

    What begins with < is XML.
    """
    scoped = {tool: [document(one, "scoped")] for tool, one in (tools or {}).items()}
    return compile_policy([], [], [document(text, references=references)], scoped)


def document(text: str, name: str = "test", references: References = NO_REFERENCES) -> PolicyDocument:
    """A policy document in either syntax."""
    ending = "xml" if text.lstrip().startswith("<") else "yaml"
    return parse_document(text, f"policies/{name}.{ending}", references)


def admitted(effect: Effect) -> object:
    """Room for ten more of everything, every place free, tools of which nothing is known."""
    if isinstance(effect, Spend):
        return Spent(allowed=True, limit=effect.calls, remaining=10, reset=effect.period)
    if isinstance(effect, Describe):
        return {}
    if isinstance(effect, Tell):
        return ignored
    if isinstance(effect, FetchKeys):
        return KeySet("", ())
    return isinstance(effect, Hold) or None


def ignored(_trace: Trace) -> None:
    """Nothing is done with what is told."""


def performed(evaluation: Generator[Effect, Any, T], perform: Callable[[Effect], object] = admitted) -> T:
    """What an evaluation returns, its effects performed by `perform`."""
    try:
        effect = next(evaluation)
        while True:
            effect = evaluation.send(perform(effect))
    except StopIteration as end:
        return end.value


def decision(
    in_force: str | ConnectionPolicy, asked: Context, perform: Callable[[Effect], object] = admitted
) -> Decision:
    """The verdict on one request."""
    compiled = policy(in_force) if isinstance(in_force, str) else in_force
    return performed(Evaluation(compiled, asked).decide(), perform)


def spending(counters: Callable[[Spend], Spent]) -> Callable[[Effect], object]:
    """Performs a Spend by `counters`, and everything else as if there were room."""
    return lambda effect: counters(effect) if isinstance(effect, Spend) else admitted(effect)


def answer(
    *messages: Json, status: int = 200, headers: Mapping[str, str] | None = None, stream: bool = False
) -> Answer:
    """What an upstream answers: one JSON message, or a stream of them."""

    async def events() -> AsyncIterator[tuple[Event, ...]]:
        for message in messages:
            data = dumps(message)
            yield (Event(b"data: " + data + b"\n\n" if stream else data, data),)

    return Answer(status, Headers(tuple((headers or {}).items())), stream, events())


async def answered(in_force: str, asked: Context, given: Answer) -> tuple[Answer, list[Json]]:
    """The answer to an allowed request as the caller gets it, and the messages in it. Raises Refusal."""
    evaluation = Evaluation(policy(in_force), asked)
    assert performed(evaluation.decide()).allowed
    shown = performed(evaluation.answered(given))
    data = [event.data async for events in shown.events for event in events]
    return shown, [json.loads(one) for one in data if one is not None]


def refused(in_force: str, asked: Context, refusal: Refusal) -> Refusal:
    """A refusal as the on-error section leaves it, after the request was decided on."""
    evaluation = Evaluation(policy(in_force), asked)
    performed(evaluation.decide())
    return performed(evaluation.refused(refusal))


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
