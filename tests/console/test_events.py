"""The events page: what happened to the gateway, the newest first, and what is not well now."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from mcpgov.admin.access import Role
from mcpgov.admin.asgi import AdminListener
from mcpgov.audit.exported import ExportState
from mcpgov.audit.record import ControlEvent, ControlRecord, timestamp
from mcpgov.console.asgi import Console
from mcpgov.console.events import not_well
from mcpgov.endpoint.limits import Sites
from tests.admin.house import HOSTILE, LATER, AdminHouse, admin_house, with_keys
from tests.audit.calls import NOW

WAITING = ExportState("siem", "https://siem", "jsonl", 7, 1200, NOW, LATER - timedelta(minutes=5), "<503>")


def happened(count: int) -> list[ControlRecord]:
    made = [ControlRecord(ControlEvent.START, NOW + timedelta(seconds=at), {"number": at}) for at in range(count)]
    return [
        *made,
        ControlRecord(ControlEvent.KEY_CREATED, NOW, {"name": HOSTILE, "principal": HOSTILE, "key": "k" * 99}),
    ]


async def test_events_are_shown_a_page_at_a_time_and_each_once(tmp_path: Path) -> None:
    with admin_house(tmp_path, [one.row() for one in happened(70)]) as made:
        house = await with_keys(made)
        await house.sign_in(Role.VIEWER)
        first = (await house.open("/events")).text
        assert "key-created" in first
        older = re.search(r'href="/console/events\?cursor=([^"]+)"', first)
        assert older
        second = (await house.open("/events", cursor=older[1])).text
        numbers = re.findall(r'title="(\d+)"><span class="quiet">number<', first + second)
        assert numbers == [str(number) for number in reversed(range(70))]
        assert ('rel="next"' in second, 'href="/console/events">Newest<' in second) == (False, True)


async def test_what_an_event_says_is_text_and_never_longer_than_a_line(tmp_path: Path) -> None:
    with admin_house(tmp_path, [one.row() for one in happened(0)]) as made:
        house = await with_keys(made)
        await house.sign_in(Role.VIEWER)
        page = (await house.open("/events")).text
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page
        assert f"> {'k' * 64}\N{HORIZONTAL ELLIPSIS}" in page


async def test_a_cursor_of_nobodys_is_said_above_the_newest(house: AdminHouse) -> None:
    await house.sign_in(Role.VIEWER)
    answered = await house.open("/events", cursor="x")
    assert (answered.status, "was not given out here" in answered.text, ">start<" in answered.text) == (400, True, True)


async def test_where_nothing_happened_that_is_said(tmp_path: Path) -> None:
    with admin_house(tmp_path, []) as made:
        house = await with_keys(made)
        await house.sign_in(Role.VIEWER)
        assert "Nothing happened yet." in (await house.open("/events")).text


def test_what_has_failed_is_said_with_since_when_and_why() -> None:
    well = replace(WAITING, name="well", failing=0)
    assert list(not_well({"/mnt/b.db": LATER - timedelta(hours=2)}, (well, WAITING), LATER)) == [
        "The store /mnt/b.db failed 2 h ago. Records are owed to it until it is back.",
        "The export siem failed 5 min ago; 1,200 records wait for it: <503>",
    ]


async def test_the_page_says_what_is_not_well(house: AdminHouse) -> None:
    parts = replace(house.parts, exports=lambda: (WAITING,), failed_sinks=lambda: {"b.db": NOW})
    house.listener = AdminListener(parts, house.gate, Sites.of("127.0.0.1", ""), Console(parts, house.gate))
    await house.sign_in(Role.VIEWER)
    page = (await house.open("/events")).text
    assert "The export siem failed" in page
    assert "The store b.db failed 10 min ago" in page
    assert (await house.api("/audit/state")).json["failed_sinks"] == {"b.db": timestamp(NOW)}
