"""A change of keys stands in the ledger before it holds."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mcpgov.audit.record import Row
from mcpgov.errors import StoreUnavailable
from mcpgov.identity.api_key import KeyRecord
from mcpgov.store.memory_ledger import MemoryLedgerStore
from mcpgov.store.recorded_keys import RecordedKeys
from mcpgov.store.sqlite_keys import SqliteKeyStore

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
RECORD = KeyRecord("k1", "0" * 64, "ci-agent", "payments", NOW)


class Full(MemoryLedgerStore):
    """A ledger that takes nothing."""

    def append(self, rows: Sequence[Row]) -> None:
        raise StoreUnavailable(f"no room for {len(rows)}")


def noted(ledger: MemoryLedgerStore) -> list[str | None]:
    return [row.reason for _, _, row in ledger.disk.rows]


async def test_making_and_revoking_a_key_is_noted_without_its_digest(tmp_path: Path) -> None:
    ledger = MemoryLedgerStore()
    keys = RecordedKeys(SqliteKeyStore(tmp_path / "keys.db"), ledger)
    await keys.create(RECORD)
    assert await keys.revoke("k1", NOW)
    assert noted(ledger) == ["key-created", "key-revoked"]
    assert RECORD.digest not in str(ledger.disk.rows)
    found = await keys.find("k1")
    assert found is not None
    assert found.revoked_at == NOW
    assert [record.id for record in await keys.list()] == ["k1"]


async def test_revoking_what_is_not_in_force_changes_and_notes_nothing(tmp_path: Path) -> None:
    ledger = MemoryLedgerStore()
    keys = RecordedKeys(SqliteKeyStore(tmp_path / "keys.db"), ledger)
    assert not await keys.revoke("k1", NOW)
    assert noted(ledger) == []


async def test_a_key_that_cannot_be_recorded_is_not_made(tmp_path: Path) -> None:
    keys = RecordedKeys(SqliteKeyStore(tmp_path / "keys.db"), Full())
    with pytest.raises(StoreUnavailable):
        await keys.create(RECORD)
    assert await keys.find("k1") is None
