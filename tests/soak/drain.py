"""SIGTERM while much is under way: calls finish, streams are told, nothing is left open, and all is over in time.

One round has calls that wait at the upstream, streams that only listen (GET and subscriptions/listen), and, where there
is the time for it, calls answered by a stream that would never end; those have what the gateway gives running calls.
"""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.faults.checker import ClientEntry
from tests.soak.caller import Caller, Got
from tests.soak.site import SoakSite, soaking

CANCELLED: Final = "timeout graceful shutdown exceeded"  # how the server underneath says so
WITHIN: Final = 30.0  # seconds in which it has to be gone
CONNECTIONS: Final = 5  # so that no caller has more streams on one than it may by default
STOPPING: Final = "gateway-stopping"


@dataclass(frozen=True)
class Load:
    """What is under way: calls that wait, streams of either kind, and calls answered by a stream without an end."""

    calls: int = 200
    streams: int = 200
    endless: int = 0


@dataclass
class Round:
    """What came of one round, in seconds from SIGTERM, and everything that is not as it should be."""

    refused: float = 0.0
    streams_ended: float = 0.0
    gone: float = 0.0
    faults: list[str] = field(default_factory=list[str])


async def drained(site: SoakSite, load: Load) -> Round:
    """One round, with a gateway of its own."""
    came = Round()
    async with soaking(site):
        idle = site.caller()
        site.client.append((await idle.call("idle")).entry("idle"))
        calls = [asyncio.create_task(held(site, f"held-{number}")) for number in range(load.calls)]
        listening = [await opened(site, number) for number in range(load.streams)]
        endless = [await told(site, number) for number in range(load.endless)]
        await until_executed(site, load.calls + load.endless + 1)
        site.tell(signal.SIGTERM)
        began = time.perf_counter()
        ends = [asyncio.create_task(ended(*one)) for one in listening]
        await until_refused(site.urls[0])
        came.refused = time.perf_counter() - began
        came.faults += unlike("GET and listening streams", await asyncio.gather(*ends), {"", STOPPING})
        came.streams_ended = time.perf_counter() - began
        if not idle.reader.at_eof() and await idle.reader.read(1):
            came.faults.append("an idle connection was answered")
        if any(call.done() for call in calls):
            came.faults.append("a call that waits at the upstream ended")
        site.served.send_signal(signal.SIGUSR2)
        came.faults += answered(site, await asyncio.gather(*calls))
        came.faults += unlike("calls answered by a stream", [await ended(*one) for one in endless], {STOPPING})
        site.client += [ClientEntry(call, "refused", STOPPING) for call, _ in (*listening, *endless) if call]
        status = await site.ended()
        came.gone = time.perf_counter() - began
        await site.settle()
    came.faults += [f"exit status {status}"] if status else []
    came.faults += [f"gone after {came.gone:.1f} s"] if came.gone > WITHIN else []
    came.faults += [f"log: {line}" for line in site.wrong() if not (load.endless and CANCELLED in line)]
    came.faults += [f"{finding.kind}: {finding.call}" for finding in site.findings()]
    return came


async def held(site: SoakSite, call: str) -> tuple[str, Got]:
    """A call that waits at the upstream, on a connection of its own."""
    return call, await site.caller().call(call, "hold")


async def opened(site: SoakSite, number: int) -> tuple[str, Caller]:
    """A stream that listens: every second by a GET, the others by subscriptions/listen, which have an id."""
    caller, call = site.caller(number), f"listen-{number}" if number // 2 % 2 else ""
    got = await caller.listen(call)
    assert got.status == 200, got
    if call:
        assert b"acknowledged" in await caller.chunk()
    return call, caller


async def told(site: SoakSite, number: int) -> tuple[str, Caller]:
    """A call whose answer has begun and does not end."""
    caller, call = site.caller(number), f"endless-{number}"
    await caller.send("tools/call", call, {"name": "tell", "arguments": {"for": call}})
    assert (await caller.head()).status == 200
    assert b"progress" in await caller.chunk()
    return call, caller


async def ended(call: str, caller: Caller) -> str:
    """How a stream ended: the reason in its last message, for its own id; nothing where it just ended, as it should."""
    try:
        rest = Got(200, {"content-type": "text/event-stream"}, await caller.rest())
    except (OSError, EOFError):
        return "broken off"
    message = rest.message()
    caller.close()
    if not call:
        return "a message" if message else ""
    return message["error"]["data"]["reason"] if message.get("id") == call else f"not told: {rest.body!r}"


async def until_executed(site: SoakSite, count: int) -> None:
    """Return once the upstream has so many calls."""
    async with asyncio.timeout(120):
        while len(site.executed()) < count:
            await asyncio.sleep(0.05)


async def until_refused(url: str) -> None:
    """Return once nobody takes connections."""
    async with asyncio.timeout(WITHIN):
        while True:
            caller = Caller(url)
            try:
                await caller.open()
                await caller.hang_up()
            except ConnectionRefusedError:
                return
            except OSError:
                continue  # it was in line when the listener closed


def answered(site: SoakSite, came: Iterable[tuple[str, Got]]) -> list[str]:
    """What is wrong with the answers of calls that were under way."""
    faults = list[str]()
    for call, got in came:
        site.client.append(got.entry(call))
        if got.status != 200 or got.fields.get("connection") != "close":
            faults.append(f"{call}: {got.status}, connection: {got.fields.get('connection')}")
    return faults


def unlike(what: str, ends: Iterable[str], expected: set[str]) -> list[str]:
    """Ends that are not among those that are expected."""
    return [f"{what}: {count} ended with {end!r}" for end, count in Counter(ends).items() if end not in expected]
