"""Names are asked for beside the loop, a few at a time, once for all who ask, and again after a while."""

import asyncio
import socket
import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from mcpgov.upstream import name_service
from mcpgov.upstream.addresses import Found
from mcpgov.upstream.name_service import NAMES, THREADS, Remembering, SystemNames


async def hosts(service: SystemNames | Remembering, name: str, port: int = 80) -> list[str]:
    return [found["host"] for found in await asyncio.wait_for(service.resolve(name, port), 10)]


async def test_the_system_is_asked() -> None:
    assert set(await hosts(SystemNames(), "localhost")) <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("name", ["nowhere.invalid", "a..b", "a" * 64 + ".example"])
async def test_a_name_that_is_none_fails(name: str) -> None:
    with pytest.raises((OSError, UnicodeError)):
        await hosts(SystemNames(), name)


class System:
    """A getaddrinfo that answers when it is let go, and counts how many ask at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.flags = 0
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        monkeypatch.setattr(name_service.socket, "getaddrinfo", self.getaddrinfo)

    def getaddrinfo(self, host: str, port: int, family: int, sort: int, *, flags: int) -> list[Any]:
        self.asked.append(host)
        self.flags = flags
        self.begun.release()
        assert self.go.acquire(timeout=10)
        return [
            (socket.AF_INET, sort, 6, "", ("192.0.2.1", port)),
            (socket.AF_INET6, sort, 6, "", ("fe80::1", port, 0, 3)),
        ]

    async def until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.acquire, timeout=10)


@pytest.fixture
async def system(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[System]:
    made = System(monkeypatch)
    yield made
    made.go.release(100)


async def test_addresses_are_those_of_families_that_this_machine_has_and_keep_their_link(system: System) -> None:
    system.go.release()
    assert await hosts(SystemNames(), "a.example") == ["192.0.2.1", "fe80::1%3"]
    assert system.flags == socket.AI_ADDRCONFIG


async def test_names_that_nobody_answers_hold_a_few_threads_and_not_those_of_another_upstream(system: System) -> None:
    slow, other = SystemNames(), SystemNames()
    waiting = [asyncio.create_task(hosts(slow, f"{number}.example")) for number in range(THREADS + 3)]
    for _ in range(THREADS):
        await system.until_begun()
    fine = asyncio.create_task(hosts(other, "fine.example"))
    await system.until_begun()
    assert system.asked == [*(f"{number}.example" for number in range(THREADS)), "fine.example"]
    system.go.release(len(waiting) + 1)
    assert len(await asyncio.gather(fine, *waiting)) == THREADS + 4


async def test_who_leaves_does_not_end_the_question_for_others(system: System) -> None:
    names = Remembering(SystemNames())
    first, second = (asyncio.create_task(hosts(names, "a.example")) for _ in range(2))
    await system.until_begun()
    first.cancel()
    system.go.release()
    assert await second == ["192.0.2.1", "fe80::1%3"]
    assert (system.asked, first.cancelled()) == (["a.example"], True)


class Counted:
    """A name service that counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = False
        self.closed = False

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[Found]:
        self.asked.append(host)
        if self.fails:
            raise OSError("nobody answers")
        return [Found(hostname=host, host="192.0.2.1", port=port, family=0, proto=0, flags=0)]

    async def close(self) -> None:
        self.closed = True


async def test_an_answer_is_remembered_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Counted()
    names = Remembering(inner)
    for port in (80, 80, 81):
        await hosts(names, "a.example", port)
    assert len(inner.asked) == 2
    monkeypatch.setattr(name_service, "REMEMBERED", -1)
    await hosts(names, "b.example")
    await hosts(names, "b.example")
    assert len(inner.asked) == 4
    await names.close()
    assert inner.closed


async def test_a_failure_is_not_remembered() -> None:
    inner = Counted()
    inner.fails = True
    names = Remembering(inner)
    for _ in range(2):
        with pytest.raises(OSError, match="nobody"):
            await hosts(names, "a.example")
    inner.fails = False
    assert await hosts(names, "a.example") == ["192.0.2.1"]
    assert len(inner.asked) == 3


async def test_only_so_many_names_are_remembered_and_the_oldest_go() -> None:
    inner = Counted()
    names = Remembering(inner)
    for number in range(NAMES + 1):
        await hosts(names, f"{number}.example")
    await hosts(names, "1.example")
    assert len(inner.asked) == NAMES + 1
    await hosts(names, "0.example")
    assert len(inner.asked) == NAMES + 2


async def test_where_no_thread_can_be_had_the_name_cannot_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    service = SystemNames()
    for _ in range(THREADS + 1):  # and no place is lost
        with pytest.raises(OSError, match="thread"):
            await asyncio.wait_for(service.resolve("localhost"), 10)
