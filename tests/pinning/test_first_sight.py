"""Servers that wait for a person are listed once, and tried again when there is a reason to."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from mcpgov.models import Connection
from mcpgov.pinning.first_sight import AGAIN, AT_ONCE, FirstSight
from mcpgov.pinning.mode import PinMode
from mcpgov.snapshot import Snapshot
from tests.audit.calls import CITY

REQUIRE = replace(CITY, pin=PinMode.REQUIRE)


class Town:
    """A catalog with one connection, and a probe that notes what it was asked for."""

    def __init__(self) -> None:
        self.stamp = "one"
        self.asked: list[str] = []
        self.known = False
        self.connections = {"city": REQUIRE}

    def current(self) -> Snapshot:
        return Snapshot(self.stamp, self.connections, {})

    def unlisted(self, connections: Iterable[Connection], /) -> Sequence[Connection]:
        return [] if self.known else list(connections)

    async def probe(self, name: str) -> None:
        self.asked.append(name)


async def test_a_server_that_cannot_be_listed_is_tried_again_with_new_files_and_from_time_to_time() -> None:
    town = Town()
    sight = FirstSight(town.current, town, town.probe)
    for _ in range(AGAIN - 1):
        await sight.look()
    assert town.asked == ["city"]
    town.stamp = "two"
    for _ in range(2):
        await sight.look()
    assert town.asked == ["city"] * 2
    town.known = True
    town.stamp = "three"
    await sight.look()
    assert town.asked == ["city"] * 2


async def test_what_was_tried_is_tried_again_after_a_while() -> None:
    town = Town()
    sight = FirstSight(town.current, town, town.probe)
    for _ in range(AGAIN):
        await sight.look()
    assert town.asked == ["city"] * 2


async def test_a_server_that_stalls_keeps_no_other_from_being_listed() -> None:
    town, others_asked = Town(), asyncio.Event()
    town.connections = {name: replace(REQUIRE, name=name, server=f"s/{name}") for name in ("stalled", "city", "town")}

    async def probe(name: str) -> None:
        if name == "stalled":
            await others_asked.wait()
        town.asked.append(name)
        if {"city", "town"} <= set(town.asked):
            others_asked.set()

    async with asyncio.timeout(20):
        await FirstSight(town.current, town, probe).look()
    assert town.asked == ["city", "town", "stalled"]


async def test_so_many_are_listed_at_once() -> None:
    town = Town()
    town.connections = {str(at): replace(REQUIRE, name=str(at), server=f"s/{at}") for at in range(AT_ONCE + 3)}
    at_once: list[int] = []
    asking: set[str] = set()

    async def probe(name: str) -> None:
        asking.add(name)
        at_once.append(len(asking))
        await asyncio.sleep(0)
        asking.remove(name)

    await FirstSight(town.current, town, probe).look()
    assert (max(at_once), len(at_once)) == (AT_ONCE, AT_ONCE + 3)


async def test_one_connection_of_each_server_is_enough() -> None:
    town = Town()
    town.connections = {name: replace(REQUIRE, name=name) for name in ("city", "town")}
    sight = FirstSight(town.current, town, town.probe)
    await sight.look()
    assert town.asked == ["city"]
    await sight.look()
    assert town.asked == ["city", "town"]  # the first could not list it


@pytest.mark.parametrize(("trusted", "asked"), [(True, ["city", "town"]), (False, ["city"])])
async def test_a_server_that_is_trusted_at_first_sight_is_listed_too_unless_servers_are_never_asked(
    *, trusted: bool, asked: list[str]
) -> None:
    town = Town()
    town.connections = {"city": REQUIRE, "town": replace(CITY, name="town", server="s/town")}
    await FirstSight(town.current, town, town.probe, trusted=trusted).look()
    assert town.asked == asked


async def test_it_looks_until_it_is_cancelled() -> None:
    town = Town()

    async def pause() -> None:
        if town.asked:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await FirstSight(town.current, town, town.probe).run(pause)
    assert town.asked == ["city"]
