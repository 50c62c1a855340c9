"""HANDSHAKE over stdio: bytes unchanged, the form of the answer, and where unsolicited messages go."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Answer, Connection, Event, Kind, LocalUpstream, MCPRequest
from mcpgov.upstream.local import LocalForwarder, LocalLimits
from mcpgov.upstream.local_session import MAILBOX_BYTES, LocalSession
from mcpgov.upstream.sse import Splitter
from mcpgov.upstream.stdio_process import StdioLimits
from tests.upstream.calls import ALLOWED, NOBODY, bodiless, body_of, call, events_of
from tests.upstream.stdio_witness import BreakingProcess, Seen, Witness, witnessing


class Client:
    """One HANDSHAKE client and its session."""

    def __init__(self, local: LocalForwarder, connection: Connection, witness: Witness) -> None:
        self.local = local
        self.connection = connection
        self.witness = witness
        self.session = ""

    def tool(self, name: str, request_id: str | int = 1, token: Any = None, **arguments: Any) -> MCPRequest:
        params: dict[str, Any] = {"name": name, "arguments": arguments}
        if token is not None:
            params["_meta"] = {"progressToken": token}
        return call("tools/call", params, request_id=request_id, session_id=self.session)

    def forward(self, request: MCPRequest) -> Any:
        return self.local.forward(request, self.connection, ALLOWED, NOBODY)

    async def notify(self, method: str, **params: Any) -> None:
        async with self.forward(call(method, params, request_id=None, session_id=self.session)) as answer:
            assert (answer.status, await events_of(answer)) == (202, [])

    def listen(self) -> Any:
        return self.forward(bodiless(Kind.STREAM, self.session))


@pytest.fixture
async def client() -> AsyncGenerator[Client, None]:
    async with witnessing() as witness:
        local = LocalForwarder(LocalLimits(stdio=StdioLimits(message_bytes=200_000, grace=0.2)))
        made = Client(local, witness.connection(), witness)
        async with made.forward(call("initialize", request_id=0)) as answer:
            made.session = answer.headers.get("mcp-session-id")
            await body_of(answer)
        yield made
        await local.close()


def messages(events: list[Event]) -> list[Any]:
    return [json.loads(event.data or b"") for event in events]


async def next_message(stream: AsyncIterator[tuple[Event, ...]]) -> Any:
    return json.loads((await asyncio.wait_for(anext(stream), 10))[0].data or b"")


async def test_a_lone_response_is_json_byte_for_byte(client: Client) -> None:
    async with client.forward(client.tool("exact", "a-1")) as answer:
        assert (answer.status, answer.streaming) == (200, False)
        assert answer.headers.get("content-type") == "application/json"
        assert await body_of(answer) == (
            b'{"id":"a-1", "x-top":[1.50,"\\u2028\xe2\x80\xa8"],\r "jsonrpc":"2.0","result":{}}'
        )


async def test_progress_before_the_response_makes_it_a_stream(client: Client) -> None:
    async with client.forward(client.tool("progress", 5, "t")) as answer:
        assert answer.streaming
        assert answer.headers.get("content-type") == "text/event-stream"
        events = await events_of(answer)
    assert [message.get("method", message.get("id")) for message in messages(events)] == [
        "notifications/progress",
        "notifications/progress",
        5,
    ]
    assert Splitter(1 << 20).split(b"".join(event.raw for event in events)) == tuple(events)


async def test_the_request_arrives_as_it_was_written_on_one_line(client: Client) -> None:
    request = call(session_id=client.session)
    pretty = json.dumps(json.loads(request.body), indent=2).replace("\n", "\r\n").encode()
    async with client.forward(replace(request, body=pretty)) as answer:
        assert json.loads(await body_of(answer))["result"]["tool"] == "echo"
    assert await (await client.witness.process()).got("tools/call") == json.loads(request.body)


async def test_the_servers_own_request_goes_to_the_open_call_and_its_answer_back(client: Client) -> None:
    async with client.forward(client.tool("ask")) as answer:
        assert (await next_message(answer.events))["method"] == "roots/list"
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": "from-server", "result": {"roots": []}}
        async with client.forward(response(client, reply)) as accepted:
            assert (accepted.status, await events_of(accepted)) == (202, [])
        assert (await next_message(answer.events))["result"]["got"] == reply
        assert await events_of(answer) == []


def response(client: Client, message: dict[str, Any]) -> MCPRequest:
    request = call("x", request_id=None, session_id=client.session)
    return replace(request, kind=Kind.RESPONSE, method="", body=json.dumps(message).encode())


async def test_progress_finds_its_own_request_among_several(client: Client) -> None:
    async with client.forward(client.tool("ask", 1)) as first:
        assert (await next_message(first.events))["method"] == "roots/list"
        second = asyncio.ensure_future(collected(client, client.tool("progress", 2, 2)))
        third = asyncio.ensure_future(collected(client, client.tool("progress", "2", "2")))
        async with client.forward(response(client, {"jsonrpc": "2.0", "id": "from-server", "result": {}})):
            pass
        for tokens, number in ((await second, 2), (await third, "2")):
            assert [message.get("id") for message in tokens] == [None, None, number]
            assert {message["params"]["progressToken"] for message in tokens[:2]} == {number}


async def collected(client: Client, request: MCPRequest) -> list[Any]:
    async with client.forward(request) as answer:
        return messages(await events_of(answer))


async def test_what_belongs_to_no_request_waits_for_the_get_stream(client: Client) -> None:
    await client.notify("notifications/speak")
    await (await client.witness.process()).got("notifications/speak")
    async with client.listen() as answer:
        assert (answer.status, answer.streaming) == (200, True)
        assert (await next_message(answer.events))["method"] == "notifications/tools/list_changed"
        await client.notify("notifications/speak")
        assert (await next_message(answer.events))["method"] == "notifications/tools/list_changed"


async def test_a_newer_get_stream_takes_over(client: Client) -> None:
    async with client.listen() as older, client.listen() as newer:
        assert await events_of(older) == []
        await client.notify("notifications/speak")
        assert (await next_message(newer.events))["method"] == "notifications/tools/list_changed"


async def test_a_get_stream_ends_with_an_error_when_the_process_dies(client: Client) -> None:
    async with client.listen() as stream:
        with pytest.raises(Refusal, match="upstream-reset"):
            await collected(client, client.tool("die"))
        with pytest.raises(Refusal, match="upstream-reset"):
            await events_of(stream)


async def test_a_request_whose_id_is_open_is_refused(client: Client) -> None:
    async with client.forward(client.tool("ask", 7)):
        with pytest.raises(Refusal, match="invalid-message"):
            await collected(client, client.tool("echo", 7))
        async with client.forward(response(client, {"jsonrpc": "2.0", "id": "from-server", "result": {}})):
            pass
    assert len(await collected_json(client, client.tool("echo", 7))) > 0


async def collected_json(client: Client, request: MCPRequest) -> bytes:
    async with client.forward(request) as answer:
        return await body_of(answer)


async def test_noise_on_stdout_is_no_message(client: Client) -> None:
    async with client.forward(client.tool("noise")) as answer:
        methods = [message.get("method") for message in messages(await events_of(answer))]
    assert methods == ["notifications/message", None]


async def test_a_message_that_is_too_large_ends_the_server(client: Client) -> None:
    with pytest.raises(Refusal) as refusal:
        await collected(client, client.tool("big", bytes=1_000_000))
    assert refusal.value.reason is Reason.UPSTREAM_TOO_LARGE
    await (await client.witness.process()).ended()


async def test_a_client_that_does_not_read_holds_its_server_back_and_loses_nothing(client: Client) -> None:
    times = 20_000
    async with client.forward(client.tool("progress", 1, 1, times=times, text="x" * 1000)) as answer:
        await client.notify("notifications/after")
        server = await client.witness.process()
        after = asyncio.ensure_future(server.got("notifications/after"))
        done, _ = await asyncio.wait({after}, timeout=0.5)
        assert not done  # the server is still writing
        assert len(await events_of(answer)) == times + 1
        await after


async def test_what_a_left_call_would_have_got_waits_for_the_get_stream(client: Client) -> None:
    async with client.forward(client.tool("talk", times=20_000, text="x" * 1000)):
        await client.notify("notifications/after")
        server = await client.witness.process()
        after = asyncio.ensure_future(server.got("notifications/after"))
        done, _ = await asyncio.wait({after}, timeout=0.5)
        assert not done
    await after  # now it could finish
    async with client.listen() as answer:
        assert (await next_message(answer.events))["method"] == "notifications/tools/list_changed"
    assert b'"echo"' in await collected_json(client, client.tool("echo", 2))


async def test_what_nobody_listens_to_does_not_fill_memory_and_blocks_nothing(client: Client) -> None:
    await client.notify("notifications/speak", times=3000, text="x" * 1000)
    await client.notify("notifications/after")
    await (await client.witness.process()).got("notifications/after")
    async with client.listen() as answer:
        kept = await asyncio.wait_for(anext(answer.events), 10)
        assert MAILBOX_BYTES // 2000 < len(kept) < 2 * MAILBOX_BYTES // 1000
    assert b'"echo"' in await collected_json(client, client.tool("echo"))


async def test_a_call_that_was_left_gets_no_more_and_the_next_is_not_disturbed(client: Client) -> None:
    async with client.forward(client.tool("progress", 1, 1, times=5000, text="x" * 1000)) as answer:
        assert isinstance(answer, Answer)
        assert (await next_message(answer.events))["method"] == "notifications/progress"
    assert b'"echo"' in await collected_json(client, client.tool("echo", 2))


async def test_a_get_stream_that_was_not_read_and_is_left_holds_nothing_up(client: Client) -> None:
    async with client.listen():
        server = await held_back(client)
    await server.got("notifications/after")
    assert b'"echo"' in await collected_json(client, client.tool("echo"))


async def test_a_call_is_answered_while_a_get_stream_is_not_read(client: Client) -> None:
    async with client.listen():
        await held_back(client)
        assert (await collected(client, client.tool("echo")))[-1]["result"]["tool"] == "echo"


async def held_back(client: Client) -> Seen:
    """The server, when it has more to say than anybody takes."""
    await client.notify("notifications/speak", times=20_000, text="x" * 1000)
    await client.notify("notifications/after")
    server = await client.witness.process()
    after = asyncio.ensure_future(server.got("notifications/after"))
    done, _ = await asyncio.wait({after}, timeout=0.5)
    assert not done
    after.cancel()
    return server


async def test_an_answer_that_cannot_be_read_is_refused_and_the_session_lives_on(client: Client) -> None:
    with pytest.raises(Refusal, match="upstream-invalid"):
        await collected(client, client.tool("deep", "a", depth=50_000))
    assert b'"echo"' in await collected_json(client, client.tool("echo", "b"))


async def test_a_session_ends_whatever_breaks_its_reading() -> None:
    async with witnessing() as witness:
        upstream = witness.connection().upstream
        assert isinstance(upstream, LocalUpstream)
        process = await BreakingProcess.start("test", upstream, StdioLimits(grace=0.2))
        died: list[LocalSession] = []
        session = LocalSession("s", process, died.append)
        with pytest.raises(Refusal, match="upstream-reset"):
            async with session.exchange(call("initialize"), asyncio.get_running_loop().time() + 10):
                pass
        assert died == [session]
        await session.end()
        await (await witness.process()).ended()
