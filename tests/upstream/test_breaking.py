"""Nothing is sent for a caller to an upstream that does not answer it, and everything of all others."""

import asyncio
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace

import pytest

from mcpgov.decision import Changes, Decision, Reason
from mcpgov.errors import Refusal
from mcpgov.models import Answer, Connection, Credential, Kind, MCPRequest, RemoteUpstream
from mcpgov.upstream.answers import Answered
from mcpgov.upstream.breaking import MOST, Breaking
from mcpgov.upstream.circuit import ENOUGH
from mcpgov.upstream.memory import MemoryUpstream, ScriptedAnswer
from mcpgov.upstream.retrying import UNANSWERED
from tests.upstream.calls import ALLOWED, NOBODY, bodiless, body_of, call, to

SILENT = Refusal(Reason.UPSTREAM_TIMEOUT, "The upstream did not answer in time.")
BROKEN = Answered(Reason.UPSTREAM_ERROR, "The upstream failed.", 500)
GOOD = ScriptedAnswer(chunks=(b'{"jsonrpc":"2.0","id":1,"result":{}}',))
SICK, WELL = to("http://127.0.0.1:1/", name="sick"), to("http://127.0.0.1:2/", name="well")
SLOW, FAST = replace(call(), principal_id="key:slow"), replace(call(), principal_id="key:fast")
TWO = replace(SICK, name="two", upstream=RemoteUpstream("http://127.0.0.1:4/", True, ("http://127.0.0.1:3",)))


class Server:
    """An upstream that answers everybody in one way, until it is given another."""

    def __init__(self) -> None:
        self.inner = MemoryUpstream(lambda _: self.answer if isinstance(self.answer, ScriptedAnswer) else GOOD)
        self.answer: ScriptedAnswer | Refusal = GOOD

    def forward(
        self, request: MCPRequest, connection: Connection, decision: Decision, credential: Credential
    ) -> AbstractAsyncContextManager[Answer]:
        if isinstance(self.answer, Refusal):
            self.inner.script(self.answer)
        return self.inner.forward(request, connection, decision, credential)


@dataclass
class Stage:
    """An upstream behind the circuits, and a clock that stands still until it is moved."""

    now: float = 100.0
    server: Server = field(default_factory=Server)
    most: int = MOST

    def __post_init__(self) -> None:
        self.breaking = Breaking(self.server, lambda: self.now, self.most)

    @property
    def sent(self) -> int:
        return len(self.server.inner.ledger)

    async def ask(
        self,
        answer: ScriptedAnswer | Refusal = GOOD,
        connection: Connection = SICK,
        request: MCPRequest | None = None,
        decision: Decision = ALLOWED,
    ) -> str:
        """What comes of one request: the reason of a refusal and when to come back, or nothing."""
        self.server.answer = answer
        try:
            async with self.breaking.forward(request or call(), connection, decision, NOBODY) as given:
                await body_of(given)
        except Refusal as refusal:
            return " ".join((refusal.reason.value, *(value for _, value in refusal.headers)))
        return ""

    async def fail(self, times: int = ENOUGH, request: MCPRequest | None = None) -> None:
        for _ in range(times):
            await self.ask(SILENT, request=request)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_after_enough_silence_nothing_is_sent_and_callers_are_told_when_to_come_back(stage: Stage) -> None:
    await stage.fail()
    assert await stage.ask() == "circuit-open 5"
    assert stage.sent == ENOUGH


async def test_another_connection_and_another_backend_are_not_concerned(stage: Stage) -> None:
    await stage.fail()
    for _ in range(ENOUGH):
        await stage.ask(SILENT, TWO)
    elsewhere = Decision(Reason.ALLOWED, changes=Changes(backend="http://127.0.0.1:3"))
    assert await stage.ask(connection=WELL) == ""
    assert await stage.ask(connection=TWO, decision=elsewhere) == ""
    assert await stage.ask(connection=replace(SICK, upstream=WELL.upstream)) == ""
    assert (await stage.ask()).startswith("circuit-open")


@pytest.mark.parametrize("reason", sorted(UNANSWERED))
async def test_who_gets_no_answer_shuts_out_itself_alone(stage: Stage, reason: Reason) -> None:
    for _ in range(ENOUGH):
        await stage.ask(Refusal(reason, "Nothing came."), request=SLOW)
    assert await stage.ask(request=SLOW) == "circuit-open 5"
    assert [await stage.ask(request=FAST) for _ in range(ENOUGH)] == [""] * ENOUGH
    assert await stage.ask(request=replace(SLOW, session_id="another")) == "circuit-open 5"


async def test_a_slow_call_in_each_pause_keeps_nobody_else_out(stage: Stage) -> None:
    await stage.fail(request=SLOW)
    for pause in (5, 10, 20, 40, 60):
        stage.now += pause
        trial = asyncio.create_task(stage.ask(ScriptedAnswer(ends=False), request=SLOW))
        before = stage.sent
        while stage.sent == before:
            await asyncio.sleep(0)
        assert await stage.ask(request=SLOW) == "circuit-open 1"
        assert await stage.ask(request=FAST) == ""
        trial.cancel()
        await asyncio.wait({trial})
        assert await stage.ask(SILENT, request=SLOW) == "upstream-timeout"
        assert await stage.ask(request=FAST) == ""


async def test_where_nobody_gets_an_answer_each_caller_tries_for_itself(stage: Stage) -> None:
    await stage.fail(request=SLOW)
    await stage.fail(request=FAST)
    assert await stage.ask(request=FAST) == "circuit-open 5"
    stage.now += 5
    assert await stage.ask(SILENT, request=SLOW) == "upstream-timeout"
    assert await stage.ask(request=FAST) == ""
    assert await stage.ask(request=FAST) == ""
    assert await stage.ask(request=SLOW) == "circuit-open 10"


async def test_an_answer_to_one_caller_is_none_to_another(stage: Stage) -> None:
    for _ in range(ENOUGH):
        await stage.ask(SILENT, request=SLOW)
        await stage.ask(request=FAST)
    assert await stage.ask(request=SLOW) == "circuit-open 5"


async def test_the_circuit_whose_last_failure_is_oldest_is_forgotten_when_there_are_too_many() -> None:
    stage = Stage(most=2)
    third = replace(SLOW, principal_id="key:third")
    await stage.fail(request=SLOW)
    await stage.fail(request=FAST)
    stage.now += 5
    await stage.ask(SILENT, request=SLOW)  # so that the oldest is the other one's
    await stage.fail(1, third)
    assert await stage.ask(request=SLOW) == "circuit-open 10"
    await stage.fail(ENOUGH - 1, third)
    assert await stage.ask(request=third) == "circuit-open 5"
    await stage.fail(ENOUGH - 1, FAST)  # counted anew: it was forgotten
    assert await stage.ask(request=FAST) == ""


async def test_any_answer_starts_the_count_over_an_error_too(stage: Stage) -> None:
    for answer in (GOOD, BROKEN):
        await stage.fail(ENOUGH - 1)
        await stage.ask(answer)
    await stage.fail(ENOUGH - 1)
    assert await stage.ask() == ""


@pytest.mark.parametrize("reason", [Reason.OVERLOADED, Reason.UPSTREAM_ADDRESS_DENIED, Reason.POLICY_ERROR])
async def test_what_was_never_sent_says_nothing_of_the_upstream(stage: Stage, reason: Reason) -> None:
    for _ in range(ENOUGH):
        await stage.ask(Refusal(reason, "Not sent."))
    assert await stage.ask() == ""
    await stage.fail()
    stage.now += 5
    await stage.ask(Refusal(reason, "Not sent."))
    assert await stage.ask() == ""  # the trial that was not sent left the place to the next


async def test_one_request_tries_after_the_pause_and_its_answer_lets_all_through(stage: Stage) -> None:
    await stage.fail()
    stage.now += 5
    stage.server.answer = GOOD
    async with stage.breaking.forward(call(), SICK, ALLOWED, NOBODY) as answer:
        assert await stage.ask() == ""
        await body_of(answer)


async def test_a_trial_that_fails_makes_the_pause_longer(stage: Stage) -> None:
    await stage.fail()
    stage.now += 5
    assert await stage.ask(SILENT) == "upstream-timeout"
    assert await stage.ask() == "circuit-open 10"


async def test_while_one_tries_the_others_wait_and_one_that_leaves_makes_room(stage: Stage) -> None:
    await stage.fail()
    stage.now += 5
    trial = asyncio.create_task(stage.ask(ScriptedAnswer(ends=False)))
    while stage.sent == ENOUGH:
        await asyncio.sleep(0)
    assert await stage.ask() == "circuit-open 1"
    trial.cancel()
    await asyncio.wait({trial})
    assert await stage.ask() == ""


async def test_what_breaks_after_the_answer_began_is_no_silence(stage: Stage) -> None:
    for _ in range(ENOUGH):
        with suppress(Refusal):
            async with stage.breaking.forward(call(), SICK, ALLOWED, NOBODY):
                raise SILENT
    assert await stage.ask() == ""


async def test_a_silent_get_stream_is_no_failure_and_is_not_held_back(stage: Stage) -> None:
    stream = bodiless(Kind.STREAM)
    for _ in range(ENOUGH):
        await stage.ask(SILENT, request=stream)
    assert await stage.ask() == ""
    await stage.fail()
    before = stage.sent
    await stage.ask(request=stream)
    assert stage.sent == before + 1


async def test_a_connection_that_left_the_catalog_is_forgotten(stage: Stage) -> None:
    await stage.fail()
    stage.breaking.update([SICK, WELL])
    assert (await stage.ask()).startswith("circuit-open")
    stage.breaking.update([WELL])
    assert await stage.ask() == ""
