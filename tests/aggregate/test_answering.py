"""What the gateway says itself at /mcp: of itself, of the eras that it speaks, page by page."""

from pathlib import Path
from typing import Any

import pytest

from mcpgov.aggregate.merging import PAGE
from mcpgov.aggregate.sessions import HELLO as LARGEST_HELLO
from tests.aggregate.houses import Town, aggregate, at_mcp, entry, names, put_together
from tests.flows.house import META, rpc

HELLO: dict[str, Any] = {"capabilities": {}, "clientInfo": {"name": "me", "version": "1"}}


async def greeted(client: Any, version: str) -> dict[str, Any]:
    """The result of initialize."""
    reply = await client.post(rpc("initialize", {"protocolVersion": version, **HELLO}), {})
    return reply.message["result"]


@pytest.mark.parametrize(
    ("asked", "given"), [("2025-06-18", "2025-06-18"), ("2024-11-05", "2025-11-25"), ("2026-07-28", "2025-11-25")]
)
async def test_initialize_settles_the_version_and_offers_what_can_be_passed_on(
    tmp_path: Path, asked: str, given: str
) -> None:
    async with aggregate(tmp_path, kyoto=Town([])) as built:
        result = await greeted(await at_mcp(built), asked)
        assert (result["protocolVersion"], result["serverInfo"]["name"]) == (given, "mcpgov")
        assert result["capabilities"] == {
            "tools": {"listChanged": True},
            "prompts": {"listChanged": True},
            "resources": {"listChanged": True, "subscribe": True},
            "completions": {},
            "logging": {},
        }


async def test_a_stateless_server_is_offered_where_every_member_that_answers_is_one(tmp_path: Path) -> None:
    kyoto, osaka = Town([]), Town([])
    async with aggregate(tmp_path, kyoto=kyoto, osaka=osaka) as built:
        built.write("catalog/nara.yaml", entry("nara", "http://127.0.0.1:1/mcp"))
        put_together(built, '"*"')
        client = await at_mcp(built)
        result = (await client.request("server/discover")).message["result"]
        assert result["supportedVersions"] == ["2026-07-28"]
        assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "mcpgov"
        osaka.speaks = ("2025-11-25",)
        result = (await client.request("server/discover")).message["result"]
        assert result["supportedVersions"] == ["2025-11-25", "2025-06-18", "2025-03-26"]


async def test_a_member_that_does_not_know_the_question_is_of_the_other_era(tmp_path: Path) -> None:
    class Deaf(Town):
        async def _answer(self, send: Any, message: dict[str, Any], result: dict[str, Any]) -> None:
            if message["method"] == "server/discover":
                await self._whole(send, 400, b"")
            else:
                await super()._answer(send, message, result)

    async with aggregate(tmp_path, kyoto=Town([]), osaka=Deaf([])) as built:
        result = (await (await at_mcp(built)).request("server/discover")).message["result"]
        assert "2026-07-28" not in result["supportedVersions"]


async def test_a_large_list_comes_in_pages(tmp_path: Path) -> None:
    tools = [f"t{number:04}" for number in range(PAGE + 3)]
    async with aggregate(tmp_path, kyoto=Town(tools, size=100), osaka=Town(["last"])) as built:
        client = await at_mcp(built)
        first = (await client.request("tools/list")).message
        assert names(first) == [f"kyoto_{name}" for name in tools[:PAGE]]
        second = (await client.request("tools/list", {"cursor": first["result"]["nextCursor"]})).message
        assert names(second) == [*(f"kyoto_{name}" for name in tools[PAGE:]), "osaka_last"]
        assert "nextCursor" not in second["result"]
        refused = await client.request("tools/list", {"cursor": "none"})
        assert (refused.message["error"]["code"], refused.message["id"]) == (-32602, 5)


async def test_ping_is_answered_in_a_session(tmp_path: Path) -> None:
    async with aggregate(tmp_path, kyoto=Town([])) as built:
        client = await at_mcp(built)
        opened = await client.post(rpc("initialize", {"protocolVersion": "2025-11-25", **HELLO}), {})
        session = opened.headers["mcp-session-id"]
        reply = await client.handshake_request("ping", mcp_session_id=session)
        assert reply.message == {"jsonrpc": "2.0", "id": 5, "result": {}}
        reply = await client.handshake_request("tasks/list", {}, mcp_session_id=session)
        assert (reply.status, reply.message["error"]["code"]) == (200, -32601)


async def test_what_a_client_says_of_itself_is_kept_and_so_has_a_bound(tmp_path: Path) -> None:
    async with aggregate(tmp_path, kyoto=Town([])) as built:
        client = await at_mcp(built)
        large = {"capabilities": {"experimental": {"x": "y" * LARGEST_HELLO}}, "protocolVersion": "2025-11-25"}
        reply = await client.post(rpc("initialize", large), {})
        assert reply.message["error"]["data"]["reason"] == "too-large"
        assert "mcp-session-id" not in reply.headers


async def test_what_a_client_says_of_itself_is_said_to_each_member_as_it_was(tmp_path: Path) -> None:
    kyoto = Town(["search"])
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        client = await at_mcp(built)
        said: dict[str, Any] = {
            "capabilities": {"experimental": {"x": [[], {}, "\u00e9", 1.5]}},
            "clientInfo": {"name": "m", "version": ""},
        }
        hello = {"protocolVersion": "2025-11-25", **said}
        session = (await client.post(rpc("initialize", hello), {})).headers["mcp-session-id"]
        await client.handshake_request("tools/list", mcp_session_id=session)
        assert kyoto.seen("initialize") == [hello]


async def test_what_every_member_is_told_of_a_request_has_the_same_bound(tmp_path: Path) -> None:
    kyoto = Town(["search"])
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        client = await at_mcp(built)
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}
        for meta, reason in ((META, None), ({**META, "x": "y" * LARGEST_HELLO}, "too-large")):
            padded = {"_meta": meta, "other": "z" * LARGEST_HELLO}
            message = (await client.post(rpc("tools/list", padded), headers)).message
            assert message.get("error", {}).get("data", {}).get("reason") == reason
        assert kyoto.asked == ["tools/list"]


async def test_what_is_no_level_of_logs_is_refused(tmp_path: Path) -> None:
    async with aggregate(tmp_path, kyoto=Town([])) as built:
        client = await at_mcp(built)
        session = (await client.post(rpc("initialize", {"protocolVersion": "2025-11-25", **HELLO}), {})).headers
        for level, code in (("warning", 0), ("x" * 1000, -32602), (1, -32602)):
            asked = {"level": level}
            reply = await client.handshake_request("logging/setLevel", asked, mcp_session_id=session["mcp-session-id"])
            assert reply.message.get("error", {}).get("code", 0) == code


async def test_a_member_whose_list_a_policy_refuses_is_left_out(tmp_path: Path) -> None:
    async with aggregate(tmp_path, kyoto=Town(["search"]), osaka=Town(["search"])) as built:
        written = (tmp_path / "catalog/kyoto.yaml").read_text()
        built.write("policies/closed.yaml", "inbound: [ip-filter: { action: forbid, addresses: [127.0.0.1] }]")
        built.write("catalog/kyoto.yaml", written.replace("policies: []", "policies: [closed]"))
        built.reload()
        message = (await (await at_mcp(built)).request("tools/list")).message
        assert names(message) == ["osaka_search"]
        assert message["result"]["_meta"] == {"dev.mcpgov/aggregate": {"unavailable": ["kyoto"]}}
        (denied,) = await built.records(event="denied")
        assert (denied["mcpgov.connection"], denied["mcpgov.decision.reason"]) == ("kyoto", "source-ip-denied")
