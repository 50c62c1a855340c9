"""`mcpgov policy lint` says of any file whether it loads, and ends on none."""

import json
import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.cli.lint import add_lint, below, is_folder
from mcpgov.errors import Problem

GOOD = '<policies><inbound><base /><set-variable name="a" value="b" /></inbound></policies>'
NETWORK = (
    '<policies><inbound><base /><ip-filter action="allow"><address>10.0.0.0/8</address></ip-filter>'
    '<set-header name="Authorization" exists-action="delete" /></inbound></policies>'
)


def lint(*arguments: str) -> Result:
    app = typer.Typer()
    add_lint(app)
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies" / "deep" / "er").mkdir(parents=True)
    return tmp_path / "policies"


def test_each_file_loads_or_is_told_what_it_needs(folder: Path) -> None:
    (folder / "a.xml").write_text(GOOD)
    (folder / "deep" / "er" / "b.yaml").write_text("inbound:\n  - set-headr: {}\n  - ip-filter: {}\n")
    (folder / "ignored.txt").write_text("x")
    (folder / "a.test.yaml").write_text("x")
    result = lint()
    assert result.exit_code == 1
    assert result.stdout.splitlines()[:2] == ["policies/a.xml: loads", "policies/deep/er/b.yaml: does not load"]
    assert "    needs    2:5: there is no policy element set-headr (did you mean set-header?)\n" in result.stdout
    assert result.stdout.endswith("\nFiles that load: 1 of 2.\n")


def test_what_api_management_would_do_otherwise_is_told(folder: Path) -> None:
    (folder / "a.xml").write_text(NETWORK)
    result = lint()
    assert result.exit_code == 0
    assert "    differs  1:63: API Management takes no network here" in result.stdout
    assert "API Management would send Authorization no more, and the server may need it" in result.stdout


def test_what_is_not_in_the_files_is_taken_as_given(folder: Path) -> None:
    (folder / "a.xml").write_text(
        '<policies><inbound><include-fragment fragment-id="auth" /><set-backend-service base-url="{{api}}" />'
        '<trace source="a"><message>{{text}}</message></trace></inbound></policies>'
    )
    (folder / "b.yaml").write_text('inbound: [set-header: { name: x, value: "${env:NOT_SET}" }]')
    result = lint()
    assert result.exit_code == 0, result.stdout
    assert "    given    the fragment auth, {{api}}, {{text}}\n" in result.stdout
    assert "    given    ${env:NOT_SET}\n" in result.stdout


def test_a_fragment_is_linted_too(folder: Path) -> None:
    (folder / "good.xml").write_text("<fragment><set-status code='200' reason='OK' /></fragment>")
    (folder / "bad.yaml").write_text("fragment: [nonsense: {}]\nmore: 1\n")
    (folder / "user.yaml").write_text("inbound: [include-fragment: { fragment-id: bad }]")
    shown = lint().stdout
    assert "policies/good.xml: is a fragment\n" in shown
    assert "policies/bad.yaml: does not load\n    needs    2:1: there is no key more beside fragment" in shown
    assert "    needs    policies/bad.yaml:1:12: there is no policy element nonsense" in shown


def test_a_name_that_no_policy_may_have_is_told(folder: Path) -> None:
    (folder / "My Policy.xml").write_text(GOOD)
    (folder / "Set_Env.xml").write_text("<fragment />")
    (folder / "my part.xml").write_text("<fragment />")
    result = lint()
    assert result.exit_code == 1
    assert "policies/My Policy.xml: does not load\n" in result.stdout
    assert "    needs    the file name gives the policy the name My Policy (use a-z 0-9 -" in result.stdout
    assert "    needs    the file name gives the fragment the name my part (use A-Z a-z 0-9 _ -" in result.stdout
    assert "policies/Set_Env.xml: is a fragment\n" in result.stdout
    said = {file["file"]: file for file in json.loads(lint("--json").stdout)}
    assert (said["policies/My Policy.xml"]["loads"], said["policies/My Policy.xml"]["remarks"]) == (False, [])


def test_a_fragment_without_a_name_is_not_given(folder: Path) -> None:
    (folder / "a.xml").write_text("<policies><inbound><base /><include-fragment /></inbound></policies>")
    result = lint()
    assert "fragment-id is missing" in result.stdout
    assert "given" not in result.stdout


def test_the_same_is_printed_as_json(folder: Path) -> None:
    (folder / "b.xml").write_text(NETWORK)
    (folder / "a.yaml").write_text("inbound: 1")
    (folder / "c.yaml").symlink_to("nowhere")
    result = lint("--json")
    assert result.exit_code == 1
    a, b, c = json.loads(result.stdout)
    assert (a["loads"], a["problems"][0]["line"]) == (False, 1)
    assert (b["loads"], len(b["remarks"]), b["given"]) == (True, 2, [])
    assert (c["file"], c["loads"], c["problems"][0]["message"]) == (
        "policies/c.yaml",
        False,
        "cannot be read: No such file or directory",
    )


def test_whatever_cannot_be_read_is_told_and_ends_nothing(folder: Path) -> None:
    (folder / "binary.xml").write_bytes(bytes(range(256)) * 40)
    (folder / "nul.yaml").write_bytes(b"\0\0\0")
    (folder / "huge.xml").write_bytes(b"<policies>" + b" " * (2 << 20))
    (folder / "huge.yaml").write_bytes(b"a: " + b"x" * (2 << 20))
    (folder / "empty.xml").write_bytes(b"")
    (folder / "deep.xml").write_bytes(b"<choose>" * 50_000)
    (folder / "deep.yaml").write_bytes(b"[" * 50_000)
    (folder / "dangling.yaml").symlink_to("nowhere")
    (folder / "circle.yaml").symlink_to("circle.yaml")
    (folder / "around").symlink_to(folder)
    (folder / "folder.xml").mkdir()
    os.mkfifo(folder / "pipe.yaml")
    result = lint()
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stdout.endswith("\nFiles that load: 0 of 10.\n"), result.stdout


def test_a_folder_is_searched_however_deep_it_is(folder: Path) -> None:
    bottom = folder.joinpath(*["d"] * 300)
    bottom.mkdir(parents=True)
    (bottom / "a.xml").write_text(GOOD)
    assert "/d/d/a.xml: loads" in lint().stdout


def test_a_file_is_linted_whatever_its_name(folder: Path) -> None:
    (folder / "policy.txt").write_text("inbound: [nonsense: {}]")
    assert "there is no policy element nonsense" in lint("policies/policy.txt").stdout


def test_what_acts_on_a_terminal_is_written_out(folder: Path) -> None:
    (folder / "a\x1b[2J.yaml").write_text('inbound: ["\\e[2J": 1]')
    assert "\x1b" not in lint().stdout


def test_where_there_is_nothing_that_is_said(folder: Path) -> None:
    result = lint(str(folder))
    assert result.exit_code == 1
    assert "There is no .xml or .yaml file here." in result.stderr
    assert lint("policies/gone").exit_code == 1


def test_a_folder_that_cannot_be_looked_into_is_told(folder: Path) -> None:
    unread: list[Problem] = []
    (folder / "x").mkdir()
    assert list(below(folder / "x" / ".." / ("y" * 300), unread)) == [folder / "x" / ".." / ("y" * 300)]
    assert not is_folder(Path("a\0b"))
    assert unread == []
