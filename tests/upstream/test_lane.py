"""Large messages of one upstream are read beside the loop, one at a time."""

import asyncio
import threading

import pytest

from mcpgov.upstream.lane import LARGE, Lane


async def test_a_small_message_is_read_at_once() -> None:
    lane = Lane()
    assert await lane.read(LARGE - 1, threading.get_ident) == threading.get_ident()
    assert await lane.read(LARGE, threading.get_ident) != threading.get_ident()
    assert not lane.busy


async def test_what_reading_raises_is_raised_and_the_next_is_read() -> None:
    lane = Lane()

    def fails() -> None:
        raise LookupError

    for size in (0, LARGE):
        with pytest.raises(LookupError):
            await lane.read(size, fails)
    assert await lane.read(LARGE, lambda: 5) == 5


async def test_while_one_is_read_the_loop_goes_on_and_the_next_one_waits() -> None:
    lane, going, order = Lane(), threading.Event(), list[str]()

    def slow() -> None:
        going.wait()
        order.append("first")

    first = asyncio.create_task(lane.read(LARGE, slow))
    while not lane.busy:
        await asyncio.sleep(0)
    second = asyncio.create_task(lane.read(LARGE, lambda: order.append("second")))
    assert await lane.read(0, lambda: 5) == 5
    assert not order
    going.set()
    await asyncio.gather(first, second)
    assert order == ["first", "second"]


async def test_a_call_that_is_cancelled_keeps_the_lane_until_its_message_is_read() -> None:
    lane, going = Lane(), threading.Event()

    def fails() -> None:
        going.wait()
        raise LookupError

    gone = asyncio.create_task(lane.read(LARGE, fails))
    while not lane.busy:
        await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait({gone})
    assert gone.cancelled()
    assert lane.busy
    following = asyncio.create_task(lane.read(LARGE, lambda: 5))
    going.set()
    assert await following == 5
    assert not lane.busy
