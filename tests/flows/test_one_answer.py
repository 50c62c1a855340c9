"""One request has one body and one answer, also where it asks for another protocol or is answered too early."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from mcpgov.endpoint.limits import UNTOLD
from tests.endpoint.test_http_protocol import CHUNKED, HEAD_BYTES, REQUEST, Hasty, Slow, ended, limited, served
from tests.flows.upstream import listening


class Reading:
    """An ASGI application that notes what it was sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.names: set[bytes] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            if part["type"] == "http.disconnect":
                return
            body, more = body + part.get("body", b""), part.get("more_body", False)
        self.bodies.append(body)
        self.names |= {name for name, _ in scope["headers"]}
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nHost"


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    "request_",
    [REQUEST, CHUNKED % (b"X-One: 1\r\n", b"X-API-Key: stolen\r\n"), REQUEST.replace(b": 2", b": 0")[:-2]],
)
async def test_a_request_that_asks_for_another_protocol_keeps_its_body(request_: bytes, *, apart: bool) -> None:
    reader = Reading()
    request_ = request_.replace(b"Connection: close\r\n", b"").replace(b"Host", UPGRADE, 1)
    pieces = [request_[at : at + 7] for at in range(0, len(request_), 7)] if apart else [request_]
    async with limited(reader, UNTOLD) as port:
        answer = await ended(port, *pieces)
    assert answer.startswith(b"HTTP/1.1 200")
    assert reader.bodies == [b"" if b"Length: 0" in request_ else b"{}"]
    assert b"x-api-key" not in reader.names


@pytest.mark.parametrize("behind", [REQUEST, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
async def test_behind_a_request_that_asks_for_another_protocol_nothing_is_read_nor_added(behind: bytes) -> None:
    reader = Reading()
    async with limited(reader, UNTOLD) as port:
        await ended(port, REQUEST.replace(b"Host", UPGRADE) + behind)
    assert reader.bodies in ([], [b"{}"])


@pytest.mark.parametrize("rest", [b"zz\r\n", b"2\r\n{}\r\n0\r\n" + b"X: y" * HEAD_BYTES, b"1;" + b"a" * HEAD_BYTES])
async def test_a_request_that_was_answered_before_its_body_was_whole_has_no_second_answer(rest: bytes) -> None:
    head = b"POST /one HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with listening(Hasty()) as url, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(head)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 401")
        writer.write(rest)
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


async def test_a_faulty_head_behind_an_answer_has_an_answer_of_its_own() -> None:
    app = Slow()
    app.go_on.set()
    for fault in (b"POST /two HTTP/1.1\r\n\r\n", b"POST /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * HEAD_BYTES)):
        async with served(app) as port, asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\nok")
            writer.write(fault)
            assert (await reader.read()).startswith(b"HTTP/1.1 4")
            writer.close()
    assert app.paths == ["/one"] * 2
