"""What the admin plane asks of the files is answered as the verbs answer it."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mcpgov.admin.parts import InvalidQuestion
from mcpgov.app import build_cli
from mcpgov.audit.reader import record_of
from mcpgov.audit.record import IntentRecord
from mcpgov.cli.answers import FileAnswers, question_of
from mcpgov.health import NOTHING_KNOWN, ConnectionHealth, State
from mcpgov.reload import load_generation
from mcpgov.settings_file import stand_ins
from tests.audit.calls import facts

GITHUB = """\
name: com.contoso/github
title: GitHub
version: 1.0.0
upstream: https://api.githubcopilot.com/mcp/?key=hunter2
connections:
  github:
    policies: [github]
    authType: CustomKeys
    keys: { Authorization: "Bearer ${env:GITHUB_PAT}" }
    tools: { delete_repository: { policies: [owners] } }
"""
LOCAL = "name: com.contoso/time\ncommand: [python3, -c, hunter2]\nconnections: { time: {} }\n"
POLICIES = {"company": "tool-rules: { deny: [delete_*] }", "github": "set-header: { name: X, exists-action: delete }"}


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileAnswers:
    monkeypatch.setenv("GITHUB_PAT", "hunter2-hunter2-hunter2")
    (tmp_path / "catalog").mkdir()
    (tmp_path / "policies").mkdir()
    (tmp_path / "mcpgov.yaml").write_text("global_policies: [company]\n", "utf-8")
    (tmp_path / "catalog" / "github.yaml").write_text(GITHUB, "utf-8")
    (tmp_path / "catalog" / "time.yaml").write_text(LOCAL, "utf-8")
    for name, element in POLICIES.items():
        (tmp_path / "policies" / f"{name}.yaml").write_text(f"inbound:\n  - {element}\n", "utf-8")
    (tmp_path / "policies" / "owners.yaml").write_text("inbound: []\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    snapshot = load_generation(None, vaults=stand_ins)
    return FileAnswers(lambda: snapshot, None)


def test_the_catalog_is_told_without_a_secret(answers: FileAnswers) -> None:
    github, local = answers.servers()
    (connection,) = github.connections
    assert (github.title, connection.upstream, connection.auth_type) == (
        "GitHub",
        "https://api.githubcopilot.com",
        "CustomKeys",
    )
    assert connection.tools == (("delete_repository", ("owners",)),)
    assert local.connections[0].upstream == "local: python3"
    assert "hunter2" not in repr((github, local))
    assert len(answers.stamp()) == 64


def test_what_is_known_of_a_server_is_told_with_its_connection(answers: FileAnswers) -> None:
    sick = ConnectionHealth(State.UNAVAILABLE, "unreachable", "Nothing answers.", datetime(2026, 11, 20, tzinfo=UTC))
    snapshot = load_generation(None, vaults=stand_ins)
    asked = FileAnswers(lambda: snapshot, None, lambda name: sick if name == "github" else NOTHING_KNOWN)
    github, local = (server.connections[0] for server in asked.servers())
    assert (github.health, github.problem, github.why) == ("unavailable", "unreachable", "Nothing answers.")
    assert github.since.startswith("2026-11-20T00:00:00")
    assert (local.health, local.since) == ("unknown", "")
    assert {one.health for server in answers.servers() for one in server.connections} == {"unknown"}


def test_policies_are_told_with_their_text_and_where_they_are_in_force(answers: FileAnswers) -> None:
    found = {one.name: one for one in answers.policies()}
    assert found["company"].scopes == ("every connection",)
    assert found["owners"].scopes == ("tool delete_repository on github",)
    assert "delete_*" in found["company"].text


def test_a_request_is_explained_as_the_verb_explains_it(answers: FileAnswers) -> None:
    said, lines = answers.explain({"connection": "github", "tool": "delete_repository", "kind": "", "project": ""})
    typed = ["policy", "explain", "--connection", "github", "--tool", "delete_repository"]
    runner, cli = CliRunner(), build_cli()
    assert runner.invoke(cli, typed).stdout.splitlines() == list(lines)
    assert json.loads(runner.invoke(cli, [*typed, "--json"]).stdout) == json.loads(json.dumps(said))
    assert said["decision"] == "tool-hidden"


def test_roles_and_scopes_are_lines(answers: FileAnswers) -> None:
    asked = question_of({"connection": "github", "kind": "agent", "roles": "Tools.Call\nTools.List", "scopes": "a\r\n"})
    assert (asked.role, asked.scope) == (["Tools.Call", "Tools.List"], ["a"])


def test_header_fields_and_annotations_are_lines(answers: FileAnswers) -> None:
    lines = {"headers": "X-Team=a, b\n\n Cookie = c=d ", "annotations": "readOnlyHint=true\n"}
    asked = question_of({"connection": "github", "tool": "a", **lines})
    assert (asked.header, asked.annotation) == (["X-Team=a, b", "Cookie = c=d"], ["readOnlyHint=true"])
    with pytest.raises(InvalidQuestion, match="NAME=VALUE"):
        answers.explain({"connection": "github", "tool": "a", "headers": "X-Team"})


@pytest.mark.parametrize(
    "question",
    [
        {"connection": "none"},
        {"connection": "github", "ip": "x"},
        {"connection": "github", "tool": "a", "arguments": "{"},
        {},
    ],
)
def test_a_question_that_cannot_be_asked_is_said_why(answers: FileAnswers, question: dict[str, str]) -> None:
    with pytest.raises(InvalidQuestion, match=r"\w"):
        answers.explain(question)


def test_a_recorded_decision_is_made_again(answers: FileAnswers) -> None:
    record = record_of(IntentRecord(facts("1", connection="github")).row().record)
    assert "The policies have changed since" in "\n".join(answers.replay(record))


def test_files_that_were_broken_since_hide_nothing_that_is_in_force(answers: FileAnswers, tmp_path: Path) -> None:
    (tmp_path / "catalog" / "time.yaml").write_text("name: [", "utf-8")
    (tmp_path / "policies" / "company.yaml").unlink()
    assert [server.title or server.name for server in answers.servers()] == ["GitHub"]
    assert next(one.text for one in answers.policies() if one.name == "company") == ""
