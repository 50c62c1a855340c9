"""Remote or local, by what the connection's entry says."""

import json

from mcpgov.upstream.local import LocalForwarder
from mcpgov.upstream.switch import Upstreams
from mcpgov.upstream.traced import traced
from tests.upstream.calls import ALLOWED, NOBODY, body_of, call, to
from tests.upstream.clients import remote_forwarder
from tests.upstream.loopback import OK, loopback
from tests.upstream.stdio_witness import witnessing


async def test_each_connection_is_served_by_its_own_kind_and_both_end_together() -> None:
    async with loopback() as server, witnessing() as witness:
        remote, local = to(server.url, name="remote"), witness.connection(name="local")
        upstreams = Upstreams(remote_forwarder(), LocalForwarder())
        await upstreams.update(iter([remote, local]))
        async with upstreams.forward(call(), remote, ALLOWED, NOBODY) as answer:
            assert await body_of(answer) == OK
        async with upstreams.forward(call("initialize"), local, ALLOWED, NOBODY) as answer:
            assert json.loads(await body_of(answer))["result"]["protocolVersion"] == "2025-11-25"
        await upstreams.update([remote])
        await (await witness.process()).ended()
        await upstreams.close()


async def test_a_request_is_sent_with_our_span_in_it() -> None:
    async with loopback() as server:
        upstreams = Upstreams(remote_forwarder(), LocalForwarder())
        request = call()
        async with upstreams.forward(request, to(server.url), ALLOWED, NOBODY) as answer:
            await body_of(answer)
        await upstreams.close()
        (sent,) = server.ledger
        assert sent.body == traced(request).body != request.body
        assert json.loads(sent.body)["params"]["_meta"]["traceparent"] == sent.headers.get("traceparent")
