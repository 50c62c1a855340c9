"""`mcpgov backup` and `mcpgov restore` say what is in an archive, what is not, and what is to be done."""

import hashlib
import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mcpgov.app import build_cli
from tests.backup.saved import furnished


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(build_cli(), [str(word) for word in words])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return furnished(tmp_path / "old", 'audit: { store: "sqlite:///mcpgov.db" }\n').place


@pytest.fixture
def archive(tmp_path: Path, config: Path) -> Path:
    assert run("backup", tmp_path / "a.tar", "--with-secrets", "--config", config).exit_code == 0
    return tmp_path / "a.tar"


def test_what_was_saved_is_said_with_its_digest_and_what_is_needed_besides(tmp_path: Path, config: Path) -> None:
    done = run("backup", tmp_path / "a.tar", "--config", config)
    assert done.exit_code == 0
    digest = hashlib.sha256((tmp_path / "a.tar").read_bytes()).hexdigest()
    assert done.stdout.splitlines()[:2] == [f"{tmp_path}/a.tar: 6 files, the store with schema 6", f"sha256 {digest}"]
    for need in ("the file mcpgov.db.key", "the file mcpgov.db.signing-key", "${file:secrets/city}"):
        assert f"\n  {need}" in done.stdout
    assert stat.S_IMODE((tmp_path / "a.tar").stat().st_mode) == 0o600


def test_help_warns_of_an_archive_with_secrets() -> None:
    shown = " ".join(run("backup", "--help").stdout.replace("│", " ").split())
    assert "WARNING" in shown
    assert "Examples" in shown


def test_a_restored_folder_is_verified_and_knows_its_keys(tmp_path: Path, archive: Path) -> None:
    done = run("restore", archive, "--into", tmp_path / "new")
    assert done.exit_code == 0
    assert f"mcpgov audit verify --config {tmp_path}/new/mcpgov.yaml" in done.stdout
    assert (tmp_path / "new" / "secrets" / "city").read_text() == "hunter2"
    assert run("keys", "list", "--config", tmp_path / "new" / "mcpgov.yaml").exit_code == 0


def test_a_store_is_restored_for_settings_that_are_there(tmp_path: Path, archive: Path) -> None:
    place = tmp_path / "conf" / "mcpgov.yaml"
    place.parent.mkdir()
    place.write_text('audit: { store: "sqlite:///ledger.db" }\n')
    shown = json.loads(run("restore", archive, "--config", place, "--json").stdout)
    assert (shown["restored"], shown["store"], shown["copy"]["schema"]) == (str(place), "mcpgov.db", 6)
    assert (place.parent / "ledger.db.signing-key").exists()
    again = run("restore", archive, "--config", place)
    assert (again.exit_code, "is there already" in again.stderr) == (1, True)


@pytest.mark.parametrize("words", [(), ("--into", "a", "--config", "b")])
def test_where_to_has_to_be_said_once(archive: Path, words: tuple[str, ...]) -> None:
    assert run("restore", archive, *words).exit_code == 2


def test_what_lies_outside_of_the_settings_folder_is_told(tmp_path: Path, config: Path) -> None:
    config.write_text(f"audit: {{ store: 'sqlite:///{tmp_path}/ledger.db' }}\n")
    (tmp_path / "old" / "mcpgov.db").rename(tmp_path / "ledger.db")
    shown = json.loads(run("backup", tmp_path / "a.tar", "--config", config, "--json").stdout)
    assert shown["elsewhere"] == {"audit.store": f"{tmp_path}/ledger.db"}
    done = run("restore", tmp_path / "a.tar", "--into", tmp_path / "new")
    assert f"The settings name {tmp_path}/ledger.db as audit.store: change that" in done.stdout
    assert (tmp_path / "new" / "ledger.db").exists()


def test_of_a_postgres_the_files_are_saved_and_the_command_is_told_without_the_password(
    tmp_path: Path, config: Path
) -> None:
    config.write_text('audit: { store: "postgresql://mcp%20gov:hunter2@db.contoso.com/ledger" }\n')
    done = run("backup", tmp_path / "a.tar", "--config", config)
    command = "pg_dump --format=custom --host=db.contoso.com --port=5432 '--username=mcp gov' --file=mcpgov.dump ledger"
    assert f"\n\n    {command}\n" in done.stdout
    assert "hunter2" not in done.stdout
    refused = run("restore", tmp_path / "a.tar", "--config", config)
    assert (refused.exit_code, "pg_restore" in refused.stderr) == (1, True)


def test_a_gateway_that_never_ran_has_no_store_to_save(tmp_path: Path) -> None:
    (tmp_path / "mcpgov.yaml").write_text("{}\n")
    done = run("backup", tmp_path / "a.tar", "--config", tmp_path / "mcpgov.yaml")
    assert (done.exit_code, "There is no store yet" in done.stdout) == (0, True)


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_what_goes_wrong_is_told_and_nothing_is_made(tmp_path: Path, config: Path, verb: str) -> None:
    (tmp_path / "a.tar").write_text("no archive")
    words = ("--config", config) if verb == "backup" else ("--into", tmp_path / "new")
    done = run(verb, tmp_path / "a.tar", *words)
    assert done.exit_code == 1
    assert "a.tar" in done.stderr
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "a.tar").read_text() == "no archive"
