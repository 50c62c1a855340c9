"""The supervisor keeps workers alive, passes on what it is told, and ends when they have."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from mcpgov import supervisor
from mcpgov.supervisor import STEADY, Starting, Supervisor, pause_after
from mcpgov.worker import SERVES

PROGRAM = """
import os, signal, sys
from mcpgov.worker import SERVES, parse_worker
worker = parse_worker(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
os.fstat(worker.listener)
os.write(worker.link, SERVES if worker.index == 0 else b"")
os.read(worker.link, 1)
"""


@dataclass(eq=False)
class Twin:
    """A worker without a process, which does what the test says."""

    pid: int
    told: list[int] = field(default_factory=list[int])
    serving: asyncio.Future[bool] = field(default_factory=asyncio.Future[bool])
    over: asyncio.Future[int] = field(default_factory=asyncio.Future[int])
    stubborn: bool = False

    async def serves(self) -> bool:
        """What the test says."""
        return await self.serving

    async def wait(self) -> int:
        """What the test says, or what it was told."""
        return await self.over

    def tell(self, number: int) -> None:
        """Note it; but for SIGHUP, and unless it is stubborn, end."""
        self.told.append(number)
        if number == signal.SIGKILL or (number != signal.SIGHUP and not self.stubborn):
            self.end(0 if number == signal.SIGTERM else -number)

    def end(self, status: int) -> None:
        """End, having served or not."""
        if not self.serving.done():
            self.serving.set_result(False)
        self.over.set_result(status)


class World:
    """Starts twins, waits for nothing, and has a clock that the test moves."""

    def __init__(self, count: int) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.refused = 0
        self.started = asyncio.Queue[tuple[int, Twin]]()
        self.fails = False
        self.pausing: Callable[[], object] = lambda: None
        self.supervisor = Supervisor(count, self.start, self.refuse, self.pause, lambda: self.now)
        self.running = asyncio.create_task(self.supervisor.run())

    async def start(self, index: int) -> Twin:
        if self.fails:
            raise OSError(11, "no more processes")
        twin = Twin(100 + index)
        self.started.put_nowait((index, twin))
        return twin

    def refuse(self) -> None:
        self.refused += 1

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.pausing()

    async def next(self, *, serving: bool = True) -> tuple[int, Twin]:
        index, twin = await self.started.get()
        if serving:
            twin.serving.set_result(True)
        return index, twin

    async def all(self, count: int) -> dict[int, Twin]:
        return dict([await self.next() for _ in range(count)])

    async def ended(self, number: int = signal.SIGTERM) -> int:
        self.supervisor.tell(number)
        return await self.running


async def settled() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_others_start_when_the_first_serves() -> None:
    world = World(3)
    index, first = await world.next(serving=False)
    await settled()
    assert (index, world.started.empty()) == (0, True)
    with capture_logs() as logs:
        first.serving.set_result(True)
        assert sorted(await world.all(2)) == [1, 2]
        await settled()
    assert [(line["event"], line["pids"]) for line in logs if line["event"] == "workers-serving"] == [
        ("workers-serving", [100, 101, 102])
    ]
    assert await world.ended() == 0
    assert world.refused == 1


async def test_a_first_worker_that_does_not_start_ends_the_whole_with_its_own_status() -> None:
    world = World(2)
    _, first = await world.next(serving=False)
    with capture_logs() as logs:
        first.end(1)
        assert await world.running == 1
    assert (logs, world.started.empty(), world.pauses) == ([], True, [])


async def test_one_that_was_killed_before_it_served_is_said() -> None:
    world = World(2)
    _, first = await world.next(serving=False)
    with capture_logs() as logs:
        first.end(-9)
        assert await world.running == 1
    assert [(line["event"], line["status"]) for line in logs] == [("worker-not-started", -9)]


async def test_a_later_worker_that_does_not_start_ends_the_others() -> None:
    world = World(2)
    _, first = await world.next()
    _, second = await world.next(serving=False)
    second.end(3)
    assert await world.running == 3
    assert first.told == [signal.SIGTERM]


async def test_a_worker_that_ends_is_started_again_later_and_later() -> None:
    world = World(1)
    with capture_logs() as logs:
        for _ in range(7):
            _, twin = await world.next()
            await settled()
            twin.end(-9)
        _, twin = await world.next()
        world.now += STEADY
        twin.end(0)
        await world.next()
        await settled()
        assert await world.ended() == 0
    assert world.pauses == [1, 2, 4, 8, 16, 30, 30, 1]
    ended = [line for line in logs if line["event"] == "worker-ended"]
    assert (ended[0]["worker"], ended[0]["status"], ended[0]["restart_in"]) == (0, -9, 1)
    assert sum(line["event"] == "worker-restarted" for line in logs) == 8


async def test_one_that_cannot_even_be_started_again_is_tried_again() -> None:
    world = World(1)
    _, twin = await world.next()
    await settled()
    world.fails = True
    world.pausing = lambda: setattr(world, "fails", len(world.pauses) < 3)
    with capture_logs() as logs:
        twin.end(-9)
        await world.next()
    failures = [line["error"] for line in logs if line["event"] == "worker-not-started"]
    assert failures == ["[Errno 11] no more processes"] * 2
    assert world.pauses == [1, 2, 4]
    assert await world.ended() == 0


async def test_reload_is_for_those_that_serve() -> None:
    world = World(2)
    first = (await world.next())[1]
    second = (await world.next(serving=False))[1]
    await settled()
    world.supervisor.tell(signal.SIGHUP)
    assert (first.told, second.told) == ([signal.SIGHUP], [])
    assert await world.ended() == 0


async def test_a_second_ctrl_c_is_passed_on_and_a_second_sigterm_is_not() -> None:
    world = World(2)
    twins = list((await world.all(2)).values())
    await settled()
    for twin in twins:
        twin.stubborn = True
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        world.supervisor.tell(number)
    for twin in twins:
        twin.end(0)
    assert await world.running == 0
    assert [twin.told for twin in twins] == [[signal.SIGTERM, signal.SIGINT]] * 2
    assert world.refused == 1


async def test_a_worker_that_ends_badly_when_told_to_end_shows_in_the_status() -> None:
    world = World(1)
    _, twin = await world.next()
    await settled()
    twin.stubborn = True
    world.supervisor.tell(signal.SIGTERM)
    twin.end(-11)
    assert await world.running == 1


async def test_workers_that_do_not_end_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LATEST", 0.0)
    world = World(1)
    _, twin = await world.next()
    await settled()
    twin.stubborn = True
    assert await world.ended() == 1
    assert twin.told == [signal.SIGTERM, signal.SIGKILL]


async def test_one_that_was_just_being_started_is_told_to_end_too() -> None:
    begun, twin = asyncio.Event(), Twin(1)

    async def start(_: int) -> Twin:
        await begun.wait()
        return twin

    slow = Supervisor(1, start, lambda: None)
    running = asyncio.create_task(slow.run())
    await settled()
    slow.tell(signal.SIGTERM)
    begun.set()
    assert await running == 0
    assert twin.told == [signal.SIGTERM]


async def test_told_to_end_while_a_worker_is_awaited_it_does_not_come_back() -> None:
    world = World(1)
    _, twin = await world.next()
    await settled()
    world.pausing = lambda: world.supervisor.tell(signal.SIGTERM)
    twin.end(-9)
    assert await world.running == 0
    assert world.started.empty()


def test_pauses_grow_to_half_a_minute() -> None:
    assert [pause_after(deaths) for deaths in (1, 2, 3, 5, 6, 60, 5000)] == [1, 2, 4, 16, 30, 30, 30]


async def test_a_process_says_that_it_serves_or_that_it_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        starting = Starting((sys.executable, "-c", PROGRAM), listener, 2)
        serves, ends = await starting(0), await starting(1)
        assert (await serves.serves(), len(SERVES)) == (True, 1)
        ends.tell(signal.SIGKILL)
        assert (await ends.serves(), await ends.wait()) == (False, -signal.SIGKILL)
        ends.tell(signal.SIGTERM)  # nobody is there any more
        serves.tell(signal.SIGTERM)
        assert await serves.wait() == 7
        assert serves.pid != ends.pid


async def test_a_program_that_cannot_be_started_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(OSError, match="no-such-program"):
        await Starting(("/no-such-program",), listener, 2)(0)
