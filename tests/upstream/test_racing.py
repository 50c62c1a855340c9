"""Of several ways the first that leads there is taken, and none is left open behind it."""

import asyncio
from collections.abc import Callable

import pytest

from mcpgov.upstream import racing
from mcpgov.upstream.racing import first_to_arrive, in_turn


class Way:
    """A way that leads somewhere when it is told to, or fails."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begun = asyncio.Event()
        self.ends: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def arrive(self) -> None:
        self.ends.set_result(None)

    def fail(self, error: Exception | None = None) -> None:
        self.ends.set_exception(error or OSError(self.name))


async def go(way: Way) -> Way:
    way.begun.set()
    await way.ends
    return way


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def wait(seconds: float) -> None:
        monkeypatch.setattr(racing, "DELAY", seconds)

    return wait


async def racing_over(*ways: Way) -> Way:
    return await asyncio.wait_for(first_to_arrive(ways, go), 10)


async def test_one_way_alone_makes_no_task() -> None:
    way, before = Way("a"), len(asyncio.all_tasks())
    walking = asyncio.create_task(first_to_arrive([way], go))
    await way.begun.wait()
    assert len(asyncio.all_tasks()) == before + 1
    way.arrive()
    assert await walking is way


async def test_the_next_way_is_tried_at_once_where_one_has_failed(patient: Callable[[float], None]) -> None:
    patient(3600)
    ways = [Way("a"), Way("b"), Way("c")]
    ways[0].fail()
    ways[1].fail()
    ways[2].arrive()
    assert await racing_over(*ways) is ways[2]


async def test_the_next_way_is_tried_after_a_while_and_the_slow_one_is_given_up(
    patient: Callable[[float], None],
) -> None:
    patient(0.01)
    slow, fast, unneeded = Way("slow"), Way("fast"), Way("unneeded")
    patient(0.01)
    fast.arrive()
    assert await racing_over(slow, fast, unneeded) is fast
    await asyncio.sleep(0)
    assert slow.ends.cancelled()
    assert not unneeded.begun.is_set()


async def test_a_slow_way_may_still_win(patient: Callable[[float], None]) -> None:
    patient(0)
    slow, failing = Way("slow"), Way("failing")
    walking = asyncio.create_task(racing_over(slow, failing))
    await failing.begun.wait()
    failing.fail()
    slow.arrive()
    assert await walking is slow


async def test_what_arrives_at_the_same_time_is_closed(patient: Callable[[float], None]) -> None:
    patient(0)
    ways = [Way("a"), Way("b")]
    walking = asyncio.create_task(racing_over(*ways))
    await ways[1].begun.wait()
    for way in ways:
        way.arrive()
    won = await walking
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [way.aborted for way in ways] == [way is not won for way in ways]


async def test_where_no_way_leads_there_the_last_failure_is_told(patient: Callable[[float], None]) -> None:
    patient(3600)
    ways = [Way("a"), Way("b")]
    for way in ways:
        way.fail()
    with pytest.raises(OSError, match="b"):
        await racing_over(*ways)


async def test_a_mistake_of_ours_is_not_hidden_by_another_way(patient: Callable[[float], None]) -> None:
    patient(3600)
    ways = [Way("a"), Way("b")]
    ways[0].fail(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await racing_over(*ways)


async def test_who_leaves_leaves_nothing_under_way(patient: Callable[[float], None]) -> None:
    patient(0)
    ways = [Way("a"), Way("b")]
    before = asyncio.all_tasks()
    walking = asyncio.create_task(first_to_arrive(ways, go))
    await ways[1].begun.wait()
    walking.cancel()
    await asyncio.wait({walking})
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert [way.ends.cancelled() for way in ways] == [True, True]


def test_families_take_turns_and_what_led_there_last_comes_first() -> None:
    ways = ["6a", "6b", "6c", "4a", "4b"]
    assert in_turn(ways, lambda way: way[0], None) == ["6a", "4a", "6b", "4b", "6c"]
    assert in_turn(ways, lambda way: way[0], "4b") == ["4b", "6a", "4a", "6b", "6c"]
    assert in_turn(ways, lambda way: way[0], "gone") == ["6a", "4a", "6b", "4b", "6c"]
