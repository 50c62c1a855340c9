"""A key is revoked and the ledger read also when the gateway could not start: the store is all that these need."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mcpgov import app
from mcpgov.credential.references import EnvironmentAndFiles
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Secret
from mcpgov.settings import Settings, parse_settings
from mcpgov.settings_file import load_settings, stood_in

TENANT = "11111111-2222-3333-4444-555555555555"
VAULT = f"azure: {{ tenant_id: {TENANT} }}\nsecrets: {{ key: '${{secret:https://c.vault.azure.net/secrets/key}}' }}"
WRONG_ELSEWHERE = [
    "secrets: { key: '${env:NOT_SET}' }",
    "secrets: { key: '${file:not-there}' }",
    VAULT,
    "listen: everywhere",
    "listn: 127.0.0.1:80",
]


def typed(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app.build_cli(), arguments)


@pytest.mark.parametrize("elsewhere", WRONG_ELSEWHERE)
def test_a_key_is_revoked_and_that_is_read_while_nothing_could_be_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: str
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "mcpgov.yaml"
    place.write_text("audit: { store: 'sqlite:///data.db' }")
    key = json.loads(typed("keys", "create", "ci", "--json").stdout)["id"]
    place.write_text(f"{elsewhere}\naudit: {{ store: 'sqlite:///data.db' }}")
    assert typed("check").exit_code == 1
    assert typed("keys", "revoke", key).stdout == f"revoked {key}\n"
    assert json.loads(typed("keys", "list", "--json").stdout)[0]["state"] == "revoked"
    assert "key-revoked" in typed("audit", "query", "reason=key-revoked").stdout
    assert "key-revoked" in typed("audit", "tail").stdout


@pytest.mark.parametrize("elsewhere", WRONG_ELSEWHERE)
def test_the_store_is_found_whatever_is_wrong_or_missing_elsewhere(tmp_path: Path, elsewhere: str) -> None:
    place = tmp_path / "mcpgov.yaml"
    place.write_text(f"{elsewhere}\naudit: {{ store: 'sqlite:///data/ledger.db' }}")
    assert load_settings(place).audit.store == f"sqlite:///{tmp_path}/data/ledger.db"


def test_without_a_word_on_the_store_what_may_be_one_misspelt_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "mcpgov.yaml"
    place.write_text("secrets: { key: '${env:NOT_SET}' }\nlisten: everywhere")
    assert load_settings(place).audit.store == f"sqlite:///{tmp_path}/mcpgov.db"
    for text, said in (
        ("audti: { store: 'sqlite:///a.db' }", "did you mean audit"),
        ("audit: { stroe: 'sqlite:///a.db' }", "did you mean store"),
        ("audit:", "must be a mapping"),
        ("[]", "must be a mapping"),
        ("", "the file is empty"),
    ):
        place.write_text(text)
        with pytest.raises(InvalidConfiguration, match=said):
            load_settings(place)


def test_the_default_file_need_not_exist_and_a_named_one_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None) == Settings()
    Path("mcpgov.yaml").write_text("audit: { store: 'sqlite:///a.db' }")
    assert load_settings(None).audit.store == "sqlite:///a.db"
    with pytest.raises(InvalidConfiguration, match=r"absent\.yaml: cannot be read: No such file"):
        load_settings(Path("absent.yaml"))


def test_a_variable_that_is_not_set_has_a_stand_in_for_those_who_need_none() -> None:
    variables = stood_in({"SET": "redis://cache"})
    known = parse_settings("counters: '${env:SET}'", "x", EnvironmentAndFiles(variables))
    assert known.counters.url == Secret("redis://cache")
    text = "counters: '${env:EMPTY}'\nsecrets: { key: '${env:NOT_SET}' }"
    one, other = (parse_settings(text, "x", EnvironmentAndFiles(stood_in({"EMPTY": " "}))) for _ in range(2))
    assert one.secrets.material != other.secrets.material  # nobody can know it beforehand
