"""What every implementation of stage 6 keeps, written once: tests of one inherit this class and give it a stage.

The witness is always the upstream's own ledger.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import pytest

from mcpgov.decision import Changes, Decision, HeaderEdit, QueryEdit, Reason
from mcpgov.errors import Refusal
from mcpgov.models import Connection, Era, Kind
from mcpgov.upstream.memory import ScriptedAnswer, Sent
from tests.upstream.calls import ALLOWED, KEYED, NOBODY, bodiless, body_of, call, events_of

if TYPE_CHECKING:
    from mcpgov.pipeline import Upstream

RESULT = b'{ "jsonrpc":"2.0", "id":1, "result":{"x-unknown":1.10,"text":"\xe2\x80\xa8"} }'
STREAM = (
    b'event: message\r\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\r\n\r\n: ping\n',
    b'data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n',
)
ERROR = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}}'


class Witness(Protocol):
    """An upstream that plays what it is told and remembers what it got."""

    ledger: list[Sent]

    def script(self, *answers: ScriptedAnswer) -> None: ...


@dataclass
class Stage:
    upstream: Upstream
    witness: Witness
    connection: Connection


class UpstreamContract:
    """Inherit, and define the fixture `stage`."""

    @pytest.fixture
    def stage(self) -> Stage:
        raise AssertionError("define the fixture `stage`")

    async def test_a_json_answer_passes_byte_for_byte(self, stage: Stage) -> None:
        stage.witness.script(ScriptedAnswer(chunks=(RESULT,), headers=(("mcp-session-id", "s-1"),)))
        async with stage.upstream.forward(call(), stage.connection, ALLOWED, NOBODY) as answer:
            assert (answer.status, answer.streaming) == (200, False)
            assert answer.headers.get("mcp-session-id") == "s-1"
            events = await events_of(answer)
        assert [(event.raw, event.data) for event in events] == [(RESULT, RESULT)]

    async def test_a_stream_passes_byte_for_byte_event_by_event(self, stage: Stage) -> None:
        stage.witness.script(ScriptedAnswer(content_type="text/event-stream", chunks=STREAM))
        async with stage.upstream.forward(call(), stage.connection, ALLOWED, NOBODY) as answer:
            assert answer.streaming
            events = await events_of(answer)
        assert b"".join(event.raw for event in events) == b"".join(STREAM)
        assert [event.data is not None for event in events] == [True, False, True]

    async def test_the_upstream_gets_one_request_with_exactly_the_body(self, stage: Stage) -> None:
        request = call()
        async with stage.upstream.forward(request, stage.connection, ALLOWED, NOBODY) as answer:
            await body_of(answer)
        assert [sent.body for sent in stage.witness.ledger] == [request.body]

    async def test_the_connections_credential_crosses_and_the_callers_does_not(self, stage: Stage) -> None:
        callers = (("authorization", "Bearer caller-key"), ("x-api-key", "caller-key"), ("cookie", "caller-key"))
        async with stage.upstream.forward(call(headers=callers), stage.connection, ALLOWED, KEYED) as answer:
            await body_of(answer)
        headers = stage.witness.ledger[0].headers
        assert headers.all("authorization") == ("Bearer upstream-key",)
        assert "caller-key" not in str(headers.fields)

    async def test_a_policys_header_reaches_the_upstream(self, stage: Stage) -> None:
        decision = Decision(Reason.ALLOWED, changes=Changes(headers=(HeaderEdit("X-Team", "override", ("a", "b")),)))
        async with stage.upstream.forward(call(), stage.connection, decision, NOBODY) as answer:
            await body_of(answer)
        assert stage.witness.ledger[0].headers.get("x-team") == "a, b"

    async def test_a_policy_says_which_path_and_query_and_what_else_crosses(self, stage: Stage) -> None:
        edit = QueryEdit("api-version", "override", ("2026-01-01",))
        changes = Changes(path="/other?a=1", query=(edit,), forwarded=("x-tenant",))
        decision = Decision(Reason.ALLOWED, changes=changes)
        request = call(headers=(("x-tenant", "blue"),))
        async with stage.upstream.forward(request, stage.connection, decision, NOBODY) as answer:
            await body_of(answer)
        (sent,) = stage.witness.ledger
        assert sent.url.endswith("/other?a=1&api-version=2026-01-01")
        assert sent.headers.get("x-tenant") == "blue"

    async def test_a_policys_time_out_stands_in_for_the_connections(self, stage: Stage) -> None:
        stage.witness.script(ScriptedAnswer(ends=False))
        decision = Decision(Reason.ALLOWED, changes=Changes(timeout=0.05))
        with pytest.raises(Refusal) as refused:
            await body_of_forward(stage, decision)
        assert refused.value.reason is Reason.UPSTREAM_TIMEOUT

    async def test_an_error_of_the_server_is_a_refusal_where_a_policy_says_so(self, stage: Stage) -> None:
        stage.witness.script(ScriptedAnswer(status=404, chunks=(ERROR,)))
        decision = Decision(Reason.ALLOWED, changes=Changes(fail_on_error=True))
        with pytest.raises(Refusal) as refused:
            await body_of_forward(stage, decision)
        assert (refused.value.reason, refused.value.detail) == (Reason.UPSTREAM_ERROR, "status 404")

    async def test_a_notification_is_accepted_with_no_body(self, stage: Stage) -> None:
        stage.witness.script(ScriptedAnswer(status=202))
        note = call("notifications/initialized", request_id=None)
        async with stage.upstream.forward(note, stage.connection, ALLOWED, NOBODY) as answer:
            assert (answer.status, await events_of(answer)) == (202, [])

    async def test_an_error_of_the_server_keeps_its_status(self, stage: Stage) -> None:
        stage.witness.script(ScriptedAnswer(status=404, chunks=(ERROR,)))
        request = call("nosuch", era=Era.STATELESS)
        async with stage.upstream.forward(request, stage.connection, ALLOWED, NOBODY) as answer:
            assert (answer.status, await body_of(answer)) == (404, ERROR)

    async def test_405_to_a_get_keeps_allow_and_says_nothing_else(self, stage: Stage) -> None:
        told = (("allow", "POST"), ("server", "secret-build"))
        stage.witness.script(ScriptedAnswer(405, "text/html", (b"<h1>internal.host</h1>",), told))
        async with stage.upstream.forward(bodiless(Kind.STREAM), stage.connection, ALLOWED, NOBODY) as answer:
            assert (answer.status, answer.headers.fields) == (405, (("allow", "POST"),))
            assert await events_of(answer) == []

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (ScriptedAnswer(status=401), Reason.UPSTREAM_UNAUTHORIZED),
            (ScriptedAnswer(status=403, chunks=(ERROR,)), Reason.UPSTREAM_UNAUTHORIZED),
            (ScriptedAnswer(status=302, headers=(("location", "http://127.0.0.2/"),)), Reason.UPSTREAM_REDIRECTED),
            (ScriptedAnswer(status=429), Reason.UPSTREAM_RATE_LIMITED),
            (ScriptedAnswer(502, "text/html", (b"<html>",)), Reason.UPSTREAM_ERROR),
            (ScriptedAnswer(200, "text/html", (b"<html>",)), Reason.UPSTREAM_INVALID),
            (ScriptedAnswer(chunks=(b'{"jsonrpc":',)), Reason.UPSTREAM_INVALID),
            (ScriptedAnswer(chunks=(RESULT,), headers=(("content-encoding", "gzip"),)), Reason.UPSTREAM_INVALID),
        ],
        ids=lambda value: value.value if isinstance(value, Reason) else str(value.status),
    )
    async def test_what_is_no_mcp_answer_is_refused(self, stage: Stage, answer: ScriptedAnswer, reason: Reason) -> None:
        stage.witness.script(answer)
        with pytest.raises(Refusal) as refused:
            await body_of_forward(stage)
        assert refused.value.reason is reason
        assert "html" not in refused.value.message

    async def test_silence_is_a_timeout(self, stage: Stage) -> None:
        stage.witness.script(ScriptedAnswer(ends=False))
        stage.connection = replace(stage.connection, timeout=0.05)
        with pytest.raises(Refusal) as refused:
            await body_of_forward(stage)
        assert refused.value.reason is Reason.UPSTREAM_TIMEOUT

    async def test_a_stream_that_never_says_anything_is_a_timeout(self, stage: Stage) -> None:
        stage.witness.script(ScriptedAnswer(content_type="text/event-stream", ends=False))
        stage.connection = replace(stage.connection, timeout=0.05)
        with pytest.raises(Refusal) as refused:
            await body_of_forward(stage)
        assert refused.value.reason is Reason.UPSTREAM_TIMEOUT

    async def test_leaving_a_stream_early_is_seen_by_the_upstream(self, stage: Stage) -> None:
        stage.witness.script(ScriptedAnswer(content_type="text/event-stream", chunks=STREAM, ends=False))
        async with stage.upstream.forward(call(), stage.connection, ALLOWED, NOBODY) as answer:
            assert await anext(answer.events)
        await asyncio.wait_for(stage.witness.ledger[0].cut.wait(), 10)

    async def test_cancelling_before_the_answer_is_seen_by_the_upstream(self, stage: Stage) -> None:
        stage.witness.script(ScriptedAnswer(ends=False))
        task = asyncio.ensure_future(body_of_forward(stage))
        while not stage.witness.ledger:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(stage.witness.ledger[0].cut.wait(), 10)


async def body_of_forward(stage: Stage, decision: Decision = ALLOWED) -> bytes:
    """The whole answer to one plain call."""
    async with stage.upstream.forward(call(), stage.connection, decision, NOBODY) as answer:
        return await body_of(answer)
