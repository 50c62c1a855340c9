"""`mcpgov keys`: a key is shown once, lists never show it, and a revoked one stays revoked."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.cli.keys import build_keys, expiry
from mcpgov.identity.api_key import ID_LENGTH, PREFIX, KeyRecord, digest, key_id_of

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
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the store, in the current folder; there is a settings file beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mcpgov.yaml").touch()
    store = tmp_path / "mcpgov.db"
    store.touch()
    return store


@pytest.fixture
def app(keys: MemoryKeys, store: Path) -> typer.Typer:
    @asynccontextmanager
    async def open_keys(_config: Path | None) -> AsyncGenerator[MemoryKeys]:
        yield keys

    return build_keys(open_keys, lambda _config: store)


def tried(app: typer.Typer, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)


def run(app: typer.Typer, *arguments: str) -> str:
    result = tried(app, *arguments)
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


@pytest.mark.parametrize("before", ["", "Bearer "])
def test_a_key_that_leaked_is_revoked_and_not_repeated(app: typer.Typer, keys: MemoryKeys, before: str) -> None:
    key = run(app, "create", "ci-agent").strip()
    (record,) = keys.records.values()
    assert run(app, "revoke", before + key) == f"revoked {record.id}\n"
    assert keys.records[record.id].revoked_at is not None
    again = tried(app, "revoke", before + key)
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr.startswith(f"There is no key {record.id} in force.")


@pytest.mark.parametrize("before", [PREFIX, ""])
def test_no_more_than_an_id_is_repeated_of_a_key_that_is_not_known(app: typer.Typer, before: str) -> None:
    key = run(app, "create", "ci-agent").strip().removeprefix(PREFIX)
    unknown = "00000000" + key[ID_LENGTH:]
    result = tried(app, "revoke", before + unknown)
    assert result.exit_code == 1
    assert "00000000" in result.stderr
    assert key[ID_LENGTH:][:4] not in result.output


@pytest.mark.parametrize(("key", "shown"), [("nothing", "nothing"), ("\x1b[2J", "\\x1b[2J"), ("\udcff", "?")])
def test_revoking_what_is_not_in_force_fails_and_says_where_to_look(app: typer.Typer, key: str, shown: str) -> None:
    result = tried(app, "revoke", key)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"There is no key {shown} in force. See `mcpgov keys list`.\n"


@pytest.mark.parametrize("text", ["\x1b[2J", "evil\u202e", "a\nb", "\udcff", "x" * 129])
def test_a_name_or_project_that_cannot_be_read_is_refused(app: typer.Typer, keys: MemoryKeys, text: str) -> None:
    for arguments, parameter in (([text], "NAME"), (["ci", "--project", text], "--project")):
        result = tried(app, "create", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert parameter in result.stderr
        assert "to 128 printable characters" in result.stderr
    assert keys.records == {}


def test_a_name_is_not_empty_and_may_be_long_and_in_any_script(app: typer.Typer, keys: MemoryKeys) -> None:
    assert tried(app, "create", "").exit_code == 2
    run(app, "create", "x" * 128, "--project", "")
    run(app, "create", "Zürich 東京")
    assert [record.name for record in keys.records.values()] == ["x" * 128, "Zürich 東京"]


def test_names_in_the_list_cannot_do_anything_to_a_terminal(app: typer.Typer, keys: MemoryKeys) -> None:
    keys.records["k1"] = KeyRecord("k1", "0", "evil\x1b[2J\u202e", "[red]:smile:", NOW)
    for shown in (run(app, "list"), run(app, "list", "--json")):
        assert not {"\x1b", "\u202e"} & set(shown)
    assert "evil\\x1b[2J\\u202e" in run(app, "list")
    assert "[red]:smile:" in run(app, "list")


@pytest.mark.parametrize("verb", [["list"], ["list", "--json"], ["revoke", "k1"]])
def test_a_store_that_is_not_there_is_not_looked_into(app: typer.Typer, store: Path, verb: list[str]) -> None:
    store.unlink()
    result = tried(app, *verb)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"There is no store at {store} yet: mcpgov keys create or mcpgov serve makes it.\n"


def test_a_key_made_without_a_settings_file_says_where_it_is(app: typer.Typer, store: Path) -> None:
    assert str(store) not in tried(app, "create", "ci").stderr
    store.with_name("mcpgov.yaml").unlink()
    assert str(store) not in tried(app, "create", "ci", "--config", "other.yaml").stderr
    for form in ([], ["--json"]):
        result = tried(app, "create", "ci", *form)
        assert result.exit_code == 0
        assert f"There is no mcpgov.yaml here; the key is in {store}.\n" in result.stderr


@pytest.mark.parametrize("text", ["90", "d", "0d", "-1d", "1y", "1 d"])
def test_a_duration_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="30m, 12h or 90d"):
        expiry(text, NOW)


def test_a_key_without_a_duration_has_no_end() -> None:
    assert expiry("", NOW) is None
    assert expiry("30m", NOW) == NOW + timedelta(minutes=30)
