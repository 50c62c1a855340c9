"""`mcpgov store migrate` says which schema the stores have, and brings them to this release's."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mcpgov.app import build_cli
from mcpgov.store.database import SCHEMA_VERSION, connect, create_database


@pytest.fixture
def config(tmp_path: Path) -> Path:
    place = tmp_path / "mcpgov.yaml"
    place.write_text('audit: { store: "sqlite:///a.db", sinks: ["sqlite:///b.db"] }\n')
    create_database(tmp_path / "a.db")
    create_database(tmp_path / "b.db")
    return place


def stamp(path: Path, version: int) -> None:
    with closing(connect(path)) as database:
        database.execute("DROP TABLE pinned_servers")
        database.execute("DROP TABLE definitions")
        database.execute("DROP TABLE pins")
        database.execute(f"PRAGMA user_version = {version}")


def migrate(config: Path, *words: str) -> Result:
    return CliRunner().invoke(build_cli(), ["store", "migrate", "--config", str(config), *words])


def test_stores_of_this_release_need_nothing(config: Path) -> None:
    for words in ((), ("--check",)):
        done = migrate(config, *words)
        assert done.exit_code == 0
        assert done.stdout.count("up to date") == 2


def test_a_check_says_what_is_older_changes_nothing_and_exits_with_1(config: Path, tmp_path: Path) -> None:
    stamp(tmp_path / "b.db", 5)
    for _ in range(2):
        asked = migrate(config, "--check", "--json")
        assert asked.exit_code == 1
        first, second = json.loads(asked.stdout)["stores"]
        assert first["state"] == "up to date"
        assert second == {
            "store": str(tmp_path / "b.db"),
            "schema": 5,
            "wanted": SCHEMA_VERSION,
            "state": "older: run mcpgov store migrate",
        }


def test_every_store_is_brought_up_to_date_and_told(config: Path, tmp_path: Path) -> None:
    stamp(tmp_path / "b.db", 5)
    done = migrate(config)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[2].split() == [str(tmp_path / "b.db"), "5", str(SCHEMA_VERSION), "migrated"]
    assert migrate(config, "--check").exit_code == 0


def test_a_store_that_is_not_there_is_left_to_the_gateway(tmp_path: Path) -> None:
    place = tmp_path / "mcpgov.yaml"
    place.write_text("{}")
    done = migrate(place, "--check")
    assert (done.exit_code, "mcpgov serve makes it" in done.stdout) == (0, True)
    assert [path.name for path in tmp_path.iterdir()] == ["mcpgov.yaml"]


def test_a_store_of_a_newer_release_is_refused_with_both_versions_and_the_mend(config: Path, tmp_path: Path) -> None:
    with closing(connect(tmp_path / "a.db")) as database:
        database.execute("PRAGMA user_version = 99")
    refused = migrate(config)
    assert refused.exit_code == 1
    assert f"schema 99, which a newer mcpgov wrote; this one reads {SCHEMA_VERSION}" in refused.stderr
    assert "run the version that wrote it" in refused.stderr


def test_a_store_that_cannot_be_read_is_told(config: Path, tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("no database" * 20)
    refused = migrate(config, "--check")
    assert (refused.exit_code, "not a database" in refused.stderr) == (1, True)
