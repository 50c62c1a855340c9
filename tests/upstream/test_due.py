"""A stream that answers a request has that answer, once, and no other."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Era, Event, Kind, MCPRequest
from mcpgov.upstream.due import Events, goes_on, owed
from tests.upstream.calls import bodiless, call

ANSWER = b'{"jsonrpc":"2.0","id":1,"result":{}}'
SECOND = b'{"jsonrpc":"2.0","id":1,"result":{"isError":true}}'
FOREIGN = b'{"jsonrpc":"2.0","id":2,"result":{}}'
AS_TEXT = b'{"jsonrpc":"2.0","id":"1","result":{}}'
NO_ID = b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}'
PROGRESS = b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}'
ASKING = b'{"jsonrpc":"2.0","id":7,"method":"ping"}'


class Stream:
    """A stream of batches, which notes that it was closed."""

    def __init__(self, *batches: tuple[bytes | None, ...]) -> None:
        self.batches = batches
        self.closed = False

    async def events(self) -> AsyncGenerator[Events]:
        try:
            for batch in self.batches:
                yield tuple(Event(data or b": comment\n\n", data) for data in batch)
        finally:
            self.closed = True


def handshake(request: MCPRequest) -> MCPRequest:
    return replace(request, era=Era.HANDSHAKE)


def stateless(request: MCPRequest) -> MCPRequest:
    return replace(request, era=Era.STATELESS)


async def passed(stream: Stream, request: MCPRequest) -> tuple[list[bytes | None], Reason | None]:
    """The data that passes, and why it ended, if not well."""
    data: list[bytes | None] = []
    reason = None
    try:
        async for events in owed(stream.events(), request):
            assert events
            data += [event.data for event in events]
    except Refusal as refusal:
        reason = refusal.reason
    assert stream.closed
    return data, reason


@pytest.mark.parametrize("era", [handshake, stateless])
@pytest.mark.parametrize("answer", [ANSWER, NO_ID])
async def test_an_answer_and_what_comes_around_it_passes(answer: bytes, era: type) -> None:
    batches: tuple[tuple[bytes | None, ...], ...] = ((None,), (PROGRESS, ASKING), (answer, None, PROGRESS))
    data, reason = await passed(Stream(*batches), era(call()))
    assert data == [None, PROGRESS, ASKING, answer, None, PROGRESS]
    assert reason is None


@pytest.mark.parametrize("foreign", [FOREIGN, AS_TEXT])
async def test_the_answer_to_another_request_ends_the_stream_and_does_not_pass(foreign: bytes) -> None:
    assert await passed(Stream((PROGRESS, foreign, ANSWER)), call()) == ([PROGRESS], Reason.UPSTREAM_INVALID)
    assert await passed(Stream((foreign,)), call()) == ([], Reason.UPSTREAM_INVALID)


@pytest.mark.parametrize("second", [SECOND, FOREIGN])
async def test_a_second_answer_does_not_pass_and_the_first_one_counts(second: bytes) -> None:
    assert await passed(Stream((ANSWER,), (PROGRESS, second), (PROGRESS,)), call()) == ([ANSWER, PROGRESS], None)


async def test_a_stream_without_its_answer_says_so_where_nobody_can_come_back_for_it() -> None:
    stream = Stream((PROGRESS,))
    assert await passed(stream, stateless(call())) == ([PROGRESS], Reason.UPSTREAM_RESET)
    assert await passed(stream, handshake(call())) == ([PROGRESS], None)


async def test_who_listens_is_owed_no_answer() -> None:
    listening = replace(stateless(call()), method="subscriptions/listen")
    assert await passed(Stream((PROGRESS,)), listening) == ([PROGRESS], None)


@pytest.mark.parametrize("kind", [Kind.STREAM, Kind.END, Kind.NOTIFICATION, Kind.RESPONSE])
@pytest.mark.parametrize("response", [ANSWER, NO_ID])
async def test_where_nothing_was_asked_no_response_passes(kind: Kind, response: bytes) -> None:
    nothing = replace(call(), kind=kind)  # also where a response of the client's has the id of a request of its own
    assert await passed(Stream((PROGRESS, ASKING, response)), nothing) == ([PROGRESS, ASKING], Reason.UPSTREAM_INVALID)
    assert await passed(Stream((PROGRESS,), (ASKING,)), nothing) == ([PROGRESS, ASKING], None)


def test_only_a_get_that_names_an_event_goes_on_from_one() -> None:
    named = (("last-event-id", "7"),)
    assert goes_on(bodiless(Kind.STREAM, headers=named))
    assert not goes_on(bodiless(Kind.STREAM))
    assert not goes_on(bodiless(Kind.STREAM, headers=(("last-event-id", " \t"),)))
    assert not goes_on(call(headers=named))


async def test_leaving_early_closes_the_stream() -> None:
    stream = Stream((PROGRESS,), (ANSWER,))
    events = owed(stream.events(), call())
    assert await anext(events)
    await events.aclose()
    assert stream.closed
