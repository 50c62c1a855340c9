"""`mcpgov catalog publish`: printed first, made in order, stopped at the first refusal."""

import json
from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from mcpgov.arm_caller import CallRefused
from mcpgov.catalog.arm import Call
from mcpgov.cli.publish import add_publish
from mcpgov.identity_settings import Azure
from tests.cli.folder import furnish

PUBLIC = "public_url: https://mcp.contoso.com\n"
AZURE = "azure: { tenant_id: 00000000-1111-2222-3333-444444444444 }\n"
WHERE = ("--api-center", "contoso-tools", "--subscription", "s-1", "-g", "tools")


class Calls:
    """Calls that are noted; the one whose path ends in `refused` is refused."""

    def __init__(self, refused: str = "never") -> None:
        self.refused = refused
        self.made: list[Call] = []

    def opened(self, azure: Azure) -> "Calls":
        assert azure.tenant_id.startswith("0000")
        return self

    async def make(self, call: Call) -> str:
        if call.path.endswith(self.refused):
            raise CallRefused("Azure answered 403: AuthorizationFailed \x1b[31mno")
        self.made.append(call)
        return "made"


def run(config: Path, calls: Calls, *arguments: str) -> Result:
    app = typer.Typer()
    add_publish(app, calls.opened)
    return CliRunner().invoke(app, [*arguments, *WHERE, "--config", str(config)])


def test_a_dry_run_prints_the_calls_and_makes_none(tmp_path: Path) -> None:
    calls = Calls()
    result = run(furnish(tmp_path, {"mcpgov.yaml": PUBLIC}), calls, "github", "--dry-run")
    printed = json.loads(result.stdout)
    assert [call["method"] for call in printed] == ["PUT"] * 5
    assert "https://mcp.contoso.com/mcp/github" in result.stdout
    assert "Governance > Authorization" in result.stderr
    for hidden in ("api.contoso.com", "in-the-query", "of-the-connection"):
        assert hidden not in result.output
    assert calls.made == []


def test_the_calls_are_those_that_were_printed(tmp_path: Path) -> None:
    config, calls = furnish(tmp_path, {"mcpgov.yaml": PUBLIC + AZURE}), Calls()
    result = run(config, calls)
    assert result.exit_code == 0
    assert [call.described() for call in calls.made] == json.loads(run(config, calls, "--dry-run").stdout)
    assert len(calls.made) == 9  # one environment, four for each of two connections
    assert result.stdout.startswith("made ")


def test_after_a_refusal_nothing_more_is_made(tmp_path: Path) -> None:
    calls = Calls("/apis/github")
    result = run(furnish(tmp_path, {"mcpgov.yaml": PUBLIC + AZURE}), calls, "github")
    assert (result.exit_code, len(calls.made)) == (1, 1)
    assert "AuthorizationFailed" in result.stderr
    assert "\x1b" not in result.stderr


def test_without_an_identity_a_public_url_or_a_connection_nothing_is_made(tmp_path: Path) -> None:
    calls = Calls()
    assert "azure:" in run(furnish(tmp_path, {"mcpgov.yaml": PUBLIC}), calls, "github").stderr
    assert "public_url" in run(furnish(tmp_path, {"mcpgov.yaml": AZURE}), calls, "--allow-http").stderr
    assert "gihub" in run(furnish(tmp_path, {"mcpgov.yaml": PUBLIC + AZURE}), calls, "gihub").stderr
    assert run(furnish(tmp_path, {"mcpgov.yaml": AZURE}), calls, "--allow-http", "--dry-run").exit_code == 0
    assert calls.made == []


def test_a_connection_without_sign_in_has_no_hint(tmp_path: Path) -> None:
    open_ = "name: com.contoso/a\nupstream: https://a.example\nconnections: { a: { clientAuthType: None } }\n"
    settings = "identity: { allow_anonymous: true }\n"
    config = furnish(tmp_path, {"mcpgov.yaml": settings, "catalog/a.yaml": open_})
    assert run(config, Calls(), "a", "--dry-run", "--allow-http").stderr == ""
