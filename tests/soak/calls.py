"""Many calls, one after the other on a few connections, and whether the gateway grows.

It is sampled every so many calls, at rest: no call is under way then. What it holds for good after the first calls is
its own affair (caches that fill, the allocator's arenas); from then on it may not grow.
"""

import asyncio
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from mcpgov.audit.verify import verify
from mcpgov.store.evidence import open_sqlite_evidence
from tests.soak.caller import Caller
from tests.soak.site import Sample, SoakSite, sample, soaking

HEADER: Final = f"{'calls':>9}  {'RSS MiB':>8}  {'descriptors':>11}  {'threads':>7}  {'calls/s':>7}"
AT_ONCE: Final = 24  # calls; there are as many connections to the upstream as ever were under way at once, some late
PAUSE: Final = 0.25  # seconds after a refusal
MIB: Final = 1 << 20
CHECKED: Final = 50_000  # calls up to which each is joined by its id; beyond, they are counted


@dataclass(frozen=True)
class Plan:
    """How many calls, after how many growth counts, and how much of it (bytes) is too much; sampled `every` so many,
    and for how many seconds at most.
    """

    calls: int
    settled: int
    growth: int
    every: int
    seconds: float = math.inf


LONG: Final = Plan(1_000_000, 100_000, 10 * MIB, 20_000)
SHORT: Final = Plan(10_000, 4_000, 6 * MIB, 1_000)


@dataclass(frozen=True)
class Point:
    """The gateway after so many calls, and how many a second there were since the point before."""

    calls: int
    taken: Sample
    rate: float


def silently(_point: Point) -> None:
    """Tell nobody."""


async def loaded(site: SoakSite, plan: Plan, tell: Callable[[Point], object]) -> tuple[list[Point], int]:
    """Make the calls; a point for each pause, which `tell` is told, and how many calls were refused."""
    until = time.monotonic() + plan.seconds
    callers = [site.caller(number) for number in range(AT_ONCE)]
    done, refused, points = 0, 0, list[Point]()
    while done < plan.calls and time.monotonic() < until:
        began, share = time.perf_counter(), plan.every // len(callers)
        refused += sum(await asyncio.gather(*(several(one, f"{done}-{at}", share) for at, one in enumerate(callers))))
        done += share * len(callers)
        points.append(Point(done, sample(site.pids()), share * len(callers) / (time.perf_counter() - began)))
        tell(points[-1])
    return points, refused


async def several(caller: Caller, name: str, count: int) -> int:
    """So many calls that are answered; how many were refused meanwhile."""
    refused = 0
    for number in range(count):
        while (got := await caller.call(f"{name}-{number}-{refused}")).status != 200:
            assert got.entry("").reason == "audit-unavailable", (got.status, got.body)
            refused += 1
            await asyncio.sleep(PAUSE)
    return refused


def growth(points: list[Point], plan: Plan) -> int:
    """Bytes between the first point after the plan's settled calls and the highest of the last three."""
    settled = next(point for point in points if point.calls >= plan.settled)
    return max(point.taken.rss for point in points[-3:]) - settled.taken.rss


async def soak(site: SoakSite, plan: Plan, tell: Callable[[Point], object] = silently) -> tuple[list[Point], list[str]]:
    """Run a plan; its points, and everything that is not as it should be."""
    async with soaking(site):
        points, refused = await loaded(site, plan, tell)
        site.process.terminate()
        status = await site.ended()
        await site.settle()
    made = points[-1].calls
    faults = [f"exit status {status}"] if status else []
    faults += [f"log: {line}" for line in site.wrong()]
    if (grown := growth(points, plan)) > plan.growth:
        faults.append(f"grew by {grown / MIB:.1f} MiB after {plan.settled} calls; {plan.growth / MIB:.0f} is allowed")
    settled = [point.taken for point in points if point.calls >= plan.settled]
    descriptors = {taken.descriptors for taken in settled}
    if max(descriptors) - min(descriptors) > AT_ONCE:
        faults.append(f"descriptors: {sorted(descriptors)}")
    faults += await asyncio.to_thread(miscounted, site, made, refused)
    return points, faults


def miscounted(site: SoakSite, made: int, refused: int) -> list[str]:
    """What client, upstream and ledger do not agree on, and what the ledger cannot prove."""
    with (site.folder / "upstream.jsonl").open("rb") as lines:
        executed = sum(1 for _ in lines)
    with closing(sqlite3.connect(site.store)) as database:
        kept = Counter(dict(database.execute("SELECT event, count(*) FROM records GROUP BY event")))
        ended = database.execute("SELECT count(DISTINCT call_id) FROM records WHERE event = 'outcome'").fetchone()[0]
    # Of a refused call the intent may have been written too late, and has its outcome then.
    intents = min(max(kept["intent"], made), made + refused)
    counted = {"upstream": (executed, made), "intents": (kept["intent"], intents)}
    counted |= {"outcomes": (kept["outcome"], kept["intent"]), "calls": (ended, kept["intent"])}
    faults = [f"{what}: {number} of {due}" for what, (number, due) in counted.items() if number != due]
    if made <= CHECKED:
        return faults + [f"{finding.kind}: {finding.call}" for finding in site.findings()]
    with open_sqlite_evidence(site.store) as evidence:
        return faults + [str(finding) for finding in verify(evidence, None, {}).findings]


def row(point: Point) -> str:
    """A point as a line under the header."""
    taken = point.taken
    shown = f"{point.calls:>9}  {taken.rss / MIB:>8.1f}  {taken.descriptors:>11}  {taken.threads:>7}"
    return f"{shown}  {point.rate:>7.0f}"
