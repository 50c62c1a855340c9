"""Pins in SQLite keep the contract."""

import asyncio
from pathlib import Path

import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_pins import SqlitePins
from tests.contract.pins_contract import ECHO, PinsContract, seen


class TestSqlitePins(PinsContract):
    @pytest.fixture
    def pins(self, tmp_path: Path) -> SqlitePins:
        create_database(tmp_path / "mcpgov.db")
        return SqlitePins(tmp_path / "mcpgov.db")


def test_a_store_that_is_not_there_is_unavailable_and_not_made(tmp_path: Path) -> None:
    pins = SqlitePins(tmp_path / "mcpgov.db")
    with pytest.raises(StoreUnavailable):
        asyncio.run(pins.keep(seen(ECHO)))
    pins.close()
    assert list(tmp_path.iterdir()) == []
