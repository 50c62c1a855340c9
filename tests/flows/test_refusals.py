"""How a call is refused: what the client is told, that the upstream hears nothing, and that it stands in the ledger."""

import asyncio
import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.flows.house import HANDSHAKE, META, STATELESS, Client, House, house, rpc
from tests.flows.upstream import CityUpstream, listening

CALL = rpc("tools/call", {"name": "get_city", "arguments": {}, "_meta": META})
MIRRORS = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/call", "Mcp-Name": "get_city"}


async def test_a_caller_without_a_key_is_told_where_to_put_one(gateway: House) -> None:
    reply = await (await gateway.client(key="")).call("get_city")
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer KEY or x-api-key: KEY" in reply.message["error"]["message"]
    assert reply.message["error"]["data"]["correlationId"] == reply.headers["x-correlation-id"]


async def test_a_stranger_learns_nothing_about_connections(gateway: House, upstream: CityUpstream) -> None:
    replies = [await (await gateway.client(name, key="")).call("get_city") for name in ("city", "nowhere", "city/more")]
    told = [(reply.status, reply.message["error"]["code"], reply.message["error"]["message"]) for reply in replies]
    assert told[0] == told[1] == told[2]
    assert upstream.ledger == []
    assert len(await gateway.records(event="denied", **{"mcpgov.decision.reason": "credential-missing"})) == 3


async def test_a_stranger_is_refused_before_its_body_is_read(gateway: House) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"POST /mcp/city HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n{{".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 401")
        writer.close()


@pytest.mark.parametrize("path", ["nowhere", "city/more", "%63ity", "City", "../mcp/city", "city;x", ""])
async def test_what_is_not_exactly_a_connection_is_unknown(gateway: House, upstream: CityUpstream, path: str) -> None:
    client = await gateway.client()
    reply = await Client(client.http, client.url, client.headers["X-API-Key"]).post(CALL, MIRRORS)
    assert reply.status == 200
    upstream.ledger.clear()
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = {**client.headers, **MIRRORS, "Host": host, "Content-Length": str(len(CALL)), "Connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    writer.write(f"POST /mcp/{path} HTTP/1.1\r\n{lines}\r\n".encode() + CALL)
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 404")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["data"]["reason"] == "unknown-connection"
    assert upstream.ledger == []
    assert len(await gateway.records(event="denied", **{"mcpgov.decision.reason": "unknown-connection"})) == 1


@pytest.mark.parametrize(
    ("body", "headers", "expected", "reason"),
    [
        (b"{", {}, (400, -32700), "invalid-json"),
        (b'{"jsonrpc":"2.0","id":5,"id":5}', {}, (400, -32700), "duplicate-key"),
        (b"[" + CALL + b"]", {}, (400, -32600), "batch-refused"),
        (CALL.decode().encode("utf-16"), {}, (400, -32700), "invalid-encoding"),
        (CALL.replace(b'"params"', b'"Params"'), {}, (400, -32600), "ambiguous-key"),
        (CALL.replace(b'"id": 5, ', b""), {}, (400, -32600), "invalid-message"),
        (CALL, {"Content-Type": "text/plain"}, (415, -31415), "unsupported-media-type"),
        (CALL, {"Content-Encoding": "gzip"}, (415, -31415), "unsupported-media-type"),
        (b" " * (4 * 1024 * 1024 + 1), {}, (413, -31413), "too-large"),
        (CALL, {"MCP-Protocol-Version": "2099-01-01"}, (400, -32020), "header-mismatch"),
        (CALL, {"Mcp-Name": "delete_city"}, (400, -32020), "header-mismatch"),
        (CALL, {"Mcp-Name": None}, (400, -32020), "header-mismatch"),
        (rpc("ping", {}), {"MCP-Protocol-Version": "2099-01-01"}, (400, -32022), "unsupported-protocol-version"),
        (CALL, {"Host": "evil.example.com"}, (421, -31421), "host-denied"),
        (CALL, {"Origin": "https://evil.example.com"}, (403, -31403), "origin-denied"),
    ],
)
async def test_a_bad_request_is_refused_recorded_and_never_forwarded(
    gateway: House,
    upstream: CityUpstream,
    body: bytes,
    headers: dict[str, str | None],
    expected: tuple[int, int],
    reason: str,
) -> None:
    reply = await (await gateway.client()).post(body, {**MIRRORS, **headers})
    assert (reply.status, reply.message["error"]["code"]) == expected
    assert reply.message["error"]["data"]["reason"] == reason
    assert upstream.ledger == []
    (record,) = await gateway.records(event="denied")
    assert record["mcpgov.decision.reason"] == reason
    assert record["correlation_id"] == reply.headers["x-correlation-id"]


async def test_a_refused_request_with_a_readable_id_is_answered_with_it(gateway: House) -> None:
    reply = await (await gateway.client()).post(CALL, {**MIRRORS, "Mcp-Name": "other"})
    assert reply.message["id"] == 5


async def test_an_address_outside_the_allow_list_gets_403(gateway: House, upstream: CityUpstream) -> None:
    await gateway.govern_by("inbound: [ { ip-filter: { action: allow, addresses: [203.0.113.0/24] } } ]")
    reply = await (await gateway.client()).call("get_city")
    assert (reply.status, reply.message["id"]) == (403, 5)
    assert reply.message["error"]["data"]["reason"] == "source-ip-denied"
    assert upstream.ledger == []


async def test_a_rate_limit_counts_calls_down_and_then_says_when_to_come_back(
    gateway: House, upstream: CityUpstream
) -> None:
    await gateway.govern_by("inbound: [ { rate-limit-by-key: { calls: 2, renewal-period: 60 } } ]")
    client = await gateway.client()
    await client.request("tools/list")
    replies = [await client.call("get_city") for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert [reply.headers["x-ratelimit-remaining"] for reply in replies] == ["1", "0", "0"]
    assert 1 <= int(replies[2].headers["retry-after"]) <= 60
    assert replies[2].message["error"]["data"]["reason"] == "rate-limited"
    assert len(upstream.calls) == 2
    assert (await (await gateway.client()).call("get_city")).status == 200  # another caller has a limit of its own


async def test_a_hidden_tool_is_neither_listed_nor_callable_and_looks_unknown(
    gateway: House, upstream: CityUpstream
) -> None:
    await gateway.govern_by("inbound: [ { tool-rules: { deny: [delete_city] } } ]")
    client = await gateway.client()
    listed = (await client.request("tools/list")).message["result"]
    assert [tool["name"] for tool in listed["tools"]] == ["get_city", "list_cities", "rename_city"]
    reply = await client.call("delete_city")
    assert (reply.status, reply.message["error"]) == (200, {"code": -32602, "message": "Unknown tool: delete_city"})
    assert upstream.calls == []
    (record,) = await gateway.records(event="denied")
    assert record["mcpgov.decision.reason"] == "tool-hidden"


@pytest.mark.parametrize("era", [STATELESS, HANDSHAKE])
async def test_a_visible_tool_is_denied_with_a_result_that_tells_the_model_why(
    gateway: House, upstream: CityUpstream, era: str
) -> None:
    await gateway.govern_by(
        'inbound: [ { tool-rules: { deny: [ { tool: "rename_*", hide: false, message: "Ask the mayor." } ] } } ]'
    )
    client = await gateway.client()
    listed = (await client.request("tools/list")).message["result"]["tools"]
    assert "rename_city" in [tool["name"] for tool in listed]
    params: dict[str, Any] = {"name": "rename_city", "arguments": {}}
    asked = client.call("rename_city") if era == STATELESS else client.handshake_request("tools/call", params)
    result = (await asked).message["result"]
    assert result["isError"] is True
    assert result["content"] == [{"type": "text", "text": "Ask the mayor."}]
    assert ("resultType" in result) == (era == STATELESS)
    assert upstream.calls == []


async def test_a_session_is_good_for_the_one_it_was_made_for_and_for_nobody_else(
    gateway: House, upstream: CityUpstream
) -> None:
    alice, bob = await gateway.client(), await gateway.client()
    session = (await alice.handshake_request("initialize")).headers["mcp-session-id"]
    assert (await alice.handshake_request("ping", mcp_session_id=session)).status == 200
    assert upstream.ledger[-1].headers["mcp-session-id"] == "upstream-session-1"
    upstream.ledger.clear()
    elsewhere = await gateway.client("town", alice.headers["X-API-Key"])
    for thief in (bob, elsewhere):
        reply = await thief.handshake_request("ping", mcp_session_id=session)
        assert (reply.status, reply.message["error"]["data"]["reason"]) == (404, "unknown-session")
    assert (await alice.handshake_request("ping", mcp_session_id="upstream-session-1")).status == 404
    assert upstream.ledger == []


async def test_an_upstream_that_is_not_there_gives_502_and_an_outcome(tmp_path: Path) -> None:
    async with listening(CityUpstream()) as url:
        pass
    async with house(tmp_path) as gateway:
        await gateway.furnish(f"{url}/mcp")
        reply = await (await gateway.client()).call("get_city")
        assert (reply.status, reply.message["id"]) == (502, 5)
        assert url.removeprefix("http://") not in reply.body.decode()
        (outcome,) = await gateway.records(event="outcome")
        assert (outcome["mcpgov.status"], outcome["mcpgov.reason"]) == ("failed", "upstream-unreachable")


async def test_an_upstream_that_does_not_answer_in_time_gives_504_and_is_let_go(
    gateway: House, upstream: CityUpstream
) -> None:
    catalog = gateway.folder / "catalog" / "city.yaml"
    catalog.write_text(
        catalog.read_text().replace("    authType: CustomKeys\n", "    authType: CustomKeys\n    timeout: 1s\n")
    )
    gateway.reload()
    upstream.hold = asyncio.Event()
    reply = await (await gateway.client()).call("get_city")
    assert (reply.status, reply.message["error"]["data"]["reason"]) == (504, "upstream-timeout")
    async with asyncio.timeout(10):
        await upstream.ended.wait()
    assert upstream.events == ["start", "cancelled"]


async def test_no_record_no_call_and_service_returns_with_the_store(gateway: House, upstream: CityUpstream) -> None:
    client = await gateway.client()
    with contextlib.closing(sqlite3.connect(gateway.folder / "audit.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        reply = await client.call("get_city")
        assert (reply.status, reply.message["error"]["data"]["reason"]) == (503, "audit-unavailable")
        assert reply.headers["retry-after"] == "1"
        assert upstream.ledger == []
        other.execute("ROLLBACK")
    async with asyncio.timeout(20):
        while (await client.call("get_city")).status != 200:
            pass
    assert len(upstream.calls) == 1
