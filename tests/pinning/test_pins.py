"""The pins in force: what a call asks, what a list leaves behind, and what holds while the store is away."""

import asyncio
import secrets
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from mcpgov.audit.control_events import ControlEvent
from mcpgov.decision import Reason
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.models import Answer, Connection, Event, Headers, Json, MCPRequest, RemoteUpstream
from mcpgov.pinning.definitions import definition_digest
from mcpgov.pinning.judgement import Pin
from mcpgov.pinning.lists import LARGE, Page, PinnedList
from mcpgov.pinning.mode import PinMode
from mcpgov.pinning.pin_store import FIRST_SIGHT, Seen
from mcpgov.pinning.pins import MISSED, NOTED, PAGES, Detail, Pins
from mcpgov.pinning.place import pinned_as, place_in
from mcpgov.store.memory_pins import MemoryPins
from tests.audit.calls import CITY, NOW, head
from tests.audit.calls import request as made_up

FIRST_USE = CITY
WHERE = pinned_as(CITY)
REQUIRE = replace(CITY, pin=PinMode.REQUIRE)
OFF = replace(CITY, pin=PinMode.OFF)
ECHO: dict[str, Json] = {"name": "echo", "inputSchema": {"type": "object"}}
CHANGED: dict[str, Json] = {**ECHO, "description": "Do as I say."}
OTHER: dict[str, Json] = {"name": "other", "inputSchema": {"type": "object"}}
LAST = Page(FIRST_USE, "c", 100, own=True)


def request(tool: str, method: str) -> MCPRequest:
    return made_up(tool, method, about=head())


class Nothing:
    """An answer without events."""

    def __aiter__(self) -> "Nothing":
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        raise StopAsyncIteration


class Book:
    """A ledger of control events that fails when it is told to."""

    def __init__(self) -> None:
        self.records: list[tuple[str, dict[str, Detail]]] = []
        self.fails = False

    async def note(self, event: ControlEvent, /, **details: Detail) -> None:
        if self.fails:
            raise StoreUnavailable("disk full")
        self.records.append((event, details))


class House:
    """The pins in force over a store in memory, which other processes may share."""

    def __init__(self, store: MemoryPins | None = None) -> None:
        self.store = store or MemoryPins()
        self.book = Book()
        self.now = NOW
        self.pins = Pins(self.store, self.book.note, lambda: self.now)

    async def listed(self, *tools: Json, page: Page = LAST) -> list[int]:
        return list(await self.pins.judge(tools, page))

    def refusal(self, tool: str, connection: Connection = FIRST_USE) -> Reason | None:
        try:
            self.pins.require(request(tool, "tools/call"), connection)
        except Refusal as refusal:
            return refusal.reason
        return None

    async def kept(self) -> list[Pin]:
        return [kept.pin for kept in await self.store.pins(WHERE)]


@pytest.fixture
def house() -> House:
    return House()


async def test_a_call_is_allowed_while_nothing_is_pinned_that_could_have_changed(house: House) -> None:
    assert house.refusal("echo") is None
    assert house.refusal("echo", REQUIRE) is Reason.TOOL_UNAPPROVED
    assert house.refusal("echo", OFF) is None


async def test_what_is_seen_first_is_trusted_and_everything_after_it_waits(house: House) -> None:
    assert await house.listed(ECHO) == [0]
    assert await house.listed(ECHO, OTHER) == [0]
    assert house.refusal("echo") is None
    assert house.refusal("other") is Reason.TOOL_UNAPPROVED
    assert house.refusal("never listed") is Reason.TOOL_UNAPPROVED
    about = {"server": CITY.server, "place": place_in(WHERE), "connection": "city", "correlation_id": "c"}
    digest = definition_digest(OTHER)
    assert house.book.records == [
        ("tools-trusted", {**about, "count": 1, "tools": ["echo"]}),
        ("tool-pending", {**about, "tool": "other", "new": digest, "state": "pending"}),
    ]


async def test_a_change_is_refused_at_once_and_recorded_with_both_digests(house: House) -> None:
    await house.listed(ECHO)
    assert await house.listed(CHANGED) == []
    assert house.refusal("echo") is Reason.TOOL_CHANGED
    event, details = house.book.records[-1]
    old, new = definition_digest(ECHO), definition_digest(CHANGED)
    assert (event, details["old"], details["new"]) == ("tool-definition-changed", old, new)
    assert await house.listed(CHANGED) == []
    assert len(house.book.records) == 2  # the same again is nothing new
    assert set(await house.store.definitions(WHERE, [old, new])) == {old, new}
    assert await house.listed(ECHO) == [0]
    assert house.book.records[-1][1]["state"] == "approved"


async def test_what_is_approved_at_one_place_is_not_approved_where_the_server_is_moved_to(house: House) -> None:
    moved = replace(REQUIRE, upstream=RemoteUpstream("https://elsewhere.example/mcp"))
    await house.listed(ECHO, page=replace(LAST, connection=REQUIRE))
    (pin,) = await house.kept()
    await house.store.decide(replace(pin, approved=pin.digest), NOW, "local:dana")
    await house.pins.refresh()
    assert house.refusal("echo", REQUIRE) is None
    assert house.refusal("echo", moved) is Reason.TOOL_UNAPPROVED
    assert house.pins.unlisted([REQUIRE, moved]) == [moved]
    assert await house.listed(ECHO, page=replace(LAST, connection=moved)) == []
    assert house.refusal("echo", moved) is Reason.TOOL_UNAPPROVED
    event, details = house.book.records[-1]
    told = (event, details["server"], details["place"])
    assert told == ("tool-pending", CITY.server, "https://elsewhere.example:443/mcp")
    assert house.refusal("echo", REQUIRE) is None  # back where it was


async def test_a_list_that_comes_in_pages_is_first_sight_until_its_last_page(house: House) -> None:
    first = replace(LAST, following="2")
    assert await house.listed(ECHO, page=first) == [0]
    assert await house.listed({**ECHO, "name": "later"}, page=replace(LAST, cursor="guessed")) == [0]
    assert house.refusal("unseen") is None
    assert await house.listed(OTHER, page=replace(LAST, cursor="2")) == [0]
    assert house.refusal("unseen") is Reason.TOOL_UNAPPROVED
    assert [server.listed for server in await house.store.changed(0)] == [True]


async def test_a_list_that_was_not_asked_for_ends_no_first_sight(house: House) -> None:
    assert await house.listed(ECHO, page=replace(LAST, own=False)) == [0]
    assert house.refusal("unseen") is None


async def test_so_many_pages_are_followed_and_no_more(house: House) -> None:
    cursors = [None, *(secrets.token_hex(4) for _ in range(PAGES))]
    for cursor, following in pairwise(cursors):
        assert await house.listed({"name": f"t{cursor}"}, page=replace(LAST, cursor=cursor, following=following)) == [0]
    assert [server.listed for server in await house.store.changed(0)] == [True]
    assert await house.listed({"name": "more"}, page=replace(LAST, cursor=cursors[-1], following="x")) == []
    assert house.refusal("unseen") is Reason.TOOL_UNAPPROVED


async def test_a_page_that_leads_to_itself_is_the_last(house: House) -> None:
    await house.listed(ECHO, page=replace(LAST, following="2"))
    assert house.refusal("unseen") is None
    await house.listed(page=replace(LAST, cursor="2", following="2"))
    assert house.refusal("unseen") is Reason.TOOL_UNAPPROVED


@pytest.mark.parametrize("tools", [[], [ECHO]])
async def test_first_sight_ends_an_hour_after_it_began_also_over_a_restart(house: House, tools: list[Json]) -> None:
    endless = replace(LAST, following="2")
    house.now = NOW - FIRST_SIGHT + timedelta(seconds=1)
    await house.listed(*tools, page=endless)
    again = House(house.store)
    await again.pins.start()
    assert await again.listed(OTHER, page=endless) == [0]
    assert (again.refusal("unseen"), again.pins.unlisted([FIRST_USE])) == (None, [FIRST_USE])
    again.now = NOW + timedelta(seconds=1)
    assert await again.listed(CHANGED | {"name": "late"}, page=endless) == []
    assert (again.refusal("unseen"), again.refusal("late")) == (Reason.TOOL_UNAPPROVED, Reason.TOOL_UNAPPROVED)
    assert again.pins.unlisted([FIRST_USE, REQUIRE]) == [REQUIRE]


async def test_of_lists_that_come_at_once_only_one_is_the_first(house: House) -> None:
    lists: list[Json] = [{**ECHO, "description": str(at)} for at in range(8)]
    large = replace(LAST, size=LARGE + 1)
    shown = await asyncio.gather(*(house.listed(tool, page=large) for tool in lists))
    assert sorted(map(len, shown)) == [0] * 7 + [1]
    (first,) = [at for at, places in enumerate(shown) if places]
    assert [pin.approved for pin in await house.kept()] == [definition_digest(lists[first])]


async def test_an_older_store_is_believed_as_it_is(house: House) -> None:
    await house.listed(ECHO, OTHER, page=replace(LAST, connection=REQUIRE))
    older = MemoryPins()
    await older.keep(Seen(WHERE, NOW, {"echo": Pin(WHERE, "echo", "sha256:1", rejected="sha256:1")}))
    for pin in await house.kept():
        await house.store.decide(replace(pin, approved=pin.digest), NOW, "local:dana")
    await house.pins.refresh()
    assert house.refusal("echo", REQUIRE) is None
    house.pins.store = older
    await house.pins.refresh()
    assert house.refusal("echo", REQUIRE) is Reason.TOOL_UNAPPROVED
    assert house.refusal("other", REQUIRE) is Reason.TOOL_UNAPPROVED


async def test_an_empty_list_is_first_sight_too(house: House) -> None:
    assert await house.listed() == []
    assert await house.listed(ECHO) == []
    assert house.book.records[0][0] == "tool-pending"


async def test_a_large_list_is_judged_in_a_thread_to_the_same_effect(house: House) -> None:
    assert await house.listed(ECHO, page=replace(LAST, size=LARGE + 1)) == [0]
    assert await house.kept() == [
        Pin(WHERE, "echo", definition_digest(ECHO), definition_digest(ECHO)),
    ]


async def test_so_many_changes_have_a_record_of_their_own_and_the_rest_are_counted(house: House) -> None:
    tools: list[Json] = [{"name": f"t{number}"} for number in range(NOTED + 2)]
    await house.listed(*tools, page=replace(LAST, connection=REQUIRE))
    events = [event for event, _ in house.book.records]
    assert events == ["tool-pending"] * NOTED + ["tool-definition-changed"]
    assert house.book.records[-1][1]["more"] == 2


async def test_what_another_process_saw_and_a_person_decided_is_in_force_after_a_look(house: House) -> None:
    beside = House(house.store)
    await house.listed(ECHO, page=replace(LAST, connection=REQUIRE))
    assert beside.refusal("echo", REQUIRE) is Reason.TOOL_UNAPPROVED
    (pin,) = await house.kept()
    assert await house.store.decide(replace(pin, approved=pin.digest), NOW + timedelta(hours=1), "local:dana")
    for one in (house, beside):
        await one.pins.refresh()
        assert one.refusal("echo", REQUIRE) is None
    await house.listed(CHANGED, page=replace(LAST, connection=REQUIRE))
    await beside.pins.refresh()
    assert beside.refusal("echo", REQUIRE) is Reason.TOOL_CHANGED


async def test_what_there_is_is_read_at_the_start(house: House) -> None:
    await house.listed(ECHO)
    again = House(house.store)
    await again.pins.start()
    assert again.refusal("other") is Reason.TOOL_UNAPPROVED
    house.store.failure = StoreUnavailable("disk full")
    with pytest.raises(StoreUnavailable):
        await House(house.store).pins.start()


async def test_a_server_that_requires_approval_is_closed_while_the_store_is_away(house: House) -> None:
    await house.listed(ECHO)
    house.store.failure = StoreUnavailable("disk full")
    for _ in range(MISSED):
        assert house.refusal("echo", REQUIRE) is None
        await house.pins.refresh()
    assert house.refusal("echo", REQUIRE) is Reason.PINS_UNAVAILABLE
    with pytest.raises(Refusal, match="pins-unavailable"):
        house.pins.require(request("", "tools/list"), REQUIRE)
    house.pins.require(request("", "prompts/list"), REQUIRE)
    house.pins.require(request("", "tools/list"), FIRST_USE)
    assert house.refusal("echo") is None  # by what was known last
    house.store.failure = None
    await house.pins.refresh()
    assert house.refusal("echo", REQUIRE) is None


@pytest.mark.parametrize("who", ["book", "store"])
async def test_what_cannot_be_written_holds_all_the_same_and_is_written_later(house: House, who: str) -> None:
    await house.listed(ECHO)
    failure = StoreUnavailable("disk full")
    house.store.failure, house.book.fails = (failure, False) if who == "store" else (None, True)
    assert await house.listed(CHANGED) == []
    assert await house.listed(CHANGED, OTHER) == []
    assert house.refusal("echo") is Reason.TOOL_CHANGED
    house.store.failure, house.book.fails = None, False
    await house.pins.refresh()
    assert [pin.digest for pin in await house.kept()] == [definition_digest(CHANGED), definition_digest(OTHER)]
    assert {str(details.get("tool")) for _, details in house.book.records[1:]} == {"echo", "other"}
    assert house.refusal("echo") is Reason.TOOL_CHANGED


async def test_what_is_owed_is_not_forgotten_when_others_have_written_meanwhile(house: House) -> None:
    await house.listed(ECHO)
    house.book.fails = True
    await house.listed(CHANGED)
    await house.store.keep(Seen(WHERE, NOW, {"x": Pin(WHERE, "x", "sha256:1")}))
    await house.pins.start()
    assert house.refusal("echo") is Reason.TOOL_CHANGED
    assert house.refusal("x") is Reason.TOOL_UNAPPROVED


async def test_the_look_that_ends_leaves_nothing_that_is_believed(house: House) -> None:
    await house.listed(ECHO)
    looks = 0

    async def pause() -> None:
        nonlocal looks
        looks += 1
        if looks > 2:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await house.pins.watch(pause)
    assert house.refusal("echo", REQUIRE) is Reason.PINS_UNAVAILABLE


async def test_what_waits_is_counted_by_server_over_all_its_places(house: House) -> None:
    moved = replace(REQUIRE, name="moved", upstream=RemoteUpstream("https://elsewhere.example/mcp"))
    twin, town = replace(REQUIRE, name="twin"), replace(REQUIRE, name="town", server="dev.mcpgov/town")
    every = [REQUIRE, twin, moved, town, OFF]
    assert house.pins.waiting(every) == {}
    for connection in (REQUIRE, moved):
        await house.listed(ECHO, OTHER, page=replace(LAST, connection=connection))
    assert house.pins.waiting(every) == {CITY.server: 4}
    assert house.pins.waiting([REQUIRE]) == {CITY.server: 2}
    assert house.pins.waiting([OFF]) == {}


async def test_servers_of_which_tools_are_pinned_are_to_be_listed_once(house: House) -> None:
    elsewhere = replace(REQUIRE, name="town", server="dev.mcpgov/town")
    assert house.pins.unlisted([FIRST_USE, REQUIRE, OFF, elsewhere]) == [FIRST_USE, REQUIRE, elsewhere]
    await house.listed(page=replace(LAST, connection=REQUIRE))
    assert house.pins.unlisted([FIRST_USE, REQUIRE, OFF, elsewhere]) == [elsewhere]


@pytest.mark.parametrize(
    ("method", "media", "connection", "reads"),
    [
        ("tools/list", "json", FIRST_USE, "lists"),
        ("tools/list", "json", OFF, "nothing"),
        ("tools/call", "json", FIRST_USE, "lists"),
        ("tools/call", "json", OFF, "nothing"),
        ("tools/call", "stream", FIRST_USE, "lists"),
        ("tools/call", "stream", OFF, "nothing"),
    ],
)
async def test_an_answer_is_read_only_where_a_list_can_be(
    house: House, method: str, media: str, connection: Connection, reads: str
) -> None:
    answer = Answer(200, Headers(), media == "stream", Nothing())
    judged = house.pins.judged(answer, request("echo", method), connection)
    assert isinstance(judged.events, PinnedList) is (reads == "lists")
    assert [batch async for batch in judged.events] == []
