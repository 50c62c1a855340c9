"""`mcpgov connect`: what is on stdout is the file, and nothing secret is in it."""

import json
from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from mcpgov.cli.connect import add_connect
from mcpgov.publish.clients import Client
from tests.cli.folder import furnish

PUBLIC = {"mcpgov.yaml": "public_url: https://mcp.contoso.com\n"}


def run(config: Path, *arguments: str) -> Result:
    app = typer.Typer()
    add_connect(app)
    return CliRunner().invoke(app, [*arguments, "--config", str(config)])


def test_what_is_printed_is_the_file_and_the_rest_is_said_beside_it(tmp_path: Path) -> None:
    result = run(furnish(tmp_path, PUBLIC), "github", "--client", "vscode")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["servers"]["github"]["url"] == "https://mcp.contoso.com/mcp/github"
    assert "Save as .vscode/mcp.json." in result.stderr
    assert "mcpgov keys create" in result.stderr


def test_two_pieces_are_printed_one_after_the_other(tmp_path: Path) -> None:
    result = run(furnish(tmp_path, PUBLIC), "github", "--client", "claude")
    typed, _, file = result.stdout.partition("\n\n")
    assert typed.startswith("claude mcp add ")
    assert json.loads(file)["mcpServers"].keys() == {"github"}


def test_machines_are_told_pieces_and_notes(tmp_path: Path) -> None:
    made = json.loads(run(furnish(tmp_path, PUBLIC), "github", "--client", "python", "--json").stdout)
    assert made["pieces"][0]["file"] == "github.py"
    assert made["notes"] != []


def test_nothing_of_the_upstream_is_printed_for_anybody(tmp_path: Path) -> None:
    config = furnish(tmp_path, PUBLIC)
    for client in Client:
        printed = run(config, "github", "--client", client.value).output
        for hidden in ("api.contoso.com", "in-the-query", "of-the-connection"):
            assert hidden not in printed


def test_copilot_is_given_the_whole_gateway_or_one_connection(tmp_path: Path) -> None:
    config = furnish(tmp_path, PUBLIC)
    whole = json.loads(run(config, "--client", "copilot-managed").stdout)
    assert whole == {"allowedMcpServers": [{"serverUrl": "https://mcp.contoso.com/*"}]}
    one = json.loads(run(config, "github", "--client", "copilot-managed").stdout)
    assert one == {"allowedMcpServers": [{"serverUrl": "https://mcp.contoso.com/mcp/github"}]}


def test_without_a_name_or_with_a_wrong_one_nothing_is_printed(tmp_path: Path) -> None:
    config = furnish(tmp_path, PUBLIC)
    for arguments in ((), ("gihub",)):
        result = run(config, *arguments, "--client", "cursor")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.strip().endswith(")")


def test_the_connections_that_are_one_server_have_a_configuration_too(tmp_path: Path) -> None:
    settings = f"{PUBLIC['mcpgov.yaml']}aggregate: {{ connections: [github, 'azure-*'] }}\n"
    config = furnish(tmp_path, {"mcpgov.yaml": settings})
    result = run(config, "--aggregate", "--client", "vscode")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["servers"]["mcpgov"]["url"] == "https://mcp.contoso.com/mcp"
    assert "keys create NAME --connection github --connection 'azure-*'" in result.stderr
    assert run(config, "github", "--aggregate", "--client", "vscode").exit_code == 2


def test_without_such_connections_it_is_said_how_to_have_them(tmp_path: Path) -> None:
    result = run(furnish(tmp_path, PUBLIC), "--aggregate", "--client", "vscode")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "aggregate: {connections:" in result.stderr


def test_a_file_that_is_wrong_keeps_nobody_from_being_configured_for_the_others(tmp_path: Path) -> None:
    settings = f"{PUBLIC['mcpgov.yaml']}aggregate: {{ connections: [github, broken] }}\n"
    broken = "name: com.contoso/broken\nupstream: http://x\nconnections: { broken: {} }\n"
    config = furnish(tmp_path, {"mcpgov.yaml": settings, "catalog/broken.yaml": broken})
    (tmp_path / "catalog" / "unreadable.yaml").write_bytes(b"name: \xff")
    result = run(config, "github", "--client", "vscode")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["servers"].keys() == {"github"}
    assert result.stderr.count("left out: ") == 2
    assert f"left out: {tmp_path / 'catalog' / 'broken.yaml'}:2:11: the URL" in result.stderr
    gone = run(config, "broken", "--client", "vscode")
    assert (gone.exit_code, gone.stdout) == (2, "")


def test_what_is_wrong_elsewhere_than_in_the_catalog_ends_the_verb(tmp_path: Path) -> None:
    config = furnish(tmp_path, {"mcpgov.yaml": "listen: nowhere\n", "catalog/broken.yaml": "name: x\n"})
    result = run(config, "github", "--client", "vscode")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "mcpgov.yaml:1:9" in result.stderr
    assert "broken.yaml" in result.stderr
