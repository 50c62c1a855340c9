"""What all PinStores keep. A store's tests derive from PinsContract and define the fixture `pins`."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from mcpgov.pinning.judgement import Pin
from mcpgov.pinning.pin_store import KeptPin, KnownServer, PinStore, Seen
from tests.audit.calls import NOW

SERVER: Final = "com.contoso/github"
ECHO: Final = Pin(SERVER, "echo", "sha256:1", "sha256:1")
NEW: Final = Pin(SERVER, "new", "sha256:2")
LATER: Final = NOW + timedelta(hours=1)


def seen(*pins: Pin, to_end: bool = True) -> Seen:
    texts = {pin.digest: f'{{"name":"{pin.tool}"}}' for pin in pins if pin.digest}
    return Seen(SERVER, NOW, {pin.tool: pin for pin in pins}, texts, to_end)


class PinsContract:
    """The contract."""

    async def test_what_was_seen_is_kept_with_its_definitions(self, pins: PinStore) -> None:
        await pins.keep(seen(ECHO, NEW))
        assert await pins.pins(SERVER) == [KeptPin(ECHO, NOW), KeptPin(NEW, NOW)]
        assert await pins.pins("com.contoso/other") == []
        assert await pins.definitions(SERVER, ["sha256:2", "sha256:none"]) == {"sha256:2": '{"name":"new"}'}
        assert await pins.definitions("com.contoso/other", ["sha256:2"]) == {}

    async def test_only_what_has_changed_is_told_once_more(self, pins: PinStore) -> None:
        assert await pins.changed(0) == []
        await pins.keep(seen(ECHO))
        await pins.keep(replace(seen(), server="com.contoso/empty"))
        first, empty = await pins.changed(0)
        assert (first.name, first.listed, first.pins) == (SERVER, True, {"echo": ECHO})
        assert (empty.name, empty.listed, empty.pins) == ("com.contoso/empty", True, {})
        assert await pins.changed(empty.revision) == []
        await pins.keep(seen(NEW))
        (changed,) = await pins.changed(empty.revision)
        assert changed.pins == {"echo": ECHO, "new": NEW}
        assert first.revision < empty.revision < changed.revision

    async def test_a_list_that_was_seen_to_its_end_stays_so(self, pins: PinStore) -> None:
        await pins.keep(seen(ECHO, to_end=False))
        assert [server.listed for server in await pins.changed(0)] == [False]
        await pins.keep(seen(to_end=True))
        await pins.keep(seen(NEW, to_end=False))
        assert [server.listed for server in await pins.changed(0)] == [True]

    async def test_when_the_first_list_was_seen_and_how_much_is_kept_is_known(self, pins: PinStore) -> None:
        await pins.keep(seen(to_end=False))
        await pins.keep(replace(seen(NEW), at=LATER, definitions={"sha256:2": "äöü"}))
        assert [(server.since, server.kept) for server in await pins.changed(0)] == [(NOW, 3)]
        await pins.keep(replace(seen(replace(NEW, digest="sha256:3")), definitions={"sha256:3": "1234"}))
        assert [server.kept for server in await pins.changed(0)] == [4]
        await pins.decide(replace(NEW, digest="sha256:3", approved="sha256:3"), LATER, "local:dana")
        assert [(server.since, server.kept) for server in await pins.changed(0)] == [(NOW, 4)]

    async def test_an_older_store_tells_all_that_it_has(self, pins: PinStore) -> None:
        assert await pins.changed(9) == []
        await pins.keep(seen(ECHO))
        (only,) = await pins.changed(0)
        assert await pins.changed(only.revision + 1) == [only]
        assert await pins.changed(only.revision) == []

    async def test_what_is_seen_never_approves_what_is_known(self, pins: PinStore) -> None:
        await pins.keep(seen(NEW))
        await pins.keep(seen(replace(NEW, digest="sha256:3", approved="sha256:3", rejected="sha256:2")))
        assert [kept.pin for kept in await pins.pins(SERVER)] == [replace(NEW, digest="sha256:3")]

    async def test_a_decision_is_kept_with_who_took_it(self, pins: PinStore) -> None:
        await pins.keep(seen(NEW))
        before = (await pins.changed(0))[-1].revision
        approved = replace(NEW, approved="sha256:2")
        assert await pins.decide(approved, LATER, "local:dana")
        assert await pins.pins(SERVER) == [KeptPin(approved, NOW, LATER, "local:dana")]
        assert [server.pins for server in await pins.changed(before)] == [{"new": approved}]
        await pins.keep(seen(replace(NEW, digest="sha256:3")))
        assert [kept.pin for kept in await pins.pins(SERVER)] == [replace(approved, digest="sha256:3")]

    async def test_nothing_is_decided_about_what_is_no_longer_listed(self, pins: PinStore) -> None:
        await pins.keep(seen(replace(NEW, digest="sha256:3")))
        before = await pins.changed(0)
        assert not await pins.decide(replace(NEW, approved="sha256:2"), LATER, "local:dana")
        assert not await pins.decide(replace(NEW, tool="gone", approved="sha256:2"), LATER, "local:dana")
        assert await pins.changed(0) == before

    async def test_a_definition_is_kept_while_a_pin_names_it(self, pins: PinStore) -> None:
        await pins.keep(seen(NEW))
        await pins.decide(replace(NEW, approved="sha256:2"), LATER, "local:dana")
        await pins.keep(seen(replace(NEW, digest="sha256:3")))
        await pins.keep(seen(replace(NEW, digest="sha256:4")))
        every = [f"sha256:{number}" for number in range(9)]
        assert set(await pins.definitions(SERVER, every)) == {"sha256:2", "sha256:4"}

    async def test_a_tool_that_cannot_be_pinned_is_kept_with_its_fault(self, pins: PinStore) -> None:
        unfit = Pin(SERVER, "", fault="a tool has a name")
        await pins.keep(seen(unfit))
        assert [kept.pin for kept in await pins.pins(SERVER)] == [unfit]
        assert KnownServer(SERVER).after(seen(unfit)).pins == {"": unfit}
