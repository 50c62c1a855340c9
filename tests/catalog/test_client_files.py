"""A client's mcp.json becomes entries, its placeholders and secrets references, one server at a time."""

import pytest

from mcpgov.catalog.client_files import is_client_file, read_client_file, read_relaxed
from mcpgov.catalog.entries import parse_entry
from mcpgov.catalog.ways import Choice, Draft
from mcpgov.catalog.yaml_text import yaml_text
from mcpgov.credential.references import EnvironmentAndFiles, Unfit
from mcpgov.settings_file import stood_in

VSCODE = """\
{ // what the editor wrote
  "inputs": [{ "id": "github-pat", "type": "promptString", "password": true }],
  "servers": {
    "GitHub": {
      "type": "http", "url": "https://api.githubcopilot.com/mcp/", /* "x": 1, */
      "headers": { "Authorization": "Bearer ${input:github-pat}", "X-Own": "${env:Own_Key}", "X-MCP-Readonly": "true" },
    },
    "Time Server": { "command": "uvx", "args": ["mcp-server-time==1.0", "--zone=UTC"], "cwd": "servers",
      "env": { "KEY": "ghp_literal", "MODE": "${MODE:-x}", "LOG": "debug" }, "envFile": ".env" },
    "odd": 1,
  },
}
"""
LOCAL = Choice(local=True)


def draft(said: str, choice: Choice = LOCAL) -> Draft:
    (one,) = read_client_file('{"mcpServers": {"x": ' + said + "}}", "mcp.json").found
    made = one.draft(choice)
    parse_entry(yaml_text(made.document), "x.yaml", EnvironmentAndFiles(stood_in({})))
    return made


def refused(said: str, choice: Choice = LOCAL) -> str:
    with pytest.raises(Unfit) as caught:
        draft(said, choice)
    assert caught.value.mend
    return str(caught.value)


def test_what_is_asked_for_and_what_is_literal_become_references() -> None:
    page = read_client_file(VSCODE, "mcp.json", "com.contoso")
    github, time = (one.draft(LOCAL) for one in page.found)
    assert github.document == {
        "name": "com.contoso/github",
        "title": "GitHub",
        "version": "0.0.0",
        "upstream": "https://api.githubcopilot.com/mcp/",
        "connections": {
            "github": {
                "authType": "CustomKeys",
                "keys": {
                    "Authorization": "Bearer ${env:MCP_GITHUB_AUTHORIZATION}",
                    "X-Own": "${env:MCP_GITHUB_X_OWN}",
                    "X-MCP-Readonly": "true",
                },
            }
        },
    }
    assert github.notes == (
        "MCP_GITHUB_AUTHORIZATION stands for ${input:github-pat} of Authorization",
        "MCP_GITHUB_X_OWN stands for ${env:Own_Key} of X-Own",
    )
    assert time.document["command"] == ["uvx", "mcp-server-time==1.0", "--zone=UTC"]
    assert time.document["env"] == {
        "KEY": "${env:MCP_TIME_SERVER_KEY}",
        "MODE": "${env:MCP_TIME_SERVER_MODE}",
        "LOG": "debug",
    }
    assert time.document["cwd"] == "servers"
    assert [note.split()[0] for note in time.notes] == ["starts", "its", "KEY", "MCP_TIME_SERVER_MODE"]
    assert "ghp_literal" not in str(time)
    assert [(one.label, one.why) for one in page.refused] == [("odd", "mcp.json says nothing of it")]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{}", "has neither url nor command"),
        ('{"url": "https://x.contoso.com", "type": "sse"}', "has the type sse"),
        ('{"url": "http://x.contoso.com"}', "is plain http"),
        ('{"url": "https://169.254.169.254/"}', "leads to 169.254.169.254"),
        ('{"url": "https://x.contoso.com/${input:key}"}', "needs a value for key in its URL"),
        ('{"command": "x", "args": ["--token", "abc"]}', "may hold a secret among its arguments, after --token"),
        ('{"command": "x", "args": ["--api-key=abc"]}', "may hold a secret among its arguments, after --api-key"),
        ('{"command": "x", "args": ["${input:a}"]}', "needs a value for a in an argument"),
    ],
)
def test_what_does_not_fit_is_refused(said: str, why: str) -> None:
    assert refused(said).startswith(why)


def test_nothing_is_started_here_unless_somebody_said_so() -> None:
    assert refused('{"command": "x"}', Choice()) == "would be started on this machine"


def test_what_is_said_stands_in_for_what_is_asked() -> None:
    said = Choice("own", private=True, variables={"host": "10.0.0.1"})
    made = draft('{"serverUrl": "http://${host}/mcp", "type": "streamable-http"}', said).document
    assert (made["upstream"], made["private"]) == ("http://10.0.0.1/mcp", True)
    assert made["connections"] == {"own": {"authType": "None"}}


def test_a_clients_file_is_known_by_its_servers() -> None:
    assert is_client_file({"servers": {}})
    assert is_client_file({"mcp": {"servers": {}}})
    assert not is_client_file({"servers": []})
    assert not is_client_file([])
    with pytest.raises(Unfit, match=r"is no mcp\.json"):
        read_client_file("{}", "x")


def test_comments_are_no_part_of_a_text() -> None:
    assert read_relaxed('\ufeff{"a": "http://x/*y*/,]", "b": [1, /* , */ ], // c\n}') == {
        "a": "http://x/*y*/,]",
        "b": [1],
    }
    for text in ("", "{", '{"a": 1, "a": 2}', '{"a": "b', "[1,,]", "[1] /* x", "[1] /*/", '{"a": "\\'):
        with pytest.raises(Unfit, match="cannot be read"):
            read_relaxed(text)


def test_what_is_no_json_is_named_by_line_and_column() -> None:
    with pytest.raises(Unfit, match=r"Not JSON at line 3, column 3: Expecting"):
        read_relaxed('{ /* two\nlines */ "a": 1, // more\n  x }')


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,' + "/**/" * 100_000 + "x}",
        '{"a":1,' + "//\n " * 100_000 + "x}",
        '{"a":1' + ", " * 100_000 + "x}",
        "{" + "/* " * 100_000,
        "{," + "/* " * 100_000,
        '{"' + '\\"' * 100_000,
        '{"' + '\\"' * 100_000 + "\\",
    ],
    ids=lambda text: text[:9],
)
def test_a_file_that_is_made_to_keep_us_busy_is_refused_at_once(text: str) -> None:
    with pytest.raises(Unfit, match="cannot be read"):
        read_relaxed(text)


def test_placeholders_without_an_end_do_not_keep_us_busy_either() -> None:
    made = draft('{"url": "https://x.contoso.com", "headers": {"X-Key": "' + "${a:-" * 12_000 + '"}}')
    assert "${env:MCP_X_X_KEY}" in str(made.document)
