"""Servers ask the client: each member's questions keep apart, and the answers find their way back."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcpgov.aggregate.callbacks import Letters, Renumbered
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Answer, Event, Headers, Json
from mcpgov.policy.rewriting import Rewritten
from mcpgov.upstream.answers import whole
from tests.aggregate.houses import Town, aggregate, at_mcp
from tests.flows.house import rpc

HELLO: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"sampling": {}},
    "clientInfo": {"name": "me", "version": "1"},
}


@pytest.fixture
def letters() -> Letters:
    """A session in which request 5 went to kyoto."""
    letters = Letters()
    letters.sent(5, "kyoto")
    return letters


@pytest.mark.parametrize("given", [1, -7, "1", "a:b", 'q"\n', ""])
def test_an_id_is_read_as_it_was_made_and_once(letters: Letters, given: int | str) -> None:
    asked = Renumbered("git-hub", letters).rewritten(
        {"jsonrpc": "2.0", "id": given, "method": "ping", "params": {"id": 1}}
    )
    assert isinstance(made := asked["id"], str)
    assert asked["params"] == {"id": 1}
    assert letters.answered(made) == ("git-hub", json.dumps(given))
    assert letters.answered(made) is None


@pytest.mark.parametrize("given", [None, True, 1.5, [1], {"a": 1}, "x" * 300])
def test_an_id_that_is_none_is_answered_by_nobody(letters: Letters, given: Json) -> None:
    made = Renumbered("a", letters).rewritten({"id": given, "method": "ping"})["id"]
    assert isinstance(made, str)
    assert made.startswith("a:")
    assert letters.answered(made) is None


@pytest.mark.parametrize("given", [None, 1, "1", "kyoto:1"])
def test_a_response_that_nobody_waits_for_is_nobodys(letters: Letters, given: int | str | None) -> None:
    assert letters.answered(given) is None


def test_only_so_much_is_remembered() -> None:
    letters = Letters(most=1)
    first, second = letters.asked("a", 1), letters.asked("a", 2)
    assert (letters.answered(first), letters.answered(second)) == (None, ("a", "2"))
    letters.sent(1, "a")
    letters.sent(2, "a")
    letters.sent(None, "a")
    assert [letters.owes("a", number) for number in (1, 2, None)] == [False, True, False]


PLAIN = (
    b'{"jsonrpc":"2.0","id":5,"result":{"method":1,"id":2,"text":"\\ud83d"}}',
    b'{"id":5,"error":{"code":1}}',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}',
)


@pytest.mark.parametrize("data", PLAIN)
def test_notifications_and_the_answer_that_is_waited_for_pass_as_they_are(letters: Letters, data: bytes) -> None:
    assert not Renumbered("kyoto", letters).concerns(data)


FORGED = {
    b'{"id":"osaka:1","method":"elicitation/create"}': '{"id":"kyoto:\\"osaka:1\\"","method":"elicitation/create"}',
    b'{"\\u0069d":"osaka:1","\\u006dethod":"ping"}': '{"id":"kyoto:\\"osaka:1\\"","method":"ping"}',
    b'{"id":6,"result":{}}': '{"id":"kyoto:6","result":{}}',
    b'{"id":"5","result":{}}': '{"id":"kyoto:\\"5\\"","result":{}}',
    b'{"id":null,"result":{}}': '{"id":"kyoto:null","result":{}}',
    b'{"id":6,"error":{}}': '{"id":"kyoto:6","error":{}}',
    b'{"id":null,"error":{}}': '{"id":null,"error":{}}',
    b'{"id":5,"method":"ping","result":{}}': '{"id":"kyoto:5","method":"ping","result":{}}',
    b'[{"id":1,"method":"ping"},{"method":"x"}]': '[{"id":"kyoto:1","method":"ping"},{"method":"x"}]',
    b'{"method":"notifications/cancelled","params":{"requestId":1}}': (
        '{"method":"notifications/cancelled","params":{"requestId":"kyoto:1"}}'
    ),
}


@pytest.mark.parametrize("data", FORGED)
async def test_no_member_speaks_for_another(letters: Letters, data: bytes) -> None:
    (told,) = await relayed(data, letters)
    assert told == FORGED[data].encode()


REFUSED = (
    b'{"id":5,"result":{},"id":6}',
    b'{"id":5,"result":{},"result":{}}',
    b'{"id":5,"result":{},"ID":6}',
    b'{"Id":6,"Method":"ping"}',
    b'{"id":6,"result":{}',
    b'{"id":6,"result":' + b"[" * 2000 + b"]" * 2000 + b"}",
    b'\xff{"id":6}',
    b'"text"',
)


@pytest.mark.parametrize("data", REFUSED)
async def test_what_clients_may_read_in_two_ways_is_refused(letters: Letters, data: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        await relayed(data, letters)
    assert caught.value.reason is Reason.UPSTREAM_INVALID


async def relayed(data: bytes, letters: Letters) -> list[bytes | None]:
    """What a client hears when kyoto says this."""
    answer = Answer(200, Headers(), streaming=False, events=whole(Event(data, data)))
    return [event.data async for events in Rewritten(answer, (Renumbered("kyoto", letters),)) for event in events]


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


class Forger(Town):
    """A server that writes what it is told to before it answers a call."""

    def __init__(self, *said: str) -> None:
        super().__init__(["search"])
        self.said = list(said)

    async def _answer(self, send: Any, message: dict[str, Any], result: dict[str, Any]) -> None:
        if message["method"] != "tools/call":
            await super()._answer(send, message, result)
            return
        answer = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
        body = "".join(f"data: {said}\n\n" for said in (*self.said, answer)).encode()
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def test_consent_that_one_member_asked_for_is_never_given_to_another(tmp_path: Path) -> None:
    elicit = r'{"jsonrpc":"2.0","\u006dethod":"elicitation/create","\u0069d":"osaka:1","params":{}}'
    kyoto, osaka = Forger(elicit, '{"jsonrpc":"2.0","id":9,"result":{"tools":[]}}'), Town(["search"])
    async with aggregate(tmp_path, kyoto=kyoto, osaka=osaka) as built:
        client = await at_mcp(built)
        session = (await client.post(rpc("initialize", HELLO), {})).headers["mcp-session-id"]
        await client.handshake_request("tools/call", {"name": "osaka_search"}, mcp_session_id=session)
        reply = await client.handshake_request("tools/call", {"name": "kyoto_search"}, mcp_session_id=session)
        heard = [json.loads(line[6:])["id"] for line in reply.body.decode().splitlines() if line.startswith("data: ")]
        assert heard == ['kyoto:"osaka:1"', 5]
        for given in ("osaka:1", heard[0], heard[0]):
            body = {"jsonrpc": "2.0", "id": given, "result": {"action": "accept"}}
            headers = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"}
            assert (await client.post(json.dumps(body).encode(), headers)).status == 202
        assert [seen for seen in osaka.ledger if "result" in seen.message] == []
        (answered,) = [seen.message for seen in kyoto.ledger if "result" in seen.message]
        assert answered == {"jsonrpc": "2.0", "id": "osaka:1", "result": {"action": "accept"}}


async def test_without_sessions_too_a_member_answers_only_what_it_was_asked(tmp_path: Path) -> None:
    kyoto = Forger('{"jsonrpc":"2.0","id":9,"result":{"tools":[]}}')
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        reply = await (await at_mcp(built)).call("kyoto_search")
        heard = [json.loads(line[6:])["id"] for line in reply.body.decode().splitlines() if line.startswith("data: ")]
        assert heard == [5]
