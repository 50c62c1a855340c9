"""A change of keys stands in the ledger before it holds."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcpgov.audit.record import ControlRecord, Row
from mcpgov.credential.vault import SealedTokens
from mcpgov.errors import StoreUnavailable
from mcpgov.identity.api_key import KeyRecord
from mcpgov.models import CallerScope
from mcpgov.store.database import create_database
from mcpgov.store.memory_ledger import MemoryLedgerStore
from mcpgov.store.memory_vault import MemoryTokenVault
from mcpgov.store.recorded_keys import RecordedKeys
from mcpgov.store.sqlite_keys import SqliteKeyStore

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
RECORD = KeyRecord("k1", "0" * 64, "ci-agent", "payments", NOW)


class Full(MemoryLedgerStore):
    """A ledger that takes nothing."""

    def append(self, rows: Sequence[Row]) -> None:
        raise StoreUnavailable(f"no room for {len(rows)}")


def writes(ledger: MemoryLedgerStore) -> Callable[[ControlRecord], Awaitable[None]]:
    """Write down in this ledger."""

    async def write(record: ControlRecord) -> None:
        ledger.append([record.row()])

    return write


def noted(ledger: MemoryLedgerStore) -> list[str | None]:
    return [row.reason for _, _, row in ledger.disk.rows]


def kept(folder: Path) -> SqliteKeyStore:
    """A store without a key."""
    create_database(folder / "keys.db")
    return SqliteKeyStore(folder / "keys.db")


async def test_making_and_revoking_a_key_is_noted_without_its_digest(tmp_path: Path) -> None:
    ledger = MemoryLedgerStore()
    keys = RecordedKeys(kept(tmp_path), writes(ledger), MemoryTokenVault())
    await keys.create(RECORD)
    assert await keys.revoke("k1", NOW)
    assert noted(ledger) == ["key-created", "key-revoked"]
    assert RECORD.digest not in str(ledger.disk.rows)
    found = await keys.find("k1")
    assert found is not None
    assert found.revoked_at == NOW
    assert [record.id for record in await keys.list()] == ["k1"]


async def test_a_key_leaves_the_consents_behind_that_were_given_with_it(tmp_path: Path) -> None:
    rows = MemoryTokenVault()
    for principal, connection in (("key:k1", "jira"), ("key:k1", "github"), ("key:k2", "mail")):
        await rows.keep(SealedTokens(principal, connection, "client", b"sealed", NOW))
    keys = RecordedKeys(kept(tmp_path), writes(MemoryLedgerStore()), rows)
    assert list(await keys.consents("k1")) == ["github", "jira"]


async def test_rotating_a_key_is_noted_with_both_ids_its_scope_and_the_end(tmp_path: Path) -> None:
    ledger = MemoryLedgerStore()
    keys = RecordedKeys(kept(tmp_path), writes(ledger), MemoryTokenVault())
    scope = CallerScope(("github", "team-*"), ("get_*",))
    for number, ends in enumerate((None, NOW + timedelta(hours=1), NOW + timedelta(days=90))):
        old, new = (replace(RECORD, id=f"{which}{number}", scope=scope) for which in ("old", "new"))
        await keys.create(replace(old, expires_at=ends))
        assert await keys.rotate(old.id, new, NOW + timedelta(hours=24))
        rotated = json.loads(ledger.disk.rows[-1][2].record)
        details = {name: value for name, value in rotated.items() if name.startswith("mcpgov.control.")}
        assert details == {
            "mcpgov.control.event": "key-rotated",
            "mcpgov.control.key": new.id,
            "mcpgov.control.replaces": old.id,
            "mcpgov.control.name": "ci-agent",
            "mcpgov.control.project": "payments",
            "mcpgov.control.connections": "github team-*",
            "mcpgov.control.tools": "get_*",
            "mcpgov.control.until": f"2026-11-{'21T13' if number == 1 else '22T12'}:00:00.000000Z",
        }


async def test_rotating_what_cannot_be_rotated_changes_and_notes_nothing(tmp_path: Path) -> None:
    ledger = MemoryLedgerStore()
    keys = RecordedKeys(kept(tmp_path), writes(ledger), MemoryTokenVault())
    assert not await keys.rotate("k1", RECORD, NOW)
    await keys.create(replace(RECORD, revoked_at=NOW))
    assert not await keys.rotate("k1", replace(RECORD, id="k2"), NOW)
    assert noted(ledger) == ["key-created"]


async def test_a_use_is_kept_and_not_noted(tmp_path: Path) -> None:
    ledger = MemoryLedgerStore()
    keys = RecordedKeys(kept(tmp_path), writes(ledger), MemoryTokenVault())
    await keys.create(RECORD)
    await keys.touch({"k1": NOW})
    assert await keys.find("k1") == replace(RECORD, last_used_at=NOW)
    assert noted(ledger) == ["key-created"]


async def test_revoking_what_is_not_in_force_changes_and_notes_nothing(tmp_path: Path) -> None:
    ledger = MemoryLedgerStore()
    keys = RecordedKeys(kept(tmp_path), writes(ledger), MemoryTokenVault())
    assert not await keys.revoke("k1", NOW)
    assert noted(ledger) == []


async def test_a_key_that_cannot_be_recorded_is_not_made(tmp_path: Path) -> None:
    keys = RecordedKeys(kept(tmp_path), writes(Full()), MemoryTokenVault())
    with pytest.raises(StoreUnavailable):
        await keys.create(RECORD)
    assert await keys.find("k1") is None
