"""Calls that are taken up together share a look into the store, and no others do."""

import asyncio

import pytest

from mcpgov.errors import StoreUnavailable
from mcpgov.identity.api_key import KeyRecord
from mcpgov.identity.key_lookups import KeyLookups
from tests.identity.test_key_uses import NOW


class Counted:
    """A store that counts how often it is asked. What it holds may be revoked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.record: KeyRecord | None = KeyRecord("a", "digest", "name", "project", NOW)
        self.broken = False

    async def find(self, key_id: str) -> KeyRecord | None:
        self.asked.append(key_id)
        if self.broken:
            raise StoreUnavailable("gone")
        return self.record if key_id == "a" else None


async def test_what_is_asked_in_one_turn_is_read_once_for_each_key() -> None:
    store = Counted()
    lookups = KeyLookups(store)
    found = await asyncio.gather(*(lookups.find(key_id) for key_id in "aabab"))
    assert [record is not None for record in found] == [True, True, False, True, False]
    assert store.asked == ["a", "b"]


async def test_a_key_that_is_revoked_is_seen_so_in_the_next_turn() -> None:
    store = Counted()
    lookups = KeyLookups(store)
    for round_ in range(3):
        assert (await lookups.find("a") is None) == (round_ == 2)
        store.record = None if round_ == 1 else store.record
        await asyncio.sleep(0)
    assert store.asked == ["a", "a", "a"]


async def test_what_could_not_be_read_is_read_again() -> None:
    store = Counted()
    lookups = KeyLookups(store)
    store.broken = True
    with pytest.raises(StoreUnavailable):
        await lookups.find("a")
    store.broken = False
    assert await lookups.find("a") is not None
