"""Pins are read at the start, kept current beside the gateway, and let go of at its end."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mcpgov.app import load
from mcpgov.audit.control_events import ControlEvent
from mcpgov.errors import StoreUnavailable
from mcpgov.pinning.judgement import Pin
from mcpgov.pinning.keeping import keep_current, pinning, told_if_it_fails
from mcpgov.pinning.pin_store import Seen
from mcpgov.pinning.pins import Detail
from mcpgov.settings import Settings
from mcpgov.storage import Storage
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_pins import SqlitePins
from tests.flows.house import house

NOW = datetime(2026, 11, 21, tzinfo=UTC)


async def note(_event: ControlEvent, /, **_details: Detail) -> None:
    """Nothing is written down here."""


def storage(place: Path) -> Storage:
    settings = Settings()
    audit = settings.audit.model_copy(update={"store": f"sqlite:///{place}"})
    return Storage(settings.model_copy(update={"audit": audit}), load)


async def test_what_another_process_keeps_is_known_soon(tmp_path: Path) -> None:
    place = tmp_path / "mcpgov.db"
    create_database(place)
    async with house(tmp_path) as built, pinning(storage(place), note, lambda: NOW) as pins:
        assert built.running is not None
        async with keep_current(pins, built.running.stages, listing=False):
            await SqlitePins(place).keep(Seen("s", NOW, {"t": Pin("s", "t", "sha256:1")}))
            async with asyncio.timeout(20):
                while not await pins.store.changed(0):
                    await asyncio.sleep(0)


async def test_a_store_that_is_not_there_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    async with house(tmp_path) as built, pinning(storage(tmp_path / "none.db"), note, lambda: NOW) as pins:
        assert built.running is not None
        with pytest.raises(StoreUnavailable):
            async with keep_current(pins, built.running.stages, listing=True):
                pass


async def test_a_look_that_ends_by_itself_is_told() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    async def ended() -> None:
        return

    with capture_logs() as logs:
        for work in (broken(), ended()):
            task = asyncio.create_task(work)
            await asyncio.wait({task})
            told_if_it_fails(task)
    assert [entry["event"] for entry in logs] == ["pins-no-longer-read"]
