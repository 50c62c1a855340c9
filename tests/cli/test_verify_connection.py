"""`connections verify` tells the platform's checklist from the files, a probe, a stranger and the ledger."""

import importlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.audit.record import DeniedRecord, IntentRecord, OutcomeRecord, Row
from mcpgov.cli.verify_connection import Verifying, add_verify
from mcpgov.decision import Reason
from mcpgov.models import Headers, OutcomeStatus, Secret
from mcpgov.openers import Openers
from mcpgov.probe import ProbeResult
from mcpgov.settings_file import no_vaults
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from mcpgov.web import Fields, WebAnswer, WebUnavailable
from tests.audit.calls import NOW, facts
from tests.cli.folder import furnish
from tests.cli.test_connections import PROVED

SETTINGS = "public_url: https://mcp.contoso.com\nlisten: 0.0.0.0:9\naudit: { store: 'sqlite:///ledger.db' }\n"


class Gateway:
    """A folder with a ledger, a prober that gives `result`, and URLs that answer a stranger."""

    def __init__(self, folder: Path, settings: str = SETTINGS) -> None:
        self.config = furnish(folder, {"mcpgov.yaml": settings})
        self.result: ProbeResult = PROVED
        self.answers: dict[str, WebAnswer] = {}
        self.tokens: list[Secret | None] = []
        self.asked: list[str] = []
        self._store = SqliteLedgerStore(folder / "ledger.db")
        self._store.open()

    def append(self, *rows: Row) -> None:
        self._store.append(rows)

    def close(self) -> None:
        self._store.close(finished=True)

    async def test(self, connection: str, token: Secret | None = None) -> ProbeResult:
        self.tokens.append(token)
        return replace(self.result, connection=connection)

    async def send(self, url: str, body: bytes, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        assert private
        assert not {"authorization", "cookie"} & {name for name, _ in headers}
        assert b"tools/list" in body
        self.asked.append(url)
        if url not in self.answers:
            raise WebUnavailable("nothing is there")
        return self.answers[url]

    def run(self, *arguments: str) -> Result:
        @asynccontextmanager
        async def prober(_config: Path | None) -> AsyncGenerator["Gateway"]:
            yield self

        app = typer.Typer()
        opens = Openers(importlib.import_module, no_vaults, lambda: datetime.now(UTC))
        add_verify(app, Verifying(prober, opens.review, lambda: self))
        app.command("other")(lambda: None)
        return CliRunner().invoke(app, ["verify", *arguments, "--config", str(self.config)])


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    gateway = Gateway(tmp_path)
    call = facts("1", NOW, tool="search")
    call = call._replace(head=replace(call.head, connection="github"))
    stranger = facts("2", NOW)._replace(principal=None)
    stranger = stranger._replace(head=replace(stranger.head, connection="github"))
    gateway.append(
        IntentRecord(call).row(),
        OutcomeRecord("1", NOW, OutcomeStatus.OK).row(),
        DeniedRecord(stranger, Reason.CREDENTIAL_MISSING).row(),
    )
    fields = Headers((("x-correlation-id", stranger.head.correlation_id),))
    gateway.answers["https://mcp.contoso.com/mcp/github"] = WebAnswer(401, fields, b"")
    return gateway


def lines(result: Result) -> dict[str, tuple[str, str]]:
    return {line["name"]: (line["state"], line["why"]) for line in json.loads(result.stdout)["lines"]}


def test_a_connection_that_runs_through_the_gateway_is_confirmed(gateway: Gateway) -> None:
    result = gateway.run("github", "--json")
    found = lines(result)
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (0, True)
    assert found["endpoint"] == ("ok", "https://mcp.contoso.com/mcp/github")
    assert found["strangers"][0] == "ok"
    assert found["policies"][1] == "in force: everywhere, company, owners-only"
    assert found["ledger"][0] == "not known"
    assert "last search at" in found["agents"][1]
    assert found["agents"][1].endswith("of the newest 1: alice")
    assert found["upstream"][1] == "it lists 25 tools through the gateway"
    for secret in ("in-the-query", "of-the-connection", "api.contoso.com"):
        assert secret not in result.stdout


def test_a_person_reads_a_line_each_and_below_it_what_mends_it(gateway: Gateway) -> None:
    gateway.close()
    shown = gateway.run("github").stdout.splitlines()
    assert shown[0].split() == ["endpoint", "ok", "https://mcp.contoso.com/mcp/github"]
    assert "    run: mcpgov audit verify" in shown


def test_what_is_not_ok_ends_the_verb_with_one(gateway: Gateway) -> None:
    result = gateway.run("time", "--json")
    assert result.exit_code == 1
    assert lines(result)["agents"][0] == "not ok"
    assert lines(result)["policies"] == ("not ok", "no policy is in force")


def test_where_the_public_url_does_not_answer_the_listener_is_asked(gateway: Gateway) -> None:
    gateway.answers = {"http://127.0.0.1:9/mcp/github": WebAnswer(401, Headers(), b"")}
    assert lines(gateway.run("github", "--json"))["strangers"][0] == "not ok"  # the ledger here has no record of it
    assert gateway.asked == ["https://mcp.contoso.com/mcp/github", "http://127.0.0.1:9/mcp/github"]
    gateway.answers = {}
    assert lines(gateway.run("github", "--json"))["strangers"][0] == "not known"


def test_another_place_can_be_named(gateway: Gateway) -> None:
    gateway.answers["http://here:1/mcp/github"] = WebAnswer(200, Headers(), b"")
    result = gateway.run("github", "--url", "http://here:1/", "--json")
    assert lines(result)["strangers"][0] == "not ok"
    assert gateway.asked == ["http://here:1/mcp/github"]


def test_a_gateway_that_nobody_can_call_has_no_endpoint(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "listen: 127.0.0.1:0\naudit: { store: 'sqlite:///ledger.db' }\n")
    found = lines(gateway.run("github", "--json"))
    assert (found["endpoint"][0], found["target"][0], found["strangers"][0]) == ("not ok", "not known", "not known")
    assert gateway.asked == []


def test_a_gateway_on_loopback_is_asked_where_it_listens(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "listen: 127.0.0.1:9\naudit: { store: 'sqlite:///ledger.db' }\n")
    gateway.run("github")
    assert gateway.asked == ["http://127.0.0.1:9/mcp/github"]


def test_the_upstream_is_proved_as_the_caller_whose_token_is_there(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", "a-token")
    gateway.run("github", "--token-env", "MY_TOKEN")
    [token] = gateway.tokens
    assert token
    assert token.reveal() == "a-token"


def test_a_connection_that_is_not_there_is_a_slip(gateway: Gateway, tmp_path: Path) -> None:
    result = gateway.run("gitub")
    assert result.exit_code == 2
    assert "github" in result.stderr
    for file in (tmp_path / "catalog").iterdir():
        file.unlink()
    assert "no connection yet" in gateway.run("github").stderr
