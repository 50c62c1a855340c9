"""What comes before MCP: the Host and Origin that may speak to us, and how much body is read."""

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from mcpgov.buffers import Buffers
from mcpgov.decision import Reason
from mcpgov.endpoint.limits import LOOPBACK_NAMES, UNTOLD, Pace, Sites, head_fault, is_loopback, read_body
from mcpgov.errors import Refusal
from mcpgov.models import Headers

LOOPBACK = Sites.of("127.0.0.1", "")
PUBLIC = Sites.of("0.0.0.0", "https://gw.contoso.com")
BEHIND_A_PROXY = Sites.of("0.0.0.0", "")


def headers(host: str, origin: str = "") -> Headers:
    return Headers((("host", host), *((("origin", origin),) if origin else ())))


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080"])
def test_a_loopback_gateway_answers_to_every_loopback_name(host: str) -> None:
    LOOPBACK.check(headers(host))


ODD_HOSTS = [
    "user@localhost",
    "localhost/a",
    "localhost?a",
    "localhost#a",
    "localhost:",
    "localhost:a",
    "localhost,b",
    "[::1",
]


@pytest.mark.parametrize(
    "host", ["evil.example.com", "127.0.0.1.evil.example", "localhost.evil", "", "[", "127.0.0.2", *ODD_HOSTS]
)
def test_a_rebound_name_is_refused(host: str) -> None:
    with pytest.raises(Refusal) as caught:
        LOOPBACK.check(headers(host))
    assert caught.value.reason is Reason.HOST_DENIED


ODD_ORIGINS = [
    "http://evil@localhost",
    "http://localhost/a",
    "//localhost",
    "localhost",
    "http://localhost http://evil",
]


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "null", "http://localhost.evil.example", "http://[", *ODD_ORIGINS]
)
def test_a_foreign_origin_is_refused_though_the_host_is_ours(origin: str) -> None:
    with pytest.raises(Refusal) as caught:
        LOOPBACK.check(headers("localhost:8080", origin))
    assert caught.value.reason is Reason.ORIGIN_DENIED


def test_a_local_page_may_call_a_loopback_gateway() -> None:
    LOOPBACK.check(headers("127.0.0.1:8080", "http://localhost:3000"))


def test_a_public_gateway_answers_to_its_public_name_and_to_loopback_probes() -> None:
    PUBLIC.check(headers("gw.contoso.com", "https://gw.contoso.com"))
    PUBLIC.check(headers("localhost:8080"))
    with pytest.raises(Refusal):
        PUBLIC.check(headers("gw.contoso.com.evil.example"))


def test_without_a_public_url_the_proxy_in_front_decides_on_the_host_but_an_origin_must_match_it() -> None:
    BEHIND_A_PROXY.check(headers("whatever.internal", "https://whatever.internal"))
    with pytest.raises(Refusal) as caught:
        BEHIND_A_PROXY.check(headers("whatever.internal", "https://evil.example.com"))
    assert caught.value.reason is Reason.ORIGIN_DENIED


def test_an_origin_that_a_policy_lets_in_passes_and_its_neighbours_do_not() -> None:
    PUBLIC.check(headers("gw.contoso.com", "https://app.contoso.com"), ("https://app.contoso.com",))
    for origin in ("http://app.contoso.com", "https://app.contoso.com:8443", "https://evil.example"):
        with pytest.raises(Refusal) as caught:
            PUBLIC.check(headers("gw.contoso.com", origin), ("https://app.contoso.com",))
        assert caught.value.reason is Reason.ORIGIN_DENIED


def arriving(*messages: dict[str, Any]) -> Callable[[], Awaitable[Mapping[str, Any]]]:
    """An ASGI receive that gives these messages, and fails when asked for more."""
    waiting = iter(messages)

    async def receive() -> Mapping[str, Any]:
        return next(waiting)

    return receive


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_pieces_is_read_whole() -> None:
    assert await read_body(arriving(part(b"ab", more=True), part(b"", more=True), part(b"c")), Headers(), 3) == b"abc"


async def test_a_body_in_very_small_pieces_takes_no_more_than_its_bytes() -> None:
    size, left = 100_000, iter(range(50_000 - 1, -1, -1))

    async def receive() -> Mapping[str, Any]:
        await asyncio.sleep(0)
        more = next(left)
        return part(bytes((more % 251, more % 241)), more=more > 0)

    tracemalloc.start()
    try:
        body = await read_body(receive, Headers(), size)
        assert body is not None
        assert len(body) == size
        assert tracemalloc.get_traced_memory()[1] < 4 * size
    finally:
        tracemalloc.stop()


async def test_a_body_one_byte_over_the_limit_is_refused_as_soon_as_that_byte_comes() -> None:
    with pytest.raises(Refusal) as caught:
        await read_body(arriving(part(b"ab", more=True), part(b"cd", more=True)), Headers(), 3)
    assert caught.value.reason is Reason.TOO_LARGE


async def test_a_body_that_announces_too_much_is_refused_unread() -> None:
    with pytest.raises(Refusal):
        await read_body(arriving(), Headers((("content-length", "4"),)), 3)
    assert await read_body(arriving(part(b"abc")), Headers((("content-length", "3"),)), 3) == b"abc"


async def test_a_client_that_leaves_before_its_body_is_complete_leaves_nothing() -> None:
    assert await read_body(arriving(part(b"ab", more=True), {"type": "http.disconnect"}), Headers(), 9) is None


def test_a_host_that_is_none_is_refused_also_where_a_proxy_decides() -> None:
    for host in ("", "user@any", "any/path", "any:port"):
        with pytest.raises(Refusal) as caught:
            BEHIND_A_PROXY.check(headers(host))
        assert caught.value.reason is Reason.HOST_DENIED


def stalling(*messages: dict[str, Any]) -> Callable[[], Awaitable[Mapping[str, Any]]]:
    """An ASGI receive that gives these messages, and then nothing more."""
    waiting = iter(messages)

    async def receive() -> Mapping[str, Any]:
        await asyncio.sleep(0)
        return next(waiting, None) or await asyncio.get_running_loop().create_future()

    return receive


@pytest.mark.parametrize("pace", [Pace(0.01, 1024), Pace(0, 1 << 30)])
async def test_a_body_that_stops_coming_is_refused_and_the_connection_ends(pace: Pace) -> None:
    for came in ([], [part(b"ab", more=True)], [part(b"", more=True)] * 9):
        with pytest.raises(Refusal) as caught:
            await read_body(stalling(*came), Headers(), 9, pace)
        assert caught.value.reason is Reason.REQUEST_TIMEOUT
        assert caught.value.headers == (("Connection", "close"),)


async def test_a_body_that_keeps_the_rate_may_take_longer_than_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    began = now = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now)
    ready = arriving(*[part(b"x" * 100, more=True)] * 1000, part(b"x"))

    async def receive() -> Mapping[str, Any]:
        nonlocal now
        now += 9
        await asyncio.sleep(0)  # the loop looks at what is due
        return await ready()

    assert len(await read_body(receive, Headers(), 1 << 20, Pace(10, 10)) or b"") == 100_001
    assert now > began + 9000


async def test_what_came_of_a_body_is_held_and_refused_where_there_is_no_room() -> None:
    buffers = Buffers(8)
    held = buffers.hold("key:k1")
    came = [part(b"ab", more=True), {"type": "http.request", "more_body": True}, part(b"cd")]
    assert await read_body(arriving(*came), Headers(), 9, held=held) == b"abcd"
    assert buffers.held == 4
    with pytest.raises(Refusal) as caught:
        await read_body(arriving(part(b"abcd", more=True), part(b"e")), Headers(), 9, held=buffers.hold("key:k2"))
    assert (caught.value.reason, buffers.held) == (Reason.CONCURRENCY_LIMITED, 8)


GOOD = [(b"host", b"x"), (b"x-any", b"a")]


def fault(*fields: tuple[bytes, bytes], target: bytes = b"/mcp/city", version: str = "1.1") -> bytes:
    """The status of a head with these fields."""
    return head_fault(target, [*fields], version, UNTOLD)[:3]


def test_a_head_that_can_be_read_in_one_way_is_read() -> None:
    assert fault(*GOOD) == b""
    assert fault(*GOOD, (b"content-length", b"12")) == b""
    assert fault(*GOOD, (b"transfer-encoding", b" Chunked\t")) == b""
    assert fault(version="1.0") == b""
    assert fault(*GOOD, version="1.0") == b""


LENGTH, CHUNKED = (b"content-length", b"2"), (b"transfer-encoding", b"chunked")


@pytest.mark.parametrize(
    "fields",
    [(LENGTH, LENGTH), (CHUNKED, CHUNKED), (LENGTH, CHUNKED)]
    + [((b"content-length", value),) for value in (b"", b"+2", b"2,2", b"2 2", b"0x2", b"9" * 20, b"\xb2")]
    + [((b"transfer-encoding", value),) for value in (b"", b"gzip, chunked", b"chunked, chunked", b"identity")]
    + [((b"host", b"x"),)],
)
def test_a_head_that_has_two_lengths_or_names_is_refused_whatever_the_parser_says(
    fields: tuple[tuple[bytes, bytes], ...],
) -> None:
    assert fault(*GOOD, *fields) == b"400"


def test_a_head_without_a_host_a_path_or_a_version_that_is_spoken_is_refused() -> None:
    assert fault() == b"400"
    assert fault(*GOOD, CHUNKED, version="1.0") == b"400"
    for version in ("0.9", "1.2", "2.0", ""):
        assert fault(*GOOD, version=version) == b"400"
    for target in (b"", b"*", b"http://x/mcp/city", b"x:1", b"mcp/city", b"/mcp/city#a"):
        assert fault(*GOOD, target=target) == b"400"


def test_the_limits_of_who_is_told_of_none_are_those_that_are_written_down() -> None:
    assert (UNTOLD.header_fields, UNTOLD.header_bytes, UNTOLD.header_seconds) == (64, 16_384, 10)
    assert (UNTOLD.idle_seconds, UNTOLD.connections, UNTOLD.pace) == (5, 20_000, Pace(30, 1024))
    assert Pace() == Pace(30, 1024)


def test_what_only_this_machine_reaches_is_known_by_address_and_by_name() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "LocalHost", "10.0.0.1", "mcp.contoso.com", "")] == [
        *(True, True, True, False, False, False),
    ]
    assert {"localhost", "127.0.0.1", "::1"} == LOOPBACK_NAMES
