"""Questions to members: all pages, in their sessions, and what becomes of those that do not answer."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.aggregate.houses import Town, aggregate, at_mcp, entry, names, put_together
from tests.flows.house import rpc

HELLO: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"sampling": {}},
    "clientInfo": {"name": "me", "version": "1"},
}


class Forgetful(Town):
    """A server that knows a session for so many requests only, and then says 404."""

    def __init__(self, tools: list[str], knows: int) -> None:
        super().__init__(tools)
        self.knows = knows

    async def _answer(self, send: Any, message: dict[str, Any], result: dict[str, Any]) -> None:
        if message["method"] in {"tools/list", "tools/call"}:
            self.knows -= 1
            if self.knows == -1:
                error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Session not found"}}
                await self._whole(send, 404, json.dumps(error).encode())
                return
        await super()._answer(send, message, result)


class Lost(Town):
    """A server that answers questions with something else."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__([])
        self.answers = list(answers)

    async def _answer(self, send: Any, message: dict[str, Any], result: dict[str, Any]) -> None:
        del result
        body = self.answers.pop(0).replace(b"ID", json.dumps(message["id"]).encode())
        await self._whole(send, 200, body)


async def opened(client: Any) -> str:
    """The id of a new session."""
    return (await client.post(rpc("initialize", HELLO), {})).headers["mcp-session-id"]


async def test_every_page_of_a_member_is_asked_for(tmp_path: Path) -> None:
    kyoto = Town([f"t{number}" for number in range(5)], size=2)
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        assert len(names((await (await at_mcp(built)).request("tools/list")).message)) == 5
        assert [params.get("cursor") for params in kyoto.seen("tools/list")] == [None, "2", "4"]


async def test_members_hear_what_the_client_said_of_itself(tmp_path: Path) -> None:
    kyoto = Town(["search"])
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        client = await at_mcp(built)
        session = await opened(client)
        await client.handshake_request("tools/list", mcp_session_id=session)
        assert kyoto.seen("initialize") == [HELLO]
        assert kyoto.asked == ["initialize", "notifications/initialized", "tools/list"]


async def test_no_two_questions_in_one_session_have_the_same_id(tmp_path: Path) -> None:
    kyoto = Town(["search"])
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        client = await at_mcp(built)
        session = await opened(client)
        asking = (client.handshake_request("tools/list", mcp_session_id=session) for _ in range(3))
        await asyncio.gather(*asking, client.handshake_request("prompts/list", mcp_session_id=session))
        ids = [str(seen.message["id"]) for seen in kyoto.ledger if "id" in seen.message]
        assert len(set(ids)) == len(ids) == 5
        assert kyoto.asked.count("initialize") == 1


async def test_the_level_of_logs_is_told_to_members_there_are_and_to_those_that_come(tmp_path: Path) -> None:
    kyoto, osaka = Town(["search"]), Town(["search"])
    async with aggregate(tmp_path, kyoto=kyoto, osaka=osaka) as built:
        client = await at_mcp(built)
        session = await opened(client)
        await client.handshake_request("tools/call", {"name": "kyoto_search"}, mcp_session_id=session)
        reply = await client.handshake_request("logging/setLevel", {"level": "debug"}, mcp_session_id=session)
        assert reply.message["result"] == {}
        assert [one["level"] for one in kyoto.seen("logging/setLevel")] == ["debug"]
        assert osaka.asked == []
        await client.handshake_request("tools/call", {"name": "osaka_search"}, mcp_session_id=session)
        assert [one["level"] for one in osaka.seen("logging/setLevel")] == ["debug"]


async def test_a_session_that_a_member_lost_is_opened_anew_for_a_list(tmp_path: Path) -> None:
    kyoto = Forgetful(["search"], knows=0)
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        client = await at_mcp(built)
        session = await opened(client)
        reply = await client.handshake_request("tools/list", mcp_session_id=session)
        assert names(reply.message) == ["kyoto_search"]
        assert kyoto.asked.count("initialize") == 2


async def test_a_call_in_a_session_that_a_member_lost_is_told_and_not_sent_again(tmp_path: Path) -> None:
    kyoto = Forgetful(["search"], knows=0)
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        client = await at_mcp(built)
        session = await opened(client)
        first = await client.handshake_request("tools/call", {"name": "kyoto_search"}, mcp_session_id=session)
        assert (first.status, len(kyoto.calls)) == (404, 1)
        second = await client.handshake_request("tools/call", {"name": "kyoto_search"}, mcp_session_id=session)
        assert "result" in second.message
        assert kyoto.asked.count("initialize") == 2


async def test_a_member_that_answers_nonsense_is_left_out(tmp_path: Path) -> None:
    error = b'{"jsonrpc":"2.0","id":ID,"error":{"code":-32603,"message":"no"}}'
    unknown = b'{"jsonrpc":"2.0","id":ID,"error":{"code":-32601,"message":"no such method"}}'
    other = b'{"jsonrpc":"2.0","id":ID,"result":{"tools":"none"}}'
    lost = Lost(b"[]", error, unknown, other)
    async with aggregate(tmp_path, kyoto=Town(["search"]), lost=lost) as built:
        client = await at_mcp(built)
        for left_out in (True, True, False, True):  # no list is what pinning reads
            result = (await client.request("tools/list")).message["result"]
            assert [tool["name"] for tool in result["tools"]] == ["kyoto_search"]
            assert ("_meta" in result) is left_out


async def test_a_member_that_opens_no_session_is_said_to_be_that(tmp_path: Path) -> None:
    refusing = b'{"jsonrpc":"2.0","id":ID,"error":{"code":-32603,"message":"no"}}'
    async with aggregate(tmp_path, lost=Lost(refusing)) as built:
        built.write("catalog/nara.yaml", entry("nara", "http://127.0.0.1:1/mcp"))
        put_together(built, "lost, nara")
        client = await at_mcp(built)
        session = await opened(client)
        for tool, reason in (("lost_x", "upstream-invalid"), ("nara_x", "upstream-unreachable")):
            reply = await client.handshake_request("tools/call", {"name": tool}, mcp_session_id=session)
            assert (reply.status, reply.message["error"]["data"]["reason"]) == (502, reason)
        denied = await built.records(event="denied")
        assert [(one["mcpgov.connection"], one["gen_ai.tool.name"]) for one in denied] == [("lost", "x"), ("nara", "x")]


async def test_a_client_that_cancels_is_heard_by_the_member_that_it_called(tmp_path: Path) -> None:
    kyoto, osaka = Town(["search"]), Town(["search"])
    kyoto.hold = asyncio.Event()
    async with aggregate(tmp_path, kyoto=kyoto, osaka=osaka) as built, asyncio.timeout(20):
        client = await at_mcp(built)
        session = await opened(client)
        call = asyncio.create_task(
            client.handshake_request("tools/call", {"name": "kyoto_search"}, mcp_session_id=session)
        )
        await kyoto.begun.wait()
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}
        headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
        assert (await client.post(json.dumps(note).encode(), headers)).status == 202
        assert kyoto.seen("notifications/cancelled") == [{"requestId": 5}]
        assert "notifications/cancelled" not in osaka.asked
        kyoto.hold.set()
        assert "result" in (await call).message
        assert (await client.post(json.dumps(note).encode(), headers)).status == 202
        assert len(kyoto.seen("notifications/cancelled")) == 1


async def test_a_client_that_leaves_cancels_what_is_asked_for_it(tmp_path: Path) -> None:
    kyoto = Town(["search"])
    kyoto.hold = asyncio.Event()
    async with aggregate(tmp_path, kyoto=kyoto) as built, asyncio.timeout(20):
        call = asyncio.create_task((await at_mcp(built)).call("kyoto_search"))
        await kyoto.begun.wait()
        call.cancel()
        await kyoto.ended.wait()
        (outcome,) = await built.records(event="outcome")
        assert (outcome["mcpgov.status"], outcome["mcpgov.reason"]) == ("cancelled", "client-gone")


async def test_a_client_that_leaves_during_a_list_leaves_it_to_nobody(tmp_path: Path) -> None:
    class Slow(Town):
        async def _answer(self, send: Any, message: dict[str, Any], result: dict[str, Any]) -> None:
            self.begun.set()
            await asyncio.Event().wait()

    kyoto = Slow([])
    async with aggregate(tmp_path, kyoto=kyoto, osaka=Town(["x"])) as built, asyncio.timeout(20):
        listing = asyncio.create_task((await at_mcp(built)).request("tools/list"))
        await kyoto.begun.wait()
        listing.cancel()
        outcomes = await built.records(event="outcome", **{"mcpgov.status": "cancelled"})
        assert {str(one["mcpgov.reason"]) for one in outcomes} == {"client-gone"}
