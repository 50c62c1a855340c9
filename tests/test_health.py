"""What is known of servers: how a probe is judged, what is written down, and that no server waits for another."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from mcpgov.audit.control_events import ControlEvent
from mcpgov.diagnosis import Diagnosis
from mcpgov.errors import StoreUnavailable
from mcpgov.health import TOGETHER, Health, State, asking, every, judged
from mcpgov.models import Connection, LocalUpstream, RemoteUpstream
from mcpgov.probe import ProbeResult

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
WELL = ProbeResult("city", "mcpgov:probe", "", "", "", "", ("get_city",), "", "", "", 1.0, (), None)


def unwell(name: str) -> ProbeResult:
    return replace(WELL, problem=Diagnosis(name, f"It is {name}.", "mend it"))


def remote(name: str) -> Connection:
    return Connection(name, f"com.contoso/{name}", RemoteUpstream(f"https://{name}.example/mcp"))


class House:
    """Connections, what a probe of each comes to, and a ledger of control events that may be down."""

    def __init__(self, *names: str) -> None:
        self.connections = {name: remote(name) for name in names}
        self.connections["time"] = Connection("time", "com.contoso/time", LocalUpstream(("mcp-server-time",)))
        self.results: dict[str, ProbeResult] = {}
        self.hanging: dict[str, asyncio.Event] = {}
        self.asked: list[str] = []
        self.events: list[tuple[str, Mapping[str, str | int]]] = []
        self.down = False
        self.time = NOW
        self.health = Health(lambda: self.connections, self.note, lambda: self.time)

    async def note(self, event: ControlEvent, /, **details: str | int) -> None:
        if self.down:
            raise StoreUnavailable("the disk is full")
        self.events.append((event, details))

    async def test(self, connection: str) -> ProbeResult:
        self.asked.append(connection)
        if connection in self.hanging:
            await self.hanging[connection].wait()
        return self.results.get(connection, WELL)

    async def look(self) -> None:
        self.time += timedelta(minutes=5)
        await self.health.look(self)


@pytest.mark.parametrize(
    ("problem", "state"),
    [
        ("", State.AVAILABLE),
        ("no-tools", State.NO_TOOLS),
        ("tools-wait", State.NO_TOOLS),
        ("unreachable", State.UNAVAILABLE),
        ("upstream-timeout", State.UNAVAILABLE),
        ("credential-unavailable", State.UNAVAILABLE),
        ("key-refused", State.UNAVAILABLE),
        ("user-required", State.UNKNOWN),
        ("rate-limited", State.UNKNOWN),
        ("source-ip-denied", State.UNKNOWN),
    ],
)
def test_a_probe_that_our_own_policies_refuse_says_nothing_of_the_server(problem: str, state: State) -> None:
    found = judged(unwell(problem) if problem else WELL)
    assert (found.state, found.problem) == (state, problem)


async def test_before_it_is_asked_nothing_is_known_of_a_server() -> None:
    house = House("city")
    assert house.health.of("city").state is State.UNKNOWN
    assert house.health.available() == {}
    await house.look()
    assert house.health.of("city").state is State.AVAILABLE
    assert (house.health.available(), house.events) == ({"city": True}, [])
    assert house.asked == ["city"]  # a local server is started by calls


async def test_a_server_that_goes_and_comes_back_is_written_down_once_each() -> None:
    house = House("city", "town")
    house.results["city"] = unwell("unreachable")
    with capture_logs() as logs:
        await house.look()
        await house.look()
        assert house.health.available() == {"city": False, "town": True}
        assert house.health.of("city").since == NOW + timedelta(minutes=5)
        house.results["city"] = WELL
        await house.look()
        await house.look()
    said = {"connection": "city", "problem": "unreachable", "why": "It is unreachable."}
    assert house.events == [
        (ControlEvent.CONNECTION_UNAVAILABLE, said),
        (ControlEvent.CONNECTION_AVAILABLE, {"connection": "city"}),
    ]
    assert [one["event"] for one in logs] == ["connection-unavailable", "connection-available"]
    assert house.health.of("city").since == NOW + timedelta(minutes=15)


async def test_a_change_that_cannot_be_written_down_is_not_shown_and_tried_again() -> None:
    house = House("city")
    await house.look()
    house.results["city"], house.down = unwell("unreachable"), True
    with capture_logs() as logs:
        await house.look()
    assert [one["event"] for one in logs] == ["connection-change-not-recorded"]
    assert house.health.of("city").state is State.AVAILABLE
    house.down = False
    await house.look()
    assert house.health.of("city").state is State.UNAVAILABLE
    assert [event for event, _ in house.events] == [ControlEvent.CONNECTION_UNAVAILABLE]


async def test_a_server_without_tools_is_a_warning_and_no_failure() -> None:
    house = House("city")
    house.results["city"] = unwell("no-tools")
    with capture_logs() as logs:
        await house.look()
        await house.look()
    assert [one["event"] for one in logs] == ["connection-without-tools"]
    assert (house.health.available(), house.events) == ({"city": True}, [])


async def test_a_server_for_people_is_asked_once_until_its_entry_changes() -> None:
    house = House("mail")
    house.results["mail"] = unwell("user-required")
    await house.look()
    await house.look()
    assert house.asked == ["mail"]
    assert house.health.available() == {}
    house.connections["mail"] = replace(house.connections["mail"], timeout=5.0)
    await house.look()
    assert house.asked == ["mail", "mail"]


async def test_what_was_found_of_another_entry_is_not_told_of_this_one() -> None:
    house = House("city", "gone")
    house.results = {name: unwell("unreachable") for name in ("city", "gone")}
    await house.look()
    house.connections["city"] = replace(house.connections["city"], timeout=5.0)
    del house.connections["gone"]
    assert house.health.of("city").state is State.UNKNOWN
    await house.look()
    assert house.health.of("city").state is State.UNAVAILABLE
    assert len(house.events) == 2  # it never came back
    house.connections["gone"] = remote("gone")
    await house.look()
    assert [details["connection"] for _, details in house.events].count("gone") == 2


async def test_a_server_that_hangs_keeps_no_other_waiting() -> None:
    house = House("sick", *(f"well-{number}" for number in range(3 * TOGETHER)))
    house.hanging["sick"] = asyncio.Event()
    looking = asyncio.create_task(house.look())
    async with asyncio.timeout(10):
        while len(house.health.available()) < 3 * TOGETHER:
            await asyncio.sleep(0)
    assert not looking.done()
    house.hanging["sick"].set()
    await looking


async def test_servers_are_asked_after_every_pause_until_the_gateway_ends() -> None:
    house, pauses, paused = House("city"), asyncio.Semaphore(0), asyncio.Event()

    async def pause() -> None:
        paused.set()
        await pauses.acquire()

    async with asking(house.health, house, pause):
        await paused.wait()
        assert house.asked == []
        for _ in range(2):
            paused.clear()
            pauses.release()
            await paused.wait()
        assert house.asked == ["city", "city"]
    async with asking(house.health, house, None):
        pass


async def test_a_defect_ends_the_asking_and_is_logged() -> None:
    house = House("city")

    async def broken() -> None:
        raise ZeroDivisionError

    with capture_logs() as logs:
        async with asking(house.health, house, broken):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    assert [one["event"] for one in logs] == ["health-no-longer-asked"]


async def test_a_pause_is_as_long_as_the_settings_say() -> None:
    assert every(None) is None
    pause = every(0.0)
    assert pause is not None
    await pause()
