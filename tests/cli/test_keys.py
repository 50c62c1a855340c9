"""`mcpgov keys`: a key is shown once, lists never show it, and a revoked one stays revoked."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mcpgov.cli.keys import build_keys, expiry
from mcpgov.identity.api_key import KeyRecord, digest, key_id_of

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class MemoryKeys:
    """A KeyStore that lives as long as the test."""

    def __init__(self) -> None:
        self.records: dict[str, KeyRecord] = {}

    async def find(self, key_id: str) -> KeyRecord | None:
        return self.records.get(key_id)

    async def create(self, record: KeyRecord) -> None:
        self.records[record.id] = record

    async def list(self) -> Sequence[KeyRecord]:
        return list(self.records.values())

    async def revoke(self, key_id: str, at: datetime) -> bool:
        record = self.records.get(key_id)
        if record is None or record.revoked_at is not None:
            return False
        self.records[key_id] = replace(record, revoked_at=at)
        return True


@pytest.fixture
def keys() -> MemoryKeys:
    return MemoryKeys()


@pytest.fixture
def app(keys: MemoryKeys) -> typer.Typer:
    @asynccontextmanager
    async def open_keys(_config: Path | None) -> AsyncGenerator[MemoryKeys]:
        yield keys

    return build_keys(open_keys)


def run(app: typer.Typer, *arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_key_is_printed_once_and_only_its_digest_is_kept(app: typer.Typer, keys: MemoryKeys) -> None:
    key = run(app, "create", "ci-agent", "--project", "payments").strip()
    (record,) = keys.records.values()
    assert record.id == key_id_of(key)
    assert record.digest == digest(key)
    assert key not in repr(record) + run(app, "list") + run(app, "list", "--json")


def test_a_key_as_json_says_when_it_ends(app: typer.Typer, keys: MemoryKeys) -> None:
    made = json.loads(run(app, "create", "alice", "--expires", "90d", "--json"))
    (record,) = keys.records.values()
    assert record.expires_at is not None
    assert record.expires_at == record.created_at + timedelta(days=90)
    assert (made["id"], made["name"], made["expires_at"]) == (record.id, "alice", record.expires_at.isoformat())


def test_the_list_says_which_keys_hold(app: typer.Typer, keys: MemoryKeys) -> None:
    for number, changes in enumerate(({}, {"expires_at": NOW - timedelta(days=1)}, {"revoked_at": NOW})):
        record = KeyRecord(f"id{number}", "0", f"name{number}", "", NOW - timedelta(days=2))
        keys.records[record.id] = replace(record, **changes)
    lines = run(app, "list").splitlines()
    for name, state in (("name0", "in force"), ("name1", "expired"), ("name2", "revoked")):
        assert any(name in line and state in line for line in lines)


def test_a_key_is_revoked_by_its_id_or_as_records_show_it(app: typer.Typer, keys: MemoryKeys) -> None:
    for number in ("one", "two"):
        keys.records[number] = KeyRecord(number, "0", number, "", NOW)
    run(app, "revoke", "one")
    run(app, "revoke", "mcpgov_two…")
    assert all(record.revoked_at for record in keys.records.values())


def test_revoking_what_is_not_in_force_fails_and_says_where_to_look(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["revoke", "nothing"])
    assert result.exit_code == 1
    assert "mcpgov keys list" in result.stderr


@pytest.mark.parametrize("text", ["90", "d", "0d", "-1d", "1y", "1 d"])
def test_a_duration_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="30m, 12h or 90d"):
        expiry(text, NOW)


def test_a_key_without_a_duration_has_no_end() -> None:
    assert expiry("", NOW) is None
    assert expiry("30m", NOW) == NOW + timedelta(minutes=30)
