"""`mcpgov catalog publish`: printed first, recorded, made in order, stopped at the first refusal."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner, Result

from mcpgov.audit.record import ControlRecord
from mcpgov.cli.publish import add_publish
from mcpgov.errors import StoreUnavailable
from mcpgov.identity_settings import Azure
from mcpgov.models import Json
from mcpgov.publish.arm import Call
from mcpgov.publish.arm_caller import CallRefused
from tests.cli.folder import ENTRY, LOCAL, furnish

PUBLIC = "public_url: https://mcp.contoso.com\n"
AZURE = "azure: { tenant_id: 00000000-1111-2222-3333-444444444444 }\n"
WHERE = ("--api-center", "contoso-tools", "--subscription", "s-1", "-g", "tools")


class Calls:
    """Calls that are noted, and records; the one whose path ends in `refused` is refused. There is nothing there."""

    def __init__(self, refused: str = "never", *, recorded: bool = True) -> None:
        self.refused = refused
        self.recorded = recorded
        self.made: list[Call] = []
        self.records: list[ControlRecord] = []

    @asynccontextmanager
    async def notes(self, config: Path | None) -> AsyncGenerator[Callable[[ControlRecord], Awaitable[None]]]:
        assert config
        yield self.write

    async def write(self, record: ControlRecord) -> None:
        if not self.recorded:
            raise StoreUnavailable("disk full")
        assert self.records or not self.made
        self.records.append(record)

    def opened(self, azure: Azure) -> "Calls":
        assert azure.tenant_id.startswith("0000")
        return self

    async def make(self, call: Call) -> str:
        if call.path.endswith(self.refused):
            raise CallRefused("Azure answered 403: AuthorizationFailed \x1b[31mno")
        self.made.append(call)
        return "made"

    async def ask(self, call: Call) -> Json:
        assert call.method == "GET"
        return None


def run(config: Path, calls: Calls, *arguments: str) -> Result:
    app = typer.Typer()
    add_publish(app, calls.opened, calls.notes)
    return CliRunner().invoke(app, [*arguments, *WHERE, "--config", str(config)])


def puts(result: Result, path: str) -> list[dict[str, Any]]:
    """What was printed that is put at a path."""
    assert result.exit_code == 0, result.output
    calls = json.loads(result.stdout)
    return [call["body"]["properties"] for call in calls if f"{path}?" in call["url"] and call["method"] == "PUT"]


def test_a_dry_run_prints_the_calls_and_makes_none(tmp_path: Path) -> None:
    calls = Calls()
    result = run(furnish(tmp_path, {"mcpgov.yaml": PUBLIC}), calls, "github", "--dry-run")
    printed = json.loads(result.stdout)
    assert [call["method"] for call in printed] == [*["PUT"] * 5, "GET"]
    assert printed[-1]["url"].endswith("/apis/github/versions?api-version=2024-03-01")
    assert "https://mcp.contoso.com/mcp/github" in result.stdout
    assert "Governance > Authorization" in result.stderr
    for hidden in ("api.contoso.com", "in-the-query", "of-the-connection"):
        assert hidden not in result.output
    assert (calls.made, calls.records) == ([], [])


def test_the_calls_are_those_that_were_printed(tmp_path: Path) -> None:
    config, calls = furnish(tmp_path, {"mcpgov.yaml": PUBLIC + AZURE}), Calls()
    result = run(config, calls)
    assert result.exit_code == 0
    printed = json.loads(run(config, calls, "--dry-run").stdout)
    assert [call.described() for call in calls.made] == [call for call in printed if call["method"] == "PUT"]
    assert len(calls.made) == 9  # one environment, four for each of two connections
    assert result.stdout.startswith("made ")
    assert [record.event for record in calls.records] == ["catalog-publishing", "catalog-published"]


def test_what_cannot_be_recorded_is_not_published(tmp_path: Path) -> None:
    calls = Calls(recorded=False)
    result = run(furnish(tmp_path, {"mcpgov.yaml": PUBLIC + AZURE}), calls)
    assert (result.exit_code, calls.made) == (1, [])
    assert "disk full" in result.stderr


def test_the_status_of_an_entry_is_published(tmp_path: Path) -> None:
    old = "status: deprecated\nversion: 2.0.0\n"
    files = {"mcpgov.yaml": PUBLIC, "catalog/github.yaml": ENTRY.replace("upstream", f"{old}upstream", 1)}
    (version,) = puts(run(furnish(tmp_path, files), Calls(), "github", "--dry-run"), "/versions/2-0-0")
    assert version["lifecycleStage"] == "deprecated"


def test_of_what_is_deleted_no_url_is_left_and_another_version_stays(tmp_path: Path) -> None:
    gone = "status: deleted\nversion: 1.0.0\n"
    files = {
        "mcpgov.yaml": PUBLIC,
        "catalog/github-1.yaml": ENTRY.replace("upstream", f"{gone}upstream", 1),
        "catalog/github.yaml": ENTRY.replace("upstream", "version: 2.0.0\nupstream", 1),
        "catalog/time.yaml": LOCAL + gone,
    }
    result = run(furnish(tmp_path, files), Calls(), "--dry-run")
    assert [one["lifecycleStage"] for one in puts(result, "/apis/github/versions/1-0-0")] == ["retired"]
    assert [one["lifecycleStage"] for one in puts(result, "/apis/github/versions/2-0-0")] == ["production"]
    assert [one["lifecycleStage"] for one in puts(result, "/apis/time/versions/1-0-0")] == ["retired"]
    (deployment,) = puts(result, "/apis/time/deployments/gateway")
    assert (deployment["state"], deployment["server"]) == ("inactive", {"runtimeUri": []})
    (deployment,) = puts(result, "/apis/github/deployments/gateway")
    assert deployment["definitionId"].endswith("/versions/2-0-0/definitions/default")
    alone = run(tmp_path / "mcpgov.yaml", Calls(), "time", "--dry-run")
    assert "https://mcp.contoso.com" not in alone.output
    assert "Governance" not in alone.output


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
    assert "portal" not in run(config, Calls(), "a", "--dry-run", "--allow-http").stderr
