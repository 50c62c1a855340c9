"""A client that goes away, in both eras; the upstream's own log is the witness."""

import asyncio
import contextlib
import json
import socket
from typing import Any

from mcpgov.endpoint.server import GatewayServer
from tests.flows.house import META, House, rpc
from tests.flows.upstream import CityUpstream

PARAMS: dict[str, Any] = {"name": "get_city", "arguments": {}}
WITHIN = 10


async def leave_during(gateway: House, upstream: CityUpstream, *, stateless: bool) -> None:
    """Begin a call, and close the connection while the upstream has it and has answered nothing."""
    client = await gateway.client()
    asked = client.call("get_city") if stateless else client.handshake_request("tools/call", PARAMS)
    calling = asyncio.ensure_future(asked)
    async with asyncio.timeout(WITHIN):
        await upstream.begun.wait()
    calling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await calling


async def ended(gateway: House) -> object:
    """The status in the outcome record of the tools/call."""
    (intent,) = await gateway.records(event="intent", **{"mcp.method.name": "tools/call"})
    (outcome,) = await gateway.records(event="outcome", correlation_id=intent["correlation_id"])
    return outcome["mcpgov.status"]


async def test_in_2026_a_client_that_leaves_before_the_answer_began_cancels_the_upstream_call(
    gateway: House, upstream: CityUpstream
) -> None:
    upstream.hold = asyncio.Event()
    await leave_during(gateway, upstream, stateless=True)
    async with asyncio.timeout(WITHIN):
        await upstream.ended.wait()
    assert upstream.events == ["start", "cancelled"]
    assert await ended(gateway) == "cancelled"


async def test_in_2025_a_client_that_leaves_does_not_cancel_the_upstream_call(
    gateway: House, upstream: CityUpstream
) -> None:
    upstream.hold = asyncio.Event()
    await leave_during(gateway, upstream, stateless=False)
    await (await gateway.client()).handshake_request("ping")  # the gateway has had every chance to pass the leaving on
    upstream.hold.set()
    async with asyncio.timeout(WITHIN):
        await upstream.ended.wait()
    assert upstream.events == ["start", "done"]
    assert await ended(gateway) == "client-gone"


async def test_a_half_closed_connection_counts_as_gone(gateway: House, upstream: CityUpstream) -> None:
    upstream.hold = asyncio.Event()
    key = await gateway.key()
    host, port = gateway.url.removeprefix("http://").split(":")
    body = rpc("tools/call", {**PARAMS, "_meta": META})
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /mcp/city HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
        f"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: get_city\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    async with asyncio.timeout(WITHIN):
        await upstream.begun.wait()
        writer.write_eof()
        await upstream.ended.wait()
        assert await reader.read() == b""
    assert upstream.events == ["start", "cancelled"]
    writer.close()


async def test_a_notification_of_cancellation_crosses_as_it_is_in_2025(gateway: House, upstream: CityUpstream) -> None:
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}
    reply = await (await gateway.client()).post(json.dumps(note).encode(), {"MCP-Protocol-Version": "2025-11-25"})
    assert reply.status == 202
    assert upstream.ledger[0].message == note


async def test_a_call_that_outlasts_the_time_for_stopping_is_told_so_and_recorded_so(
    gateway: House, upstream: CityUpstream
) -> None:
    assert gateway.running is not None
    upstream.hold = asyncio.Event()
    server, client = GatewayServer(gateway.running.gateway, drain=0), await gateway.client()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        serving = asyncio.create_task(server.serve_on(sock))
        client.url = f"http://127.0.0.1:{sock.getsockname()[1]}/mcp/city"
        calling = asyncio.create_task(client.call("get_city"))
        async with asyncio.timeout(WITHIN):
            await upstream.begun.wait()
            server.should_exit = True
            reply = await calling
            await serving
    assert (reply.status, reply.message["error"]["data"]["reason"]) == (503, "gateway-stopping")
    (outcome,) = await gateway.records(event="outcome")
    assert (outcome["mcpgov.status"], outcome["mcpgov.reason"]) == ("cancelled", "gateway-stopping")


async def test_a_client_that_got_its_whole_answer_is_never_said_to_have_left(
    gateway: House, upstream: CityUpstream
) -> None:
    client = await gateway.client()
    for number in range(50):
        upstream.answers_with = "sse" if number % 2 else "json"
        assert (await client.call("get_city")).status == 200
    assert [record["mcpgov.status"] for record in await gateway.records(event="outcome")] == ["ok"] * 50
