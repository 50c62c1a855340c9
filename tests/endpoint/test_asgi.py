"""The raw endpoint on a real socket: what is reachable, what is watched, and who pushes back on whom."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from mcpgov.endpoint.asgi import head_of
from tests.flows.house import META, STATELESS, House, house, rpc
from tests.flows.upstream import CityUpstream, listening

MEGABYTE = b": " + b"x" * (1 << 20) + b"\n\n"
MEGABYTES = 64


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncGenerator[House]:
    async with listening(CityUpstream()) as url, house(tmp_path) as built:
        await built.furnish(f"{url}/mcp")
        yield built


async def status(gateway: House, path: str) -> tuple[int, str]:
    assert gateway.http is not None
    async with gateway.http.get(f"{gateway.url}{path}") as response:
        return response.status, (await response.text()).strip()


async def test_probes_are_answered_without_a_key_and_without_a_record(gateway: House) -> None:
    assert await status(gateway, "/livez") == (200, "live")
    assert await status(gateway, "/readyz") == (200, "ready")
    assert await gateway.records() == []


@pytest.mark.parametrize("path", ["/", "/admin", "/mcpx", "/metrics", "/livez/"])
async def test_nothing_else_is_served(gateway: House, path: str) -> None:
    assert await status(gateway, path) == (404, "not found")


async def test_what_is_under_mcp_is_governed_whatever_it_is_called(gateway: House) -> None:
    assert (await status(gateway, "/mcp"))[0] == 401
    assert (await status(gateway, "/mcp/"))[0] == 401
    assert len(await gateway.records(event="denied")) == 2


def scope(**changes: Any) -> dict[str, Any]:
    plain = {"method": "POST", "headers": [(b"accept", b"a")], "client": ("192.0.2.1", 5000)}
    return {**plain, **changes}


def test_a_field_with_an_underscore_is_dropped_because_servers_read_it_as_a_dash() -> None:
    head = head_of(scope(headers=[(b"mcp_name", b"delete"), (b"mcp-name", b"get")]), b"/mcp/city", ())
    assert head.headers.fields == (("mcp-name", "get"),)


@pytest.mark.parametrize(
    ("path", "connection"),
    [(b"/mcp/city", "city"), (b"/mcp/a-1", "a-1"), (b"/mcp/%63ity", ""), (b"/mcp/city/", ""), (b"/mcp", "")],
)
def test_the_connection_is_named_by_the_raw_path_and_nothing_else(path: bytes, connection: str) -> None:
    assert head_of(scope(), path, ()).connection == connection


def test_a_claimed_correlation_id_is_kept_short_and_ours_is_new_each_time() -> None:
    claims = scope(headers=[(b"x-request-id", b"r" * 1000)])
    one, two = head_of(claims, b"/mcp/city", ()), head_of(claims, b"/mcp/city", ())
    assert one.claimed_correlation_id == "r" * 128
    assert one.correlation_id != two.correlation_id


def test_a_caller_without_an_address_is_unknown() -> None:
    assert head_of(scope(client=None), b"/mcp/city", ()).source_address == "unknown"


class Fountain:
    """An upstream that sends a stream as fast as it is taken, and notes how much that was."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended = asyncio.Event()

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body", False):
            pass
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b'data: {"jsonrpc":"2.0","method":"x"}\n\n', "more_body": True}
        )
        for _ in range(MEGABYTES):
            await send({"type": "http.response.body", "body": MEGABYTE, "more_body": True})
            self.sent += 1
        await send({"type": "http.response.body", "body": b""})
        self.ended.set()


async def test_a_slow_client_slows_the_upstream_and_never_grows_memory(tmp_path: Path) -> None:
    fountain = Fountain()
    async with listening(fountain) as url, house(tmp_path) as gateway, asyncio.timeout(60):
        await gateway.furnish(f"{url}/mcp")
        body = rpc("tools/call", {"name": "get_city", "_meta": META})
        key = await gateway.key()
        host, port = gateway.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(
            f"POST /mcp/city HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
            f"MCP-Protocol-Version: {STATELESS}\r\nMcp-Method: tools/call\r\nMcp-Name: get_city\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await reader.readuntil(b"\r\n\r\n")
        await a_standstill(fountain)
        assert fountain.sent < MEGABYTES / 2
        while not fountain.ended.is_set():
            assert await reader.read(1 << 20)
        assert fountain.sent == MEGABYTES
        writer.close()


async def a_standstill(fountain: Fountain) -> None:
    """Return when nothing has moved for many turns of the loop in a row."""
    still, seen = 0, -1
    while still < 20_000:
        await asyncio.sleep(0)
        still, seen = (still + 1, seen) if fountain.sent == seen else (0, fountain.sent)
