"""A connection in its handshake is one of all connections, with a clock; and TLS changes nothing of what HTTP promises.

Every test runs on the loop that serves, and on that of the standard library.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from mcpgov.certificates import context_of
from mcpgov.endpoint.limits import ConnectionLimits
from mcpgov.endpoint.server import GatewayServer
from mcpgov.tls_settings import Tls
from tests.peers.tls import throw_away_tls

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
QUICK = ConnectionLimits(header_seconds=0.3)
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
Loop = Callable[[], asyncio.AbstractEventLoop]


class Encrypted:
    """A server with TLS, while a test runs. `of_client` is what its clients trust."""

    def __init__(self, folder: Path, limits: ConnectionLimits, app: Any) -> None:
        files = throw_away_tls(folder)
        tls = Tls.model_validate({"certificate": str(files.certificate_file), "key": str(files.key_file)})
        self.of_client = files.client_context()
        self.server = GatewayServer(app, limits=limits, present=lambda: context_of(tls))
        self.sock = socket.create_server(("127.0.0.1", 0))

    @property
    def held(self) -> int:
        """How many connections it counts."""
        return len(self.server.server_state.connections)

    async def until_held(self, number: int) -> None:
        """Return once it counts so many connections."""
        async with asyncio.timeout(10):
            while self.held != number:
                await asyncio.sleep(0)

    async def open(self, *, encrypted: bool = True) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to it."""
        to = self.of_client if encrypted else None
        return await asyncio.open_connection(*self.sock.getsockname(), ssl=to)

    async def reopened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to it, once there is a place."""
        while True:
            try:
                return await self.open()
            except (ssl.SSLError, ConnectionError):
                await asyncio.sleep(0)

    async def serve(self, test: Callable[["Encrypted"], Awaitable[None]]) -> None:
        """Serve until the test is over."""
        with self.sock:
            serving = asyncio.create_task(self.server.serve_on(self.sock))
            async with asyncio.timeout(30):
                while not self.server.started:
                    await asyncio.sleep(0)
                await test(self)
                self.server.should_exit = True
                await serving


async def small(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the scheme."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": scope["scheme"].encode()})


def run(
    loop: Loop,
    folder: Path,
    test: Callable[[Encrypted], Awaitable[None]],
    limits: ConnectionLimits = QUICK,
) -> None:
    """Run a test against a server on such a loop."""
    with asyncio.Runner(loop_factory=loop) as runner:

        async def made() -> None:
            await Encrypted(folder, limits, small).serve(test)

        runner.run(made())


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came until the end, however it ended."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@LOOPS
def test_http_is_served_over_tls_and_says_so(loop: Loop, tmp_path: Path) -> None:
    async def test(there: Encrypted) -> None:
        assert there.server.url_on(there.sock).startswith("https://127.0.0.1:")
        there.of_client.set_alpn_protocols(["h2", "http/1.1"])
        reader, writer = await there.open()
        tls = writer.get_extra_info("ssl_object")
        assert (tls.selected_alpn_protocol(), tls.version()) == ("http/1.1", "TLSv1.3")
        for _ in range(2):
            writer.write(REQUEST)
            assert await reader.readuntil(b"https") == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhttps"
        assert there.held == 1
        writer.close()

    run(loop, tmp_path, test, ConnectionLimits())


@LOOPS
def test_an_older_tls_still_works_and_one_before_that_does_not(loop: Loop, tmp_path: Path) -> None:
    async def test(there: Encrypted) -> None:
        there.of_client.maximum_version = ssl.TLSVersion.TLSv1_2
        reader, writer = await there.open()
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
        writer.write(REQUEST)
        assert (await reader.readuntil(b"https")).startswith(b"HTTP/1.1 200")
        writer.close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.set_ciphers("DEFAULT@SECLEVEL=0")
        old.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(there.of_client.get_ca_certs(binary_form=True)[0]))
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(*there.sock.getsockname(), ssl=old)

    run(loop, tmp_path, test)


@LOOPS
@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01", REQUEST, bytes(70_000), b"\x16\x03\x01\x40\x00"])
def test_what_does_not_end_its_handshake_is_closed_unanswered_and_no_longer_counts(
    loop: Loop, tmp_path: Path, said: bytes
) -> None:
    async def test(there: Encrypted) -> None:
        reader, writer = await there.open(encrypted=False)
        writer.write(said)
        told = await ended(reader)
        assert not told.startswith(b"HTTP")
        await there.until_held(0)
        writer.close()

    run(loop, tmp_path, test)


@LOOPS
def test_a_handshake_that_trickles_has_one_clock_and_not_one_for_each_byte(loop: Loop, tmp_path: Path) -> None:
    async def test(there: Encrypted) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = there.of_client.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        reader, writer = await there.open(encrypted=False)
        over = asyncio.create_task(ended(reader))
        at = 0
        for at in range(len(hello) - 1):
            if over.done():
                break
            writer.write(hello[at : at + 1])
            await asyncio.wait({over}, timeout=0.02)
        assert await over == b""
        assert at < len(hello) - 2
        writer.close()

    run(loop, tmp_path, test)


@LOOPS
def test_connections_in_their_handshake_count_among_all(loop: Loop, tmp_path: Path) -> None:
    async def test(there: Encrypted) -> None:
        _, silent = await there.open(encrypted=False)
        reader, writer = await there.open()
        await there.until_held(1)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await there.open()
        writer.write(REQUEST)
        assert (await reader.readuntil(b"https")).startswith(b"HTTP/1.1 200")
        silent.close()
        _, another = await there.reopened()
        another.close()
        writer.close()

    run(loop, tmp_path, test, ConnectionLimits(connections=2))


@LOOPS
def test_a_client_that_sleeps_holds_up_no_end(loop: Loop, tmp_path: Path) -> None:
    async def test(there: Encrypted) -> None:
        with socket.create_connection(there.sock.getsockname()) as raw:
            raw.setblocking(True)
            tls = there.of_client.wrap_socket(raw, server_hostname="localhost", do_handshake_on_connect=False)
            await asyncio.to_thread(tls.do_handshake)
            _, silent = await there.open(encrypted=False)
            await there.until_held(1)
            there.server.should_exit = True
            async with asyncio.timeout(10):  # and not the 22 seconds that running calls have
                while there.held:
                    await asyncio.sleep(0)
            assert await asyncio.to_thread(tls.recv, 1) == b""  # a goodbye, and no cut
            silent.close()
            tls.detach()

    run(loop, tmp_path, test, ConnectionLimits(header_seconds=300))
