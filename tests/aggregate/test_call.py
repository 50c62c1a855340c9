"""One request at /mcp: whose it is, what reaches the member, what is written down, and what the client hears."""

import json
import re
import secrets
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mcpgov import app
from mcpgov.identity.api_key import KeyRecord, digest, mint_key
from mcpgov.models import CallerScope
from tests.aggregate.houses import Town, aggregate, at_mcp, entry, names, put_together
from tests.aggregate.speakers import Speaker, listening_in
from tests.flows.house import House, rpc

RULES = "inbound: [tool-rules: { deny: [delete] }]"


@pytest.fixture
def kyoto() -> Town:
    """The first member."""
    return Town(["search", "delete"])


@pytest.fixture
def osaka() -> Town:
    """The second."""
    return Town(["search", "rename"])


@pytest.fixture
async def both(tmp_path: Path, kyoto: Town, osaka: Town) -> AsyncGenerator[House]:
    """A gateway with the two as one server."""
    async with aggregate(tmp_path, kyoto=kyoto, osaka=osaka) as built:
        yield built


async def test_members_list_their_tools_under_their_own_names(both: House) -> None:
    reply = await (await at_mcp(both)).request("tools/list")
    assert names(reply.message) == ["kyoto_delete", "kyoto_search", "osaka_rename", "osaka_search"]
    result = reply.message["result"]
    assert (result["cacheScope"], result["ttlMs"], result["resultType"]) == ("private", 0, "complete")
    assert "_meta" not in result


async def test_a_call_goes_to_one_member_with_only_the_name_changed(both: House, kyoto: Town, osaka: Town) -> None:
    client = await at_mcp(both)
    meta = '{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}'
    body = '{ "jsonrpc":"2.0", "id":"a","method":"tools/call","params":{"arguments":{"q":1.50},"name":"%s","_meta":%s}}'
    sent = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Param-Region": "eu"}
    reply = await client.post((body % ("osaka_search", meta)).encode(), {**sent, "Mcp-Name": "osaka_search"})
    assert reply.message["result"]["content"][0]["text"] == "Kyoto\u2028"
    (seen,) = osaka.calls
    assert re.sub(r'"traceparent":"[^"]*",', "", seen.body.decode()) == body % ("search", meta)
    assert (seen.headers["mcp-name"], seen.headers["mcp-param-region"]) == ("search", "eu")
    assert seen.headers["x-key"] == "osaka-secret"
    assert kyoto.asked == []


async def test_a_call_leaves_one_record_of_the_member_and_the_tool(both: House) -> None:
    reply = await (await at_mcp(both)).call("osaka_search", {"q": 1}, x_request_id="mine")
    (intent,) = await both.records(event="intent")
    assert (intent["mcpgov.connection"], intent["gen_ai.tool.name"]) == ("osaka", "search")
    assert intent["mcpgov.aggregate"] == intent["correlation_id"] == reply.headers["x-correlation-id"]
    assert intent["mcpgov.correlation_id.claimed"] == "mine"
    (outcome,) = await both.records(event="outcome")
    assert outcome["mcpgov.status"] == "ok"


async def test_a_list_leaves_a_record_of_itself_and_one_of_each_member(both: House) -> None:
    reply = await (await at_mcp(both)).request("tools/list")
    intents = await both.records(event="intent")
    assert sorted(str(intent.get("mcpgov.connection", "")) for intent in intents) == ["", "kyoto", "osaka"]
    assert {str(intent["mcpgov.aggregate"]) for intent in intents} == {reply.headers["x-correlation-id"]}
    assert len({str(intent["correlation_id"]) for intent in intents}) == 3
    assert len({str(intent["mcpgov.principal.id"]) for intent in intents}) == 1


async def test_a_stranger_is_refused_before_anything_is_asked(both: House, kyoto: Town) -> None:
    reply = await (await at_mcp(both, "")).request("tools/list")
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert kyoto.asked == []
    (denied,) = await both.records(event="denied")
    assert denied["mcpgov.decision.reason"] == "credential-missing"


async def test_a_hidden_tool_is_left_out_and_refused(both: House, kyoto: Town) -> None:
    both.write("policies/rules.yaml", RULES)
    both.write("catalog/kyoto.yaml", entry("kyoto", upstream_of(both), "[rules]"))
    both.reload()
    client = await at_mcp(both)
    assert "kyoto_delete" not in names((await client.request("tools/list")).message)
    reply = await client.call("kyoto_delete")
    assert (reply.status, reply.message["error"]) == (200, {"code": -32602, "message": "Unknown tool: kyoto_delete"})
    assert kyoto.calls == []
    (denied,) = await both.records(event="denied")
    assert (denied["mcpgov.connection"], denied["gen_ai.tool.name"]) == ("kyoto", "delete")
    assert denied["mcpgov.decision.reason"] == "tool-hidden"


def upstream_of(built: House) -> str:
    """The URL of kyoto's server."""
    written = (built.folder / "catalog/kyoto.yaml").read_text()
    return next(line.removeprefix("upstream: ") for line in written.splitlines() if line.startswith("upstream: "))


@pytest.mark.parametrize("name", ["nara_search", "search", "kyoto_", ""])
async def test_a_name_that_is_nobodys_is_an_unknown_tool_and_recorded(both: House, kyoto: Town, name: str) -> None:
    reply = await (await at_mcp(both)).call(name)
    assert reply.message["error"]["code"] == -32602
    assert kyoto.asked == []
    (denied,) = await both.records(event="denied")
    assert denied["mcpgov.decision.reason"] == ("tool-hidden" if name else "invalid-message")


async def test_a_broken_member_breaks_no_list(both: House, osaka: Town) -> None:
    both.write("catalog/nara.yaml", entry("nara", "http://127.0.0.1:1/mcp"))
    put_together(both, '"*"')
    message = (await (await at_mcp(both)).request("tools/list")).message
    assert "osaka_rename" in names(message)
    assert message["result"]["_meta"] == {"dev.mcpgov/aggregate": {"unavailable": ["nara"]}}
    (outcome,) = await both.records(**{"mcpgov.reason": "upstream-unreachable"})
    assert outcome["event"] == "outcome"
    assert osaka.seen("tools/list") != []


async def test_without_the_setting_there_is_nothing_at_mcp(both: House) -> None:
    both.write("mcpgov.yaml", 'audit: { store: "sqlite:///audit.db" }\n')
    both.reload()
    reply = await (await at_mcp(both)).request("tools/list")
    assert (reply.status, reply.message["error"]["data"]["reason"]) == (404, "unknown-connection")
    (denied,) = await both.records(event="denied")
    assert "mcpgov.aggregate" not in denied


async def test_a_body_that_cannot_be_read_is_refused_and_recorded(both: House) -> None:
    reply = await (await at_mcp(both)).post(b"[]", {})
    assert reply.message["error"]["data"]["reason"] == "batch-refused"
    (denied,) = await both.records(event="denied")
    assert "mcpgov.aggregate" in denied


async def test_a_method_that_is_not_known_here_is_said_to_be_that(both: House) -> None:
    reply = await (await at_mcp(both)).request("tasks/get", {"taskId": "1"}, mcp_name="1")
    assert (reply.status, reply.message["error"]["code"]) == (404, -32601)


async def hello(client: Any, version: str = "2025-11-25") -> str:
    """The id of a new session, opened as clients do."""
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "me", "version": "1"}}
    opened = await client.post(rpc("initialize", params), {})
    assert opened.message["result"]["protocolVersion"] == "2025-11-25"
    session = opened.headers["mcp-session-id"]
    body = json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}).encode()
    noted = await client.post(body, {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"})
    assert noted.status == 202
    return session


async def test_a_session_opens_one_with_each_member_that_is_needed(both: House, kyoto: Town, osaka: Town) -> None:
    client = await at_mcp(both)
    session = await hello(client)
    assert kyoto.asked == []
    reply = await client.handshake_request("tools/call", {"name": "kyoto_search"}, mcp_session_id=session)
    assert reply.message["result"]["content"]
    assert "mcp-session-id" not in reply.headers
    (opened,) = kyoto.seen("initialize")
    assert opened == {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "me", "version": "1"}}
    assert kyoto.calls[0].headers["mcp-session-id"] == "upstream-session-1"
    assert osaka.asked == []
    await client.handshake_request("tools/call", {"name": "kyoto_search"}, mcp_session_id=session)
    assert len(kyoto.seen("initialize")) == 1
    await client.handshake_request("tools/list", mcp_session_id=session)
    assert (len(kyoto.seen("initialize")), len(osaka.seen("initialize"))) == (1, 1)


async def test_a_session_is_its_own_clients_and_ends_when_it_is_told_to(both: House, kyoto: Town) -> None:
    client, other = await at_mcp(both), await at_mcp(both, await both.key("other"))
    session = await hello(client)
    await client.handshake_request("tools/list", mcp_session_id=session)
    assert (await other.handshake_request("ping", mcp_session_id=session)).status == 404
    headers = {**client.headers, "Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
    async with client.http.delete(client.url, headers=headers) as ended:
        assert ended.status == 200
    assert [seen.http_method for seen in kyoto.ledger].count("DELETE") == 1
    reply = await client.handshake_request("ping", mcp_session_id=session)
    assert (reply.status, reply.message["error"]["data"]["reason"]) == (404, "unknown-session")


async def test_without_a_session_nothing_but_initialize_is_answered(both: House) -> None:
    reply = await (await at_mcp(both)).handshake_request("tools/list")
    assert (reply.status, reply.message["error"]["data"]["reason"]) == (400, "invalid-message")


async def test_where_no_member_can_be_listened_to_there_is_no_stream(both: House) -> None:
    client = await at_mcp(both)
    async with client.http.get(client.url, headers={**client.headers, "Mcp-Session-Id": await hello(client)}) as reply:
        assert (reply.status, reply.headers["allow"]) == (405, "POST, DELETE")


async def test_a_subscription_goes_to_the_resources_member(both: House, osaka: Town) -> None:
    osaka.lists["resources"] = [{"uri": "file:///notes", "name": "notes"}]
    client = await at_mcp(both)
    session = await hello(client)
    for method in ("resources/subscribe", "resources/unsubscribe"):
        reply = await client.handshake_request(method, {"uri": "file:///notes"}, mcp_session_id=session)
        assert "result" in reply.message
        assert [params["uri"] for params in osaka.seen(method)] == ["file:///notes"]
        reply = await client.handshake_request(method, {"uri": "file:///other"}, mcp_session_id=session)
        assert reply.message["error"]["code"] == -32602


async def test_a_client_comes_back_to_the_stream_of_the_member_that_it_left(tmp_path: Path) -> None:
    kyoto, osaka = Speaker(["search"]), Speaker(["search"])
    kyoto.answers_with = osaka.answers_with = "sse"
    async with aggregate(tmp_path, kyoto=kyoto, osaka=osaka) as built:
        client = await at_mcp(built)
        session = await hello(client)
        reply = await client.handshake_request("tools/call", {"name": "osaka_search"}, mcp_session_id=session)
        (left,) = [line[4:] for line in reply.body.decode().splitlines() if line.startswith("id: ")]
        assert left.startswith("osaka:")
        async with listening_in(client, session, left) as heard:
            osaka.say({"id": 5, "result": {}}, "id: 8\n")
            first, *others = await heard.lines()
            assert (first.startswith("id: osaka:"), others) == (True, ["retry: 9", "data:"])
            assert await heard.message() == {"jsonrpc": "2.0", "id": 5, "result": {}}
        (came,) = osaka.listened
        assert (came.headers["last-event-id"], came.headers["mcp-session-id"]) == ("7", "upstream-session-1")
        assert kyoto.listened == []


@pytest.mark.parametrize("last", ["nara:7", "7", "kyoto:"])
async def test_an_id_of_nobody_is_no_place_to_come_back_to(tmp_path: Path, last: str) -> None:
    kyoto = Speaker(["search"])
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        client = await at_mcp(built)
        async with listening_in(client, await hello(client), last) as heard:
            assert heard.response.status == 200
        assert "last-event-id" not in kyoto.listened[0].headers


async def scoped(built: House, scope: CallerScope) -> str:
    """A key with this scope."""
    key_id, key = mint_key(secrets.choice)
    async with app.openers().keys(built.folder / "mcpgov.yaml") as keys:
        await keys.create(KeyRecord(key_id, digest(key.reveal()), "scoped", "", datetime.now(UTC), scope=scope))
    return key.reveal()


async def test_the_scope_of_a_key_bounds_the_members(both: House) -> None:
    client = await at_mcp(both, await scoped(both, CallerScope(("kyoto",), ("sea*",))))
    assert names((await client.request("tools/list")).message) == ["kyoto_search"]
    for name in ("osaka_search", "kyoto_delete"):
        assert (await client.call(name)).message["error"] == {"code": -32602, "message": f"Unknown tool: {name}"}
