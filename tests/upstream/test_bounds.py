"""Every bound of an answer: what reaches it is told, what passes it is not, and the upstream is closed at once."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import nullcontext
from dataclasses import replace

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.messages import LISTEN
from mcpgov.models import Era, Event, Kind, MCPRequest
from mcpgov.upstream.bounds import AnswerLimits
from mcpgov.upstream.local import LocalForwarder, LocalLimits
from mcpgov.upstream.memory import ScriptedAnswer
from mcpgov.upstream.stdio_process import StdioLimits
from mcpgov.upstream.switch import Upstreams
from tests.upstream.calls import ALLOWED, NOBODY, bodiless, call, starting, to
from tests.upstream.clients import remote_forwarder
from tests.upstream.loopback import OK, Loopback, loopback

SSE = "text/event-stream"
NOTE = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"%s"}}\n\n'
LAST = b"data: " + OK + b"\n\n"


@pytest.fixture
async def server() -> AsyncGenerator[Loopback]:
    async with loopback() as running:
        yield running


async def told(server: Loopback, limits: AnswerLimits, request: MCPRequest) -> tuple[list[Event], Refusal | None]:
    """The events that come through, and the Refusal that ends them."""
    upstreams = Upstreams(remote_forwarder(limits), LocalForwarder(), limits)
    events: list[Event] = []
    try:
        async with upstreams.forward(request, to(server.url), ALLOWED, NOBODY) as answer:
            async for some in answer.events:
                events += some
    except Refusal as refusal:
        return events, refusal
    finally:
        await upstreams.close()
    return events, None


def sized(size: int) -> bytes:
    """An event of so many bytes."""
    return NOTE % (b"x" * (size - len(NOTE % b"")))


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_an_answer_may_have_as_many_bytes_as_are_allowed(server: Loopback, over: int) -> None:
    server.script(ScriptedAnswer(chunks=(OK,)))
    events, refusal = await told(server, AnswerLimits(answer_bytes=len(OK) - over), call())
    assert [event.raw for event in events] == [OK] * (over <= 0)
    assert (refusal and (refusal.reason, refusal.detail)) == (
        None if over <= 0 else (Reason.UPSTREAM_TOO_LARGE, "limits.answer_bytes")
    )


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_the_events_of_an_answer_may_together_have_as_many_bytes(server: Loopback, over: int) -> None:
    server.script(ScriptedAnswer(content_type=SSE, chunks=(sized(400), sized(400 + over)), ends=over <= 0))
    events, refusal = await told(server, AnswerLimits(answer_bytes=800), call())
    assert len(events) == (2 if over <= 0 else 1)
    assert (refusal and (refusal.reason, refusal.detail)) == (
        None if over <= 0 else (Reason.UPSTREAM_TOO_LARGE, "limits.answer_bytes")
    )
    if over > 0:
        await asyncio.wait_for(server.ledger[0].cut.wait(), 10)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_an_event_may_have_as_many_bytes_as_are_allowed(server: Loopback, over: int, *, together: bool) -> None:
    chunks = (sized(100), sized(500 + over), LAST)
    server.script(ScriptedAnswer(content_type=SSE, chunks=(b"".join(chunks),) if together else chunks))
    events, refusal = await told(server, AnswerLimits(event_bytes=500), call())
    assert len(events) == (3 if over <= 0 else 1)
    assert (refusal and (refusal.reason, refusal.detail)) == (
        None if over <= 0 else (Reason.UPSTREAM_TOO_LARGE, "limits.event_bytes")
    )


@pytest.mark.parametrize("over", [-1, 0, 1])
async def test_an_answer_may_have_as_many_events_as_are_allowed(server: Loopback, over: int) -> None:
    server.script(ScriptedAnswer(content_type=SSE, chunks=(b"id: 1\ndata:\n\n" * (15 + over) + LAST,)))
    events, refusal = await told(server, AnswerLimits(events=16), call())
    assert len(events) == min(16, 16 + over)
    assert (refusal and (refusal.reason, refusal.detail)) == (
        None if over <= 0 else (Reason.UPSTREAM_TOO_LARGE, "limits.events")
    )


@pytest.mark.parametrize("chunks", [(LAST,), ()])
async def test_an_answer_that_goes_on_for_too_long_is_cut_and_the_upstream_closed(
    server: Loopback, chunks: tuple[bytes, ...]
) -> None:
    server.script(ScriptedAnswer(content_type=SSE, chunks=chunks, ends=False))
    events, refusal = await told(server, AnswerLimits(answer_seconds=0.5), call())
    assert refusal is not None
    assert (len(events), refusal.reason, refusal.detail) == (
        len(chunks),
        Reason.UPSTREAM_TOO_LARGE,
        "limits.answer_seconds",
    )
    await asyncio.wait_for(server.ledger[0].cut.wait(), 10)


async def test_what_is_here_already_is_not_told_once_it_is_too_late(server: Loopback) -> None:
    server.script(ScriptedAnswer(content_type=SSE, chunks=(LAST,)))
    events, refusal = await told(server, AnswerLimits(answer_seconds=0.0), call())
    assert refusal is not None
    assert (events, refusal.detail) == ([], "limits.answer_seconds")


@pytest.mark.parametrize("era", [Era.HANDSHAKE, Era.STATELESS])
async def test_a_stream_that_only_listens_ends_as_if_its_server_had_ended_it(server: Loopback, era: Era) -> None:
    stateless = era is Era.STATELESS
    request = call(LISTEN, {"notifications": {}}, era=era) if stateless else bodiless(Kind.STREAM)
    server.script(ScriptedAnswer(content_type=SSE, chunks=(sized(200),) * 20, ends=False))
    limits = AnswerLimits(answer_bytes=1000, events=3, answer_seconds=0.0, stream_seconds=0.5)
    events, refusal = await told(server, limits, request)
    assert refusal is None
    messages = [json.loads(event.data or b"") for event in events]
    assert len(messages) == 20 + stateless  # however much it says
    if stateless:
        result = {"resultType": "complete", "_meta": {"io.modelcontextprotocol/subscriptionId": 1}}
        assert messages[-1] == {"jsonrpc": "2.0", "id": 1, "result": result}
    await asyncio.wait_for(server.ledger[0].cut.wait(), 10)


async def test_an_event_of_a_stream_that_only_listens_has_a_bound(server: Loopback) -> None:
    server.script(ScriptedAnswer(content_type=SSE, chunks=(sized(500) + sized(501),)))
    _, refusal = await told(server, AnswerLimits(event_bytes=500), bodiless(Kind.STREAM))
    assert refusal is not None
    assert refusal.detail == "limits.event_bytes"


async def test_who_asks_may_want_less_than_is_allowed_and_no_more_is_read(server: Loopback) -> None:
    server.script(ScriptedAnswer(chunks=(OK,)), ScriptedAnswer(chunks=(OK + b" ",)))
    limits, wanted = AnswerLimits(), replace(call(), answer_bytes=len(OK))
    assert (await told(server, limits, wanted))[1] is None
    _, refusal = await told(server, limits, wanted)
    assert refusal is not None
    assert refusal.detail == "limits.answer_bytes"
    assert AnswerLimits(answer_bytes=1).most(wanted) == 1


ANSWERING = """\
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x"}}
    for _ in range(int(asked["params"].get("cursor", "0"))):
        print(json.dumps(note), flush=True)
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"protocolVersion": "2025-11-25"}}), flush=True)
"""


@pytest.mark.parametrize("notes", [14, 15, 16])
async def test_a_local_server_has_the_same_bounds(notes: int) -> None:
    limits = AnswerLimits(events=16)
    upstreams = Upstreams(remote_forwarder(), LocalForwarder(LocalLimits(stdio=StdioLimits(grace=0.2))), limits)
    request = call("initialize", {"protocolVersion": "2025-11-25", "cursor": str(notes)})
    seen: list[Event] = []
    cut = pytest.raises(Refusal, match="more than 16 events") if notes == 16 else nullcontext()
    with cut:
        async with upstreams.forward(request, starting(sys.executable, "-c", ANSWERING), ALLOWED, NOBODY) as answer:
            async for some in answer.events:
                seen += some
    await upstreams.close()
    assert len(seen) == min(16, notes + 1)


async def test_a_local_server_has_as_many_open_calls_as_are_allowed_and_half_as_many_streams() -> None:
    local = LocalForwarder(LocalLimits(open_calls=2, stdio=StdioLimits(grace=0.2)))
    opening = call("initialize", {"protocolVersion": "2025-11-25"})
    connection = starting(sys.executable, "-c", ANSWERING)
    async with local.forward(opening, connection, ALLOWED, NOBODY) as answer:
        session = answer.headers.get("mcp-session-id")
        async with local.forward(bodiless(Kind.STREAM, session), connection, ALLOWED, NOBODY):
            with pytest.raises(Refusal, match="Too many calls"):
                async with local.forward(opening, connection, ALLOWED, NOBODY):
                    raise AssertionError
    async with local.forward(bodiless(Kind.STREAM, session), connection, ALLOWED, NOBODY):
        with pytest.raises(Refusal, match="Too many streams"):
            async with local.forward(bodiless(Kind.STREAM, session), connection, ALLOWED, NOBODY):
                raise AssertionError
    await local.close()
