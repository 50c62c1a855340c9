"""Five times what the gateway is allowed to do at once: what is admitted succeeds, the rest is told so, quickly.

Callers that are refused come again at once, which is harsher than clients that heed Retry-After. Nothing of it may cost
a record: what clients saw, the upstream did and the ledger says is joined, call by call.
"""

import asyncio
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.soak.caller import Caller, Got
from tests.soak.site import SoakSite, sample, soaking

TIMES: Final = 5
AGAIN: Final = 0.02  # seconds
GROWTH: Final = 64 << 20  # bytes, however many come
REFUSALS: Final = {(429, "concurrency-limited"), (503, "overloaded")}


@dataclass(frozen=True)
class Plan:
    """How many calls may be open at once, how many each caller makes, and what in the gateway's files says so."""

    capacity: int
    each: int
    settings: str = ""
    policy: str = ""


def by_limits(capacity: int, each: int) -> Plan:
    """Held by the gateway's own limits."""
    at_once = f"calls: {capacity}, calls_per_caller: {capacity}, calls_per_upstream: {capacity}"
    return Plan(capacity, each, f"limits: {{ {at_once} }}\n")


def by_policy(capacity: int, each: int) -> Plan:
    """Held by a policy."""
    return Plan(capacity, each, policy=f"  - limit-concurrency: {{ key: connection.name, max-count: {capacity} }}\n")


@dataclass
class Findings:
    """How calls ended, medians in milliseconds of those that were admitted and refused, by how many bytes the gateway
    grew, and what is not as it should be.
    """

    ends: Counter[str] = field(default_factory=Counter[str])
    admitted: float = 0.0
    refused: float = 0.0
    grown: int = 0
    faults: list[str] = field(default_factory=list[str])


async def overload(site: SoakSite, plan: Plan) -> Findings:
    """Run a plan."""
    found, taken = Findings(), dict[bool, list[float]]()
    async with soaking(site, plan.settings, plan.policy):
        before = sample(site.pids()).rss
        callers = [site.caller() for _ in range(TIMES * plan.capacity)]
        tries = [insist(site, found, caller, f"{at}", plan.each) for at, caller in enumerate(callers)]
        for times in await asyncio.gather(*tries):
            for was_admitted, seconds in times:
                taken.setdefault(was_admitted, []).append(seconds)
        found.grown = sample(site.pids()).rss - before
        site.process.terminate()
        status = await site.ended()
        await site.settle()
    found.admitted, found.refused = (1000 * statistics.median(taken.get(kind, [0.0])) for kind in (True, False))
    found.faults += [f"exit status {status}"] if status else []
    found.faults += [] if False in taken else ["nobody was refused"]
    found.faults += [f"grew by {found.grown >> 20} MiB"] if found.grown > GROWTH else []
    found.faults += [f"log: {line}" for line in site.wrong()]
    found.faults += [f"{finding.kind}: {finding.call}" for finding in site.findings()]
    return found


async def insist(site: SoakSite, found: Findings, caller: Caller, name: str, each: int) -> list[tuple[bool, float]]:
    """So many calls that are answered; of each try, whether it was admitted and how long it took."""
    times = list[tuple[bool, float]]()
    for number in range(each):
        for attempt in range(10_000):
            call, began = f"{name}-{number}-{attempt}", time.perf_counter()
            got = await caller.call(call, "slow")
            times.append((got.status == 200, time.perf_counter() - began))
            found.ends[ended(got)] += 1
            found.faults += wrong(call, got)
            site.client.append(got.entry(call))
            if got.status == 200:
                break
            await asyncio.sleep(AGAIN)
    return times


def ended(got: Got) -> str:
    """Status and reason."""
    return f"{got.status} {got.entry('').reason}".strip()


def wrong(call: str, got: Got) -> list[str]:
    """What is wrong with an answer under overload."""
    if got.status == 200:
        return []
    if (got.status, got.entry(call).reason) not in REFUSALS:
        return [f"{call}: {ended(got)}"]
    return [] if got.fields.get("retry-after") else [f"{call}: {got.status} without Retry-After"]
