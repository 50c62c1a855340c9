"""The server underneath ends when it is told to, whenever that is, and adds nothing of its own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from mcpgov.endpoint import http_protocol
from mcpgov.endpoint.limits import ConnectionLimits
from mcpgov.endpoint.server import GatewayServer, noted_signals


async def answer(_scope: Any, receive: Any, send: Any) -> None:
    """Answer anything."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_that_comes_before_it_serves_is_not_lost(number: signal.Signals) -> None:
    server = GatewayServer(answer)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        server.end_on_signals()
        os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            await server.serve_on(sock)


async def test_it_adds_no_header_of_its_own_and_ends_at_a_signal() -> None:
    server = GatewayServer(answer)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        serving = asyncio.create_task(server.serve_on(sock))
        server.end_on_signals()
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0)
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            head = (await reader.read()).partition(b"\r\n\r\n")[0]
            writer.close()
            os.kill(os.getpid(), signal.SIGTERM)
            await serving
    assert head == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close"


REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def told_to_end_with(sent: bytes, then: bytes) -> bytes:
    """What comes on a connection on which this was sent before the server was told to end, and `then` afterwards."""
    server = GatewayServer(answer, limits=ConnectionLimits(idle_seconds=300))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        serving = asyncio.create_task(server.serve_on(sock))
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0)
            reader, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(sent)
            came = await reader.readuntil(b"ok") if sent else b""
            while not server.server_state.connections:
                await asyncio.sleep(0)
            server.handle_exit(signal.SIGTERM, None)
            while server.servers[0].is_serving():
                await asyncio.sleep(0)
            writer.write(then)
            came += await reader.read()
            writer.close()
            await serving
    return came


async def test_a_request_that_is_on_its_way_when_the_server_ends_gets_the_last_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_protocol, "MOMENT", 10)
    first, last, _ = (await told_to_end_with(REQUEST, REQUEST)).split(b"ok")
    assert first == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
    assert last == b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n"


BEGUN = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx"


async def test_the_rest_of_a_request_that_was_answered_early_keeps_no_server_from_ending() -> None:
    assert (await told_to_end_with(BEGUN, b"y")).endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("sent", [b"", REQUEST])
async def test_a_connection_on_which_nothing_comes_keeps_no_server_from_ending(sent: bytes) -> None:
    assert (await told_to_end_with(sent, b"")).count(b"HTTP/1.1 ") == len(sent) // len(REQUEST)


async def test_half_a_request_keeps_no_server_from_ending() -> None:
    assert (await told_to_end_with(REQUEST, REQUEST[:-2])).split(b"ok")[1].startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(("soft", "hard", "connections"), [(200, 200, 100), (200, 20_000, 3000), (9000, 9000, 3000)])
def test_connections_leave_half_of_the_descriptors_to_what_is_behind_them(
    soft: int, hard: int, connections: int
) -> None:
    program = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from mcpgov.endpoint.limits import ConnectionLimits
from mcpgov.endpoint.server import GatewayServer
print(GatewayServer(None, limits=ConnectionLimits(connections=3000)).config.limits.connections)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout.split()
    assert [int(number) for number in told] == [connections, max(soft, min(hard, 2 * 3000))]


async def test_told_twice_it_does_not_wait_for_calls_that_run() -> None:
    called = asyncio.Event()

    async def never(_scope: Any, _receive: Any, _send: Any) -> None:
        called.set()
        await asyncio.Event().wait()

    server = GatewayServer(never)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        serving = asyncio.create_task(server.serve_on(sock))
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0)
            _, writer = await asyncio.open_connection(*sock.getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await called.wait()
            server.handle_exit(signal.SIGINT, None)
            server.handle_exit(signal.SIGINT, None)
            await serving
            writer.close()


async def test_signals_from_before_there_was_a_server_are_followed_and_the_application_hears_of_each() -> None:
    told: list[str] = []
    noted = noted_signals()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(10):
        while len(noted) < 2:
            await asyncio.sleep(0)
        server = GatewayServer(answer, ending=lambda: told.append("ending"))
        server.end_on_signals(noted)
        with socket.create_server(("127.0.0.1", 0)) as sock:
            await server.serve_on(sock)
    assert (told, server.force_exit) == (["ending"] * 2, False)


async def test_a_client_that_takes_nothing_keeps_nobody_from_ending() -> None:
    full = asyncio.Event()
    ended: list[str] = []

    async def pour(_scope: Any, _receive: Any, send: Any) -> None:
        """Send until the client's side is full; then say goodbye, which does not fit either."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                asyncio.get_running_loop().call_later(0.2, full.set)
                await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        except asyncio.CancelledError:
            await send({"type": "http.response.body", "body": b"stopping", "more_body": False})
            ended.append("well")

    server = GatewayServer(pour, drain=0)
    with socket.create_server(("127.0.0.1", 0)) as sock, socket.socket() as client:
        serving = asyncio.create_task(server.serve_on(sock))
        async with asyncio.timeout(20):
            while not server.started:
                await asyncio.sleep(0)
            client.connect(sock.getsockname())
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await full.wait()
            server.handle_exit(signal.SIGTERM, None)
            await serving
    assert ended == ["well"]
