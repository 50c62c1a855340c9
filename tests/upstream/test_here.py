"""What is for a connection goes on; what is for none is answered."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mcpgov.models import Answer, Headers, MCPRequest
from mcpgov.upstream.answers import whole
from mcpgov.upstream.here import Here
from mcpgov.upstream.memory import MemoryUpstream
from tests.upstream.calls import ALLOWED, NOBODY, call, to


@asynccontextmanager
async def answered(_request: MCPRequest) -> AsyncGenerator[Answer]:
    """The gateway's own answer."""
    yield Answer(202, Headers(), streaming=False, events=whole(None))


async def test_a_connection_without_a_name_is_the_gateway_itself() -> None:
    usual = MemoryUpstream()
    upstream = Here(usual, answered)
    async with upstream.forward(call(), to("http://127.0.0.1:1/mcp", name=""), ALLOWED, NOBODY) as answer:
        assert answer.status == 202
    assert usual.ledger == []
    async with upstream.forward(call(), to("http://127.0.0.1:1/mcp"), ALLOWED, NOBODY) as answer:
        assert answer.status == 200
    assert len(usual.ledger) == 1
