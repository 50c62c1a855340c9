"""Made-up calls that the tests of the ledger write down."""

from dataclasses import replace
from datetime import UTC, datetime

from mcpgov.audit.record import Facts
from mcpgov.decision import Decision, Reason, Spent
from mcpgov.models import (
    CallerScope,
    Connection,
    Credential,
    Era,
    Headers,
    Json,
    Kind,
    MCPRequest,
    Principal,
    PrincipalKind,
    RemoteUpstream,
    RequestHead,
    Secret,
)

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
ALICE = Principal("key:3fGh81Kx", PrincipalKind.KEY, "alice", "payments", "mcpgov_3fGh81Kx…")
AGENT = Principal(
    "entra:tenant:agent-1:user-1",
    PrincipalKind.AGENT_ON_BEHALF,
    agent_id="agent-1",
    blueprint_id="blueprint-1",
    object_id="user-1",
    roles=("Mcp.Invoke",),
    scopes=("Mcp.Use",),
    tenant_id="tenant",
    app_id="agent-1",
    token_id="uti-1",
    issuer="https://login.example/tenant/v2.0",
    subject="subject",
    shared=True,
    scope=CallerScope(("city",), ("get_*",)),
    assertion=Secret("user-token"),
)
CITY = Connection(
    "city",
    "dev.mcpgov/city",
    RemoteUpstream("https://user:hunter2@city.example:8443/mcp?token=hunter2#hunter2"),
    keys=(("X-Key", Secret("hunter2")),),
)
ALLOWED = Decision(Reason.ALLOWED, "company#1", "sha256:" + "a" * 64, limits=(Spent(True, 60, 59, 60),))
ARGUMENTS = b'{"text":"hunter2", "count":3}'
CREDENTIAL = Credential("CustomKeys", "city: X-Key", (("X-Key", Secret("hunter2")),))


def head(correlation_id: str = "correlation", **changes: str) -> RequestHead:
    """The head of a request from 10.0.0.7 through a proxy at 10.0.0.1."""
    headers = Headers((("user-agent", "agent/1.0"), ("authorization", "Bearer hunter2"), ("cookie", "hunter2")))
    made = RequestHead("POST", "city", headers, "10.0.0.1", "10.0.0.7", NOW, correlation_id)
    return replace(made, **changes)


def request(
    tool: str = "search", method: str = "tools/call", traceparent: str = "", *, about: RequestHead
) -> MCPRequest:
    """A request whose arguments hold a secret."""
    params: dict[str, Json] = {"name": tool, "arguments": {"text": "hunter2", "count": 3}}
    body = b'{"jsonrpc":"2.0","id":7,"params":{"arguments":' + ARGUMENTS + b"}}"
    return MCPRequest(
        about, Era.STATELESS, Kind.REQUEST, "2026-07-28", body, 7, method, tool, params, traceparent=traceparent
    )


def facts(call_id: str, at: datetime = NOW, *, principal: Principal = ALICE, **changes: str) -> Facts:
    """What is known of an allowed call. Changes: tool, method, traceparent; connection, source."""
    where = {"connection": changes.pop("connection", "city"), "source_address": changes.pop("source", "10.0.0.7")}
    about = head(f"correlation-{call_id}", **where)
    connection = replace(CITY, name=about.connection)
    asked = request(**changes, about=about)
    return Facts(call_id, at, "stamp", about, principal, asked, connection, ALLOWED, CREDENTIAL)
