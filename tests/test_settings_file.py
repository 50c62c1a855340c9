"""How mcpgov.yaml is found and read; tests/test_settings.py and tests/flows/test_emergencies.py tell what it says."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from mcpgov.errors import InvalidConfiguration
from mcpgov.identity_settings import Azure
from mcpgov.models import Secret
from mcpgov.settings import Settings, parse_settings
from mcpgov.settings_file import (
    Vaults,
    folder_of,
    load_settings,
    lookup_for,
    named_store,
    no_vaults,
    read_text,
    stand_ins,
    stood_in,
)

KEY = base64.b64encode(bytes(range(100, 140))).decode()


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


GUID = "00000000-1111-2222-3333-444444444444"
VAULT = "https://contoso.vault.azure.net/secrets"
IN_VAULT = f"""
azure: {{ tenant_id: {GUID} }}
secrets: {{ key: "${{secret:{VAULT}/key}}" }}
counters: "${{secret:{VAULT}/redis}}"
named_values: {{ pat: "${{secret:{VAULT}/pat}}" }}
"""


def test_secrets_come_from_the_key_vault_that_azure_says_how_to_ask() -> None:
    known = {f"{VAULT}/key": KEY, f"{VAULT}/redis": "redis://cache", f"{VAULT}/pat": "s3cret"}
    asked: list[str] = []

    def vaults(azure: Azure) -> Callable[[str], str]:
        asked.append(azure.tenant_id)
        return known.__getitem__

    settings = parse_settings(IN_VAULT, "x", lookup_for(IN_VAULT, Path("x"), {}, vaults))
    assert asked == [GUID]
    assert settings.secrets.key == Secret(KEY)
    assert settings.counters.url == Secret("redis://cache")
    assert settings.named_values == {"pat": Secret("s3cret")}


def test_verbs_that_need_no_secret_fetch_none(tmp_path: Path) -> None:
    place = tmp_path / "mcpgov.yaml"
    place.write_text(IN_VAULT)
    text = read_text(place)
    assert parse_settings(text, str(place), lookup_for(text, place, {}, stand_ins)).secrets.material


def refusals(text: str, vaults: Vaults = stand_ins) -> list[str]:
    with pytest.raises(InvalidConfiguration) as caught:
        parse_settings(text, "x", lookup_for(text, Path("x"), {}, vaults))
    return [f"{problem.line}:{problem.column} {problem.message}" for problem in caught.value.problems]


def test_without_azure_there_is_nobody_to_ask_a_key_vault_as() -> None:
    text = f"secrets: {{ key: '${{secret:{VAULT}/key}}' }}"
    assert refusals(text) == ["1:17 key comes from a Key Vault, and nothing says who mcpgov is there"]


def test_who_was_given_no_way_to_ask_refuses_and_never_serves_with_a_stand_in() -> None:
    assert [line.rpartition(", ")[2] for line in refusals(IN_VAULT, no_vaults)] == [
        "and no Key Vault is asked here"
    ] * 3


def test_nothing_is_fetched_where_azure_is_wrong() -> None:
    assert refusals(IN_VAULT.replace(GUID, "common")) == ["2:21 tenant_id is not an id of Entra"]
    assert refusals("[]") == ["1:1 must be a mapping"]


def test_what_asks_a_key_vault_does_not_come_from_one() -> None:
    text = f"azure: {{ tenant_id: {GUID}, app: {{ client_id: {GUID}, client_secret: '${{secret:{VAULT}/x}}' }} }}"
    (found,) = refusals(text)
    assert "client_secret is what Key Vault is asked with, and cannot come from there" in found
