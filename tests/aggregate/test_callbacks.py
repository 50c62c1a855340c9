"""Servers ask the client: each member's questions keep apart, and the answers find their way back."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcpgov.aggregate.callbacks import Renumbered, asked_by
from mcpgov.models import Json
from tests.aggregate.houses import Town, aggregate, at_mcp
from tests.flows.house import rpc

HELLO: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"sampling": {}},
    "clientInfo": {"name": "me", "version": "1"},
}


@pytest.mark.parametrize("given", [1, -7, "1", "a:b", 'q"\n', ""])
def test_an_id_is_read_as_it_was_made(given: int | str) -> None:
    asked = Renumbered("git-hub").rewritten({"jsonrpc": "2.0", "id": given, "method": "ping", "params": {"id": 1}})
    assert isinstance(made := asked["id"], str)
    assert asked_by(made) == ("git-hub", json.dumps(given))
    assert asked["params"] == {"id": 1}


def test_what_is_no_request_stays_as_it_is() -> None:
    messages: list[dict[str, Json]] = [{"id": 1, "result": {"method": 1}}, {"method": "notifications/progress"}]
    for message in messages:
        assert Renumbered("a").rewritten(message) is message
    assert not Renumbered("a").concerns(b'{"id":1,"result":{}}')


@pytest.mark.parametrize("given", [None, 1, "1", "a", "a:", "a:b", "A:1", "a:1.5", "a:[1]"])
def test_an_id_that_was_not_made_here_is_nobodys(given: int | str | None) -> None:
    assert asked_by(given) is None


class Curious(Town):
    """A server that asks the client for something before it answers a call, always with the id 1."""

    async def _answer(self, send: Any, message: dict[str, Any], result: dict[str, Any]) -> None:
        if message["method"] != "tools/call":
            await super()._answer(send, message, result)
            return
        asked: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {}}
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"], "result": result}
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for event in (asked, answer):
            body = b"data: " + json.dumps(event).encode() + b"\n\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def test_two_members_that_ask_with_one_id_each_get_their_own_answer(tmp_path: Path) -> None:
    kyoto, osaka = Curious(["search"]), Curious(["search"])
    async with aggregate(tmp_path, kyoto=kyoto, osaka=osaka) as built:
        client = await at_mcp(built)
        session = (await client.post(rpc("initialize", HELLO), {})).headers["mcp-session-id"]
        for member in ("kyoto", "osaka"):
            call = {"name": f"{member}_search"}
            reply = await client.handshake_request("tools/call", call, mcp_session_id=session)
            first = next(line[6:] for line in reply.body.decode().splitlines() if line.startswith("data: "))
            assert json.loads(first)["id"] == f"{member}:1"
        for given in ("osaka:1", "nara:1", "kyoto", 1):
            body = {"jsonrpc": "2.0", "id": given, "result": {"said": "to osaka"}}
            headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
            assert (await client.post(json.dumps(body).encode(), headers)).status == 202
        answered = [seen.message for seen in osaka.ledger if "result" in seen.message]
        assert answered == [{"jsonrpc": "2.0", "id": 1, "result": {"said": "to osaka"}}]
        assert [seen for seen in kyoto.ledger if "result" in seen.message] == []
