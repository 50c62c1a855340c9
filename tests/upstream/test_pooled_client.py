"""Whom our own client connects to, for how long it keeps that, and what becomes of calls when it is closed."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from mcpgov.errors import Refusal
from mcpgov.models import RemoteUpstream
from mcpgov.upstream import pooled_client
from mcpgov.upstream.addresses import Found, Resolver
from mcpgov.upstream.http_client import HttpClient, HttpRequest
from mcpgov.upstream.pooled_client import Target, head_of, own_clients, target
from tests.upstream.calls import ALLOWED, NOBODY, body_of, call, to
from tests.upstream.certificates import self_signed
from tests.upstream.clients import remote_forwarder
from tests.upstream.loopback import OK, Loopback, loopback


@pytest.fixture
async def server() -> AsyncGenerator[Loopback]:
    async with loopback() as running:
        yield running


class Names:
    """A name service that gives these addresses, once it is let go."""

    def __init__(self, *addresses: str, waits: bool = False) -> None:
        self.addresses = addresses
        self.asked = asyncio.Event()
        self.go = asyncio.Event()
        self.count = 0
        if not waits:
            self.go.set()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[Found]:
        self.count += 1
        self.asked.set()
        await self.go.wait()
        return [Found(hostname=host, host=address, port=port, family=0, proto=0, flags=0) for address in self.addresses]

    async def close(self) -> None:
        """Nothing is open."""


def client_of(url: str, resolver: Resolver | None = None) -> HttpClient:
    return own_clients(None, resolver)(RemoteUpstream(url, private=True))


async def asked(client: HttpClient, url: str, seconds: float = 10) -> bytes:
    deadline = asyncio.get_running_loop().time() + seconds
    response = await client.request(HttpRequest("POST", url, (("host", "x"),), b"{}", deadline))
    body = b""
    while piece := await response.read():
        body += piece
    return body


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("http://a.example", ("http", "a.example", 80), "/"),
        ("HTTPS://A.example:8443/b%2Fc?d=e&f", ("https", "a.example", 8443), "/b%2Fc?d=e&f"),
        ("http://a.example?x=1", ("http", "a.example", 80), "/?x=1"),
        ("http://a.example/b?", ("http", "a.example", 80), "/b"),
        ("http://a.example/b?c#d", ("http", "a.example", 80), "/b?c"),
        ("http://a.example/b?c=http://e/?f", ("http", "a.example", 80), "/b?c=http://e/?f"),
        ("http://[::1]:81/#?", ("http", "[::1]", 81), "/"),
    ],
)
def test_a_url_is_read_as_it_is_written(url: str, origin: tuple[str, str, int], path: str) -> None:
    assert target(url) == Target(origin, path)


@pytest.mark.parametrize("url", ["http://a.example:65536/", "http://a@b/", "ftp://a/", "http://a/ b", "http://a/\r\n"])
async def test_what_is_no_url_is_asked_of_nobody(url: str) -> None:
    assert target(url) is None
    client = client_of("http://127.0.0.1/")
    with pytest.raises(Refusal, match="upstream-address-denied"):
        await asked(client, url)
    await client.close()


def test_a_head_has_the_fields_it_is_given_and_the_length_of_its_body() -> None:
    fields = (("host", "a"), ("x", "y"))
    post, delete, get = (HttpRequest(method, "", fields, body, 0.0)
        for method, body in (("POST", b"{}"), ("DELETE", b""), ("GET", b"")))  # fmt: skip
    start = b" /b HTTP/1.1\r\nhost: a\r\nx: y\r\n"
    assert head_of(post, "/b") == b"POST" + start + b"content-length: 2\r\n\r\n"
    assert head_of(delete, "/b") == b"DELETE" + start + b"content-length: 0\r\n\r\n"
    assert head_of(get, "/b") == b"GET" + start + b"\r\n"


async def test_connections_on_which_something_came_are_closed_and_a_new_one_is_made(server: Loopback) -> None:
    client = client_of(server.url)
    assert await asyncio.gather(*(asked(client, server.url) for _ in range(4))) == [OK] * 4
    await server.say_unasked(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert await asked(client, server.url) == OK
    assert (server.connections, len(server.ledger)) == (5, 5)
    await client.close()


async def test_the_same_is_seen_through_tls_before_the_loop_tells_it(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    async with loopback(certificate) as server:
        client = own_clients(pooled_client.ssl.create_default_context(cafile=certificate))(
            RemoteUpstream(server.url, private=True)
        )
        for _ in range(3):
            assert await asked(client, server.url) == OK
            server.shout(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        assert (server.connections, len(server.ledger)) == (3, 3)
        await client.close()


async def test_a_connection_is_not_kept_for_longer_than_a_while(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooled_client, "KEEP_ALIVE", 0.05)
    client = client_of(server.url)
    await asked(client, server.url)
    while server.open_connections:
        await asyncio.sleep(0.01)  # it is closed without another call
    monkeypatch.setattr(pooled_client, "KEEP_ALIVE", 0.0)
    for _ in range(2):
        assert await asked(client, server.url) == OK
    assert server.connections == 3
    await client.close()


async def test_a_busy_connection_ends_too_so_that_a_name_is_asked_for_again(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(server.url)
    for _ in range(3):
        assert await asked(client, server.url) == OK
    assert server.connections == 1
    monkeypatch.setattr(pooled_client, "LIFETIME", 0.0)
    for _ in range(2):
        assert await asked(client, server.url) == OK
    assert (server.connections, server.open_connections) == (3, 1)
    await client.close()


async def test_what_was_used_lately_stays_when_the_rest_is_closed(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(server.url)
    monkeypatch.setattr(pooled_client, "KEEP_ALIVE", 0.2)
    await asyncio.gather(*(asked(client, server.url) for _ in range(2)))
    while server.open_connections > 1:
        await asked(client, server.url)
    assert (server.connections, server.open_connections) == (2, 1)
    await client.close()


async def test_addresses_are_tried_in_turn_and_the_one_that_led_there_is_tried_first() -> None:
    listener = socket.create_server(("127.0.0.3", 0))
    port = listener.getsockname()[1]
    listener.close()
    async with loopback(host="127.0.0.3", port=port) as server:
        names = Names("::1", "127.0.0.1", "127.0.0.3")
        url = f"http://many.example:{port}/mcp"
        client = client_of(url, names)
        assert await asked(client, url) == OK
        await server.say_unasked(b"x")  # and so the next call makes a connection
        assert await asked(client, url) == OK
        assert (server.connections, names.count) == (2, 1)
        await client.close()


async def test_where_no_address_answers_the_upstream_is_unreachable() -> None:
    async with loopback() as gone:
        port = gone.port
    client = client_of("http://many.example/", Names("127.0.0.1", "127.0.0.3"))
    with pytest.raises(Refusal) as refused:
        await asked(client, f"http://many.example:{port}/")
    assert (str(refused.value.reason), refused.value.detail) == ("upstream-unreachable", "ConnectionRefusedError")
    await client.close()


async def test_a_name_without_an_address_is_unreachable() -> None:
    for resolver in (Names(), None):
        client = client_of("http://a..b/", resolver)
        with pytest.raises(Refusal) as refused:
            await asked(client, "http://a..b/")
        assert (str(refused.value.reason), refused.value.detail) == ("upstream-unreachable", "DNS")
        await client.close()


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
async def test_a_name_that_no_certificate_can_have_is_unreachable_though_its_address_is_given(
    server: Loopback, host: str
) -> None:
    url = f"https://{host}:1/"
    upstream = RemoteUpstream(url, private=True, resolve=((f"{host}:1", f"127.0.0.1:{server.port}"),))
    client = own_clients(pooled_client.ssl.create_default_context())(upstream)
    with pytest.raises(Refusal, match="upstream-unreachable"):
        await asked(client, url)
    await client.close()


async def test_no_key_of_a_connection_is_written_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    opens = own_clients()
    monkeypatch.delenv("SSLKEYLOGFILE")  # which the server of this test would follow
    async with loopback(certificate) as server:
        client = opens(RemoteUpstream(server.url, private=True))
        assert await asked(client, server.url) == OK
        await client.close()
    assert not (tmp_path / "keys").exists()


async def test_a_literal_address_is_asked_of_nobody(server: Loopback) -> None:
    names = Names()
    client, tasks = client_of(server.url, names), len(asyncio.all_tasks())
    assert await asked(client, server.url) == OK
    assert names.count == 0
    assert len(asyncio.all_tasks()) <= tasks + 1  # that of the server
    await client.close()


async def test_connecting_ends_at_the_deadline() -> None:
    client = client_of("http://slow.example/", Names(waits=True))
    with pytest.raises(Refusal, match="upstream-timeout"):
        await asked(client, "http://slow.example/", seconds=0.05)
    await client.close()


async def test_closing_ends_a_call_that_is_still_connecting() -> None:
    names = Names(waits=True)
    client = client_of("http://slow.example/", names)
    asking = asyncio.create_task(asked(client, "http://slow.example/"))
    await names.asked.wait()
    await client.close()
    with pytest.raises(Refusal, match="upstream-reset"):
        await asyncio.wait_for(asking, 5)
    names.go.set()


async def test_a_connection_that_is_made_after_closing_is_closed(server: Loopback) -> None:
    names = Names("127.0.0.1", waits=True)
    client = client_of(server.url, names)
    asking = asyncio.create_task(asked(client, f"http://slow.example:{server.port}/"))
    await names.asked.wait()
    names.go.set()
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(Refusal, match="upstream-reset"):
        await asyncio.wait_for(asking, 5)
    assert server.ledger == []


async def test_a_reload_lets_a_call_that_is_still_connecting_go_on(server: Loopback) -> None:
    names = Names("127.0.0.1", waits=True)
    forwarder = remote_forwarder(resolver=names)
    connection = to(f"http://slow.example:{server.port}/")

    async def forwarded() -> bytes:
        async with forwarder.forward(call(), connection, ALLOWED, NOBODY) as answer:
            return await body_of(answer)

    calling = asyncio.create_task(forwarded())
    await names.asked.wait()
    await forwarder.update([])
    names.go.set()
    assert await calling == OK
    while server.open_connections:
        await asyncio.sleep(0.01)  # and then its pool is closed
    await forwarder.close()


async def test_a_client_that_was_closed_sends_nothing(server: Loopback) -> None:
    client = client_of(server.url)
    await asked(client, server.url)
    await client.close()
    with pytest.raises(Refusal, match="upstream-reset"):
        await asked(client, server.url)
    assert len(server.ledger) == 1
