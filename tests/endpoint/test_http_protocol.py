"""On real sockets: what a server on ASGI cannot see by itself, and what this one must."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from tests.flows.upstream import listening

REQUEST = b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


class Slow:
    """An ASGI application that answers when it is told to, and notes who came and who left."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.left = asyncio.Event()
        self.go_on = asyncio.Event()
        self.paths: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        while (await receive()).get("more_body", False):
            pass
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
