"""Servers that wait for a person are listed once, and tried again when there is a reason to."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest

from mcpgov.first_sight import AGAIN, FirstSight
from mcpgov.models import Connection
from mcpgov.pin_mode import PinMode
from mcpgov.snapshot import Snapshot
from tests.audit.calls import CITY

REQUIRE = replace(CITY, pin=PinMode.REQUIRE)


class Town:
    """A catalog with one connection, and a probe that notes what it was asked for."""

    def __init__(self) -> None:
        self.stamp = "one"
        self.asked: list[str] = []
        self.known = False

    def current(self) -> Snapshot:
        return Snapshot(self.stamp, {"city": REQUIRE}, {})

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


async def test_it_looks_until_it_is_cancelled() -> None:
    town = Town()

    async def pause() -> None:
        if town.asked:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await FirstSight(town.current, town, town.probe).run(pause)
    assert town.asked == ["city"]
