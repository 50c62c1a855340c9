"""What ends first when the gateway is told to end, and what does not."""

import asyncio

import pytest

from mcpgov.decision import Reason
from mcpgov.endpoint.draining import Draining
from mcpgov.errors import Refusal
from mcpgov.models import Kind, MCPRequest
from tests.upstream.calls import bodiless, call

STREAMS = (bodiless(Kind.STREAM), call("subscriptions/listen"))


async def waiting() -> asyncio.Task[object]:
    """A task that waits for something that never comes."""

    async def wait() -> object:
        return await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("stream", STREAMS)
async def test_streams_that_listen_end_at_once_and_calls_go_on(stream: MCPRequest) -> None:
    draining, listening, calling = Draining(), await waiting(), await waiting()
    draining.enter(stream, listening)
    draining.enter(call(), calling)
    draining.begin()
    with pytest.raises(asyncio.CancelledError) as why:
        await listening
    assert why.value.args == (Reason.GATEWAY_STOPPING,)
    assert not calling.cancelling()
    calling.cancel()


@pytest.mark.parametrize("stream", STREAMS)
async def test_a_stream_that_comes_later_is_refused_and_a_call_is_not(stream: MCPRequest) -> None:
    draining, task = Draining(), await waiting()
    draining.begin()
    draining.enter(call(), task)
    with pytest.raises(Refusal) as no:
        draining.enter(stream, task)
    assert (no.value.reason, no.value.headers) == (Reason.GATEWAY_STOPPING, (("Retry-After", "1"),))
    assert not task.cancelling()
    task.cancel()


async def test_told_twice_it_cancels_once() -> None:
    draining, task = Draining(), await waiting()
    draining.enter(STREAMS[0], task)
    draining.begin()
    draining.begin()
    assert task.cancelling() == 1


async def test_a_stream_that_has_ended_is_forgotten() -> None:
    draining, task = Draining(), await waiting()
    draining.enter(STREAMS[0], task)
    draining.leave(task)
    draining.leave(None)
    draining.begin()
    assert not task.cancelling()
    task.cancel()
