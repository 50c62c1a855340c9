"""A client that goes away, with the real SDK on both sides: the upstream's own ledger is the witness.

The SDK holds back the head of an answer until the tool has something to say, so in 2026 the cancellation has to cross
before there is any answer at all.
"""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import httpx2
import mcp
import pytest

from tests.conformance.ledger import entries, wait_for
from tests.peers.gateway import Upstream, gateway
from tests.peers.process import everything_server

HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
INITIALIZE: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "raw", "version": "1"},
}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Where the upstream writes down what it did."""
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def url(tmp_path: Path, ledger: Path) -> Generator[str]:
    """The governed URL of the upstream."""
    with (
        everything_server(tmp_path, ledger) as upstream,
        gateway(tmp_path / "gateway", [Upstream("everything", upstream)]) as base,
    ):
        yield f"{base}/mcp/everything"


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_a_cancelled_call_is_cancelled_upstream_in_the_way_of_its_era(url: str, ledger: Path, mode: str) -> None:
    async with mcp.Client(url, mode=mode) as client:
        calling = asyncio.create_task(client.call_tool("slow", {"seconds": 60, "tag": "gone"}))
        await wait_for(ledger, "start", "gone")
        calling.cancel()
        await wait_for(ledger, "cancelled", "gone")
    assert [entry.event for entry in entries(ledger)] == ["start", "cancelled"]


async def test_in_2025_a_dropped_connection_is_no_cancellation(url: str, ledger: Path) -> None:
    async with httpx2.AsyncClient(headers=HEADERS, timeout=30) as http:
        session = (await http.post(url, json=message("initialize", INITIALIZE))).headers["mcp-session-id"]
        http.headers["Mcp-Session-Id"] = session
        await http.post(url, json={"jsonrpc": "2.0", "method": "notifications/initialized"})
        params = {"name": "slow", "arguments": {"seconds": 1, "tag": "kept"}}
        calling = asyncio.create_task(http.post(url, json=message("tools/call", params)))
        await wait_for(ledger, "start", "kept")
        calling.cancel()
        await wait_for(ledger, "done", "kept")
    assert [entry.event for entry in entries(ledger)] == ["start", "done"]


def message(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """A request."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
