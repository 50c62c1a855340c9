"""On real sockets: what a server on ASGI cannot see by itself, and what this one must."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from mcpgov.endpoint.limits import UNTOLD, ConnectionLimits, Pace
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


async def ended(port: int, *pieces: bytes) -> bytes:
    """Everything that comes back for pieces that are sent one after the other, when the server has had enough."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
    answer = b""
    with suppress(ConnectionError):
        answer = await reader.read()
    writer.close()
    return answer


HASTE = ConnectionLimits(header_seconds=0.5, idle_seconds=0.5, pace=Pace(0.5, 1))


@asynccontextmanager
async def limited(app: Any, limits: ConnectionLimits) -> AsyncGenerator[int]:
    """An application on a real port, with these limits."""
    async with listening(app, limits) as url, asyncio.timeout(30):
        yield int(url.rpartition(":")[2])


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ((), b""),
        ((b"\r\n", b"\r\n"), b""),
        ((b"P",), b"HTTP/1.1 408"),
        ((b"POST /one HTTP/1.1\r\nHost: x\r\n", b"X-Any: "), b"HTTP/1.1 408"),
    ],
)
async def test_a_head_that_does_not_come_is_not_waited_for(app: Slow, pieces: tuple[bytes, ...], status: bytes) -> None:
    async with limited(app, HASTE) as port:
        answer = await ended(port, *pieces)
    assert answer[:12] == status
    assert app.paths == []


async def test_a_connection_that_is_kept_open_is_closed_when_no_other_request_comes(app: Slow) -> None:
    app.go_on.set()
    async with limited(app, HASTE) as port:
        assert (await ended(port, REQUEST)).startswith(b"HTTP/1.1 200")
        assert (await ended(port, REQUEST, b"\r\n")).count(b"HTTP/1.1") == 1
    assert set(app.paths) == {"/one"}


async def test_a_second_head_that_does_not_come_is_answered_with_408_after_the_first_answer(app: Slow) -> None:
    app.go_on.set()
    async with limited(app, ConnectionLimits(header_seconds=0.5)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        await reader.readuntil(b"ok")
        writer.write(b"POST /two HT")
        assert (await reader.read()).startswith(b"HTTP/1.1 408")
        writer.close()
    assert app.paths == ["/one"]


async def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for() -> None:
    async with limited(Hasty(), HASTE) as port:
        head = b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
        answer = await ended(port, head, b"x")
    assert answer.startswith(b"HTTP/1.1 401")
    assert answer.count(b"HTTP/1.1") == 1


async def test_what_is_left_of_a_refused_body_may_still_come_and_the_next_request_is_served() -> None:
    async with limited(Hasty(), UNTOLD) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in (b"/one", b"/two"):
            writer.write(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
            writer.write(b"{}")
        writer.close()


class Torrent:
    """An ASGI application that answers with more than any buffer holds, at once, and notes whether that was taken."""

    def __init__(self, size: int = 32 << 20) -> None:
        self.size = size
        self.gone = asyncio.Event()

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", str(self.size).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * (self.size // 2), "more_body": True})
        await send({"type": "http.response.body", "body": b"x" * (self.size // 2)})
        assert (await receive())["type"] == "http.disconnect"
        self.gone.set()


async def test_a_client_that_takes_nothing_of_its_answer_is_cut_off() -> None:
    app = Torrent()
    async with limited(app, ConnectionLimits(pace=Pace(0.1, 1024))) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(REQUEST)
        await app.gone.wait()
        taken = 0
        with suppress(ConnectionError):
            while part := await reader.read(1 << 20):
                taken += len(part)
        assert taken < app.size
        writer.close()


async def test_a_client_that_takes_its_answer_slowly_gets_all_of_it_though_the_server_would_rather_close() -> None:
    app = Torrent()
    async with limited(app, ConnectionLimits(idle_seconds=0.01, pace=Pace(5, 1))) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(REQUEST)
        assert len(await reader.read()) > app.size
        writer.close()


async def test_one_connection_too_many_is_answered_unread_and_the_others_are_served(app: Slow) -> None:
    app.go_on.set()
    async with limited(app, ConnectionLimits(connections=2)) as port:
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for reader, writer in kept:
            writer.write(REQUEST)
            await reader.readuntil(b"ok")
        for _ in range(20):
            answer = await ended(port)
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1\r\n" in answer
        assert app.paths == ["/one", "/one"]
        for reader, writer in kept:
            writer.write(REQUEST)
            await reader.readuntil(b"ok")
            writer.close()
        while not (await ended(port, REQUEST.replace(b"Host", b"Connection: close\r\nHost"))).startswith(
            b"HTTP/1.1 200"
        ):
            await asyncio.sleep(0)


async def test_a_crowd_of_slow_clients_keeps_nobody_from_being_served(app: Slow) -> None:
    app.go_on.set()
    async with limited(app, UNTOLD) as port:
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(400)]
        for number, (_, writer) in enumerate(slow):
            writer.write((b"POST /slow HTTP/1.1\r\nHost: x\r\n", b"P", b"")[number % 3])
        whole = REQUEST.replace(b"Host", b"Connection: close\r\nHost")
        answers = [await ended(port, whole) for _ in range(100)]
        for _, writer in slow:
            writer.close()
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    assert app.paths == ["/one"] * 100


async def test_a_request_that_asks_for_another_protocol_is_answered_in_this_one_and_is_the_last(app: Slow) -> None:
    app.go_on.set()
    upgrade = REQUEST.replace(
        b"Host", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\nHost"
    )
    async with limited(app, UNTOLD) as port:
        answer = await ended(port, upgrade)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert app.paths == ["/one"]


LIMIT = ConnectionLimits(header_fields=20, header_bytes=1000)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("more", [-1, 0, 1])
async def test_the_bounds_of_a_head_hold_to_the_byte_and_the_field(app: Slow, more: int, *, apart: bool) -> None:
    app.go_on.set()
    start = b"POST /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    wide = start + b"X: " + b"a" * (LIMIT.header_bytes + more - len(start) - 7) + b"\r\n\r\n"
    many = start + b"".join(b"X-%d: 1\r\n" % number for number in range(LIMIT.header_fields + more - 2)) + b"\r\n"
    assert len(wide) == LIMIT.header_bytes + more
    async with limited(app, LIMIT) as port:
        for head in (wide, many):
            pieces = [head[at : at + 97] for at in range(0, len(head), 97)] if apart else [head]
            assert (await ended(port, *pieces))[9:12] == (b"431" if more > 0 else b"200")
    assert len(app.paths) == (0 if more > 0 else 2)


async def test_the_extensions_of_chunks_are_counted_and_the_chunks_are_not(app: Slow) -> None:
    app.go_on.set()
    head = b"POST /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with limited(app, LIMIT) as port:
        assert (await ended(port, head, b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert (await ended(port, head, b"1;a=b\r\nx\r\n" * 5000 + b"0\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert b"200" not in await ended(port, head, b"1;%s\r\nx\r\n" % (b"a" * 900) * 1000 + b"0\r\n\r\n")
    assert app.paths[:2] == ["/one", "/one"]
