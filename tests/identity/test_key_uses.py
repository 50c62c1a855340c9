"""When keys were used reaches the store once a minute, and never in the way of a call."""

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mcpgov.errors import StoreUnavailable
from mcpgov.identity.api_key import ApiKeyAuthenticator, KeyRecord, digest, mint_key
from mcpgov.identity.key_uses import KeyUses, noting_uses
from mcpgov.models import Headers, RequestHead
from mcpgov.store.database import create_database
from mcpgov.store.sqlite_keys import SqliteKeyStore
from tests.identity.test_api_key import MemoryKeys, chooser

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Told(MemoryKeys):
    """A store that keeps what it is told of uses; a broken one fails once."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__(broken=broken)
        self.told: list[dict[str, datetime]] = []
        self.heard = asyncio.Event()

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        self.heard.set()
        if self.broken:
            self.broken = False
            raise StoreUnavailable("locked")
        self.told.append(dict(uses))


async def test_a_key_is_told_of_once_a_minute() -> None:
    store = Told()
    uses = KeyUses(store)
    for seconds in (0, 1, 59):
        uses.note("a", NOW + timedelta(seconds=seconds))
    uses.note("b", NOW)
    await uses.tell()
    await uses.tell()
    uses.note("a", NOW + timedelta(seconds=60))
    await uses.tell()
    assert store.told == [{"a": NOW, "b": NOW}, {"a": NOW + timedelta(seconds=60)}]


async def test_a_use_is_told_while_the_gateway_runs_and_the_last_one_at_its_end() -> None:
    store = Told()
    async with asyncio.timeout(10), noting_uses(store) as uses:
        uses.note("a", NOW)
        await store.heard.wait()
        uses.note("b", NOW)
    assert store.told == [{"a": NOW}, {"b": NOW}]


async def test_a_store_that_fails_costs_one_note_and_ends_nothing() -> None:
    store = Told(broken=True)
    async with asyncio.timeout(10), noting_uses(store) as uses:
        uses.note("a", NOW)
        await store.heard.wait()
        store.heard.clear()
        uses.note("b", NOW)
        await store.heard.wait()
    assert store.told == [{"b": NOW}]


async def test_a_locked_store_neither_delays_nor_fails_a_call(tmp_path: Path) -> None:
    path = tmp_path / "mcpgov.db"
    create_database(path)
    keys = SqliteKeyStore(path)
    key_id, key = mint_key(chooser(1).choice)
    await keys.create(KeyRecord(key_id, digest(key.reveal()), "ci", "", NOW))
    head = RequestHead("POST", "github", Headers((("x-api-key", key.reveal()),)), "", "", NOW, "c1")
    async with noting_uses(keys) as uses:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            authenticator = ApiKeyAuthenticator(keys, ("x-api-key",), lambda: NOW, uses)
            assert (await authenticator.authenticate(head)).id == f"key:{key_id}"
            await uses.tell()  # the lock is held until this has given up
        assert (await authenticator.authenticate(head)).id == f"key:{key_id}"
    found = await keys.find(key_id)
    assert found is not None
    assert found.last_used_at is None
    await keys.touch({key_id: NOW})
    assert (await keys.list())[0].last_used_at == NOW
    keys.close()
