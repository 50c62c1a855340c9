"""Whatever a hook raises, nothing is let through: the call is refused and recorded, and the next one is served.

The hooks are found, not listed: every method of the protocols that a call goes through, every lookup in what is in
force, every element in every section where it may stand, every effect. One that is new and has no case fails.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final, get_args

import structlog

from mcpgov import decision, pipeline
from mcpgov.audit import ended, writer
from mcpgov.audit.record import Row
from mcpgov.credential import source, tokens
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.identity import authenticator
from mcpgov.policy import draft
from mcpgov.policy.element import RETURN
from mcpgov.snapshot import Snapshot
from mcpgov.store.memory_ledger import MemoryLedgerStore
from tests.faults.hooks import Bench, Ran, bench
from tests.faults.planting import (
    CONTAINERS,
    ERRORS,
    YIELDING,
    Hook,
    element_classes,
    of_effects,
    of_elements,
    of_pipeline,
    protocols,
)
from tests.faults.planting_plugs import of_answers, of_charging, of_credentials, of_identity
from tests.faults.tools import note

ELSEWHERE: Final = {  # no call goes through these
    "Watch.entered": "explanations and tests of policies look on",
    "Watch.left": "the same",
    "Watch.took": "the same",
    "HostIdentity.token": "behind MicrosoftTokens.managed",
    "Pins.waiting": "asked by metrics",
    "LedgerStore.open": "before anything is served",
    "LedgerStore.recover": "the same",
    "LedgerStore.checkpoint": "after the call, in the thread that writes",
    "LedgerStore.close": "after everything",
}


def every() -> Iterator[Hook]:
    """All of them."""
    for some in (of_pipeline, of_elements, of_effects, of_identity, of_credentials, of_answers, of_charging):
        yield from some()


async def wrong(made: Bench, hook: Hook) -> list[str]:
    """What is not as it should be when something is raised there, and then in the next call."""
    found = list[str]()
    for name, make in ERRORS.items():
        error = make()
        ran = await made.run(hook.plant(made, error), hook.exchange(made.exchange(hook.method), error))
        found += [f"{hook.name}, {name}: {problem}" for problem in judged(hook, error, ran)]
    made.ledger.observers = ()
    after = await made.run(made.stages(), made.exchange())
    if not (after.relayed and after.sent == 1 and after.events == ["intent", "outcome"]):
        found.append(f"{hook.name}, the next call: {after}")
    return found


def judged(hook: Hook, error: BaseException, ran: Ran) -> Iterator[str]:
    """What is not as the hook says."""
    if ran.sent != hook.sent:
        yield f"the upstream heard {ran.sent} times"
    if ran.events != list(hook.events):
        yield f"recorded {ran.events}"
    if hook.escapes:
        return
    if ran.relayed and hook.name != "Upstream.forward left":
        yield "something was relayed"
    yield from misled(hook, error, ran)


def misled(hook: Hook, error: BaseException, ran: Ran) -> Iterator[str]:
    """What is not as it should be in what the caller is told, and in what is recorded of that."""
    if isinstance(error, asyncio.CancelledError):  # the endpoint says gateway-stopping, where anybody is left
        if not isinstance(ran.escaped, asyncio.CancelledError) or ran.reason != Reason.GATEWAY_STOPPING:
            yield f"cancelled, and {ran.escaped!r}, {ran.reason}"
        return
    expected = (hook.refusal,) if isinstance(error, Refusal) else hook.told
    if len(ran.told) != 1 or ran.told[0] not in expected or ran.escaped is not None:
        yield f"told {ran.told}, {ran.escaped!r}"
    elif ran.reason != ran.told[0]:
        yield f"told {ran.told}, and recorded {ran.reason}"


async def test_whatever_a_hook_raises_the_call_is_refused_and_recorded_and_the_next_one_served() -> None:
    hooks, found = list(every()), list[str]()
    with structlog.testing.capture_logs():
        async with bench() as made:
            for hook in hooks:
                found += await wrong(made, hook)
    failing = {problem.partition(", ")[0] for problem in found}
    good = [hook for hook in hooks if hook.name not in failing]
    before = sum(hook.sent == 0 for hook in good)
    bare = sum(hook.escapes for hook in good)
    note(
        f"measured: {len(good)} of {len(hooks)} hooks fail closed, with {len(ERRORS)} errors each: "
        f"{before} before anything is sent, {len(good) - before} after; {bare} of all without an answer of ours"
    )
    assert found == []


class Falling(MemoryLedgerStore):
    """A store that raises once."""

    error: Exception | None = None

    def append(self, rows: Sequence[Row]) -> None:
        """Keep rows, or fall over."""
        error, self.error = self.error, None
        if error is not None:
            raise error
        super().append(rows)


async def test_whatever_the_store_of_the_ledger_raises_nothing_is_sent_and_the_next_call_is_served() -> None:
    store = Falling()
    with structlog.testing.capture_logs():
        async with bench(store) as made:
            for name in ("RuntimeError", "MemoryError", "TimeoutError", "RecursionError"):
                error = ERRORS[name]()
                assert isinstance(error, Exception)
                store.error = error
                ran = await made.run(made.stages(), made.exchange())
                assert (ran.sent, ran.relayed, ran.told, ran.escaped) == (0, False, (Reason.AUDIT_UNAVAILABLE,), None)
                after = await made.run(made.stages(), made.exchange())
                assert (after.sent, after.relayed) == (1, True)


def test_every_hook_has_a_case() -> None:
    names = {hook.name for hook in every()} | ELSEWHERE.keys() | {"LedgerStore.append"}
    modules = (pipeline, authenticator, source, tokens, draft, writer, ended)
    asked = {name for module in modules for name in protocols(module)}
    asked |= {f"Snapshot.{name}" for name, value in vars(Snapshot).items() if callable(value) and name[0] != "_"}
    asked |= {f"effect {kind.__name__}" for kind in get_args(decision.Effect)}
    assert asked - names == set()
    assert set(YIELDING) == set(get_args(decision.Effect))


def test_every_element_is_tried_wherever_it_may_stand() -> None:
    names = {hook.name for hook in every()}
    assert {name for name, element in element_classes().items() if "inner" in vars(element)} == CONTAINERS.keys()
    places = {(name, one) for name, element in element_classes().items() for one in element.sections}
    tried = {f"{name} {'inside return-response' if one == RETURN else f'in {one}'}" for name, one in places}
    assert tried - names == set()
