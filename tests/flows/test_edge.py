"""The bounds of a request, and the clocks that run while it comes, at a whole gateway: refused and not forwarded."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from tests.flows.house import House, house
from tests.flows.sockets import head, message, said, statuses, whole
from tests.flows.upstream import CityUpstream, listening

SETTINGS = """limits:
  { header_fields: 20, header_bytes: 2048, body_bytes: 4096, body_seconds: 1, body_rate: 100000, idle_seconds: 1,
    depth: 6, keys: 20, string_bytes: 1024 }
identity: { key_headers: [x-api-key, x-team-key] }
"""


@pytest.fixture
async def upstream() -> CityUpstream:
    return CityUpstream()


@pytest.fixture
async def gateway(tmp_path: Path, upstream: CityUpstream) -> AsyncGenerator[House]:
    async with listening(upstream) as url, house(tmp_path, SETTINGS) as built:
        await built.furnish(f"{url}/mcp")
        yield built


def carrying(arguments: object) -> bytes:
    """A call with these arguments."""
    found = json.loads(message())
    found["params"]["arguments"] = arguments
    return json.dumps(found).encode()


def nested(levels: int) -> bytes:
    """A body of so many levels, three of which are those of the message."""
    arguments: object = 1
    for _ in range(levels - 3):
        arguments = [arguments]
    return carrying({"a": arguments})


def keyed(keys: int) -> bytes:
    """A body of so many keys, nine of which are the message's own."""
    return carrying({str(number): 1 for number in range(keys - 9)})


def padded(size: int) -> bytes:
    """A body of so many bytes."""
    return message() + b" " * (size - len(message()))


BODIES: dict[str, tuple[Callable[[int], bytes], int, int, str]] = {
    "body_bytes": (padded, 4096, 413, "too-large"),
    "depth": (nested, 6, 400, "too-deep"),
    "keys": (keyed, 20, 413, "too-large"),
    "string_bytes": (lambda size: carrying({"a": "x" * size}), 1024, 413, "too-large"),
}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("limit", BODIES)
async def test_each_bound_of_a_body_is_read_and_one_more_is_not(
    gateway: House, upstream: CityUpstream, limit: str, *, chunked: bool
) -> None:
    build, bound, status, reason = BODIES[limit]
    key = await gateway.key()
    for size, expected in ((bound - 1, 200), (bound, 200), (bound + 1, status)):
        body = build(size)
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
        sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
        answer = await said(gateway.url, head(key, b"Connection: close", framing) + b"\r\n" + sent)
        assert statuses(answer) == [expected], size
    assert len(upstream.calls) == 2
    assert [record["mcpgov.decision.reason"] for record in await gateway.records(event="denied")] == [reason]


@pytest.mark.parametrize("more", [-1, 0, 1])
async def test_each_bound_of_a_head_is_read_and_one_more_is_not(
    gateway: House, upstream: CityUpstream, more: int
) -> None:
    key = await gateway.key()
    usual = whole(key, b"Connection: close")
    fields = usual.partition(b"\r\n\r\n")[0].count(b"\r\n")
    many = whole(key, b"Connection: close", *(b"X-%d: 1" % number for number in range(20 - fields + more)))
    room = 2048 + more - len(usual.partition(b"\r\n\r\n")[0]) - 4 - len(b"X-Any: \r\n")
    wide = whole(key, b"Connection: close", b"X-Any: " + b"a" * room)
    for request in (many, wide):
        assert statuses(await said(gateway.url, request)) == ([431] if more > 0 else [200])
    assert len(upstream.calls) == (0 if more > 0 else 2)


async def test_a_body_that_does_not_come_is_refused_by_name_and_the_connection_ends(
    gateway: House, upstream: CityUpstream
) -> None:
    key = await gateway.key()
    answer = await said(gateway.url, head(key, b"Content-Length: 100") + b"\r\n{")
    assert statuses(answer) == [408]
    assert b"connection: close" in answer.lower()
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["data"]["reason"] == "request-timeout"
    (record,) = await gateway.records(event="denied")
    assert (record["mcpgov.decision.reason"], bool(record["mcpgov.principal.id"])) == ("request-timeout", True)
    assert upstream.calls == []


async def test_slow_clients_of_every_sort_keep_no_caller_from_being_served(
    gateway: House, upstream: CityUpstream
) -> None:
    key = await gateway.key()
    cut = (b"", b"POST /mcp/city HT", head(key), head(key, b"Content-Length: 100") + b"\r\n{")
    slow = [asyncio.create_task(said(gateway.url, cut[number % 4])) for number in range(200)]
    for _ in range(20):
        assert statuses(await said(gateway.url, whole(key, b"Connection: close"))) == [200]
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    assert len(upstream.calls) == 20


@pytest.mark.parametrize(
    "field", [b"Mcp_Name: x", b"X_Forwarded_For: 10.0.0.1", b"X_API_KEY: x", b"x_team-key: x", b"Host_: x", b"X_Any: x"]
)
async def test_a_header_in_disguise_is_refused_with_a_record_and_another_is_dropped(
    gateway: House, upstream: CityUpstream, field: bytes
) -> None:
    key = await gateway.key()
    status = 200 if field[:4] in {b"Host", b"X_An"} else 400
    assert statuses(await said(gateway.url, whole(key, b"Connection: close", field))) == [status]
    assert [record["mcpgov.decision.reason"] for record in await gateway.records(event="denied")] == [
        "header-invalid"
    ] * (status == 400)
    assert [name for seen in upstream.ledger for name in seen.headers if "_" in name] == []
