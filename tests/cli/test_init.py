"""`mcpgov init` writes a folder that passes `mcpgov check`, and never changes what is there."""

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.cli.init import add_init
from mcpgov.cli.schemas import schemas
from mcpgov.models import RemoteUpstream
from mcpgov.reload import load_generation
from mcpgov.yaml_source import parse_yaml

SCHEMAS = {f"schemas/{name}" for name in schemas()}
WRITTEN = {".gitignore", "README.md", "mcpgov.yaml", "catalog/microsoft-learn.yaml", "policies/default.yaml", *SCHEMAS}


def init(*arguments: str) -> Result:
    app = typer.Typer()
    add_init(app)
    return CliRunner().invoke(app, arguments)


def files(folder: Path) -> dict[str, str]:
    return {str(place.relative_to(folder)): place.read_text() for place in folder.rglob("*") if place.is_file()}


def test_the_folder_is_written_whole_and_passes_a_check(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "gateway"
    result = init(str(folder))
    assert result.exit_code == 0, result.output
    assert set(files(folder)) == WRITTEN
    snapshot = load_generation(folder / "mcpgov.yaml", {})
    connection = snapshot.connections["microsoft-learn"]
    assert connection.upstream == RemoteUpstream("https://learn.microsoft.com/api/mcp")
    assert len(snapshot.policy("microsoft-learn").general.inbound) == 2
    assert "*.db" in files(folder)[".gitignore"]


def test_without_an_argument_the_current_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = init()
    assert result.exit_code == 0
    assert set(files(tmp_path)) == WRITTEN
    assert "\nNext: mcpgov check, then" in result.stdout


@pytest.mark.parametrize(("folder", "go"), [("gateway", "cd gateway"), ("my gateway", "cd 'my gateway'")])
def test_another_folder_is_to_be_entered_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, go: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"\nNext: {go}, then mcpgov check, then" in init(folder).stdout


@pytest.mark.parametrize("name", ["mcpgov.yaml", "catalog", "policies"])
def test_a_configuration_that_is_there_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    result = init(str(tmp_path))
    assert result.exit_code == 1
    assert "nothing was written" in result.stderr
    assert files(tmp_path) == {name: "mine"}


def test_other_files_are_kept_and_named(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    result = init(str(tmp_path))
    assert result.exit_code == 0
    assert f"kept   {tmp_path}/README.md" in result.stdout
    assert files(tmp_path)["README.md"] == "mine"
    assert set(files(tmp_path)) == WRITTEN


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = init(str(tmp_path / "file" / "gateway"))
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_what_is_commented_out_works_when_it_is_not(tmp_path: Path) -> None:
    init(str(tmp_path))
    settings = tmp_path / "mcpgov.yaml"
    settings.write_text(
        re.sub(
            r"# (?=(global_policies|public_url|admin|keep_days|checkpoints|rules|exports):)", "", settings.read_text()
        )
    )
    policy = tmp_path / "policies" / "default.yaml"
    policy.write_text(policy.read_text().replace("  # - ip-filter", "  - ip-filter"))
    snapshot = load_generation(settings, {})
    assert len(snapshot.policy("microsoft-learn").general.inbound) == 6
    assert str(snapshot.settings.admin and snapshot.settings.admin.listen) == "127.0.0.1:8081"
    audit = snapshot.settings.audit
    assert (audit.keep_days, len(audit.checkpoints), len(audit.rules), len(audit.exports)) == (400, 1, 1, 1)


def test_each_file_names_the_schema_that_it_is_valid_under(tmp_path: Path) -> None:
    init(str(tmp_path))
    for name, text in files(tmp_path).items():
        if name.endswith(".yaml"):
            schema = (tmp_path / name).parent / text.partition("\n")[0].removeprefix("# yaml-language-server: $schema=")
            validator = jsonschema_rs.validator_for(json.loads(schema.read_text()))
            assert validator.is_valid(parse_yaml(text, name).value), name
