"""What waits is said in the log once, and again when something else waits."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from mcpgov.models import Connection
from mcpgov.pinning.judgement import Pin
from mcpgov.pinning.pin_store import KnownServer
from mcpgov.pinning.waiting_tools import WaitingTools
from mcpgov.snapshot import Snapshot
from tests.audit.calls import CITY

SERVER = "dev.mcpgov/city https://city.example:443"
ECHO = Pin(SERVER, "echo", "sha256:1")
APPROVED = replace(ECHO, approved="sha256:1")


class Town:
    """One server, and what is known of it."""

    def __init__(self) -> None:
        self.server = KnownServer(SERVER)

    def known(self, connections: Iterable[Connection], /) -> Iterable[KnownServer]:
        return [self.server for _ in connections]

    def keeps(self, *pins: Pin) -> None:
        self.server = KnownServer(SERVER, pins={pin.tool: pin for pin in pins})


def test_what_waits_is_said_once_for_each_definition() -> None:
    town = Town()
    tools = WaitingTools(lambda: Snapshot("one", {"city": CITY}, {}), town)
    states: list[tuple[Pin, ...]] = [
        (),
        (ECHO,),
        (ECHO,),
        (APPROVED,),
        (replace(APPROVED, digest="sha256:2"),),
        (replace(APPROVED, digest="sha256:2"), replace(ECHO, tool="other")),
        (APPROVED, replace(ECHO, tool="other")),
    ]
    said: list[list[int]] = []
    for pins in states:
        town.keeps(*pins)
        with capture_logs() as logs:
            tools.look()
            tools.look()
        said.append([entry["waiting"] for entry in logs])
    assert said == [[], [1], [], [], [1], [2], []]


def test_the_line_says_where_and_what_to_type() -> None:
    town = Town()
    town.keeps(ECHO)
    with capture_logs() as logs:
        WaitingTools(lambda: Snapshot("one", {"city": CITY}, {}), town).look()
    (line,) = logs
    assert (line["event"], line["server"], line["place"]) == (
        *("tools-wait", "dev.mcpgov/city"),
        "https://city.example:443",
    )
    assert line["look"] == "mcpgov catalog diff dev.mcpgov/city"


async def test_it_looks_until_it_is_cancelled() -> None:
    town, looks = Town(), 0

    async def pause() -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await WaitingTools(lambda: Snapshot("one", {"city": CITY}, {}), town).run(pause)
    assert looks == 2
