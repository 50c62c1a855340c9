"""One connection under an upstream that says what it likes, when it likes; over plain sockets and over TLS."""

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import RemoteUpstream
from mcpgov.upstream.http_client import HttpRequest, HttpResponse
from mcpgov.upstream.http_connection import MOST_UNREAD
from mcpgov.upstream.pooled_client import PooledClient
from tests.upstream.certificates import self_signed

PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
FORGED = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
LARGE = 8 << 20  # bytes, more than the buffers of two sockets take


class Peer:
    """The other end of one connection, as an upstream writes and reads it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, data: bytes) -> None:
        """Hand it to the system at once; the loop that is to read it has not run yet."""
        self.writer.write(data)

    async def heard(self) -> bytes:
        """A request without its body."""
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)

    async def hung_up(self) -> bool:
        """Whether the connection ends without another byte."""
        try:
            return await asyncio.wait_for(self.reader.read(1), 10) == b""
        except ConnectionError:
            return True

    def raw(self) -> socket.socket:
        found: socket.socket = self.writer.get_extra_info("socket")
        return found


@dataclass(frozen=True)
class World:
    """A client, and what it is connected to."""

    client: PooledClient
    url: str
    peers: asyncio.Queue[Peer]

    def request(self, body: bytes = b"{}", *, seconds: float = 10, method: str = "POST") -> HttpRequest:
        deadline = asyncio.get_running_loop().time() + seconds
        return HttpRequest(method, self.url, (("host", "127.0.0.1"),), body, deadline)

    async def peer(self) -> Peer:
        return await asyncio.wait_for(self.peers.get(), 10)

    async def asked(self, body: bytes = b"{}") -> tuple[Peer, "asyncio.Task[bytes]"]:
        """A call on a new connection, whose head has been heard."""
        asking = asyncio.create_task(whole(self, self.request(body)))
        peer = await self.peer()
        await peer.heard()
        return peer, asking


async def whole(world: World, request: HttpRequest) -> bytes:
    response = await world.client.request(request)
    try:
        return await body_of(response)
    finally:
        response.close()


async def body_of(response: HttpResponse) -> bytes:
    body = b""
    while piece := await response.read():
        body += piece
    return body


@asynccontextmanager
async def world_over(tls: Path | None) -> AsyncGenerator[World]:
    peers: asyncio.Queue[Peer] = asyncio.Queue()
    done = asyncio.Event()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.put_nowait(Peer(reader, writer))
        await done.wait()
        writer.transport.abort()

    context, trusting = None, ssl.create_default_context(cafile=tls)
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls)
    server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=context)
    url = "{}://{}:{}/".format("https" if tls else "http", *server.sockets[0].getsockname())
    client = PooledClient(RemoteUpstream(url, private=True), trusting)
    yield World(client, url, peers)
    await client.close()
    done.set()
    server.close()
    await server.wait_closed()


@pytest.fixture(params=["plain", "tls"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[World]:
    async with world_over(self_signed(tmp_path) if request.param == "tls" else None) as made:
        yield made


@pytest.fixture
async def plain() -> AsyncGenerator[World]:
    async with world_over(None) as made:
        yield made


async def test_a_connection_is_used_again(world: World) -> None:
    peer, asking = await world.asked()
    peer.say(PLAIN)
    assert await asking == b"{}"
    await peer.reader.readexactly(2)
    again = asyncio.create_task(whole(world, world.request()))
    assert (await peer.heard()).startswith(b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\n")
    peer.say(PLAIN)
    assert await again == b"{}"
    assert world.peers.empty()


@pytest.mark.parametrize("forged", [FORGED, b"\r\n", b"H"])
async def test_what_waits_on_a_kept_connection_before_the_loop_tells_it_is_seen(world: World, forged: bytes) -> None:
    peer, asking = await world.asked()
    peer.say(PLAIN)
    assert await asking == b"{}"
    await peer.reader.readexactly(2)
    peer.say(forged)
    again = asyncio.create_task(whole(world, world.request()))
    await asyncio.sleep(0)  # it has looked, and nothing was read between
    second = await world.peer()
    await second.heard()
    second.say(PLAIN)
    assert await again == b"{}"
    assert await peer.hung_up()  # and no request was written there


@pytest.mark.parametrize("forged", [FORGED, b"\r\n", b"\0"])
async def test_what_comes_behind_an_answer_in_the_same_read_is_nobodys(world: World, forged: bytes) -> None:
    peer, asking = await world.asked()
    peer.say(PLAIN + forged)
    assert await asking == b"{}"
    await peer.reader.readexactly(2)
    assert await peer.hung_up()
    second, again = await world.asked()
    second.say(PLAIN)
    assert await again == b"{}"


async def test_a_connection_whose_answer_came_while_reading_was_paused_is_not_used_again(world: World) -> None:
    request = world.request()
    asking = asyncio.create_task(world.client.request(request))
    peer = await world.peer()
    await peer.heard()
    peer.say(STREAM + b"%x\r\n" % (MOST_UNREAD * 3) + b"x" * MOST_UNREAD * 2)
    response = await asking
    peer.say(b"x" * MOST_UNREAD + b"\r\n0\r\n\r\n" + FORGED)
    assert len(await body_of(response)) == MOST_UNREAD * 3
    second, again = await world.asked()
    second.say(PLAIN)
    assert await again == b"{}"


async def test_a_kept_connection_that_has_ended_is_seen_before_a_request_is_written(plain: World) -> None:
    peer, asking = await plain.asked()
    peer.say(PLAIN)
    assert await asking == b"{}"
    peer.writer.write_eof()  # which the system does at once
    again = asyncio.create_task(whole(plain, plain.request()))
    second = await plain.peer()
    await second.heard()
    second.say(PLAIN)
    assert await again == b"{}"


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_a_request_that_was_written_is_never_written_again(world: World, method: str) -> None:
    asking = asyncio.create_task(whole(world, replace(world.request(method=method), body=b"")))
    peer = await world.peer()
    await peer.heard()
    peer.writer.transport.abort()
    with pytest.raises(Refusal, match="upstream-reset"):
        await asking
    assert world.peers.empty()


async def test_an_answer_before_the_request_was_taken_ends_the_sending_and_the_connection(plain: World) -> None:
    peer, asking = await plain.asked(b"x" * LARGE)
    peer.say(b"HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno")
    assert await asking == b"no"
    taken = 0
    try:
        while piece := await asyncio.wait_for(peer.reader.read(1 << 20), 10):
            taken += len(piece)
    except ConnectionError:
        pass
    assert taken < LARGE
    second, again = await plain.asked()
    second.say(PLAIN)
    assert await again == b"{}"


async def test_an_upstream_that_takes_nothing_is_waited_for_until_the_deadline(plain: World) -> None:
    asking = asyncio.create_task(plain.client.request(plain.request(b"x" * LARGE, seconds=0.2)))
    peer = await plain.peer()
    with pytest.raises(Refusal, match="upstream-timeout"):
        await asking
    peer.writer.transport.abort()


async def test_an_upstream_that_leaves_while_it_is_sent_a_large_request_has_broken_off(plain: World) -> None:
    peer, asking = await plain.asked(b"x" * LARGE)
    peer.raw().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()
    with pytest.raises(Refusal, match="upstream-reset"):
        await asking


async def test_a_large_request_goes_on_when_the_upstream_takes_it(world: World) -> None:
    body = bytes(range(256)) * (LARGE // 256)
    peer, asking = await world.asked(body)
    taken = await asyncio.wait_for(peer.reader.readexactly(len(body)), 10)
    peer.say(PLAIN)
    assert (await asking, taken == body) == (b"{}", True)
    again = asyncio.create_task(whole(world, world.request()))
    await peer.heard()  # on the same connection, for all was taken
    peer.say(PLAIN)
    assert await again == b"{}"


async def test_what_one_read_brings_is_one_piece(plain: World) -> None:
    asking = asyncio.create_task(plain.client.request(plain.request()))
    peer = await plain.peer()
    await peer.heard()
    peer.say(STREAM + b"2\r\nab\r\n" * 20)
    response = await asking
    assert await response.read() == b"ab" * 20
    response.close()
    response.close()


async def test_leaving_hangs_up_at_once_and_leaves_nothing_behind(world: World) -> None:
    asking = asyncio.create_task(world.client.request(world.request()))
    peer = await world.peer()
    await peer.heard()
    peer.say(STREAM + b"2\r\nab\r\n")
    response = await asking
    assert await response.read() == b"ab"
    response.close()
    await peer.reader.readexactly(2)
    assert await peer.hung_up()


async def test_a_call_that_is_cancelled_before_its_answer_hangs_up(world: World) -> None:
    peer, asking = await world.asked()
    asking.cancel()
    await peer.reader.readexactly(2)
    assert await peer.hung_up()


async def test_what_came_before_the_end_is_told_before_the_end_is(world: World) -> None:
    asking = asyncio.create_task(world.client.request(world.request()))
    peer = await world.peer()
    await peer.heard()
    peer.say(STREAM + b"2\r\nab\r\nsize?\r\n")
    response = await asking
    assert await response.read() == b"ab"
    with pytest.raises(Refusal, match="upstream-invalid"):
        await response.read()
    await peer.reader.readexactly(2)
    assert await peer.hung_up()


async def test_a_deadline_counts_until_it_is_lifted_and_never_what_is_here(plain: World) -> None:
    asking = asyncio.create_task(plain.client.request(plain.request(seconds=0.2)))
    peer = await plain.peer()
    await peer.heard()
    peer.say(STREAM + b"2\r\nab\r\n")
    response = await asking
    loop = asyncio.get_running_loop()
    passed = loop.create_future()
    loop.call_later(0.3, passed.set_result, None)
    await passed
    assert await response.read() == b"ab"  # it came in time, and was only read late
    with pytest.raises(Refusal) as late:
        await response.read()
    assert late.value.reason is Reason.UPSTREAM_TIMEOUT
    response.may_take_its_time()
    peer.say(b"2\r\ncd\r\n0\r\n\r\n")
    assert await body_of(response) == b"cd"


async def test_a_body_goes_on_to_the_end_of_the_connection_but_not_over_a_reset(plain: World) -> None:
    for reset in (False, True):
        asking = asyncio.create_task(plain.client.request(plain.request()))
        peer = await plain.peer()
        await peer.heard()
        peer.say(b"HTTP/1.1 200 OK\r\n\r\n{}")
        response = await asking
        assert await response.read() == b"{}"
        if reset:
            peer.raw().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.writer.transport.abort()
            with pytest.raises(Refusal, match="upstream-reset"):
                await response.read()
        else:
            peer.writer.write_eof()
            assert await response.read() == b""


@pytest.mark.parametrize("said", [True, False])
async def test_over_tls_the_end_of_tcp_is_no_end_of_a_body_for_anybody_can_make_it(
    tmp_path: Path, *, said: bool
) -> None:
    async with world_over(self_signed(tmp_path)) as world:
        asking = asyncio.create_task(world.client.request(world.request()))
        peer = await world.peer()
        await peer.heard()
        peer.say(b"HTTP/1.1 200 OK\r\n\r\n{}")
        response = await asking
        assert await response.read() == b"{}"
        if said:
            peer.writer.close()  # with close_notify
            assert await response.read() == b""
        else:
            with socket.socket(fileno=os.dup(peer.raw().fileno())) as wire:
                wire.shutdown(socket.SHUT_WR)
            with pytest.raises(Refusal, match="upstream-reset"):
                await response.read()
        response.close()


async def test_over_tls_an_answer_whose_length_is_known_is_whole_however_the_connection_ends(tmp_path: Path) -> None:
    async with world_over(self_signed(tmp_path)) as world:
        peer, asking = await world.asked()
        peer.say(PLAIN)
        with socket.socket(fileno=os.dup(peer.raw().fileno())) as wire:
            wire.shutdown(socket.SHUT_WR)
        assert await asking == b"{}"
        second, again = await world.asked()
        second.say(PLAIN)
        assert await again == b"{}"
