"""Whatever goes wrong between the gateway and a server: the client gets a definite answer in time, the record names the
cause, a call is executed at most once, nothing is left over, and other connections do not notice.
"""

import asyncio
import os
import statistics
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Final

import pytest
import pytest_asyncio

from mcpgov.models import Json
from tests.faults import toxics
from tests.faults.between import GET_2025, JSON_2026, QUICK, SHAPES, SSE_2025, SSE_2026, Between, Got, Shape, left
from tests.faults.between import between as running_between
from tests.faults.proxy import Fault, passing
from tests.faults.tools import note

EVERY: Final = bool(os.environ.get("MCPGOV_EVERY_FAULT"))
ROUNDS: Final = 5  # of measuring, with the fault and without it by turns
HEALTHY: Final = 10 if EVERY else 3  # calls to another server in each
AFTER: Final = 0.25  # seconds after the time-out in which there is to be an answer
ENDED: Final[Mapping[str, tuple[Json, Json]]] = {
    "ok": ("ok", None),
    "cut": ("ok", None),  # before 2026 a client may come back for the rest
    "open": ("cancelled", "client-gone"),
    "upstream-too-large": ("truncated", "upstream-too-large"),  # only events are
}


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, where, and what each client is told. `slow`: only time ends it."""

    does: Fault
    tells: str
    place: str = "plain"
    slow: bool = False
    but: Mapping[Shape, str] = field(default_factory=dict[Shape, str])

    @property
    def connection(self) -> str:
        """The connection that it is tried on."""
        return f"{self.place}-{'quick' if self.slow else 'patient'}"

    @property
    def told(self) -> dict[Shape, str]:
        """What the client is told, by what it asked."""
        return {shape: self.but.get(shape, self.tells) for shape in SHAPES}


UNREACHABLE, TIMEOUT, RESET = "upstream-unreachable", "upstream-timeout", "upstream-reset"
INVALID, TOO_LARGE = "upstream-invalid", "upstream-too-large"
OPEN: Final = {GET_2025: "open"}  # a stream that has begun may rightly be silent
NOTHING_ASKED: Final = {GET_2025: "ok"}  # a stream of a server's own notices owes no answer
CASES: Final = {
    "connection refused (down)": Case(passing, UNREACHABLE, "down"),
    "SYN unanswered (blackhole)": Case(passing, TIMEOUT, "blackhole", slow=True),
    "accepted, then silent (timeout)": Case(toxics.timeout, TIMEOUT, slow=True),
    "half-open in the head": Case(toxics.half_open_in_head, TIMEOUT, slow=True),
    "half-open in the body": Case(toxics.half_open, TIMEOUT, slow=True, but=OPEN),
    "reset in the head (reset_peer)": Case(toxics.reset_in_head, RESET),
    "reset in the body, or mid-stream": Case(toxics.reset_in_body, RESET),
    "closed in the body (limit_data)": Case(toxics.limit_data, RESET, but=NOTHING_ASKED),
    "closed properly, without the answer": Case(
        toxics.ends_early, INVALID, but={SSE_2026: RESET, SSE_2025: "cut", GET_2025: "ok"}
    ),
    "closed before the answer": Case(toxics.close_unanswered, RESET),
    "a kept connection closed at the next request": Case(toxics.close_at_once, RESET),
    "one byte at a time (slicer)": Case(toxics.slicer, TIMEOUT, slow=True),
    "500 to everybody": Case(toxics.storm, "upstream-error"),
    "429 with Retry-After": Case(toxics.rate_limited, "upstream-rate-limited"),
    "bad JSON": Case(toxics.bad_json, INVALID),
    "the answer to another request": Case(toxics.wrong_id, INVALID, but=NOTHING_ASKED),
    "two answers in one body": Case(toxics.two_answers, INVALID, but={SSE_2026: "ok", SSE_2025: "ok", GET_2025: "ok"}),
    "a second response, unasked": Case(toxics.two_responses, "ok"),
    "endless comments": Case(toxics.endless_comments, TIMEOUT, slow=True, but=OPEN),
    "an event without end": Case(toxics.endless_event, TOO_LARGE),
    "answered before it was read": Case(toxics.early, "ok", but={GET_2025: INVALID}),
    "5000 times 100 Continue": Case(toxics.continues, INVALID),
    "100 Continue without end": Case(toxics.continues_endless, INVALID),
    "5000 header fields": Case(toxics.many_headers, INVALID),
    "a header field of 1 MB": Case(toxics.huge_header, INVALID),
    "chunks without a size": Case(toxics.chunk_garbage, INVALID),
    "Content-Length too short": Case(
        toxics.length_short, INVALID, but={SSE_2026: RESET, SSE_2025: "cut", **NOTHING_ASKED}
    ),
    "Content-Length too long": Case(toxics.length_long, RESET),
    "gzip bomb": Case(toxics.gzip_bomb, INVALID),
    "TLS cut in the handshake": Case(toxics.cut_handshake, UNREACHABLE, "handshake"),
    "TLS silent in the handshake": Case(toxics.timeout, TIMEOUT, "handshake", slow=True),
    "TLS reset in the body": Case(toxics.reset_in_body, RESET, "tls"),
    "TLS closed in the body": Case(toxics.limit_data, RESET, "tls", but=NOTHING_ASKED),
    "TLS half-open in the body": Case(toxics.half_open, TIMEOUT, "tls", slow=True, but=OPEN),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Between]:
    """One gateway for all faults, one after the other."""
    folder = tmp_path_factory.mktemp("between")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(folder / "server.pem"))
        async with running_between(folder) as made:
            yield made


async def prepared(world: Between, case: Case) -> None:
    """Connections to the server are open, as many as will be needed, and nothing is held against it."""
    world.breaks(passing)
    await world.keep(pools=True)
    if case.place in world.proxies:
        before = await world.all_shapes(case.connection)
        assert {got.what for got in before.values()} == {"ok"}


async def broken(world: Between, case: Case) -> dict[Shape, Got]:
    """What each client gets under the fault."""
    world.breaks(case.does)
    return await world.all_shapes(case.connection, [shape for shape in SHAPES if case.told[shape] == "open"])


async def well(world: Between, count: int) -> list[Got]:
    """Calls to another server, one after the other."""
    return [await world.ask("well", JSON_2026) for _ in range(count)]


async def at_rest(world: Between) -> tuple[int, int]:
    """Tasks and descriptors when nothing is under way."""
    world.breaks(passing)
    await world.keep(pools=False)
    await well(world, 1)
    await world.outcomes(())
    return left()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", CASES)
async def test_a_fault_has_a_definite_answer_and_touches_nothing_else(world: Between, name: str) -> None:
    case = CASES[name]
    resting = await world.settled(await at_rest(world))
    await prepared(world, case)
    ran = world.executed()
    asked, others = await asyncio.gather(broken(world, case), well(world, HEALTHY))
    assert {shape: got.what for shape, got in asked.items()} == case.told
    assert {got.what for got in others} == {"ok"}
    named = [ENDED.get(told, ("failed", told)) for told in case.told.values()]
    assert await world.outcomes(asked.values()) == named
    assert max((world.executed() - ran - Counter(len(others) * [JSON_2026.name])).values(), default=0) <= 1
    if case.does is toxics.rate_limited:
        assert {got.retry_after for got in asked.values()} == {"7"}
    world.breaks(passing)
    if case.place in world.proxies:
        assert {got.what for got in (await world.all_shapes(case.connection)).values()} == {"ok"}
    await world.keep(pools=False)
    assert await world.settled(resting) == resting
    slowest = max(got.seconds for shape, got in asked.items() if case.told[shape] != "open")
    note(f"measured: {name}: {', '.join(sorted(set(case.told.values())))}; {await figures(world, case, slowest)}")


async def figures(world: Between, case: Case, slowest: float) -> str:
    """How long the slowest client waited, and in the long run what another server's callers noticed."""
    waited = f"{slowest * 1000:.0f} ms"
    if case.slow:
        over = slowest - QUICK
        waited = f"{over * 1000:+.0f} ms after the time-out{'' if over <= AFTER else ' LATE'}"
    if not EVERY:
        return waited
    alone, beside = list[float](), list[float]()
    for _ in range(ROUNDS):
        await prepared(world, case)
        alone += [got.seconds for got in await well(world, HEALTHY)]
        _, others = await asyncio.gather(broken(world, case), well(world, HEALTHY))
        beside += [got.seconds for got in others]
    await prepared(world, case)
    before, after = statistics.median(alone) * 1000, statistics.median(beside) * 1000
    return f"{waited}; others {before:.1f} -> {after:.1f} ms ({after / before - 1:+.0%})"


def test_every_fault_has_its_case() -> None:
    faults = {name for name, value in vars(toxics).items() if getattr(value, "__module__", "") == toxics.__name__}
    tried = {case.does.__name__ for case in CASES.values()}
    assert faults - tried == {"endless"}
