"""`mcpgov keys`: a key is shown once, lists never show it, and a revoked one stays revoked."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.cli.keys import build_keys, duration
from mcpgov.identity.api_key import ID_LENGTH, PREFIX, KeyRecord, digest, key_id_of
from mcpgov.models import CallerScope
from tests.cli.folder import ENTRY, furnish

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class MemoryKeys:
    """A KeyStore that lives as long as the test."""

    def __init__(self) -> None:
        self.records: dict[str, KeyRecord] = {}
        self.consented: dict[str, list[str]] = {}

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

    async def rotate(self, key_id: str, new: KeyRecord, until: datetime) -> bool:
        record = self.records[key_id]
        if not record.can_be_rotated(new.created_at):
            return False
        self.records |= {key_id: replace(record, expires_at=until, replaced_by=new.id), new.id: new}
        return True

    async def consents(self, key_id: str) -> Sequence[str]:
        return self.consented.get(key_id, [])

    async def touch(self, uses: Mapping[str, datetime]) -> None:
        self.records |= {key_id: replace(self.records[key_id], last_used_at=at) for key_id, at in uses.items()}


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
def admin_keys() -> MemoryKeys:
    return MemoryKeys()


@pytest.fixture
def app(keys: MemoryKeys, admin_keys: MemoryKeys, store: Path) -> typer.Typer:
    @asynccontextmanager
    async def open_keys(_config: Path | None) -> AsyncGenerator[MemoryKeys]:
        yield keys

    @asynccontextmanager
    async def open_admin_keys(_config: Path | None) -> AsyncGenerator[MemoryKeys]:
        yield admin_keys

    return build_keys(open_keys, lambda _config: store, open_admin_keys)


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


@pytest.mark.parametrize("written", ["k1234567", "mcpgov_admin_k1234567…", "Bearer mcpgov_admin_k1234567abcdefgh"])
def test_an_admin_key_is_revoked_by_the_same_verb(app: typer.Typer, admin_keys: MemoryKeys, written: str) -> None:
    admin_keys.records["k1234567"] = KeyRecord("k1234567", "0", "alice", "", NOW)
    assert run(app, "revoke", written) == "revoked k1234567\n"
    assert admin_keys.records["k1234567"].revoked_at is not None


@pytest.mark.parametrize("before", ["", "Bearer "])
def test_a_key_that_leaked_is_revoked_and_not_repeated(app: typer.Typer, keys: MemoryKeys, before: str) -> None:
    key = run(app, "create", "ci-agent").strip()
    (record,) = keys.records.values()
    assert run(app, "revoke", before + key) == f"revoked {record.id}\n"
    assert keys.records[record.id].revoked_at is not None
    again = tried(app, "revoke", before + key)
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr.startswith(f"There is no key {record.id} in force.")


def test_revoking_a_key_says_which_consents_were_given_with_it_and_how_they_end(
    app: typer.Typer, keys: MemoryKeys
) -> None:
    run(app, "create", "ci")
    (key_id,) = keys.records
    keys.consented[key_id] = ["github", "jira"]
    told = tried(app, "revoke", key_id).stderr
    for connection in ("github", "jira"):
        assert f"mcpgov connections revoke {connection} --principal key:{key_id}" in told


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
    assert result.stderr == f"There is no key {shown} in force. See `mcpgov keys list` and `mcpgov keys admins`.\n"


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


@pytest.mark.parametrize("verb", [["list"], ["list", "--json"], ["revoke", "k1"], ["rotate", "k1"]])
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


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1y", "1 d"])
def test_a_duration_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="30m, 12h or 90d"):
        duration(text, "--expires")
    assert duration("30m", "--expires") == timedelta(minutes=30)


def test_a_key_without_a_duration_has_no_end(app: typer.Typer, keys: MemoryKeys) -> None:
    run(app, "create", "ci")
    assert [record.expires_at for record in keys.records.values()] == [None]


def test_a_key_may_be_for_some_connections_and_tools(app: typer.Typer, keys: MemoryKeys) -> None:
    scope = ["--connection", "github", "--connection", "team-*", "--connection", "github", "--tool", "get_*"]
    made = json.loads(run(app, "create", "ci", *scope, "--json"))
    run(app, "create", "all")
    assert (made["connections"], made["tools"]) == (["github", "team-*"], ["get_*"])
    assert [record.scope for record in keys.records.values()] == [
        CallerScope(("github", "team-*"), ("get_*",)),
        CallerScope(),
    ]
    listed = run(app, "list").splitlines()
    assert any("connections github, team-*; tools get_*" in line for line in listed)
    assert any("everything" in line for line in listed)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--connection", "Git Hub"), ("--connection", ""), ("--tool", "a b"), ("--tool", ""), ("--tool", "\x1b[2J")],
)
def test_a_scope_that_nothing_could_match_is_refused(
    app: typer.Typer, keys: MemoryKeys, option: str, value: str
) -> None:
    result = tried(app, "create", "ci", option, value)
    assert (result.exit_code, result.stdout) == (2, "")
    assert option in result.stderr
    assert "can be" in result.stderr
    assert "\x1b[2J" not in result.stderr
    assert keys.records == {}


def words(text: str) -> str:
    """What a box says, on one line."""
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize("option", ["connection", "tool"])
def test_who_lists_names_in_one_option_is_told_to_repeat_it(app: typer.Typer, option: str) -> None:
    result = tried(app, "create", "ci", f"--{option}", "search,github")
    assert f"repeat the option: --{option} search --{option} github" in words(result.stderr)
    assert f"no {option} can be without a name" in words(tried(app, "create", "ci", f"--{option}", "").stderr)


@pytest.mark.parametrize(
    ("pattern", "warning"),
    [
        ("gihub", "No connection is called gihub so far (did you mean github?).\n"),
        ("team-*", "No connection is called team-* so far (known here: github, time).\n"),
        ("github", ""),
        ("t*", ""),
    ],
)
def test_a_scope_with_a_connection_that_there_is_not_is_warned_of(
    app: typer.Typer, store: Path, keys: MemoryKeys, pattern: str, warning: str
) -> None:
    in_need = ENTRY.replace("Bearer of-the-connection", "${env:A_SECRET_THAT_IS_NOT_SET}")
    furnish(store.parent, {"catalog/github.yaml": in_need})
    result = tried(app, "create", "ci", "--connection", pattern)
    assert (result.exit_code, len(keys.records)) == (0, 1)
    assert result.stderr.startswith(warning or "This is the only time")


def test_an_empty_catalog_is_warned_of_and_one_that_cannot_be_read_is_not(app: typer.Typer, store: Path) -> None:
    (store.parent / "catalog").mkdir()
    (store.parent / "mcpgov.yaml").write_text("{}")
    warning = "No connection is called github so far (the catalog is empty)."
    assert warning in tried(app, "create", "ci", "--connection", "github").stderr
    (store.parent / "catalog" / "github.yaml").write_text("nonsense")
    assert "No connection" not in tried(app, "create", "ci", "--connection", "github").stderr


def test_a_scope_is_no_longer_than_a_record_holds(app: typer.Typer) -> None:
    many = [part for number in range(65) for part in ("--tool", f"t{number}")]
    assert tried(app, "create", "ci", *many[2:]).exit_code == 0
    assert "at most 64" in tried(app, "create", "ci", *many).stderr


def test_a_rotated_key_has_a_successor_like_it_and_ends_after_the_overlap(app: typer.Typer, keys: MemoryKeys) -> None:
    run(app, "create", "ci", "--project", "payments", "--tool", "get_*", "--expires", "90d")
    (old,) = keys.records.values()
    result = tried(app, "rotate", f"mcpgov_{old.id}…", "--overlap", "12h")
    assert result.exit_code == 0, result.output
    replaced, new = keys.records.values()
    assert (new.name, new.project, new.scope) == (old.name, old.project, old.scope)
    assert (new.id, new.digest) == (key_id_of(result.stdout.strip()), digest(result.stdout.strip()))
    assert new.expires_at == new.created_at + timedelta(days=90)
    assert replaced == replace(old, replaced_by=new.id, expires_at=new.created_at + timedelta(hours=12))
    assert f"{old.id} holds until {replaced.expires_at:%Y-%m-%d %H:%M} UTC; {new.id} takes its place." in result.stderr
    states = {one["id"]: (one["state"], one["replaced_by"]) for one in json.loads(run(app, "list", "--json"))}
    assert states == {old.id: ("overlapping", new.id), new.id: ("in force", None)}
    assert f"overlapping until {replaced.expires_at:%Y-%m-%d %H:%M}, replaced by {new.id}" in " ".join(
        run(app, "list").split()
    )


def test_a_rotated_key_keeps_its_earlier_end_and_the_new_one_may_have_another(
    app: typer.Typer, keys: MemoryKeys
) -> None:
    run(app, "create", "ci", "--expires", "1h")
    (old,) = keys.records.values()
    run(app, "rotate", old.id, "--expires", "30m", "--json")
    replaced, new = keys.records.values()
    assert replaced.expires_at == old.expires_at
    assert new.expires_at == new.created_at + timedelta(minutes=30)


def test_a_key_without_an_end_is_rotated_to_one_without(app: typer.Typer, keys: MemoryKeys) -> None:
    run(app, "create", "ci")
    (old,) = keys.records
    run(app, "rotate", old)
    assert list(keys.records.values())[1].expires_at is None


def test_rotating_what_is_not_in_force_or_was_rotated_fails_and_repeats_no_key(
    app: typer.Typer, keys: MemoryKeys
) -> None:
    key = run(app, "create", "ci").strip()
    (old,) = keys.records
    run(app, "rotate", old)
    successor = keys.records[old].replaced_by
    told = f"The key {old} was rotated before: rotate {successor}, which takes its place. See `mcpgov keys list`.\n"
    for asked, said in (
        (old, told),
        (key, told),
        ("nothing", "There is no key nothing. See `mcpgov keys list`.\n"),
    ):
        result = tried(app, "rotate", asked)
        assert (result.exit_code, result.stdout, result.stderr) == (1, "", said)
    run(app, "revoke", successor)
    said = f"The key {successor} is revoked: make another with mcpgov keys create. See `mcpgov keys list`.\n"
    assert tried(app, "rotate", successor).stderr == said
    assert len(keys.records) == 2


def test_a_narrow_list_cuts_neither_an_id_nor_a_name(app: typer.Typer, keys: MemoryKeys) -> None:
    record = KeyRecord(
        "N2uI20Ei", "0", "build-server", "payments", NOW, NOW, scope=CallerScope(("github",), ("get_*",))
    )
    long = "a-much-longer-name-than-most-keys-have"
    keys.records = {"1": record, "2": replace(record, id="M2appFwn", name=long)}
    for columns in ("80", "60"):
        shown = CliRunner(env={"COLUMNS": columns}).invoke(app, ["list"]).stdout
        rows = shown.splitlines()
        assert any(row.startswith("N2uI20Ei  build-server") for row in rows)
        assert any(row.startswith("M2appFwn  a-much-lon") for row in rows)
        assert long in "".join(row[10 : 10 + int(columns) // 5].rstrip() for row in rows)
        assert "…" not in shown
        assert max(map(len, rows)) <= int(columns)
        assert "created" not in shown
    assert "created" in run(app, "list")


def test_the_list_says_when_a_key_was_last_used_and_what_replaced_an_old_one(
    app: typer.Typer, keys: MemoryKeys
) -> None:
    past = NOW - timedelta(days=1)
    record = KeyRecord("k1", "0", "ci", "", past, past, last_used_at=past, replaced_by="k2")
    keys.records["k1"] = record
    assert "2026-11-20 12:00" in run(app, "list")
    assert "expired, replaced by k2" in run(app, "list")
    (shown,) = json.loads(run(app, "list", "--json"))
    assert (shown["last_used_at"], shown["state"]) == ("2026-11-20T12:00:00+00:00", "expired")
