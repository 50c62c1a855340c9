"""What policies ask for is done, and what a call holds is let go of when it ends, however it ends."""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mcpgov.decision import (
    Charge,
    Describe,
    Effect,
    FetchKeys,
    GetAuthorization,
    GetToken,
    Hold,
    Learn,
    LogEvent,
    Metric,
    Reason,
    Refund,
    Spend,
    Spent,
    Tell,
    Trace,
)
from mcpgov.effects import MAX_TOOLS, CallEffects, Effects
from mcpgov.errors import Refusal
from mcpgov.json_web_token import KeySet
from mcpgov.models import Issued, Secret

SPEND = Spend("k", 5, 60)
SPENT = Spent(allowed=True, limit=5, remaining=4, reset=60)


@dataclass
class Witness:
    """Limits and log, noting what they are asked."""

    asked: list[object] = field(default_factory=list[object])

    async def spend(self, effect: Spend) -> Spent:
        self.asked.append(effect)
        return SPENT

    async def refund(self, effect: Refund) -> None:
        self.asked.append(effect)

    async def charge(self, spend: Spend, amount: int) -> None:
        self.asked.append((spend, amount))

    def tell(self, effect: Trace | Metric) -> None:
        self.asked.append(effect)


def asking(*effects: Effect) -> Generator[Effect, Any, list[object]]:
    """An evaluation that asks for these and returns what came of them."""
    results: list[object] = []
    for effect in effects:
        result = yield effect
        results.append(result)
    return results


def effects() -> tuple[Effects, Witness]:
    witness = Witness()
    return Effects(witness, witness), witness


async def test_limits_and_log_are_asked_in_order() -> None:
    shared, witness = effects()
    trace, metric = Trace("r", "s", "error", "m"), Metric("r", "calls", 1)
    async with shared.call() as call:
        results = await call.perform(asking(SPEND, Refund(SPEND, SPENT), trace, metric))
    assert results == [SPENT, None, None, None]
    assert witness.asked == [SPEND, Refund(SPEND, SPENT), trace, metric]


async def test_an_event_goes_to_the_loggers_and_nowhere_if_there_are_none() -> None:
    shared, witness = effects()
    event = LogEvent("r", "usage", "body")

    class Loggers:
        def log(self, effect: LogEvent, /) -> None:
            witness.asked.append(effect)

    async with shared.call() as call:
        assert await call.perform(asking(event)) == [None]
    assert witness.asked == []
    async with Effects(witness, witness, loggers=Loggers()).call() as call:
        await call.perform(asking(event))
    assert witness.asked == [event]


async def test_what_is_told_while_an_answer_passes_goes_to_the_log() -> None:
    shared, witness = effects()
    async with shared.call() as call:
        (tell,) = await call.perform(asking(Tell()))
    assert callable(tell)
    tell(Trace("r", "s", "error", "m"))
    assert witness.asked == [Trace("r", "s", "error", "m")]


async def test_places_are_held_until_the_call_has_ended() -> None:
    shared, _ = effects()
    async with shared.call() as first:
        assert await first.perform(asking(Hold("k", 1))) == [True]
        async with shared.call() as second:
            assert await second.perform(asking(Hold("k", 1), Hold("k", 2), Hold("other", 1))) == [False, True, True]
        assert await first.perform(asking(Hold("k", 2))) == [True]
    async with shared.call() as third:
        assert await third.perform(asking(Hold("k", 1))) == [True]


async def test_place_is_free_again_when_the_call_fails() -> None:
    shared, _ = effects()
    with pytest.raises(ZeroDivisionError):
        await failing(shared)
    async with shared.call() as call:
        assert await call.perform(asking(Hold("k", 1))) == [True]


async def failing(shared: Effects) -> None:
    async with shared.call() as call:
        await call.perform(asking(Hold("k", 1)))
        raise ZeroDivisionError


async def test_charge_is_made_at_the_end_with_what_is_known_then() -> None:
    shared, witness = effects()
    size = 0
    async with shared.call() as call:
        await call.perform(asking(Charge(SPEND, lambda: size)))
        size = 7
        assert witness.asked == []
    assert witness.asked == [(SPEND, 7)]


async def test_tools_are_known_as_they_were_last_listed_on_their_connection() -> None:
    shared, _ = effects()
    async with shared.call() as call:
        assert await call.perform(asking(Describe("a", "t"))) == [{}]
        (learn,) = await call.perform(asking(Learn("a")))
        assert callable(learn)
        learn([{"name": "t", "annotations": {"readOnlyHint": True}}, {"name": "u", "annotations": 5}, {"name": 7}, 7])
        learn([{"name": "v"}])
        described = await call.perform(
            asking(*(Describe(c, t) for c, t in (("a", "t"), ("a", "u"), ("a", "v"), ("b", "t"))))
        )
    assert described == [{"readOnlyHint": True}, {}, {}, {}]


async def test_what_is_known_of_tools_is_bounded() -> None:
    shared, _ = effects()
    shared.learn("a", [{"name": f"t{n}", "annotations": {"readOnlyHint": True}} for n in range(MAX_TOOLS + 1)])
    assert shared.describe("a", "t0") == {}
    assert shared.describe("a", f"t{MAX_TOOLS}") == {"readOnlyHint": True}


async def test_refusal_of_a_limit_ends_the_evaluation() -> None:
    class Down(Witness):
        async def spend(self, effect: Spend) -> Spent:
            raise Refusal(Reason.COUNTERS_UNAVAILABLE, "gone")

    with pytest.raises(Refusal):
        await CallEffects(Effects(Down(), Down())).perform(asking(SPEND))


async def test_what_is_only_reported_on_passes_where_it_cannot_be_counted() -> None:
    class Down(Witness):
        async def spend(self, effect: Spend) -> Spent:
            raise Refusal(Reason.COUNTERS_UNAVAILABLE, "gone")

    (spent,) = await CallEffects(Effects(Down(), Down())).perform(asking(replace(SPEND, apart=True)))
    assert isinstance(spent, Spent)
    assert spent.allowed


class Authorities:
    """Issues whatever is asked for, and says for what."""

    async def keys(self, effect: FetchKeys, /) -> KeySet:
        return KeySet(effect.url, ())

    async def token(self, effect: GetToken, /) -> Issued:
        return Issued(Secret("t"), "ours", effect.resource)

    async def authorization(self, effect: GetAuthorization, /) -> Issued:
        return Issued(Secret("t"), f"{effect.provider} for {effect.principal_id}")


async def test_keys_and_tokens_come_from_whoever_issues_them() -> None:
    witness = Witness()
    call = CallEffects(Effects(witness, witness, Authorities()))
    asked = asking(FetchKeys("https://i", "k"), GetToken("api://r"), GetAuthorization("github", "key:k1"))
    issued = (Issued(Secret("t"), "ours", "api://r"), Issued(Secret("t"), "github for key:k1"))
    assert await call.perform(asked) == [KeySet("https://i", ()), *issued]


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        (FetchKeys("https://i"), Reason.SIGN_IN_UNAVAILABLE),
        (GetToken("api://r"), Reason.CREDENTIAL_UNAVAILABLE),
        (GetAuthorization("github", "key:k1"), Reason.CREDENTIAL_UNAVAILABLE),
    ],
)
async def test_a_gateway_that_has_none_of_them_refuses(effect: Effect, reason: Reason) -> None:
    shared, _ = effects()
    with pytest.raises(Refusal) as raised:
        await CallEffects(shared).perform(asking(effect))
    assert raised.value.reason is reason


async def test_what_cannot_be_had_is_raised_where_it_was_asked_for() -> None:
    def doing_without() -> Generator[Effect, Any, object]:
        try:
            yield GetToken("api://r")
        except Refusal as refusal:
            return (yield SPEND), refusal.reason
        return None

    shared, witness = effects()
    assert await CallEffects(shared).perform(doing_without()) == (SPENT, Reason.CREDENTIAL_UNAVAILABLE)
    assert witness.asked == [SPEND]
