"""Attacks that take more than one request: H6, J8, S1, S2, S11, S12, and the answers of hostile upstreams."""

import asyncio
import itertools
import json
import random
import re
import secrets
import time
from contextlib import suppress
from typing import Final

from tests.hostile.answers import Trap
from tests.hostile.ground import SESSIONS, Ground
from tests.hostile.names import leading_here
from tests.hostile.score import Score
from tests.hostile.wire import KEY, SAFE, Case, Fate, Said, ask, call, fields, message, request

HANDSHAKE: Final = "2025-11-25"
SESSION: Final = re.compile(rb"\r\nmcp-session-id: (\S+)")
SLOW: Final = 60  # sockets of each kind
MARGIN: Final = 20.0  # seconds after which a socket that is held longer than it may be is given up


async def trapped(ground: Ground, scores: dict[str, Score]) -> None:
    """S2, T5, T6, T7: call each hostile upstream once, and judge what the client was told."""
    waiting = iter(list(enumerate(ground.traps)))

    async def work() -> None:
        for at, trap in waiting:
            said = await ask(ground.port, Case(trap.name, call(message(), path=f"/mcp/trap-{at}")), ground.caller)
            told(scores[trap.id], trap, said)
            ground.look_for_secrets([said])

    await asyncio.gather(*(work() for _ in range(8)))
    await ground.evidence()
    if ground.canary.connections:
        scores["S2"].leaks.append(f"{ground.canary.connections} connections came to where a redirect led")


def told(score: Score, trap: Trap, said: Said) -> None:
    """Put the verdict over what one client was told into the score."""
    problem = trap.verdict(said)
    score.slowest = max(score.slowest, said.seconds)
    score.count(trap.name, refused=not problem, why=problem)


async def rebuilt(ground: Ground, score: Score) -> None:
    """S1: URLs that lead back here are refused when read, or when called; the canary hears nothing."""
    urls = list(leading_here(ground.canary.port))
    before = ground.canary.connections
    for name, url in ground.names.items():
        said = await ask(ground.port, Case(url, call(message(), path=f"/mcp/{name}")), ground.caller)
        score.count(url, refused=not said.is_success)
    for url in set(urls) - set(ground.names.values()):
        score.count(url, refused=True)
    if came := ground.canary.connections - before:
        score.leaks.append(f"{came} connections came to the canary")
    score.note = f"{len(urls) - len(ground.names)} at load, {len(ground.names)} when called"
    await ground.evidence()


async def slow(ground: Ground, score: Score) -> None:
    """H6: heads and bodies that never end, and silence; each is cut off, and nobody else waits meanwhile."""
    whole = call(message()).replace(KEY.encode(), ground.caller.encode())
    starts = {"head": whole[:60], "body": whole[:-20], "silence": b""}
    healthy = asyncio.create_task(steady(ground, score))
    held = [holding(ground.port, name, start) for name, start in starts.items() for _ in range(SLOW)]
    for name, is_cut in await asyncio.gather(*held):
        score.count(f"a slow {name}", refused=is_cut, why="was held longer than it may be")
    await healthy
    await ground.evidence()


async def holding(port: int, name: str, start: bytes) -> tuple[str, bool]:
    """Begin a request and add a byte now and then; whether the gateway ended it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    began = time.perf_counter()
    is_cut = False
    while not is_cut and time.perf_counter() - began < MARGIN:
        with suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1 << 16), 0.4)
            is_cut = True
        with suppress(ConnectionError):
            writer.write(b"a" if start else b"")
    writer.close()
    return name, is_cut


async def steady(ground: Ground, score: Score) -> None:
    """Calls of a healthy caller meanwhile: each is answered."""
    for number in range(20):
        said = await ask(ground.port, Case(f"healthy {number}", call(message())), ground.caller)
        if not said.is_success:
            score.leaks.append(f"a healthy caller was refused meanwhile: {said.statuses}")
        await asyncio.sleep(0.05)


async def crossed(ground: Ground, score: Score, *, clients: int, calls: int) -> None:
    """J8 and S12: many callers at once, all with id 1, each with a canary; some leave early. Nobody gets another's."""
    canaries = [f"canary{number:04}{secrets.token_hex(8)}" for number in range(clients)]
    dice = random.Random(11)
    places = (("raw", "2026-07-28"), ("python", "2026-07-28"), ("python", HANDSHAKE), *([("typescript",
        HANDSHAKE)] if "typescript" in ground.sdks else []))  # fmt: skip

    async def client(own: str) -> None:
        for _ in range(calls):
            connection, version = dice.choice(places)
            body = message(SAFE, version, 1, {"canary": own})
            case = Case(own, call(body, version, f"/mcp/{connection}"), Fate.EXECUTED)
            if dice.random() < 0.2:
                await leave(ground, case)
                continue
            said = await ask(ground.port, case, ground.caller)
            others = [one for one in canaries if one != own and one.encode() in said.raw]
            score.cases += 1
            score.executed += 1
            score.seen += own.encode() in said.raw and not others
            if others or own.encode() not in said.raw:
                score.leaks.append(f"{own} was answered {said.statuses} with {others[:1]} {said.raw[-100:]!r}")

    await asyncio.gather(*(client(own) for own in canaries))
    await ground.evidence()


async def leave(ground: Ground, case: Case) -> None:
    """Send a call, and go."""
    _, writer = await asyncio.open_connection("127.0.0.1", ground.port)
    writer.write(case.raw.replace(KEY.encode(), ground.caller.encode()))
    await asyncio.sleep(random.random() / 100)
    writer.transport.abort()


async def stolen(ground: Ground, score: Score, *, callers: int = 4) -> None:
    """S11: a session belongs to one caller of one connection; anybody else's is no session, and nobody hears of it."""
    keys = [await ground.key(f"caller-{number}") for number in range(callers)]
    owners = list(itertools.product(keys, [f"session-{at}" for at in range(SESSIONS)]))
    opened: dict[tuple[str, str], str] = {}
    for owner in owners:
        said = await ask(ground.port, Case("opens", in_session(owner, "initialize", "")), ground.caller)
        named = SESSION.search(said.raw)
        opened[owner] = named[1].decode() if named else ""
    if not all(opened.values()):
        score.leaks.append("a session was not opened")
    await ground.evidence()
    cases = [
        Case(f"{owner[1]} presented at {other[1]}", in_session(other, "tools/call", session),
        Fate.EXECUTED if owner == other else Fate.REFUSED)
        for (owner, session), other in itertools.product(opened.items(), owners)
    ]  # fmt: skip
    some = next(iter(opened.values()))
    forged = {"", some[:-1], some + "A", some.upper(), some[::-1], "s-1", "1", "../" + some, f"{some},{some}",
        "null", "x" * 5000} - {""}  # fmt: skip
    cases += [Case(f"a forged session {text[:20]!r}", in_session(owners[0], "tools/call", text)) for text in forged]
    await ground.try_all(score, cases)


def in_session(owner: tuple[str, str], method: str, session: str) -> bytes:
    """A request of one caller on one connection, in a session."""
    key, connection = owner
    about = {"name": "x", "version": "1"}
    beginning: dict[str, object] = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": about}
    params: dict[str, object] = beginning if method == "initialize" else {"name": SAFE, "arguments": {}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    given = fields(HANDSHAKE) | {"X-API-Key": key} | ({"Mcp-Session-Id": session} if session else {})
    return request(body, given, f"/mcp/{connection}")
