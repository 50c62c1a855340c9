"""Two requests in the bytes of one: whatever a head says of its length, no connection has two answers to it, and what
stands behind it reaches no server.
"""

import asyncio
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mcpgov.endpoint.limits import ConnectionLimits
from tests.flows.house import house
from tests.flows.sockets import head, message, said, statuses, whole
from tests.flows.upstream import CityUpstream, listening

STRANGE = (*(bytes([code]) for code in range(0x21)), *(b"\x7f", b"\x80", b"\x85", b"\xa0", b"\xff", b"\xe2\x80\x8b"))
ODD_VALUES = (
    *(b"chunked, identity", b"identity, chunked", b"gzip, chunked", b"chunked, chunked", b"xchunked", b"chunkedx"),
    *(
        b'"chunked"',
        b"'chunked'",
        b"chunked;q=1",
        b"chunk ed",
        b"chu\tnked",
        b"identity",
        b"",
        b",chunked",
        b"chunked,",
    ),
    *(b"cow", b"Chunked\x00", b"0", b"=?utf-8?q?chunked?="),
)
ODD_NAMES = (
    *(b"Transfer_Encoding", b"Transfer-Encoding ", b"Transfer Encoding", b"Transfer-Encoding-", b"Transfer-\tEncoding"),
    *(b"X-Transfer-Encoding", b"Transfer-Enc\xc3\xb6ding", b"\xef\xbb\xbfTransfer-Encoding", b"Transfer\xadEncoding"),
)
ODD_LENGTHS = (
    b"+5",
    b"-5",
    b"5, 5",
    b"5,6",
    b"0x5",
    b"5 5",
    b"5\x00",
    b" \x0b5",
    b"5.0",
    b"1e1",
    b"",
    b"9" * 30,
    b"05",
)
CHUNKS = b"0\r\n\r\n"


def codings() -> Iterator[bytes]:
    """Ways to write Transfer-Encoding: chunked that somebody reads so, and somebody else does not."""
    for name in (b"Transfer-Encoding", b"transfer-encoding", b"TRANSFER-ENCODING", b"tRANSFER-eNCODING"):
        yield name + b": chunked"
    for strange in STRANGE:
        yield b"Transfer-Encoding:" + strange + b"chunked"
        yield b"Transfer-Encoding" + strange + b": chunked"
        yield strange + b"Transfer-Encoding: chunked"
        yield b"Transfer-Encoding: chunked" + strange
        yield b"X-Any: a" + strange + b"Transfer-Encoding: chunked"
        yield b"X-Any: a\r" + strange + b"Transfer-Encoding: chunked"
        yield b"X-Any: a\n" + strange + b"Transfer-Encoding: chunked"
    yield from (b"Transfer-Encoding: " + value for value in ODD_VALUES)
    yield from (name + b": chunked" for name in ODD_NAMES)
    yield b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"
    yield b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"
    yield b"Transfer-Encoding:\r\n chunked"


def smuggled(key: str) -> Iterator[bytes]:
    """Requests behind which another one hides from whoever goes by the other length."""
    hidden = whole(key, tool="delete_city")
    behind_chunks, behind_length = CHUNKS + hidden, b"%x\r\n" % len(hidden) + hidden + b"\r\n" + CHUNKS
    for coding in codings():
        yield head(key, b"Content-Length: %d" % len(behind_chunks), coding) + b"\r\n" + behind_chunks
        yield head(key, coding, b"Content-Length: 4") + b"\r\n" + behind_length
    for length in ODD_LENGTHS:
        yield head(key, b"Content-Length: " + length) + b"\r\n" + hidden
        yield head(key, b"Content-Length: " + length, b"Content-Length: 5") + b"\r\n" + b"{}   " + hidden
    for last in (b"5", b"0", b"%d" % len(hidden)):
        yield head(key, b"Content-Length: 2", b"Content-Length: " + last) + b"\r\n{}" + hidden


def broken(key: str) -> Iterator[bytes]:
    """What is refused whatever it says: each is one request at most, and none of a call that may be made."""
    body, length = message("delete_city"), b"Content-Length: %d" % len(message("delete_city"))
    call = head(key, length, tool="delete_city")
    chunked = head(key, b"Transfer-Encoding: chunked", tool="delete_city") + b"\r\n"
    yield whole(key, b"Host: other", tool="delete_city")
    yield whole(key, b"host : 127.0.0.1", tool="delete_city")
    yield call.replace(b"Host: 127.0.0.1\r\n", b"") + b"\r\n" + body
    for target in (
        b"http://127.0.0.1/mcp/city",
        b"HTTP://x/mcp/city",
        b"*",
        b"mcp/city",
        b"x:/mcp/city",
        b"/mcp/city#a",
    ):
        yield call.replace(b"/mcp/city", target) + b"\r\n" + body
    for version in (b"HTTP/1.2", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3.0", b"http/1.1", b"HTTP/1.1 x", b"HTTPS/1.1", b""):
        yield call.replace(b"HTTP/1.1", version) + b"\r\n" + body
    yield call.replace(b"\r\n", b"\n") + b"\n" + body
    yield call.replace(b"\r\n", b"\r") + b"\r" + body
    yield call + b"\n" + body
    yield call + b"X-Any: a\r\n b\r\n\r\n" + body  # obs-fold (RFC 9112 section 5.2)
    yield call + b"X-Any: a\r\n\tb\r\n\r\n" + body
    yield call + b" X-Any: a\r\n\r\n" + body
    yield call + b"X-Any\r\n\r\n" + body
    yield call + b": a\r\n\r\n" + body
    yield call + b"X-Any: a\x00b\r\n\r\n" + body
    yield call + b"X Any: a\r\n\r\n" + body
    for size in (
        b"-1",
        b"+5",
        b"0x5",
        b" 5",
        b"5 ",
        b"5\x00",
        b"g",
        b"",
        b"f" * 17,
        b"f" * 400,
        b"5\n",
        b"5_0",
        b"ffffffff",
    ):
        yield chunked + size + b"\r\n" + body + b"\r\n" + CHUNKS
    piece = b"%x\r\n%s\r\n" % (len(body), body)
    yield chunked + piece.replace(b"\r\n", b"\n") + b"0\n\n"
    yield chunked + piece[:-2] + b"xx" + CHUNKS
    yield chunked + b"1;" + b"a" * 70_000 + b"\r\n{\r\n" + CHUNKS
    yield chunked + b"1;%s\r\n{\r\n" % (b"a" * 500) * 200 + CHUNKS
    yield (
        head(key, b"Transfer-Encoding: chunked", tool="delete_city").replace(b"1.1", b"1.0", 1)
        + b"\r\n"
        + piece
        + CHUNKS
    )


class Witness:
    """An application that answers everything, and notes which tools were asked for."""

    def __init__(self) -> None:
        self.tools: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body", False):
            pass
        self.tools.append(dict(scope["headers"])[b"mcp-name"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def answered(url: str, requests: Iterable[bytes]) -> list[tuple[bytes, list[int]]]:
    """Each request, with the status of everything that was answered to it."""
    places = asyncio.Semaphore(200)

    async def tried(request: bytes) -> tuple[bytes, list[int]]:
        async with places, asyncio.timeout(120):
            return request, statuses(await said(url, request))

    return await asyncio.gather(*map(tried, requests))


async def test_no_connection_has_two_answers_and_nothing_runs_that_is_smuggled() -> None:
    witness = Witness()
    async with listening(witness, ConnectionLimits(idle_seconds=0.2)) as url:
        found = await answered(url, smuggled("a-key"))
    assert len(found) > 500
    assert [request for request, heard in found if len(heard) > 1] == []
    assert set(witness.tools) <= {b"get_city"}


async def test_what_is_no_request_in_one_way_only_is_refused_and_reaches_no_server(tmp_path: Path) -> None:
    upstream = CityUpstream()
    async with (
        listening(upstream) as url,
        house(tmp_path, "limits: { idle_seconds: 1, body_seconds: 1, body_rate: 100000 }") as gateway,
    ):
        await gateway.furnish(f"{url}/mcp")
        key = await gateway.key()
        found = await answered(gateway.url, [*broken(key), *list(smuggled(key))[::20]])
        assert [request for request, heard in found if len(heard) > 1 or heard[:1] == [200]] == []
        assert upstream.calls == []
        assert statuses(await said(gateway.url, whole(key, b"Connection: close"))) == [200]
