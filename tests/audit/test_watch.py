"""What passes by of an answer is seen, and nothing of it is changed."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from mcpgov.audit.record import AnswerSeen
from mcpgov.audit.tool_sets import ToolSet, listed
from mcpgov.audit.values import Redacted
from mcpgov.audit.watch import LARGEST, AnswerWatch, Final, ToolWatch, final_message
from mcpgov.decision import Reason
from mcpgov.messages import parse_message
from mcpgov.models import Answer, Era, Event, Headers, Json, Kind, MCPRequest, OutcomeStatus
from tests.audit.calls import head, request

ASKED = request(about=head())


def message(**fields: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **fields}).encode()


async def events(*batches: tuple[Event, ...]) -> AsyncIterator[tuple[Event, ...]]:
    for batch in batches:
        yield batch


async def watched(
    *batches: tuple[Event, ...],
    status: int = 200,
    streaming: bool = False,
    asked: MCPRequest | None = ASKED,
) -> AnswerWatch:
    watch = AnswerWatch(Answer(status, Headers(), streaming, events(*batches)), asked)
    assert [batch async for batch in watch.answer.events] == list(batches)
    return watch


def json_event(**fields: object) -> tuple[Event, ...]:
    data = message(**fields)
    return (Event(data, data),)


def sse(**fields: object) -> Event:
    data = message(**fields)
    return Event(b"data: " + data + b"\n\n", data)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (message(id=7, result={}), Final()),
        (message(id=7, result=None), Final()),
        (message(id=7, result={"isError": False}), Final()),
        (message(id=7, result={"isError": True}), Final(is_error=True)),
        (message(id=7, result={"isError": "true"}), Final()),
        (message(id=7, error={"code": -32602, "message": "x"}), Final(code=-32602)),
        (message(id=7, error={"code": "x"}), Final(code=0)),
        (message(id=7, error="x"), Final(code=0)),
        (message(id=8, result={}), None),
        (message(id="7", result={}), None),
        (message(id=7.0, result={}), Final()),
        (message(id=None, error={"code": -32700}), Final(code=-32700)),
        (message(id=7, method="x", result={}), None),
        (b'{"id":7,"result":{}}', None),
        (message(id=True, result={}), None),
        (message(id=7, method="sampling/createMessage"), None),
        (message(method="notifications/progress"), None),
        (b"[]", None),
        (b"7", None),
        (b"{", None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
        (b'{"id":' + b"7" * 5000 + b"}", None),
        (b"", None),
    ],
)
def test_the_answer_to_a_request_is_recognised(data: bytes, found: Final | None) -> None:
    final = final_message(parse_message(data), 7)
    assert (final and Final(final.is_error, final.code)) == found


async def test_a_result_is_ok() -> None:
    watch = await watched(json_event(id=7, result={"isError": False}))
    size = len(message(id=7, result={"isError": False}))
    assert watch.status is OutcomeStatus.OK
    assert watch.seen == AnswerSeen(200, 1, size, complete=True, is_error=False)


async def test_a_result_with_is_error_is_a_tool_error() -> None:
    watch = await watched(json_event(id=7, result={"isError": True}))
    assert watch.status is OutcomeStatus.TOOL_ERROR
    assert watch.seen.is_error is True


async def test_a_json_rpc_error_is_an_rpc_error_with_its_code() -> None:
    watch = await watched(json_event(id=7, error={"code": -32601}))
    assert (watch.status, watch.seen.code) == (OutcomeStatus.RPC_ERROR, -32601)


async def test_an_http_error_is_an_rpc_error() -> None:
    watch = await watched((Event(b"no"),), status=500)
    assert (watch.status, watch.seen.complete) == (OutcomeStatus.RPC_ERROR, False)


async def test_the_answer_is_found_between_the_events_of_a_stream() -> None:
    progress, other = sse(method="notifications/progress"), sse(id=3, method="sampling/createMessage")
    late = sse(id=7, result={"isError": False})
    escaped = b'{"jsonrpc":"2.0","\\u0069d":7,"result":{"isError":true}}'
    stream = ((Event(b": hello\n\n"), progress), (other, Event(b"data: x", escaped)), (late,))
    watch = await watched(*stream, streaming=True)
    assert watch.status is OutcomeStatus.TOOL_ERROR
    assert watch.seen.events == 5
    assert watch.seen.size == sum(len(event.raw) for batch in stream for event in batch)


@pytest.mark.parametrize(("era", "status"), [(Era.HANDSHAKE, OutcomeStatus.OK), (Era.STATELESS, OutcomeStatus.FAILED)])
async def test_a_stream_that_ends_before_the_answer_is_not_complete_and_in_2026_broken(
    era: Era, status: OutcomeStatus
) -> None:
    asked = replace(ASKED, era=era)
    watch = await watched((sse(method="notifications/progress"),), streaming=True, asked=asked)
    assert (watch.seen.complete, watch.status) == (False, status)


async def test_an_event_that_cannot_be_read_may_be_the_answer_and_leaves_open_whether_there_was_one() -> None:
    asked = replace(ASKED, era=Era.STATELESS)
    watch = await watched((Event(b"data: [", b"["),), streaming=True, asked=asked)
    assert (watch.may_be_complete, watch.seen.complete, watch.status) == (True, None, OutcomeStatus.OK)
    later = await watched((Event(b"data: [", b"["), sse(id=7, result={"isError": True})), streaming=True, asked=asked)
    assert (later.seen.complete, later.status) == (True, OutcomeStatus.TOOL_ERROR)


async def test_an_answer_that_is_too_large_is_counted_and_not_read() -> None:
    watch = await watched(json_event(id=7, result={"isError": True, "text": "x" * LARGEST}))
    assert (watch.status, watch.seen.complete, watch.seen.is_error) == (OutcomeStatus.OK, None, None)
    assert watch.seen.size > LARGEST


async def test_what_needs_no_answer_is_neither_complete_nor_incomplete() -> None:
    for kind in (Kind.NOTIFICATION, Kind.STREAM):
        asked = MCPRequest(head(), request(about=head()).era, kind, "2025-11-25")
        assert (await watched(json_event(id=7, result={}), asked=asked)).seen.complete is None
    assert (await watched((), status=202, asked=None)).seen == AnswerSeen(202)


async def test_what_the_upstream_raises_passes_through() -> None:
    async def broken() -> AsyncIterator[tuple[Event, ...]]:
        yield json_event(method="x")
        raise ConnectionResetError

    watch = AnswerWatch(Answer(200, Headers(), True, broken()), request(about=head()))
    with pytest.raises(ConnectionResetError):
        _ = [batch async for batch in watch.answer.events]
    assert watch.seen.events == 1


async def test_how_often_it_was_asked_for_is_seen() -> None:
    assert AnswerWatch(Answer(200, Headers(), False, events(), attempts=3), ASKED).seen.attempts == 3


async def test_more_is_looked_into_where_that_is_asked_for() -> None:
    large = sse(id=7, result={"isError": True, "text": "x" * LARGEST})
    watch = AnswerWatch(Answer(200, Headers(), True, events((large,))), ASKED, largest=2 * LARGEST)
    assert (watch.streaming, watch.may_be_complete) == (True, False)
    assert [batch async for batch in watch] == [(large,)]
    assert (watch.may_be_complete, watch.status) == (True, OutcomeStatus.TOOL_ERROR)


async def test_a_result_or_an_error_is_kept_only_as_it_is_to_be_recorded() -> None:
    made: list[Redacted] = []

    def keep(value: Json) -> Redacted:
        made.append(Redacted(json.dumps(value)))
        return made[-1]

    for body in ({"result": {"a": 1}}, {"error": {"code": 7}}):
        made.clear()
        watch = AnswerWatch(Answer(200, Headers(), False, events(json_event(id=7, **body))), ASKED, keep)
        assert watch.seen.value is None
        assert [batch async for batch in watch.answer.events]
        assert watch.seen.value == Redacted(json.dumps(next(iter(body.values()))))
        assert [watch.seen.value] == made  # made once, however often it is asked for
    assert (await watched(json_event(id=7, result={"a": 1}))).seen.value is None


TOOLS: list[Json] = [{"name": "b"}, {"name": "a"}]
LISTING = request("", "tools/list", about=head())


async def tools_in(*batches: tuple[Event, ...], asked: MCPRequest = LISTING) -> ToolSet | None:
    watch = ToolWatch(Answer(200, Headers(), False, events(*batches)), asked)
    assert [batch async for batch in watch] == list(batches)
    return watch.tools


async def test_the_tools_of_the_answer_to_this_request_are_noted() -> None:
    other, comment = sse(id=8, result={"tools": []}), Event(b":\n\n")
    answer = sse(id=7, result={"tools": TOOLS})
    assert await tools_in((comment, other), (answer, sse(id=7, result={"tools": []}))) == listed({"tools": TOOLS})
    paged = replace(LISTING, params={"cursor": "2"})
    assert await tools_in((answer,), asked=paged) == listed({"tools": TOOLS}, "2")


async def test_a_list_that_is_too_large_is_not_looked_into() -> None:
    assert await tools_in(json_event(id=7, result={"tools": [{"name": "x" * LARGEST}]})) is None


def test_only_a_request_for_tools_is_looked_at() -> None:
    assert ToolWatch.concerns(LISTING)
    assert not ToolWatch.concerns(None)
    assert not ToolWatch.concerns(ASKED)
    assert not ToolWatch.concerns(replace(LISTING, kind=Kind.NOTIFICATION))


@pytest.mark.parametrize(
    ("streaming", "reason", "status"),
    [
        (True, Reason.UPSTREAM_TOO_LARGE, OutcomeStatus.TRUNCATED),
        (False, Reason.UPSTREAM_TOO_LARGE, OutcomeStatus.FAILED),
        (True, Reason.UPSTREAM_RESET, OutcomeStatus.FAILED),
    ],
)
def test_only_a_stream_that_passed_a_bound_was_cut(*, streaming: bool, reason: Reason, status: OutcomeStatus) -> None:
    passing = Answer(200, Headers(), streaming, events())
    assert AnswerWatch(passing, None).refused(reason) is status
