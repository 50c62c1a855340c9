"""The fixture server is a witness in other tests, so its word is tested: what it offers and what its ledger says."""

import asyncio
from pathlib import Path

import mcp
import mcp_types as types
import pytest

from tests.conformance.ledger import entries, wait_for
from tests.peers.process import everything_server


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_it_serves_both_eras_at_the_url_of_its_first_line(tmp_path: Path, mode: str) -> None:
    with everything_server(tmp_path) as url:
        async with mcp.Client(url, mode=mode) as client:
            tools = await client.list_tools()
            answer = await client.call_tool("test_simple_text", {})
    assert len(tools.tools) == len({tool.name for tool in tools.tools}) == 32
    assert answer.content == [types.TextContent(text="This is a simple text response for testing.")]


async def test_ledger_holds_the_start_and_the_end_of_each_call_when_the_answer_arrives(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with everything_server(tmp_path, ledger) as url:
        async with mcp.Client(url) as client:
            await client.call_tool("slow", {"seconds": 0, "tag": "one"})
            written = entries(ledger)
    assert [(entry.event, entry.tool, entry.arguments["tag"]) for entry in written] == [
        ("start", "slow", "one"),
        ("done", "slow", "one"),
    ]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_call_that_the_client_cancels_is_cancelled_in_the_ledger(tmp_path: Path, mode: str) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with everything_server(tmp_path, ledger) as url:
        async with mcp.Client(url, mode=mode) as client:
            call = asyncio.create_task(client.call_tool("slow", {"seconds": 60, "tag": "gone"}))
            await wait_for(ledger, "start", "gone")
            call.cancel()
            await wait_for(ledger, "cancelled", "gone")
    assert [entry.event for entry in entries(ledger)] == ["start", "cancelled"]
