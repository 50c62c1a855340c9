"""A server that says too much, in two ways, or of its inside: nothing of it reaches the client. The record says why.

No policy is in force: what cannot be read never passes, whether or not anybody filters.
"""

import json
from collections.abc import AsyncGenerator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from mcpgov.upstream.memory import ScriptedAnswer
from tests.flows.house import House, Reply, house
from tests.upstream.loopback import Fault, Loopback, loopback

SSE = "text/event-stream"
NOTE = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"hidden-text"}}\n\n'
RESULT = b'{"jsonrpc":"2.0","id":5,"result":{"content":[],"resultType":"complete"}}'
LIMITS = "limits: { answer_bytes: 4096, event_bytes: 2048, events: 16, answer_seconds: 1 }\n"


@pytest.fixture
async def server() -> AsyncGenerator[Loopback]:
    async with loopback() as running:
        yield running


@pytest.fixture
async def gateway(tmp_path: Path, server: Loopback) -> AsyncGenerator[House]:
    async with house(tmp_path, LIMITS) as built:
        await built.furnish(server.url)
        yield built


async def answered(gateway: House) -> Reply:
    return await (await gateway.client()).call("get_city")


def last(reply: Reply) -> dict[str, Any]:
    """The last message of a stream."""
    return json.loads(reply.body.rstrip().rsplit(b"data: ", 1)[1])


async def ended(gateway: House) -> tuple[object, ...]:
    """Status, reason and detail of the one outcome."""
    (outcome,) = await gateway.records(event="outcome")
    return tuple(outcome.get(f"mcpgov.{name}") for name in ("status", "reason", "detail"))


CUT: dict[str, ScriptedAnswer] = {
    "limits.events": ScriptedAnswer(content_type=SSE, chunks=(b"data:\n\n" * 17,), ends=False),
    "limits.answer_bytes": ScriptedAnswer(content_type=SSE, chunks=(b": " + b"x" * 2000 + b"\n",) * 3, ends=False),
    "limits.event_bytes": ScriptedAnswer(content_type=SSE, chunks=(NOTE, b": " + b"x" * 2047), ends=False),
    "limits.answer_seconds": ScriptedAnswer(content_type=SSE, chunks=(NOTE,), ends=False),
}


@pytest.mark.parametrize(("detail", "answer"), CUT.items(), ids=CUT)
async def test_a_stream_that_passes_a_bound_ends_with_an_error_and_is_said_to_be_cut(
    gateway: House, server: Loopback, detail: str, answer: ScriptedAnswer
) -> None:
    server.script(answer)
    reply = await answered(gateway)
    message = last(reply)
    assert (reply.status, message["id"], message["error"]["data"]["reason"]) == (200, 5, "upstream-too-large")
    assert await ended(gateway) == ("truncated", "upstream-too-large", detail)
    await server.ledger[0].cut.wait()


async def test_where_nothing_was_sent_yet_it_is_a_refusal_like_any_other(gateway: House, server: Loopback) -> None:
    server.script(ScriptedAnswer(chunks=(RESULT.replace(b"[]", b'["%s"]' % (b"x" * 4096)),)))
    reply = await answered(gateway)
    assert (reply.status, reply.message["error"]["data"]["reason"]) == (502, "upstream-too-large")
    assert await ended(gateway) == ("failed", "upstream-too-large", "limits.answer_bytes")


AMBIGUOUS = {
    "a result twice": b'{"jsonrpc":"2.0","id":5,"result":{},"result":{"content":["hidden-text"]}}',
    "a result in another case": b'{"jsonrpc":"2.0","id":5,"result":{},"Result":{"content":["hidden-text"]}}',
    "a result with a zero": b'{"jsonrpc":"2.0","id":5,"result":{},"result\\u0000":{"content":["hidden-text"]}}',
    "tools with a long s": '{"jsonrpc":"2.0","id":5,"result":{"tool\u017f":["hidden-text"]}}'.encode(),
    "content in another case": b'{"jsonrpc":"2.0","id":5,"result":{"content":[],"Content":["hidden-text"]}}',
    "isError in another case": b'{"jsonrpc":"2.0","id":5,"result":{"iserror":true,"content":["hidden-text"]}}',
    "full width": '{"jsonrpc":"2.0","id":5,"result":{"\uff43ontent":["hidden-text"]}}'.encode(),
    "a soft hyphen": '{"jsonrpc":"2.0","id":5,"result":{"con\u00adtent":["hidden-text"]}}'.encode(),
    "a combining mark": '{"jsonrpc":"2.0","id":5,"result":{"conte\u0301nt":["hidden-text"]}}'.encode(),
    "an item in another case": b'{"jsonrpc":"2.0","id":5,"result":{"content":[{"type":"text","Text":"hidden-text"}]}}',
    "an id in another case": b'{"jsonrpc":"2.0","id":5,"ID":6,"result":{"content":["hidden-text"]}}',
    "an error in another case": b'{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"","Message":"hidden-text"}}',
    "a batch": b'[{"jsonrpc":"2.0","id":5,"result":{"content":["hidden-text"]}}]',
    "not a number": b'{"jsonrpc":"2.0","id":5,"result":{"content":["hidden-text",NaN]}}',
    "half a pair": b'{"jsonrpc":"2.0","id":5,"result":{"content":["hidden-text\\ud800"]}}',
    "200 levels": b'{"jsonrpc":"2.0","id":5,"result":{"content":["hidden-text",' + b"[" * 200 + b"]" * 200 + b"]}}",
    "not UTF-8": b'{"jsonrpc":"2.0","id":5,"result":{"content":["hidden-text\xff"]}}',
    "two answers": b'{"jsonrpc":"2.0","id":5,"result":{"content":["hidden-text"]},"error":{"code":1,"message":""}}',
    "a word": b"hidden-text",
}


async def test_what_two_readers_read_in_two_ways_reaches_no_client(gateway: House, server: Loopback) -> None:
    client = await gateway.client()
    for name, body in AMBIGUOUS.items():
        stream = ScriptedAnswer(content_type=SSE, chunks=(b": hello\n\n", b"data: " + body + b"\n\n"), ends=False)
        server.script(ScriptedAnswer(chunks=(body,)), stream)
        whole, streamed = await client.call("get_city"), await client.call("get_city")
        assert (whole.status, whole.message["error"]["data"]["reason"]) == (502, "upstream-invalid"), name
        assert (last(streamed)["id"], last(streamed)["error"]["data"]["reason"]) == (5, "upstream-invalid"), name
        assert b"hidden-text" not in whole.body + streamed.body, name
    outcomes = await gateway.records(event="outcome")
    assert [outcome["mcpgov.status"] for outcome in outcomes] == ["failed", "failed"] * len(AMBIGUOUS)
    assert "hidden-text" not in str(outcomes)


async def test_a_result_that_nobody_asked_for_on_that_stream_reaches_no_client(
    gateway: House, server: Loopback
) -> None:
    client = await gateway.client()
    event = b'data: {"jsonrpc":"2.0","id":5,"result":{"content":["hidden-text"]}}\n\n'
    server.script(*(ScriptedAnswer(content_type=SSE, chunks=(NOTE.replace(b"hidden", b"shown"), event)),) * 3)
    version = {"MCP-Protocol-Version": "2025-11-25"}
    note = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    told = [await client.post(body, version) for body in (note, b'{"jsonrpc":"2.0","id":5,"result":{}}')]
    assert client.http is not None
    async with client.http.get(client.url, headers=client.headers | version) as listening:
        told.append(Reply(listening.status, listening.headers, await listening.read()))
    for reply in told:
        assert (b"shown-text" in reply.body, b"hidden-text" in reply.body) == (True, False)
        assert last(reply)["error"]["data"]["reason"] == "upstream-invalid"
    outcomes = await gateway.records(event="outcome")
    assert [one["mcpgov.reason"] for one in outcomes] == ["upstream-invalid"] * 3


async def test_the_old_transport_s_endpoint_is_never_told(gateway: House, server: Loopback) -> None:
    server.script(ScriptedAnswer(content_type=SSE, chunks=(b"event: endpoint\ndata: https://evil.example/\n\n",)))
    reply = await answered(gateway)
    assert last(reply)["error"]["data"]["reason"] == "upstream-invalid"
    assert b"evil.example" not in reply.body


STAYING = (
    *("Set-Cookie: a=hidden-text", "Server: hidden-text", "X-Powered-By: hidden-text", "Via: 1.1 hidden-text"),
    *("Location: http://hidden-text/", "WWW-Authenticate: Bearer realm=hidden-text", "Alt-Svc: hidden-text"),
    *("Refresh: 0; url=hidden-text", "Link: <hidden-text>", "Access-Control-Allow-Origin: hidden-text"),
    *("Access-Control-Expose-Headers: hidden-text", "Connection: x-hop, keep-alive", "X-Hop: hidden-text"),
    *(
        "Keep-Alive: timeout=hidden-text",
        "Trailer: hidden-text",
        "Upgrade: hidden-text",
        "Proxy-Connection: hidden-text",
    ),
    *("Proxy-Authenticate: hidden-text", "X-Correlation-Id: hidden-text", "X-Other: hidden-text", "Date: hidden-text"),
    *("Content-Security-Policy: hidden-text", "Strict-Transport-Security: hidden-text", "ETag: hidden-text"),
    *("Cache-Control: hidden-text\x80", "MCP-Protocol-Version: hidden-text\xff", "Content-Location: hidden-text"),
    *("Content-Disposition: hidden-text", "NEL: hidden-text", "Report-To: hidden-text", "Clear-Site-Data: hidden-text"),
)


async def test_no_header_field_of_a_server_crosses_that_is_not_meant_to(gateway: House, server: Loopback) -> None:
    head = "\r\n".join(
        ("HTTP/1.1 200 OK", "Content-Type: application/json; charset=utf-7", *STAYING, "Content-Length: ")
    )
    server.script(Fault(head.encode("latin-1") + b"%d\r\n\r\n" % len(RESULT) + RESULT))
    reply = await answered(gateway)
    assert (reply.status, reply.body) == (200, RESULT)
    assert "hidden-text" not in str(reply.headers)
    assert set(map(str.lower, reply.headers)) <= {
        *("content-type", "content-length", "cache-control", "x-correlation-id", "date", "server"),
    }
    assert reply.headers["content-type"] == "application/json"


ENCODED = (
    *("Content-Encoding: gzip", "Content-Encoding: br", "Content-Encoding: zstd", "Content-Encoding: x-gzip"),
    *("Content-Encoding: identity, gzip", "Content-Encoding: identity\r\nContent-Encoding: gzip"),
    *("Content-Encoding: deflate", "Content-Encoding: GZIP", "Content-Encoding:"),
)


async def test_an_encoded_answer_is_refused_unread(gateway: House, server: Loopback) -> None:
    client = await gateway.client()
    for field in ENCODED:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{field}\r\nContent-Length: {len(RESULT)}\r\n\r\n"
        server.script(Fault(head.encode() + RESULT))
        reply = await client.call("get_city")
        assert (reply.status, reply.message["error"]["data"]["reason"]) == (502, "upstream-invalid"), field
    assert {sent.headers.get("accept-encoding") for sent in server.ledger} == {"identity"}


async def test_an_encoded_transfer_is_refused(gateway: House, server: Loopback) -> None:
    client = await gateway.client()
    for encoding in (
        "gzip, chunked",
        "gzip",
        "chunked, gzip",
        "identity, chunked",
        "chunked\r\nTransfer-Encoding: gzip",
    ):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: {encoding}\r\n\r\n"
        server.script(Fault(head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(RESULT), RESULT)))
        reply = await client.call("get_city")
        assert (reply.status, RESULT in reply.body) == (502, False), encoding


TRACE = b"<html>Traceback: hidden-text at db.internal:5432 in /srv/app/secret.py</html>"
STATUSES = (400, 404, 405, 409, 418, 500, 502, 503, 504)
MEDIA = ("text/html", "application/json", "application/problem+json", "text/event-stream", "")


async def test_an_error_that_is_no_message_tells_nothing_of_the_inside(gateway: House, server: Loopback) -> None:
    client = await gateway.client()
    for status, media in product(STATUSES, MEDIA):
        server.script(ScriptedAnswer(status, media, (TRACE,)))
        reply = await client.call("get_city")
        assert b"hidden-text" not in reply.body, (status, media)
        assert b"db.internal" not in reply.body, (status, media)
    assert "hidden-text" not in str(await gateway.records(event="outcome"))


async def test_what_a_server_says_itself_is_the_answer(gateway: House, server: Loopback) -> None:
    error = b'{"jsonrpc":"2.0","id":5,"error":{"code":-32603,"message":"no such city","data":{"why":"x"}}}'
    server.script(ScriptedAnswer(500, chunks=(error,)))
    reply = await answered(gateway)
    assert (reply.status, reply.body) == (500, error)
