"""A server is looked at as the gateway would reach it: once, without a credential, and nowhere it may not go."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from mcpgov.doctor.visit import Visitor
from mcpgov.models import RemoteUpstream
from tests.upstream.certificates import self_signed

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DATED = f"HTTP/1.1 405 No\r\nDate: {format_datetime(NOW + timedelta(seconds=9), usegmt=True)}\r\n\r\n"


@asynccontextmanager
async def server(answer: str, tls: ssl.SSLContext | None = None) -> AsyncGenerator[tuple[int, list[bytes]]]:
    """A server on the loopback that gives this answer, its port, and what it was sent."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer.encode())
        if answer and writer.can_write_eof():
            writer.write_eof()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as listening:
        yield listening.sockets[0].getsockname()[1], asked
    for _ in range(20):  # what a broken handshake has left is closed in turns of the loop
        await asyncio.sleep(0)


async def resolve(host: str, port: int) -> tuple[str, ...]:
    assert port
    return {"mcp.example": ("127.0.0.1",), "metadata.example": ("169.254.169.254",), "localhost": ("127.0.0.1",)}.get(
        host, (host,)
    )


def visitor(**fields: Any) -> Visitor:
    return Visitor(lambda: NOW, resolve=resolve, **fields)


async def test_any_answer_is_one_and_no_query_and_no_credential_is_sent() -> None:
    async with server(DATED) as (port, asked):
        url = f"http://mcp.example:{port}/mcp?key=hunter2"
        met = await visitor().visit(RemoteUpstream(url, private=True))
    assert (met.fault, met.expires) == ("", None)
    assert met.skew == pytest.approx(9.5)
    (head,) = asked
    assert head.startswith(f"HEAD /mcp HTTP/1.1\r\nHost: mcp.example:{port}\r\n".encode())
    assert b"hunter2" not in head
    assert b"uthorization" not in head


@pytest.mark.parametrize("date", ["", "Date: yesterday\r\n", "Date: Sun, 22 Nov 2026 00:00:09\r\n"])
async def test_a_server_without_a_date_that_can_be_read_has_no_skew(date: str) -> None:
    async with server(f"HTTP/1.1 200 OK\r\n{date}\r\n") as (port, _):
        met = await visitor().visit(RemoteUpstream(f"http://mcp.example:{port}/", private=True))
    assert (met.fault, met.skew) == ("", None)


async def test_the_end_of_a_certificate_is_told_and_one_that_does_not_hold_is_a_fault(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, ("mcp.example", "other.example"))
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(certificate)
    trusted = ssl.create_default_context(cafile=str(certificate))
    async with server(DATED, served) as (port, _):
        there = RemoteUpstream(f"https://mcp.example:{port}/mcp", private=True)
        met = await visitor(tls=trusted).visit(there)
        assert met.fault == ""
        assert met.expires is not None
        assert "certificate that does not hold" in (await visitor().visit(there)).fault
        renamed = RemoteUpstream(f"https://localhost:{port}/mcp", private=True)
        assert "certificate that does not hold" in (await visitor(tls=trusted).visit(renamed)).fault


@pytest.mark.parametrize(
    ("host", "private", "says"),
    [
        ("mcp.example", False, "is not public"),
        ("10.0.0.7", False, "is not public"),
        ("metadata.example", True, "no address that may be connected to"),
    ],
)
async def test_it_goes_nowhere_that_the_gateway_would_not_go(host: str, *, private: bool, says: str) -> None:
    met = await visitor().visit(RemoteUpstream(f"http://{host}:9/", private=private))
    assert says in met.fault


async def test_an_address_that_is_fixed_is_the_one_that_is_connected_to() -> None:
    async with server(DATED) as (port, asked):
        fixed = ((f"elsewhere.example:{port}", "127.0.0.1"),)
        met = await visitor().visit(RemoteUpstream(f"http://elsewhere.example:{port}/", private=True, resolve=fixed))
    assert (met.fault, len(asked)) == ("", 1)


@pytest.mark.parametrize(
    ("answer", "says"), [("SSH-2.0-x\r\n\r\n", "does not speak HTTP"), ("HTTP/1.1 200 OK\r\n", "gave no answer")]
)
async def test_what_is_no_http_is_a_fault(answer: str, says: str) -> None:
    async with server(answer) as (port, _):
        assert says in (await visitor().visit(RemoteUpstream(f"http://mcp.example:{port}/", private=True))).fault


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever() -> None:
    async with server("") as (port, _):
        met = await visitor(deadline=0.05).visit(RemoteUpstream(f"http://mcp.example:{port}/", private=True))
    assert met.fault == "gave no answer within 0.05 s"


async def test_nobody_there_and_no_url_are_faults() -> None:
    async with server(DATED) as (port, _):
        pass
    assert "gave no answer" in (await visitor().visit(RemoteUpstream(f"http://127.0.0.1:{port}/", private=True))).fault
    assert (await visitor().visit(RemoteUpstream("ftp:", private=True))).fault == "is no URL of a server"
