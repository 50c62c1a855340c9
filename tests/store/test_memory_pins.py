"""Pins in memory keep the contract."""

import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.store.memory_pins import MemoryPins
from tests.contract.pins_contract import PinsContract


class TestMemoryPins(PinsContract):
    @pytest.fixture
    def pins(self) -> MemoryPins:
        return MemoryPins()


async def test_it_fails_when_it_is_told_to() -> None:
    pins = MemoryPins()
    pins.close()
    pins.failure = StoreUnavailable("disk full")
    with pytest.raises(StoreUnavailable):
        await pins.changed(0)
