"""`mcpgov foundry`: what goes into a file is on stdout; what the platform would not take is refused with the mend."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from mcpgov.cli.foundry import build_foundry
from mcpgov.diagnosis import Diagnosis
from mcpgov.errors import StoreUnavailable
from mcpgov.models import Secret
from mcpgov.probe import ProbeResult
from tests.cli.folder import furnish
from tests.cli.test_connections import PROVED

PUBLIC = {"mcpgov.yaml": "public_url: https://mcp.contoso.com\n"}
LISTED = replace(
    PROVED,
    tools=("get_me", "merge", "ping"),
    annotations={"get_me": {"readOnlyHint": True}, "merge": {"readOnlyHint": False}},
)
BROKEN = replace(PROVED, problem=Diagnosis("unreachable", "The upstream could not be reached.", "check upstream:", ""))


class Probed:
    """A prober that answers with `result`."""

    def __init__(self, result: ProbeResult | None = LISTED) -> None:
        self.result = result

    async def test(self, connection: str, token: Secret | None = None) -> ProbeResult:
        assert (connection, token) == ("github", None)
        if self.result is None:
            raise StoreUnavailable("the store is locked")
        return self.result


def run(config: Path, *arguments: str, probe: Probed | None = None) -> Result:
    @asynccontextmanager
    async def opened(_config: Path | None) -> AsyncGenerator[Probed]:
        yield probe or Probed()

    return CliRunner().invoke(build_foundry(opened), [*arguments, "--config", str(config)])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return furnish(tmp_path, PUBLIC)


def test_a_connection_is_printed_with_the_call_beside_it(config: Path) -> None:
    result = run(config, "connection", "github")
    assert json.loads(result.stdout)["properties"]["target"] == "https://mcp.contoso.com/mcp/github"
    assert "PUT https://management.azure.com/subscriptions/{subscription}/" in result.stderr
    assert "az rest --method put --url '" in result.stderr
    assert "Fill in" in result.stderr


def test_the_whole_call_is_printed_for_machines(config: Path) -> None:
    named = ("--subscription", "s", "-g", "rg", "--account", "a", "--project", "p")
    call = json.loads(run(config, "connection", "github", "--arm", *named).stdout)
    assert call["method"] == "PUT"
    assert "/subscriptions/s/resourceGroups/rg/" in call["url"]
    assert call["body"]["properties"]["authType"] == "CustomKeys"


def test_a_connection_without_a_secret_has_nothing_to_fill_in(tmp_path: Path) -> None:
    entra = "name: com.contoso/a\nupstream: https://a.example\nconnections: { a: { clientAuthType: OAuth2 } }\n"
    settings = f"{PUBLIC['mcpgov.yaml']}identity: {{ oidc: [{{ issuer: https://id.contoso.com }}] }}\n"
    files = {"mcpgov.yaml": settings, "catalog/a.yaml": entra}
    oauth = run(furnish(tmp_path, files), "connection", "a").stderr
    assert "Fill in" in oauth
    assert "not changed" in oauth
    none = f"{PUBLIC['mcpgov.yaml']}identity: {{ entra: {{ tenant_id: {TENANT}, audiences: ['api://x'] }} }}\n"
    agents = "connections: { a: { clientAuthType: AgenticIdentityToken, clientAudience: 'api://x' } }\n"
    files = {"mcpgov.yaml": none, "catalog/a.yaml": entra.partition("connections")[0] + agents}
    printed = run(furnish(tmp_path, files), "connection", "a")
    assert json.loads(printed.stdout)["properties"]["audience"] == "api://x"
    assert "Fill in" not in printed.stderr


TENANT = "00000000-1111-2222-3333-444444444444"


@pytest.mark.parametrize("verb", ["connection", "tool", "agent-yaml", "bicep"])
def test_plain_http_is_refused_with_the_mend_unless_it_is_only_looked_at(tmp_path: Path, verb: str) -> None:
    config = furnish(tmp_path)
    refused = run(config, verb, "github")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "public_url" in refused.stderr
    assert run(config, verb, "github", "--allow-http").exit_code == 0


def test_the_tools_are_those_that_are_named(config: Path) -> None:
    made = json.loads(run(config, "tool", "github", "--tools", "get_me, merge,get_me,").stdout)
    assert made["allowed_tools"] == ["get_me", "merge"]
    assert made["require_approval"] == "always"


def test_the_tools_are_those_of_the_server_and_only_reading_needs_no_approval(config: Path) -> None:
    made = json.loads(run(config, "tool", "github", "--from-server").stdout)
    assert made["allowed_tools"] == ["get_me", "merge", "ping"]
    assert made["require_approval"] == {
        "always": {"tool_names": ["merge", "ping"]},
        "never": {"tool_names": ["get_me"]},
    }
    some = json.loads(run(config, "tool", "github", "--from-server", "--tools", "get_me").stdout)
    assert (some["allowed_tools"], some["require_approval"]) == (["get_me"], "never")
    every = json.loads(run(config, "tool", "github", "--from-server", "--require-approval", "always").stdout)
    assert every["require_approval"] == "always"


def test_a_tool_that_the_server_does_not_show_is_said(config: Path) -> None:
    result = run(config, "tool", "github", "--from-server", "--tools", "get_me,merg")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no tool merg: did you mean merge?" in result.stderr


def test_what_is_no_name_of_a_tool_is_left_out_because_the_platform_may_read_it_as_a_template(config: Path) -> None:
    probe = Probed(replace(LISTED, tools=("get_me", "{{ github_secret }}\x1b[2J")))
    printed = run(config, "agent-yaml", "github", "--from-server", probe=probe)
    assert printed.exit_code == 0
    assert "allowed_tools:\n    - get_me\n    require_approval" in printed.stdout
    assert r"left out: {{ github_secret }}\x1b[2J is no name of a tool" in printed.stderr


@pytest.mark.parametrize(("result", "said"), [(BROKEN, "could not be reached"), (None, "locked")])
def test_a_server_that_does_not_answer_is_said(config: Path, result: ProbeResult | None, said: str) -> None:
    printed = run(config, "agent-yaml", "github", "--from-server", probe=Probed(result))
    assert (printed.exit_code, printed.stdout) == (1, "")
    assert said in printed.stderr


def test_the_tools_are_those_that_the_policies_name(tmp_path: Path) -> None:
    company = "inbound: [tool-rules: { allow: [get_me, merge] }]\n"
    named = run(furnish(tmp_path, {**PUBLIC, "policies/company.yaml": company}), "tool", "github")
    assert json.loads(named.stdout)["allowed_tools"] == ["get_me", "merge"]
    typed = run(tmp_path / "mcpgov.yaml", "tool", "github", "--tools", "get_me,merg")
    assert json.loads(typed.stdout)["allowed_tools"] == ["get_me", "merg"]
    assert typed.stderr.count("note: the policies show no tool") == 1
    assert "no tool merg: did you mean merge?" in typed.stderr


def test_where_nobody_names_the_tools_a_note_says_how(config: Path) -> None:
    result = run(config, "tool", "github")
    assert "allowed_tools" not in json.loads(result.stdout)
    assert "--from-server" in result.stderr


def test_agent_yaml_and_bicep_are_files(config: Path) -> None:
    made = yaml.safe_load(run(config, "agent-yaml", "github", "--require-approval", "never").stdout)
    assert made["resources"][1]["tools"][0]["require_approval"] == "never"
    assert "param gatewayKey string" in run(config, "bicep", "github").stdout


def test_the_policy_admits_this_gateway_and_those_that_are_named(config: Path, tmp_path: Path) -> None:
    result = run(config, "policy", "--gateway", "https://eu.mcp.contoso.com", "--no-hubs")
    assert "https://mcp.contoso.com/mcp/*" in result.stdout
    assert "https://eu.mcp.contoso.com/mcp/*" in result.stdout
    assert "MachineLearning" not in json.loads(result.stdout)["properties"]["policyRule"].__repr__()
    assert "policyDefinitions" in result.stderr
    assert run(furnish(tmp_path / "local"), "policy").exit_code == 2


def test_a_project_that_is_no_name_is_refused(config: Path) -> None:
    assert run(config, "connection", "github", "--account", "a/b").exit_code == 2
