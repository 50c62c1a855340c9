"""A probe of each era, through the real pipeline: what it finds, what it writes down, and what it never does."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
import uvicorn

from mcpgov.audit.ledger import AuditLedger
from mcpgov.audit.redact import Digester
from mcpgov.credential.keys import ConnectionKeys
from mcpgov.decision import Metric, Reason, Refund, Spend, Spent, Trace
from mcpgov.demo.city_server import KEY_HEADER, RequireKey, build_server
from mcpgov.effects import Effects
from mcpgov.errors import Refusal
from mcpgov.models import (
    AuthType,
    CallerToken,
    Connection,
    Json,
    Kind,
    MCPRequest,
    Principal,
    PrincipalKind,
    RemoteUpstream,
    RequestHead,
    Secret,
    SignIn,
)
from mcpgov.pipeline import Stages, Upstream
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.document import parse_document
from mcpgov.probe import PAGES, PROBE, Probe, ProbeResult
from mcpgov.snapshot import Snapshot
from mcpgov.store.memory_ledger import MemoryLedgerStore
from mcpgov.strict_json import dumps
from mcpgov.upstream.memory import MemoryUpstream, ScriptedAnswer
from tests.upstream.clients import remote_forwarder

CITY = Connection(
    "city",
    "dev.mcpgov/city",
    RemoteUpstream("https://city.example/mcp"),
    AuthType.CUSTOM_KEYS,
    keys=(("X-City-Key", Secret("a-key-of-the-connection")),),
)
INFO: dict[str, Json] = {"name": "cities", "version": "1.2"}
Answers = Mapping[str, dict[str, Json] | ScriptedAnswer | Refusal]
DISCOVERED: dict[str, Json] = {
    "supportedVersions": ["2026-07-28"],
    "capabilities": {},
    "_meta": {"io.modelcontextprotocol/serverInfo": INFO},
}
INITIALIZED: dict[str, Json] = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": INFO}
TWO_TOOLS: dict[str, Json] = {"tools": [{"name": "get_city"}, {"name": "delete_city"}]}


@dataclass
class Server:
    """An MCP server by its answers: a result, or a whole scripted answer, for each method; an error for the rest."""

    answers: Answers
    session: str = ""

    def __call__(self, request: MCPRequest) -> ScriptedAnswer:
        answer = self.answers.get(request.method)
        if isinstance(answer, Refusal):
            raise answer
        if isinstance(answer, ScriptedAnswer):
            return answer
        if request.kind is not Kind.REQUEST:
            return ScriptedAnswer(202, content_type="")
        if answer is None:
            return told(request.id, {"error": {"code": -32601, "message": "Method not found"}})
        session = (("mcp-session-id", self.session),) if request.method == "initialize" and self.session else ()
        return replace(told(request.id, {"result": answer}), headers=session)


def told(request_id: Json, outcome: dict[str, Json], status: int = 200) -> ScriptedAnswer:
    return ScriptedAnswer(status, chunks=(dumps({"jsonrpc": "2.0", "id": request_id, **outcome}),))


@dataclass
class House:
    """Stages over an upstream, with a ledger in memory. One caller's token is known to its identity stage."""

    upstream: Upstream
    connection: Connection = CITY
    policy: str = ""
    store: MemoryLedgerStore = field(default_factory=MemoryLedgerStore)
    time: float = 0.0

    async def identify(self, head: RequestHead) -> Principal:
        if head.headers.get("authorization") != "Bearer a-users-token":
            raise Refusal(Reason.CREDENTIAL_INVALID, "The token is not known.")
        return Principal("entra:t:alice", PrincipalKind.USER)

    async def spend(self, effect: Spend) -> Spent:
        return Spent(allowed=True, limit=effect.calls, remaining=0, reset=60)

    async def refund(self, effect: Refund) -> None: ...

    async def charge(self, spend: Spend, amount: int) -> None: ...

    def tell(self, effect: Trace | Metric) -> None: ...

    def clock(self) -> float:
        self.time += 0.0125
        return self.time

    async def test(self, name: str = "city", token: Secret | None = None, patience: float = 60) -> ProbeResult:
        documents = [parse_document(self.policy, "rules.yaml")] if self.policy else []
        snapshot = Snapshot("stamp", {"city": self.connection}, {"city": compile_policy(documents, [], [], {})})
        ledger = AuditLedger((self.store,), Digester(b"k" * 32), lambda: datetime(2026, 11, 21, tzinfo=UTC))
        await ledger.start()
        try:
            stages = Stages(lambda: snapshot, self, Effects(self, self), ConnectionKeys(), ledger, self.upstream)
            return await Probe(stages, self.clock, patience).test(name, token)
        finally:
            await ledger.close()

    def records(self, event: str) -> list[dict[str, Json]]:
        return [json.loads(row.record) for _, _, row in self.store.disk.rows if row.call_id and row.event == event]


def asked(upstream: MemoryUpstream) -> list[str]:
    """The methods that the server heard."""
    return [json.loads(sent.body)["method"] if sent.body else sent.http_method for sent in upstream.ledger]


async def test_a_server_of_2026_is_asked_what_it_is_and_what_it_has() -> None:
    upstream = MemoryUpstream(Server({"server/discover": DISCOVERED, "tools/list": TWO_TOOLS}))
    result = await House(upstream).test()
    assert asked(upstream) == ["server/discover", "tools/list"]
    assert (result.ok, result.era, result.protocol) == (True, "stateless", "2026-07-28")
    assert (result.server, result.server_version) == ("cities", "1.2")
    assert result.tools == ("get_city", "delete_city")
    assert (result.principal, result.credential) == (PROBE.id, "dev.mcpgov/city#city")
    assert result.latency_ms == 12.5


async def test_an_older_server_is_met_with_the_handshake_and_its_session_is_ended() -> None:
    upstream = MemoryUpstream(Server({"initialize": INITIALIZED, "tools/list": TWO_TOOLS}, session="s-1"))
    result = await House(upstream).test()
    assert asked(upstream) == ["server/discover", "initialize", "notifications/initialized", "tools/list", "DELETE"]
    assert (result.ok, result.era, result.protocol) == (True, "handshake", "2025-11-25")
    assert [sent.headers.get("mcp-session-id") for sent in upstream.ledger] == ["", "", "s-1", "s-1", "s-1"]
    assert [sent.headers.get("mcp-protocol-version") for sent in upstream.ledger[1:]] == ["", *["2025-11-25"] * 3]


async def test_what_the_server_says_of_its_tools_is_kept_where_it_can_be_read() -> None:
    said: Json = {"readOnlyHint": True, "title": "City", "idempotentHint": "yes"}
    listed: dict[str, Json] = {"tools": [{"name": "get_city", "annotations": said}, {"name": "bare"}, "no tool"]}
    result = await House(MemoryUpstream(Server({"server/discover": DISCOVERED, "tools/list": listed}))).test()
    assert result.tools == ("get_city", "bare")
    assert result.annotations == {"get_city": {"readOnlyHint": True}, "bare": {}}


async def test_a_session_is_ended_also_where_the_list_fails() -> None:
    error = told(1, {"error": {"code": -32603, "message": "broken"}})
    upstream = MemoryUpstream(Server({"initialize": INITIALIZED, "tools/list": error}, session="s-1"))
    result = await House(upstream).test()
    assert asked(upstream)[-2:] == ["tools/list", "DELETE"]
    assert not result.ok


async def test_a_version_that_the_gate_does_not_know_is_not_claimed() -> None:
    oldest = {**INITIALIZED, "protocolVersion": "2024-11-05"}
    upstream = MemoryUpstream(Server({"initialize": oldest, "tools/list": TWO_TOOLS}))
    result = await House(upstream).test()
    assert (result.ok, result.protocol) == (True, "2024-11-05")
    assert "mcp-protocol-version" not in upstream.ledger[-1].headers


async def test_a_server_that_breaks_on_the_newer_question_is_still_met() -> None:
    broken = ScriptedAnswer(500, content_type="text/html", chunks=(b"<h1>oops</h1>",))
    answers: Answers = {"server/discover": broken, "initialize": INITIALIZED, "tools/list": TWO_TOOLS}
    assert (await House(MemoryUpstream(Server(answers))).test()).ok


async def test_every_page_is_asked_for_and_a_list_that_never_ends_is_left() -> None:
    pages = iter(range(PAGES * 2))

    def endless(request: MCPRequest) -> ScriptedAnswer:
        if request.method != "tools/list":
            return Server({"server/discover": DISCOVERED})(request)
        page = next(pages)
        return told(request.id, {"result": {"tools": [{"name": f"t{page}"}], "nextCursor": f"c{page}"}})

    upstream = MemoryUpstream(endless)
    result = await House(upstream).test()
    assert len(result.tools) == PAGES
    assert [json.loads(sent.body)["params"].get("cursor") for sent in upstream.ledger[1:4]] == [None, "c0", "c1"]


async def test_a_cursor_that_comes_again_ends_the_list() -> None:
    again: dict[str, Json] = {**TWO_TOOLS, "nextCursor": "same"}
    upstream = MemoryUpstream(Server({"server/discover": DISCOVERED, "tools/list": again}))
    assert len((await House(upstream).test()).tools) == 4


async def test_a_server_that_does_not_know_the_list_has_no_tools() -> None:
    result = await House(MemoryUpstream(Server({"initialize": INITIALIZED}))).test()
    assert result.problem is not None
    assert result.problem.name == "no-tools"


async def test_a_stream_is_read_to_its_answer() -> None:
    def streamed(request: MCPRequest) -> ScriptedAnswer:
        answer = dumps({"jsonrpc": "2.0", "id": request.id, "result": TWO_TOOLS})
        chunks = (b": hello\n\n", b"data:\n\n", b'data: {"jsonrpc":"2.0","method":"x"}\n\n')
        if request.method != "tools/list":
            return Server({"server/discover": DISCOVERED})(request)
        return ScriptedAnswer(content_type="text/event-stream", chunks=(*chunks, b"data: " + answer + b"\n\n"))

    assert (await House(MemoryUpstream(streamed)).test()).tools == ("get_city", "delete_city")


async def test_a_stream_without_an_answer_proves_nothing() -> None:
    silent = ScriptedAnswer(content_type="text/event-stream", chunks=(b": hello\n\n",))
    result = await House(MemoryUpstream(Server({"server/discover": DISCOVERED, "tools/list": silent}))).test()
    assert result.problem is not None
    assert result.problem.name == "upstream-invalid"


async def test_a_server_that_never_answers_ends_the_test_and_the_call_is_written_down() -> None:
    hanging = ScriptedAnswer(content_type="text/event-stream", chunks=(b": hello\n\n",), ends=False)
    house = House(MemoryUpstream(Server({"server/discover": DISCOVERED, "tools/list": hanging})))
    result = await house.test(patience=0.5)
    assert result.problem is not None
    assert result.problem.name == "upstream-timeout"
    assert [record["mcpgov.status"] for record in house.records("outcome")] == ["ok", "cancelled"]


async def test_everything_is_in_the_ledger_as_the_probe_and_no_tool_is_called() -> None:
    upstream = MemoryUpstream(Server({"server/discover": DISCOVERED, "tools/list": TWO_TOOLS}))
    house = House(upstream)
    result = await house.test()
    intents = house.records("intent")
    assert [record["mcpgov.principal.id"] for record in intents] == [PROBE.id] * 2
    assert [record["correlation_id"] for record in intents] == list(result.correlation_ids)
    assert "tools/call" not in asked(upstream)


async def test_tools_that_policies_hide_are_hidden_from_the_probe() -> None:
    upstream = MemoryUpstream(Server({"server/discover": DISCOVERED, "tools/list": TWO_TOOLS}))
    result = await House(upstream, policy="inbound: [tool-rules: { deny: [delete_*] }]").test()
    assert result.tools == ("get_city",)


async def test_a_policy_refuses_the_probe_as_it_refuses_everybody() -> None:
    upstream = MemoryUpstream(Server({}))
    house = House(upstream, policy="inbound: [ip-filter: { action: allow, addresses: [10.0.0.0/24] }]")
    result = await house.test()
    assert result.problem is not None
    assert result.problem.name == "source-ip-denied"
    assert upstream.ledger == []
    assert [record["mcpgov.decision.reason"] for record in house.records("denied")] == ["source-ip-denied"]


async def test_a_rule_that_refuses_is_looked_up_by_the_record_of_the_call_and_not_of_the_sessions_end() -> None:
    upstream = MemoryUpstream(Server({"initialize": INITIALIZED, "tools/list": TWO_TOOLS}, session="s-1"))
    condition = (
        "inbound: [choose: { when: [{ condition: 'mcp.method == \"tools/list\"', do: [return-response: {}] }] }]"
    )
    house = House(upstream, policy=condition)
    result = await house.test()
    assert result.problem is not None
    [denied] = house.records("denied")
    assert f"mcpgov audit show {denied['correlation_id']} has the rule" in result.problem.mend
    assert asked(upstream)[-1] == "DELETE"
    assert result.correlation_ids[-1] != denied["correlation_id"]


async def test_what_the_probe_cannot_prove_is_said_beside_what_it_proved() -> None:
    upstream = MemoryUpstream(Server({"server/discover": DISCOVERED, "tools/list": TWO_TOOLS}))
    second = CallerToken("x-query-source", "https://search.azure.com", required=False)
    result = await House(upstream, replace(CITY, sign_in=SignIn(caller_token=second))).test()
    assert (result.ok, result.untested) == (True, "on behalf of a user (--token-env)")
    assert (await House(upstream).test()).untested == ""


@pytest.mark.parametrize("status", [404, 200])
async def test_what_is_no_mcp_server_is_told_with_what_it_answered(status: int) -> None:
    page = ScriptedAnswer(status, content_type="text/html", chunks=(b"<h1>oops</h1>",))
    result = await House(MemoryUpstream(Server({"server/discover": page, "initialize": page}))).test()
    assert result.problem is not None
    assert (result.problem.name, f"status {status}" in result.problem.what) == ("upstream-invalid", True)


async def test_an_unknown_connection_is_named_with_its_nearest() -> None:
    result = await House(MemoryUpstream()).test("ctiy")
    assert result.problem is not None
    assert (result.problem.name, result.problem.mend) == ("unknown-connection", "did you mean city?")


async def test_a_users_token_makes_the_test_that_users_own() -> None:
    upstream = MemoryUpstream(Server({"server/discover": DISCOVERED, "tools/list": TWO_TOOLS}))
    house = House(upstream)
    result = await house.test(token=Secret("a-users-token"))
    assert (result.ok, result.principal) == (True, "entra:t:alice")
    assert all("a-users-token" not in f"{sent.headers.fields}" for sent in upstream.ledger)


async def test_a_token_that_does_not_hold_is_refused_as_any_callers() -> None:
    result = await House(MemoryUpstream()).test(token=Secret("a-strangers-token"))
    assert result.problem is not None
    assert (result.problem.name, result.principal) == ("credential-invalid", "")


async def test_a_refusal_in_the_middle_of_a_handshake_ends_it() -> None:
    gone = Refusal(Reason.UPSTREAM_RESET, "It broke off.")
    upstream = MemoryUpstream(Server({"initialize": INITIALIZED, "notifications/initialized": gone}))
    result = await House(upstream).test()
    assert result.problem is not None
    assert result.problem.name == "upstream-reset"


async def test_a_consent_that_the_server_waits_for_is_shown_with_its_link() -> None:
    error: dict[str, Json] = {"code": -32007, "message": "CONSENT_REQUIRED https://consent.example/x?y=1 please"}
    answer = ScriptedAnswer(chunks=(dumps({"jsonrpc": "2.0", "id": 2, "error": error}),))
    result = await House(MemoryUpstream(Server({"server/discover": DISCOVERED, "tools/list": answer}))).test()
    assert result.problem is not None
    assert (result.problem.name, result.problem.link) == ("upstream-consent-required", "https://consent.example/x?y=1")


async def test_an_error_without_a_code_is_an_error() -> None:
    answer = ScriptedAnswer(chunks=(b'{"jsonrpc":"2.0","id":2,"error":{"message":"odd"}}',))
    result = await House(MemoryUpstream(Server({"server/discover": DISCOVERED, "tools/list": answer}))).test()
    assert result.problem is not None
    assert result.problem.name == "upstream-error"


@asynccontextmanager
async def sdk_server(key: str) -> AsyncGenerator[str]:
    """A server of the official SDK on a loopback port, which wants this key."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = RequireKey(build_server().streamable_http_app(), key)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    serving = asyncio.create_task(server.serve([listener]))
    while not server.started:
        await asyncio.sleep(0)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        await serving


def keyed(url: str, key: str) -> Connection:
    return replace(CITY, upstream=RemoteUpstream(url, private=True), keys=((KEY_HEADER, Secret(key)),))


async def test_a_server_of_the_official_sdk_is_proved_over_a_socket() -> None:
    async with sdk_server("right") as url:
        forwarder = remote_forwarder()
        result = await House(forwarder, keyed(url, "right")).test()
        await forwarder.close()
    assert result.ok
    assert (result.server, result.era) == ("city-records", "stateless")
    assert "get_population" in result.tools


async def test_a_wrong_key_is_told_from_a_socket() -> None:
    async with sdk_server("right") as url:
        forwarder = remote_forwarder()
        result = await House(forwarder, keyed(url, "wrong")).test()
        await forwarder.close()
    assert result.problem is not None
    assert result.problem.name == "key-refused"
    assert f"Sent: header {KEY_HEADER}." in result.problem.what


async def refused_by(answer: Callable[[MCPRequest], ScriptedAnswer]) -> str:
    result = await House(MemoryUpstream(answer)).test()
    assert result.problem is not None
    return result.problem.name


async def test_what_is_no_mcp_server_is_called_so() -> None:
    page = ScriptedAnswer(200, content_type="text/html", chunks=(b"<html>sign in</html>",))
    moved = ScriptedAnswer(302, content_type="", headers=(("location", "https://elsewhere.example/"),))
    assert await refused_by(lambda _request: page) == "upstream-invalid"
    assert await refused_by(lambda _request: moved) == "upstream-redirected"
