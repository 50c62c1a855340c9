"""On real sockets: what a server on ASGI cannot see by itself, and what this one must."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from mcpgov.endpoint.limits import UNTOLD
from tests.flows.upstream import listening

HEAD_BYTES, HEAD_FIELDS = UNTOLD.header_bytes, UNTOLD.header_fields
REQUEST = b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


class Slow:
    """An ASGI application that answers when it is told to, and notes who came and who left."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.left = asyncio.Event()
        self.go_on = asyncio.Event()
        self.paths: list[str] = []
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        while (await receive()).get("more_body", False):
            pass
        self.headers = list(scope["headers"])
        self.began.set()
        leaving = asyncio.create_task(self.watch(receive))
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        leaving.cancel()
        with suppress(asyncio.CancelledError):
            await leaving

    async def watch(self, receive: Any) -> None:
        if (await receive())["type"] == "http.disconnect":
            self.left.set()


@asynccontextmanager
async def served(app: Slow) -> AsyncGenerator[int]:
    """The application on a real port."""
    async with listening(app) as url:
        yield int(url.rpartition(":")[2])
        app.go_on.set()


@pytest.fixture
def app() -> Slow:
    return Slow()


async def test_a_request_pipelined_behind_one_in_flight_ends_the_connection_and_never_runs(app: Slow) -> None:
    async with served(app) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await app.began.wait()
        writer.write(REQUEST.replace(b"/one", b"/two"))
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        await app.left.wait()
        assert app.paths == ["/one"]
        writer.close()


async def test_two_requests_in_one_packet_end_the_connection_and_the_second_never_runs(app: Slow) -> None:
    async with served(app) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST + REQUEST.replace(b"/one", b"/two"))
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert "/two" not in app.paths
        writer.close()


async def test_a_second_request_after_the_answer_to_the_first_is_served(app: Slow) -> None:
    app.go_on.set()
    async with served(app) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in (b"/one", b"/two"):
            writer.write(REQUEST.replace(b"/one", path))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(2) == b"ok"
        assert app.paths == ["/one", "/two"]
        writer.close()


async def test_a_client_that_closes_is_seen_leaving_before_it_is_answered(app: Slow) -> None:
    async with served(app) as port, asyncio.timeout(10):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await app.began.wait()
        writer.close()
        await app.left.wait()


async def test_a_half_closed_connection_counts_as_gone(app: Slow) -> None:
    async with served(app) as port, asyncio.timeout(10):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await app.began.wait()
        writer.write_eof()
        await app.left.wait()
        writer.close()


async def answer_to(request: bytes, port: int) -> bytes:
    """Everything that comes back for these bytes, until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    with suppress(ConnectionError):
        writer.write(request)
        await writer.drain()
    with suppress(ConnectionError):
        answer = await reader.read()
    writer.close()
    return answer


CHUNKED = (
    b"POST /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n%s\r\n2\r\n{}\r\n0\r\n%s\r\n"
)


async def test_a_trailer_adds_nothing_to_a_head_that_has_been_judged(app: Slow) -> None:
    app.go_on.set()
    async with served(app) as port, asyncio.timeout(10):
        answer = await answer_to(
            CHUNKED % (b"X-One: 1\r\n", b"X-API-Key: stolen\r\nX-Forwarded-For: 10.0.0.1\r\n"), port
        )
    assert answer.startswith(b"HTTP/1.1 200")
    assert [name for name, _ in app.headers] == [b"host", b"connection", b"transfer-encoding", b"x-one"]


@pytest.mark.parametrize(
    "head",
    [
        b"X: " + b"x" * (HEAD_BYTES + 1) + b"\r\n",
        b"".join(b"X-%d: 1\r\n" % number for number in range(HEAD_FIELDS)),
        b"X: " + b"x" * 10_000_000,  # and no end
    ],
)
async def test_a_head_that_is_too_large_is_refused_before_anything_runs(app: Slow, head: bytes) -> None:
    async with served(app) as port, asyncio.timeout(10):
        answer = await answer_to(b"POST /one HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n", port)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431")
    assert app.paths == []


async def test_a_head_of_just_the_allowed_size_is_read(app: Slow) -> None:
    app.go_on.set()
    fields = b"".join(b"X-%02d: 1\r\n" % number for number in range(HEAD_FIELDS - 3))
    async with served(app) as port, asyncio.timeout(10):
        assert (await answer_to(CHUNKED % (fields, b""), port)).startswith(b"HTTP/1.1 200")
    assert len(app.headers) == HEAD_FIELDS


async def test_a_trailer_without_end_ends_the_connection(app: Slow) -> None:
    async with served(app) as port, asyncio.timeout(10):
        await answer_to(CHUNKED.removesuffix(b"\r\n") % (b"", b"X: " + b"x" * 10_000_000), port)
        await app.left.wait()


async def test_a_target_that_is_not_a_path_is_refused(app: Slow) -> None:
    async with served(app) as port, asyncio.timeout(10):
        answer = await answer_to(b"GET http://elsewhere/one HTTP/1.1\r\nHost: x\r\n\r\n", port)
    assert answer.startswith(b"HTTP/1.1 400")
    assert app.paths == []


async def test_a_large_body_is_no_large_head(app: Slow) -> None:
    app.go_on.set()
    body = b"x" * (4 * HEAD_BYTES)
    async with served(app) as port, asyncio.timeout(10):
        head = b"POST /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        assert (await answer_to(head + body, port)).startswith(b"HTTP/1.1 200")


class Hasty:
    """An ASGI application that refuses before it has read anything."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def test_a_client_that_waits_to_be_asked_for_its_body_and_is_refused_keeps_no_connection() -> None:
    async with listening(Hasty()) as url, asyncio.timeout(10):
        head = b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        assert (await answer_to(head, int(url.rpartition(":")[2]))).startswith(b"HTTP/1.1 401")
