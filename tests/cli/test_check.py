"""`mcpgov check` tells everything that is wrong, or what would be served; it connects nowhere."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.cli.check import add_check

ENTRY = """\
name: com.contoso/github
upstream: https://mcp.contoso.com/mcp?api-key=in-the-query
connections:
  github: { authType: CustomKeys, keys: { X-Key: "${env:CHECK_KEY}" }, policies: [default] }
  github-open: {}
"""
LOCAL = "name: com.contoso/time\ncommand: [mcp-server-time, --secret-flag]\nconnections: { time: {} }\n"
POLICY = "inbound: [{ tool-rules: { deny: [delete_*] } }]"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("mcpgov", "listen: 127.0.0.1:9"), ("catalog/github", ENTRY), ("policies/default", POLICY)):
        place = tmp_path / f"{name}.yaml"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    (tmp_path / "catalog" / "time.yaml").write_text(LOCAL)
    monkeypatch.setenv("CHECK_KEY", "s3cret")
    return tmp_path


def check(folder: Path, *arguments: str) -> Result:
    app = typer.Typer()
    add_check(app)
    return CliRunner().invoke(app, ["--config", str(folder / "mcpgov.yaml"), *arguments])


def test_what_would_be_served_is_shown_without_a_secret(folder: Path) -> None:
    result = check(folder)
    assert result.exit_code == 0
    assert "127.0.0.1:9" in result.stdout
    assert "/mcp/github" in result.stdout
    assert "https://mcp.contoso.com/mcp" in result.stdout
    assert "mcp-server-time" in result.stdout
    assert not any(secret in result.stdout for secret in ("s3cret", "in-the-query", "secret-flag"))


def test_the_same_is_printed_as_json(folder: Path) -> None:
    shown = json.loads(check(folder, "--json").stdout)
    assert shown["ok"] is True
    assert len(shown["stamp"]) == 64
    github, github_open, time = shown["connections"]
    assert (github["path"], github["authType"], github["policy_steps"]) == ("/mcp/github", "CustomKeys", 1)
    assert (github_open["authType"], github_open["policy_steps"]) == ("None", 0)
    assert time["upstream"] == "mcp-server-time (local)"


def test_an_empty_catalog_is_said(folder: Path) -> None:
    for place in (folder / "catalog").iterdir():
        place.unlink()
    assert "the catalog is empty" in check(folder).stdout


def test_every_problem_is_printed_with_its_place_and_mend(folder: Path) -> None:
    (folder / "mcpgov.yaml").write_text("lisen: 127.0.0.1:9\n")
    (folder / "policies" / "default.yaml").write_text("inbound: [{ ip-filtr: {} }]")
    result = check(folder)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{folder}/mcpgov.yaml:1:1: there is no key lisen here (did you mean listen?)",
        f"{folder}/policies/default.yaml:1:13: there is no policy element ip-filtr (did you mean ip-filter?)",
        "",
        "2 problems found.",
    ]


def test_problems_are_printed_as_json(folder: Path) -> None:
    (folder / "mcpgov.yaml").write_text("lisen: 127.0.0.1:9\n")
    result = check(folder, "--json")
    assert result.exit_code == 1
    (problem,) = json.loads(result.stdout)["problems"]
    assert (problem["line"], problem["column"], problem["mend"]) == (1, 1, "did you mean listen?")


def test_a_missing_settings_file_is_a_problem(tmp_path: Path) -> None:
    result = check(tmp_path)
    assert result.exit_code == 1
    assert "mcpgov.yaml: cannot be read" in result.stdout
