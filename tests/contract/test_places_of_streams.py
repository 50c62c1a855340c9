"""Streams take at most half of a connection's places, whoever opens them: calls always have the other half."""

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Era, Kind, MCPRequest
from mcpgov.upstream.bounds import AnswerLimits
from mcpgov.upstream.memory import ScriptedAnswer
from tests.upstream.calls import ALLOWED, NOBODY, bodiless, body_of, call, to
from tests.upstream.clients import remote_forwarder
from tests.upstream.loopback import OK, loopback

NOTE = b'data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n'


@pytest.mark.parametrize("stream", [bodiless(Kind.STREAM), call("subscriptions/listen", era=Era.STATELESS)])
async def test_streams_take_at_most_half_of_the_places_and_calls_go_on(stream: MCPRequest) -> None:
    forwarder = remote_forwarder(AnswerLimits(open_calls=2))

    async def forwarded(request: MCPRequest) -> bytes:
        async with forwarder.forward(request, connection, ALLOWED, NOBODY) as answer:
            return await body_of(answer)

    async with loopback() as server:
        connection = to(server.url)
        server.script(ScriptedAnswer(content_type="text/event-stream", chunks=(NOTE,), ends=False))
        async with forwarder.forward(stream, connection, ALLOWED, NOBODY):
            with pytest.raises(Refusal) as refused:
                await forwarded(stream)
            assert (refused.value.reason, refused.value.headers) == (Reason.OVERLOADED, (("Retry-After", "1"),))
            assert await forwarded(call()) == OK
        server.script(ScriptedAnswer(content_type="text/event-stream", chunks=(NOTE,)))
        assert await forwarded(stream) == NOTE
        await forwarder.close()
