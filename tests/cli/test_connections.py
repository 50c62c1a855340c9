"""`mcpgov connections`: nothing secret is listed, and a test says in words what is wrong."""

import json
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.cli.connections import build_connections, described, place_of
from mcpgov.decision import Reason
from mcpgov.diagnosis import Diagnosis, Seen, diagnose
from mcpgov.errors import StoreUnavailable
from mcpgov.models import AuthType, Connection, Credential, LocalUpstream, OAuthClient, RemoteUpstream, Secret, SignIn
from mcpgov.probe import ProbeResult
from tests.cli.folder import furnish

PROVED = ProbeResult(
    connection="github",
    principal="mcpgov:probe",
    era="handshake",
    protocol="2025-11-25",
    server="GitHub",
    server_version="1.2",
    tools=tuple(f"tool_{number}" for number in range(25)),
    credential="com.contoso/github#github",
    identity="client-1",
    audience="https://api.contoso.com",
    latency_ms=34.5,
    correlation_ids=("3fa9c1d27b60aaaa", "4fa9c1d27b60aaaa"),
    problem=None,
)
WRONG = Diagnosis("key-refused", "The upstream did not accept the key (401).", "check the header", "https://x.example")
BARE = replace(
    PROVED, era="", server="", server_version="", tools=(), latency_ms=0.0, correlation_ids=(), problem=WRONG
)


@dataclass
class Given:
    """One consent."""

    principal: str
    updated_at: datetime = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)


@dataclass
class Revoked:
    """What came of a revocation."""

    found: bool
    at_server: bool


class Twins:
    """A prober that gives `result`, and consents that are kept in memory."""

    def __init__(self) -> None:
        self.result = PROVED
        self.tested: list[tuple[str, Secret | None]] = []
        self.given = [Given("key:alice"), Given("entra:t:\x1b[31mbob")]
        self.at_server = True
        self.broken = False

    async def test(self, connection: str, token: Secret | None = None) -> ProbeResult:
        self.tested.append((connection, token))
        if self.broken:
            raise StoreUnavailable("the store is locked")
        return self.result

    async def consents(self, connection: str, /) -> Sequence[Given]:
        return self.given if connection == "mail" else []

    def nobody_can(self, connection: str, /) -> str:
        return "" if connection in {"mail", "github"} else f"There is no connection {connection}."

    async def revoke(self, connection: str, principal: str, /) -> Revoked:
        found = [given for given in self.given if given.principal == principal and connection == "mail"]
        self.given = [given for given in self.given if given not in found]
        return Revoked(bool(found), self.at_server)


@pytest.fixture
def twins() -> Twins:
    return Twins()


@pytest.fixture
def app(twins: Twins) -> typer.Typer:
    @asynccontextmanager
    async def opened(_config: Path | None) -> AsyncGenerator[Twins]:
        yield twins

    return build_connections(opened, opened)


def run(app: typer.Typer, *arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)


# -- list --------------------------------------------------------------------------------------------------------------


def test_connections_are_listed_without_a_secret(app: typer.Typer, tmp_path: Path) -> None:
    config = str(furnish(tmp_path))
    result = run(app, "list", "--config", config)
    assert result.exit_code == 0
    assert "https://api.contoso.com/mcp" in result.stdout
    assert "sleep (local)" in result.stdout
    for secret in ("in-the-query", "of-the-connection", "secret-flag"):
        assert secret not in result.stdout
        assert secret not in run(app, "list", "--json", "--config", config).stdout


def test_nothing_of_the_list_is_cut_on_a_narrow_terminal(app: typer.Typer, tmp_path: Path) -> None:
    agent = "cccccccc-0000-4000-8000-000000000001"
    audience = "api://55555555-6666-7777-8888-999999999999"
    entry = f"""\
name: com.contoso/a-server-with-quite-a-long-name
upstream: https://orders-of-the-company.contoso.com/a/long/way/to/mcp
connections:
  orders-of-the-company-and-of-its-customers:
    authType: AgenticIdentityToken
    audience: {audience}
    agentIdentity: {agent}
    clientAuthType: AgenticIdentityToken
    clientAudience: {audience}
"""
    settings = f"""\
public_url: https://mcp.contoso.com
azure: {{ tenant_id: {agent}, blueprint: {{ client_id: {agent}, federated: true }} }}
identity: {{ entra: {{ tenant_id: {agent}, audiences: [{audience}] }} }}
"""
    config = furnish(tmp_path, {"catalog/orders.yaml": entry, "mcpgov.yaml": settings})
    result = CliRunner(env={"COLUMNS": "80"}).invoke(app, ["list", "--config", str(config)])
    [line] = [line for line in result.stdout.splitlines() if line.startswith("orders")]
    assert line.split() == [
        *("orders-of-the-company-and-of-its-customers", "com.contoso/a-server-with-quite-a-long-name"),
        *("AgenticIdentityToken", audience, "AgenticIdentityToken", audience),
        "https://orders-of-the-company.contoso.com/a/long/way/to/mcp",
    ]


def test_the_redirect_url_is_printed_for_the_app_registration(app: typer.Typer, tmp_path: Path) -> None:
    config = furnish(tmp_path)
    assert "Redirect" not in run(app, "list", "--config", str(config)).stdout
    issuer = "{ issuer: 'https://issuer.example', sign_in: { client_id: c } }"
    config = furnish(
        tmp_path, {"mcpgov.yaml": f"public_url: https://mcp.contoso.com\nidentity: {{ oidc: [{issuer}] }}\n"}
    )
    assert "https://mcp.contoso.com/oauth/callback" in run(app, "list", "--config", str(config)).stdout


def test_the_list_as_json_has_every_field(app: typer.Typer, tmp_path: Path) -> None:
    github, time = json.loads(run(app, "list", "--json", "--config", str(furnish(tmp_path))).stdout)
    assert github == {
        "name": "github",
        "server": "com.contoso/github",
        "authType": "CustomKeys",
        "audience": "",
        "identity": "",
        "clientAuthType": "CustomKeys",
        "clientAudience": "",
        "upstream": "https://api.contoso.com/mcp",
    }
    assert time["name"] == "time"


def test_a_bad_file_is_told_and_lists_nothing(app: typer.Typer, tmp_path: Path) -> None:
    config = furnish(tmp_path, {"catalog/github.yaml": "name: x\n"})
    result = run(app, "list", "--config", str(config))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "github.yaml" in result.stderr


@pytest.mark.parametrize(
    ("sign_in", "identity"),
    [
        (SignIn(agent_identity="agent-1"), "agent-1"),
        (SignIn(identity="managed-1"), "managed-1"),
        (SignIn(oauth=OAuthClient("client-1", Secret("s3cret"), "https://as.example/token")), "client-1"),
    ],
)
def test_the_identity_is_who_mcpgov_is_there(sign_in: SignIn, identity: str) -> None:
    connection = Connection("a", "b", LocalUpstream(("x",)), AuthType.OAUTH2, sign_in=sign_in)
    assert described(connection)["identity"] == identity
    assert "s3cret" not in str(described(connection))


def test_a_place_has_neither_user_nor_query() -> None:
    upstream = RemoteUpstream("https://user:pass@api.example:8443/mcp?key=1#x")
    assert place_of(Connection("a", "b", upstream)) == "https://api.example:8443/mcp"


# -- test --------------------------------------------------------------------------------------------------------------


def test_a_connection_that_works_is_told_in_full_and_exits_0(app: typer.Typer, twins: Twins) -> None:
    result = run(app, "test", "github")
    assert result.exit_code == 0
    assert twins.tested == [("github", None)]
    for told in ("GitHub 1.2", "2025-11-25 (handshake)", "25: tool_0", "tool_19, …", "34.5 ms", "client-1", "\nOK\n"):
        assert told in result.stdout
    assert "mcpgov audit query connection=github" in result.stdout


def test_what_is_wrong_is_told_with_its_mend_and_exits_1(app: typer.Typer, twins: Twins) -> None:
    twins.result = BARE
    result = run(app, "test", "github")
    assert result.exit_code == 1
    for told in (WRONG.what, WRONG.name, WRONG.mend, WRONG.link):
        assert told in result.stdout
    assert "tools" not in result.stdout


def test_what_was_not_tested_is_told_beside_the_ok(app: typer.Typer, twins: Twins) -> None:
    assert "not tested" not in run(app, "test", "github").stdout
    twins.result = replace(PROVED, untested="on behalf of a user (--token-env)")
    assert "\nOK\nnot tested  on behalf of a user (--token-env)\n" in run(app, "test", "github").stdout


def test_a_problem_without_a_link_shows_none(app: typer.Typer, twins: Twins) -> None:
    twins.result = replace(BARE, problem=replace(WRONG, link=""))
    assert "link" not in run(app, "test", "github").stdout


def test_an_unknown_connection_is_misuse(app: typer.Typer, twins: Twins) -> None:
    twins.result = replace(BARE, problem=Diagnosis("unknown-connection", "There is none.", "did you mean github?"))
    result = run(app, "test", "githb")
    assert result.exit_code == 2
    assert "did you mean github?" in result.stdout


def test_a_result_as_json_has_everything(app: typer.Typer, twins: Twins) -> None:
    twins.result = BARE
    result = run(app, "test", "github", "--json")
    written = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (written["ok"], written["problem"]["name"], written["audience"]) == (False, "key-refused", BARE.audience)
    assert json.loads(run(app, "test", "github", "--json").stdout).keys() == written.keys()


def test_what_a_server_says_cannot_act_on_the_terminal(app: typer.Typer, twins: Twins) -> None:
    hostile = "a\x1b]0;owned\x07\r\x9b"
    problem = Diagnosis("no-tools", hostile, hostile, hostile)
    for found in (None, problem):
        told = {"server": hostile, "server_version": hostile, "tools": (hostile,), "identity": hostile}
        twins.result = replace(PROVED, problem=found, untested=hostile, **told)
        for form in ((), ("--json",)):
            printed = run(app, "test", "github", *form).output
            assert [char for char in printed if char != "\n" and (char < " " or "\x7f" <= char <= "\x9f")] == []


@pytest.mark.parametrize("value", ["a-token", "Bearer a-token", " a-token\n"])
def test_a_token_comes_from_the_environment(
    app: typer.Typer, twins: Twins, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MY_TOKEN", value)
    result = run(app, "test", "mail", "--token-env", "MY_TOKEN")
    assert twins.tested == [("mail", Secret("a-token"))]
    assert "a-token" not in result.output


@pytest.mark.parametrize("value", ["", "two words", "\x7f", "x" * 20_000])
def test_a_variable_without_a_token_is_misuse_and_tests_nothing(
    app: typer.Typer, twins: Twins, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("MY_TOKEN", value)
    result = run(app, "test", "mail", "--token-env", "MY_TOKEN")
    assert (result.exit_code, twins.tested) == (2, [])
    assert "two words" not in result.output


def test_a_store_that_cannot_be_used_is_told(app: typer.Typer, twins: Twins) -> None:
    twins.broken = True
    result = run(app, "test", "github")
    assert result.exit_code == 1
    assert "the store is locked" in result.stderr


# -- consents ----------------------------------------------------------------------------------------------------------


def test_consents_are_listed_and_cannot_act_on_the_terminal(app: typer.Typer) -> None:
    result = run(app, "consents", "mail")
    assert "key:alice" in result.stdout
    assert "2026-11-20 08:30" in result.stdout
    assert "\x1b" not in result.stdout
    assert json.loads(run(app, "consents", "mail", "--json").stdout)[0] == {
        "principal": "key:alice",
        "updated_at": "2026-11-20T08:30:00+00:00",
    }


def test_nobody_is_told_as_nobody(app: typer.Typer) -> None:
    result = run(app, "consents", "github")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Nobody has consented at github." in result.stderr
    assert json.loads(run(app, "consents", "github", "--json").stdout) == []


def test_a_name_with_a_typing_error_is_misuse_and_not_nobody(app: typer.Typer) -> None:
    for arguments in (["consents", "maiil\x1b"], ["consents", "maiil\x1b", "--json"]):
        result = run(app, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "There is no connection maiil\\x1b." in result.stderr


def test_a_consent_is_taken_back_once(app: typer.Typer, twins: Twins) -> None:
    result = run(app, "revoke", "mail", "--principal", "key:alice")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "revoked the consent of key:alice at mail" in result.stdout
    assert len(twins.given) == 1
    again = run(app, "revoke", "mail", "--principal", "key:alice")
    assert again.exit_code == 1
    assert "There is no consent of key:alice at mail." in again.stderr


def test_it_is_said_when_the_server_was_not_told(app: typer.Typer, twins: Twins) -> None:
    twins.at_server = False
    assert "was not told" in run(app, "revoke", "mail", "--principal", "key:alice").stderr


@pytest.mark.parametrize("verb", ["list", "test", "consents", "revoke"])
def test_every_verb_has_an_example(app: typer.Typer, verb: str) -> None:
    assert "Example" in run(app, verb, "--help").stdout


def test_the_page_shows_what_is_printed(app: typer.Typer, twins: Twins) -> None:
    page = (Path(__file__).parents[2] / "docs" / "sign-in.md").read_text("utf-8")
    shown = re.search(r"^```console\n\$ mcpgov connections (.*?)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert shown
    upstream, audience = RemoteUpstream("https://search.example/mcp"), "https://search.azure.com/mcp"
    search = Connection("search", "com.contoso/search", upstream, AuthType.PROJECT_MANAGED_IDENTITY)
    credential = Credential(
        "ProjectManagedIdentity",
        "com.contoso/search#search",
        (("Authorization", Secret("x")),),
        "system-assigned",
        audience,
    )
    problem = diagnose(Seen("search", search, credential, Reason.UPSTREAM_UNAUTHORIZED, status=401))
    twins.result = replace(
        BARE,
        connection="search",
        credential=credential.reference,
        identity=credential.identity,
        audience=audience,
        correlation_ids=("3fa9c1d27b60aaaa",),
        problem=problem,
    )
    result = run(app, *shown[1].split())
    assert (result.exit_code, result.stdout) == (1, shown[2])
