"""What is special about aiohttp's client; test_forward.py has what every client keeps."""

import asyncio

import aiohttp
import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.upstream.aiohttp_client import CLEAN_TRIES, aiohttp_clients, why
from mcpgov.upstream.forward import RemoteForwarder
from tests.upstream.calls import ALLOWED, NOBODY, body_of, call, to
from tests.upstream.loopback import OK, loopback


async def forwarded(forwarder: RemoteForwarder, url: str) -> bytes:
    async with forwarder.forward(call(), to(url), ALLOWED, NOBODY) as answer:
        return await body_of(answer)


async def test_no_more_than_a_few_connections_are_tried_and_nothing_is_sent_on_them() -> None:
    forwarder = RemoteForwarder(aiohttp_clients())
    async with loopback() as server:
        assert await asyncio.gather(*(forwarded(forwarder, server.url) for _ in range(CLEAN_TRIES))) == [OK] * 3
        await server.say_unasked(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        async with loopback() as elsewhere:
            await forwarded(forwarder, elsewhere.url)
        with pytest.raises(Refusal, match="upstream-reset"):
            await forwarded(forwarder, server.url)
        assert await forwarded(forwarder, server.url) == OK
        assert (server.connections, len(server.ledger)) == (CLEAN_TRIES + 1, CLEAN_TRIES + 1)
    await forwarder.close()


def test_errors_that_no_case_names_are_a_reset() -> None:
    refusal = why(aiohttp.ClientPayloadError())
    assert (refusal.reason, refusal.detail) == (Reason.UPSTREAM_RESET, "ClientPayloadError")
