"""The in-memory twin keeps the contract, and does what a script says."""

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Kind
from mcpgov.upstream.memory import MemoryUpstream, ScriptedAnswer
from tests.contract.upstream_contract import Stage, UpstreamContract
from tests.upstream.calls import ALLOWED, NOBODY, bodiless, body_of, call, starting, to


class TestMemoryUpstream(UpstreamContract):
    @pytest.fixture
    def stage(self) -> Stage:
        upstream = MemoryUpstream()
        return Stage(upstream, upstream, to("http://127.0.0.1/mcp"))


async def test_unscripted_requests_are_answered_by_the_rule_it_was_given() -> None:
    upstream = MemoryUpstream(lambda request: ScriptedAnswer(chunks=(b'{"jsonrpc":"2.0","id":%d,"result":7}' % 5,)))
    async with upstream.forward(call(request_id=5), starting("server"), ALLOWED, NOBODY) as answer:
        assert await body_of(answer) == b'{"jsonrpc":"2.0","id":5,"result":7}'


async def test_by_default_requests_get_an_empty_result_and_a_get_is_not_served() -> None:
    upstream = MemoryUpstream()
    async with upstream.forward(call(request_id="a"), starting("server"), ALLOWED, NOBODY) as answer:
        assert await body_of(answer) == b'{"jsonrpc":"2.0","id":"a","result":{}}'
    async with upstream.forward(bodiless(Kind.STREAM), starting("server"), ALLOWED, NOBODY) as answer:
        assert answer.status == 405
    await upstream.update(())
    await upstream.close()


async def test_a_scripted_refusal_is_raised_after_the_request_was_noted() -> None:
    upstream = MemoryUpstream()
    upstream.script(Refusal(Reason.UPSTREAM_UNREACHABLE, "gone"))
    with pytest.raises(Refusal, match="upstream-unreachable"):
        async with upstream.forward(call(), starting("server"), ALLOWED, NOBODY):
            pass
    assert len(upstream.ledger) == 1
