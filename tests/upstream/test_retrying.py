"""A request that only reads is asked for again where a policy says so; nothing else ever is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from mcpgov.decision import Changes, Decision, Reason
from mcpgov.errors import Refusal
from mcpgov.models import Kind, MCPRequest
from mcpgov.upstream.local import LocalForwarder
from mcpgov.upstream.memory import MemoryUpstream, ScriptedAnswer
from mcpgov.upstream.retrying import READING, Retrying
from mcpgov.upstream.switch import Upstreams
from tests.upstream.calls import NOBODY, bodiless, body_of, call, to
from tests.upstream.clients import remote_forwarder
from tests.upstream.loopback import OK, Fault, loopback

EVENT = b'data: {"jsonrpc":"2.0","method":"notifications/message"}\n\n'
BUSY = ScriptedAnswer(503, "text/plain", (b"busy",), (("retry-after", "1"),))
LIMITED = ScriptedAnswer(429, "", headers=(("retry-after", "7"),))
ERROR = ScriptedAnswer(500, chunks=(b'{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"later"}}',))
GOOD = ScriptedAnswer(chunks=(b'{"jsonrpc":"2.0","id":1,"result":{}}',))
READ = call("tools/list")


@dataclass
class Plan:
    """Asks again `times` times while the status is one of `statuses`, and remembers what it was shown."""

    statuses: tuple[int, ...] = (429, 500, 502, 503, 504)
    times: int = 2
    seconds: float = 0.5
    shown: list[tuple[int, int, Mapping[str, str]]] = field(default_factory=list[tuple[int, int, Mapping[str, str]]])

    def wait(self, attempt: int, status: int, headers: Mapping[str, str]) -> float | None:
        self.shown.append((attempt, status, headers))
        return self.seconds if attempt <= self.times and status in self.statuses else None


@dataclass
class Stage:
    """An upstream that plays a script, asked through Retrying."""

    plan: Plan | None = field(default_factory=Plan)
    upstream: MemoryUpstream = field(default_factory=MemoryUpstream)
    waits: list[float] = field(default_factory=list[float])
    timeout: float | None = None

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def ask(self, *script: ScriptedAnswer | Refusal, request: MCPRequest = READ) -> tuple[int, int]:
        self.upstream.script(*script)
        decision = Decision(Reason.ALLOWED, changes=Changes(retry=self.plan, timeout=self.timeout))
        retrying = Retrying(self.upstream, self.sleep)
        async with retrying.forward(request, to("http://127.0.0.1/"), decision, NOBODY) as answer:
            await body_of(answer)
            return answer.status, answer.attempts


async def test_the_last_answer_is_told_with_the_number_of_attempts() -> None:
    stage = Stage()
    assert await stage.ask(BUSY, ERROR, GOOD) == (200, 3)
    assert (len(stage.upstream.ledger), stage.waits) == (3, [0.5, 0.5])


async def test_the_policy_sees_the_status_that_the_upstream_gave() -> None:
    stage = Stage()
    assert stage.plan is not None
    await stage.ask(BUSY, LIMITED, GOOD)
    assert [(attempt, status) for attempt, status, _ in stage.plan.shown] == [(1, 503), (2, 429), (3, 200)]
    assert stage.plan.shown[1][2] == {"retry-after": "7"}
    assert stage.plan.shown[2][2] == {"content-type": "application/json"}


async def test_repeated_fields_are_shown_joined() -> None:
    stage = Stage()
    assert stage.plan is not None
    await stage.ask(ScriptedAnswer(chunks=GOOD.chunks, headers=(("x-a", "1"), ("x-a", "2"))))
    assert stage.plan.shown[0][2]["x-a"] == "1, 2"


async def test_an_error_is_told_when_the_attempts_are_used_up() -> None:
    stage = Stage()
    assert await stage.ask(ERROR, ERROR, ERROR) == (500, 3)


async def test_a_refusal_is_told_when_the_attempts_are_used_up() -> None:
    stage = Stage()
    with pytest.raises(Refusal, match="upstream-error"):
        await stage.ask(BUSY, BUSY, BUSY, GOOD)
    assert len(stage.upstream.ledger) == 3


@pytest.mark.parametrize(
    ("reason", "status"),
    [(Reason.UPSTREAM_UNREACHABLE, 502), (Reason.UPSTREAM_RESET, 502), (Reason.UPSTREAM_TIMEOUT, 504)],
)
async def test_an_upstream_that_did_not_answer_is_asked_again(reason: Reason, status: int) -> None:
    stage = Stage()
    assert stage.plan is not None
    assert await stage.ask(Refusal(reason, "gone"), GOOD) == (200, 2)
    assert stage.plan.shown[0] == (1, status, {})


async def test_a_refusal_of_ours_is_final() -> None:
    stage = Stage()
    with pytest.raises(Refusal, match="overloaded"):
        await stage.ask(Refusal(Reason.OVERLOADED, "full"))
    assert len(stage.upstream.ledger) == 1


@pytest.mark.parametrize(
    "request_",
    [
        call(),
        call("initialize"),
        call("tasks/cancel"),
        call("logging/setLevel"),
        call("acme/run"),
        call("ping", request_id=None),
        bodiless(Kind.STREAM),
        bodiless(Kind.END),
    ],
    ids=lambda request: f"{request.kind} {request.method}",
)
async def test_what_could_write_is_sent_once(request_: MCPRequest) -> None:
    stage = Stage()
    with pytest.raises(Refusal, match="upstream-error"):
        await stage.ask(BUSY, GOOD, request=request_)
    assert (len(stage.upstream.ledger), stage.waits) == (1, [])


@pytest.mark.parametrize("method", sorted(READING))
async def test_what_only_reads_is_sent_again(method: str) -> None:
    assert await Stage().ask(BUSY, GOOD, request=call(method)) == (200, 2)


def test_no_call_of_a_tool_is_ever_among_what_only_reads() -> None:
    assert not {"tools/call", "initialize", "resources/subscribe"} & READING


async def test_without_a_policy_nothing_is_asked_again() -> None:
    stage = Stage(plan=None)
    with pytest.raises(Refusal, match="upstream-error"):
        await stage.ask(BUSY, GOOD)


async def test_a_wait_beyond_the_time_out_is_not_begun() -> None:
    stage = Stage(Plan(seconds=30.0))
    assert await stage.ask(ERROR, GOOD) == (500, 1)
    with pytest.raises(Refusal, match="upstream-error"):
        await Stage(Plan(seconds=30.0), waits=stage.waits).ask(BUSY, GOOD)
    assert (len(stage.upstream.ledger), stage.waits) == (1, [])


async def test_a_longer_time_out_of_the_policy_leaves_time_for_longer_waits() -> None:
    assert await Stage(Plan(seconds=60.0), timeout=120.0).ask(ERROR, GOOD) == (200, 2)


async def test_each_attempt_has_the_time_out_of_the_policy() -> None:
    stage = Stage(timeout=0.5)
    assert await stage.ask(ScriptedAnswer(ends=False), GOOD) == (200, 2)


async def test_leaving_early_closes_the_last_attempt() -> None:
    upstream = MemoryUpstream()
    upstream.script(BUSY, ScriptedAnswer(content_type="text/event-stream", chunks=(EVENT,), ends=False))
    decision = Decision(Reason.ALLOWED, changes=Changes(retry=Plan()))
    async with Retrying(upstream, Stage().sleep).forward(READ, to("http://127.0.0.1/"), decision, NOBODY) as answer:
        assert await anext(answer.events)
    assert upstream.ledger[1].cut.is_set()


async def test_a_policy_that_fails_while_it_is_asked_ends_the_call() -> None:
    class Failing(Plan):
        def wait(self, attempt: int, status: int, headers: Mapping[str, str]) -> float | None:
            raise Refusal(Reason.POLICY_ERROR, "A policy could not be evaluated.")

    for script in (BUSY, ERROR):
        with pytest.raises(Refusal, match="policy-error"):
            await Stage(Failing()).ask(script, GOOD)


async def test_an_answer_that_breaks_off_after_it_began_is_not_asked_for_again() -> None:
    async with loopback() as server:
        upstreams = Upstreams(remote_forwarder(), LocalForwarder(), sleep=Stage().sleep)
        server.script(Fault(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + EVENT + b": half"), Fault())
        decision = Decision(Reason.ALLOWED, changes=Changes(retry=Plan()))
        async with upstreams.forward(READ, to(server.url), decision, NOBODY) as answer:
            assert answer.streaming
            await body_of(answer)
        assert len(server.ledger) == 1
        async with upstreams.forward(READ, to(server.url), decision, NOBODY) as answer:
            assert (await body_of(answer), answer.attempts) == (OK, 2)
        await upstreams.close()
