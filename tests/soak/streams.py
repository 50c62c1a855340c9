"""Many streams on which nothing happens, what each costs, whether any is lost, and what calls beside them feel.

Two gateways run side by side, one with the streams and one without; calls are made through one and the other in turn,
so that what the machine does besides is the same for both. Streams are of both kinds, GET and subscriptions/listen. At
the end the upstream says something on every stream: each client has to hear it.
"""

import asyncio
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.soak.caller import Caller
from tests.soak.site import SoakSite, descriptors, sample, soaking

EACH: Final = 60  # streams of one connection: fewer than a caller may have by default
OPENING: Final = 40  # at a time
WARM: Final = 500  # calls before anything is measured
TRIES: Final = 40  # calls through one gateway, then as many through the other
PAUSE: Final = 0.25  # seconds after a refusal
KIB: Final = 1024
EACH_AT_MOST: Final = 40 * KIB
BESIDES: Final = 1000  # descriptors


@dataclass(frozen=True)
class Plan:
    """How many streams, for how many seconds."""

    streams: int
    seconds: float


LONG: Final = Plan(10_000, 600)
SHORT: Final = Plan(1_000, 3)


@dataclass
class Findings:
    """Bytes that a stream costs, how many were open at the end and heard of it, and medians in milliseconds of calls
    beside the streams and without; what is not as it should be.
    """

    each: float = 0.0
    open: int = 0
    heard: int = 0
    beside: float = 0.0
    without: float = 0.0
    faults: list[str] = field(default_factory=list[str])

    @property
    def ratio(self) -> float:
        """How much longer calls take beside the streams."""
        return self.beside / self.without


def settings(plan: Plan) -> str:
    """The bounds that have to be moved for so many."""
    wide = 2 * plan.streams + BESIDES
    at_once = f"connections: {max(wide, 20_000)}, streams: {wide}, streams_per_caller: {wide}, calls: {wide}"
    return f"limits: {{ {at_once}, calls_per_caller: {wide}, calls_per_upstream: {wide} }}\n"


def connections(plan: Plan) -> int:
    """How many connections the streams are spread over."""
    return -(-plan.streams // EACH)


async def idle(full: SoakSite, empty: SoakSite, plan: Plan, tell: Callable[[str], object]) -> Findings:
    """Run a plan; `tell` is told how it goes."""
    found = Findings()
    wanted = 2 * plan.streams + BESIDES  # each has one to its client, and one to the upstream
    full.workers = -(-wanted // descriptors(wanted))
    if full.workers > 1:
        tell(f"spread over {full.workers} workers: one process may not have {wanted} descriptors here (ulimit -n)")
    async with soaking(full, settings(plan)), soaking(empty, settings(plan)):
        beside, without = full.caller(), empty.caller()
        for caller in (beside, without, *(full.caller() for _ in range(4 * (full.workers - 1)))):
            await timed(caller, WARM)
        before = sample(full.pids())
        callers = await opened(full, plan)
        found.each = (sample(full.pids()).rss - before.rss) / plan.streams
        tell(f"{len(callers)} streams are open, {found.each / KIB:.1f} KiB each")
        await watched(found, beside, without, plan)
        found.open = sum(not caller.reader.at_eof() for caller in callers)
        full.served.send_signal(signal.SIGUSR1)
        found.heard = sum(await asyncio.gather(*(hears(caller) for caller in callers)))
        for site in (full, empty):
            site.process.terminate()
            found.faults += [f"exit status {status}"] if (status := await site.ended()) else []
            await site.settle()
    found.faults += [f"log: {line}" for site in (full, empty) for line in site.wrong()]
    if (found.open, found.heard) != (plan.streams, plan.streams):
        found.faults.append(f"{found.open} of {plan.streams} streams were open at the end, {found.heard} heard of it")
    return found


async def opened(site: SoakSite, plan: Plan) -> list[Caller]:
    """The streams, open."""
    places = asyncio.Semaphore(OPENING)

    async def one(number: int) -> Caller:
        caller = site.caller(number)
        async with places:
            while (got := await caller.listen(f"listen-{number}" if number % 2 else "")).status != 200:
                assert got.entry("").reason == "audit-unavailable", got  # the disk hangs
                await asyncio.sleep(PAUSE)
            if number % 2:
                await caller.chunk()  # the acknowledgement
        return caller

    return list(await asyncio.gather(*map(one, range(plan.streams))))


async def watched(found: Findings, beside: Caller, without: Caller, plan: Plan) -> None:
    """Call through both gateways in turn until the time is over."""
    until, mine, theirs = time.monotonic() + plan.seconds, list[float](), list[float]()
    while time.monotonic() < until or not mine:
        mine += await timed(beside, TRIES)
        theirs += await timed(without, TRIES)
        await asyncio.sleep(plan.seconds / 600)
    found.beside, found.without = statistics.median(mine) * 1000, statistics.median(theirs) * 1000


async def timed(caller: Caller, count: int) -> list[float]:
    """Seconds that each of so many calls took."""
    taken = list[float]()
    for number in range(count):
        began = time.perf_counter()
        got = await caller.call(f"call-{number}-{began}")
        assert got.status == 200 or got.entry("").reason == "audit-unavailable", got
        taken.append(time.perf_counter() - began)
    return taken


async def hears(caller: Caller) -> bool:
    """Whether what the upstream says arrives."""
    try:
        async with asyncio.timeout(60):
            return b"list_changed" in await caller.chunk()
    except (TimeoutError, OSError, EOFError):
        return False
