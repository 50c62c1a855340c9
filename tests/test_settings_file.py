"""How mcpgov.yaml is found and read; tests/test_settings.py and tests/flows/test_emergencies.py tell what it says."""

from pathlib import Path

import pytest

from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Secret
from mcpgov.settings import Settings
from mcpgov.settings_file import folder_of, load_settings, named_store, read_text, stood_in


def test_without_a_file_the_defaults_are_in_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None) == Settings()


def test_the_store_may_be_a_server_whose_password_is_a_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "s3cret-of-the-database")
    store = "postgresql://mcpgov:${env:DATABASE_PASSWORD}@127.0.0.1/mcpgov"
    (tmp_path / "mcpgov.yaml").write_text(f'audit: {{ store: "{store}" }}\n')
    found = load_settings(tmp_path / "mcpgov.yaml").audit.store
    assert isinstance(found, Secret)
    assert "s3cret-of-the-database" in found.reveal()


def test_what_is_no_file_and_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe")
    for place, told in (
        (tmp_path, "not a file"),
        (tmp_path / "none", "cannot be read"),
        (tmp_path / "binary.yaml", "UTF-8"),
    ):
        with pytest.raises(InvalidConfiguration, match=told):
            read_text(place)


def test_a_variable_that_is_not_set_has_a_stand_in_and_one_that_is_set_does_not() -> None:
    variables = stood_in({"SET": "value", "EMPTY": " "})
    assert variables["SET"] == "value"
    assert variables["EMPTY"] != " "
    assert variables["UNSET"] != variables["UNSET TOO"]


def test_the_folder_of_a_file_is_told_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_of(Path("mcpgov.yaml")) == str(tmp_path)


def test_a_store_is_named_by_a_path_or_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_PASSWORD", "s3cret-of-the-database")
    assert named_store("postgres.db") == named_store("sqlite:///postgres.db") == f"sqlite:///{tmp_path}/postgres.db"
    assert named_store(f"sqlite:///{tmp_path}/a b.db") == named_store(f"{tmp_path}/a b.db")
    server = named_store("postgresql://mcpgov:${env:DATABASE_PASSWORD}@db.example/mcpgov")
    assert isinstance(server, Secret)
    assert server.reveal() == "postgresql://mcpgov:s3cret-of-the-database@db.example/mcpgov"


@pytest.mark.parametrize(
    "url",
    [
        *("postgresql://mcpgov:hunter2@/", "postgresql://u:hunter2@db/mcpgov?options=x", "mysql://u:hunter2@db/x"),
        *("sqlite:///ledger.db?mode=hunter2", "postgresql://u:${env:NOT_SET_HERE}@db/x"),
        "postgresql://u:${secret:https://vault.vault.azure.net/secrets/hunter2}@db/x",
    ],
)
def test_a_url_that_is_no_store_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        named_store(url)
    assert str(refused.value).startswith("the store that was named")
    assert "hunter2" not in str(refused.value)
