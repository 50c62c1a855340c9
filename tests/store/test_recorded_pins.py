"""No decision without a record of who took it, and none about what is no longer listed."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from mcpgov.audit.record import ControlRecord
from mcpgov.errors import StoreUnavailable
from mcpgov.pinning.judgement import Pin, approve, reject
from mcpgov.pinning.pin_store import Seen
from mcpgov.store.memory_pins import MemoryPins
from mcpgov.store.recorded_pins import RecordedPins
from tests.audit.calls import NOW

NAME, PLACE = "com.contoso/github", "https://github.contoso.com:443"
NEW = Pin(f"{NAME} {PLACE}", "new", "sha256:1")


class Book:
    """A ledger; `meanwhile` happens after each record."""

    def __init__(self, pins: MemoryPins) -> None:
        self.pins = pins
        self.records: list[ControlRecord] = []
        self.fails = False
        self.meanwhile: Seen | None = None

    async def write(self, record: ControlRecord) -> None:
        if self.fails:
            raise StoreUnavailable("disk full")
        self.records.append(record)
        if self.meanwhile:
            await self.pins.keep(self.meanwhile)

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[Callable[[ControlRecord], Awaitable[None]]]:
        yield self.write


def seen(*pins: Pin) -> Seen:
    return Seen(NEW.server, NOW, {pin.tool: pin for pin in pins}, {pin.digest: "{}" for pin in pins})


@pytest.fixture
async def book() -> Book:
    pins = MemoryPins()
    await pins.keep(seen(NEW))
    await pins.keep(Seen("other", NOW, {"theirs": Pin("other", "theirs"), "": Pin("other", "")}))
    return Book(pins)


async def test_a_decision_is_recorded_with_who_and_what(book: Book) -> None:
    pins = RecordedPins(book.pins, book.writing)
    assert await pins.approve([approve(NEW, "sha256:1")], NOW, "local:dana") == []
    assert await pins.reject([reject(NEW, "sha256:1")], NOW, "local:eve") == []
    details = {
        "server": "com.contoso/github",
        "place": "https://github.contoso.com:443",
        "tool": "new",
        "digest": "sha256:1",
    }
    assert [(record.event, record.details) for record in book.records] == [
        ("tool-approved", details | {"principal": "local:dana"}),
        ("tool-rejected", details | {"principal": "local:eve"}),
    ]
    (kept,) = await pins.pins(NEW.server)
    assert (kept.pin.approved, kept.pin.rejected, kept.decided_by) == ("", "sha256:1", "local:eve")
    assert await pins.definitions(NEW.server, ["sha256:1"]) == {"sha256:1": "{}"}
    assert await pins.others(NAME) == {"theirs"}
    await book.pins.keep(Seen(f"{NAME} https://else.example:443", NOW, {"ours": replace(NEW, tool="ours")}))
    assert await pins.others(NAME) == {"theirs"}


async def test_what_cannot_be_recorded_is_not_done(book: Book) -> None:
    book.fails = True
    with pytest.raises(StoreUnavailable):
        await RecordedPins(book.pins, book.writing).approve([approve(NEW, "sha256:1")], NOW, "local:dana")
    assert [kept.pin for kept in await book.pins.pins(NEW.server)] == [NEW]


async def test_what_is_no_longer_listed_is_left_alone(book: Book) -> None:
    await book.pins.keep(seen(replace(NEW, digest="sha256:2")))
    pins = RecordedPins(book.pins, book.writing)
    assert await pins.approve([approve(NEW, "sha256:1")], NOW, "local:dana") == [approve(NEW, "sha256:1")]
    assert book.records == []


async def test_what_changes_while_it_is_recorded_is_left_alone_too(book: Book) -> None:
    book.meanwhile = seen(replace(NEW, digest="sha256:2"))
    pins = RecordedPins(book.pins, book.writing)
    assert await pins.approve([approve(NEW, "sha256:1")], NOW, "local:dana") == [approve(NEW, "sha256:1")]
    assert [kept.pin.approved for kept in await book.pins.pins(NEW.server)] == [""]
