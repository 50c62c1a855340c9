"""Every class of attack in one table: how many cases were tried, how many refused, and what got through, which is none.

    python -m tests.hostile.table [--short] [ID ...]

The judges are ledgers that the gateway does not write. Exits 1 where anything got through.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from tests.faults.test_hostile_strings import FIELDS, STRINGS, raw
from tests.hostile import addresses, callers, corpus, held, http_requests, json_bodies, json_keys, minds, routes, suites
from tests.hostile.ground import SECRET, Ground, ground
from tests.hostile.score import Score
from tests.hostile.weight import weigh
from tests.hostile.wire import KEY, Case, Fate

PHRASES: Final[Mapping[str, str]] = {
    "J1": "a key that stands twice", "J2": "a key that only looks like another",
    "J3": "other encodings than UTF-8", "J4": "half letters, and numbers that are none",
    "J5": "too deep, too wide, too long", "J6": "a batch", "J7": "a call that asks for no answer",
    "J8": "ids that peers read differently, or share",
    "J9": "what is forwarded is what was judged",
    "H1": "where a request ends, told twice", "H2": "headers that stand twice, or with underscores",
    "H3": "headers for one hop", "H4": "line breaks in names and values",
    "H5": "header and body disagree", "H6": "slow heads, slow bodies, silence", "H7": "too many headers",
    "H8": "hosts and targets that mislead", "H9": "paths that lead elsewhere",
    "H10": "a forwarded address that nobody vouches for", "H11": "addresses in another form",
    "S1": "names that lead back inside", "S2": "redirects", "S3": "the caller's credential",
    "S4": "one caller's token for another", "S5": "forged tokens",
    "S6": "guessed keys", "S7": "weak and placeholder secrets", "S8": "the admin plane for callers",
    "S9": "commands and shells", "S10": "rebinding: Host and Origin",
    "S11": "somebody else's session", "S12": "somebody else's answer",
    "P1": "tool names that look allowed", "P2": "patterns that run away", "P3": "bodies that are not looked at",
    "P4": "filters that fail", "P5": "decisions that cannot be repeated", "P6": "hidden tools, called",
    "T1": "definitions that change", "T2": "hidden text", "T3": "prompt injection", "T4": "schema bombs",
    "T5": "answers without end", "T6": "packed answers", "T7": "forged events", "T8": "text that forges a log",
    "L1": "secrets in logs, records, answers", "L2": "details in refusals",
}  # fmt: skip


def strings(*, every: bool) -> Iterable[Case]:
    """T8: texts that forge lines, records and screens, in every place that is written down."""
    del every
    key = f"Connection: close\r\nX-API-Key: {KEY}".encode()
    for text in STRINGS:
        for place in FIELDS:
            sent = raw(place, text, 1).replace(b"/mcp/ledger", b"/mcp/raw").replace(b"Connection: close", key)
            yield Case(f"{text[:20]!r} as {place}", sent, Fate.EITHER)


Cases = Callable[..., Iterable[Case]]
OVER_THE_WIRE: Final[Mapping[str, Cases]] = {
    "J1": json_keys.duplicates, "J2": json_keys.folded, "J3": json_bodies.encodings,
    "J4": json_bodies.odd_scalars, "J5": json_bodies.sizes,
    "J6": json_bodies.batches, "J7": json_bodies.without_id, "J8": json_bodies.ids, "J9": json_bodies.honest,
    "H1": http_requests.smuggled, "H2": http_requests.spelled_headers, "H3": http_requests.hop_by_hop,
    "H4": http_requests.injected,
    "H5": http_requests.disagreeing, "H7": http_requests.floods, "H8": routes.confused, "H9": routes.paths,
    "H10": addresses.forwarded,
    "H11": addresses.fenced, "S3": callers.carried, "S6": callers.guessed, "S10": routes.rebound,
    "P1": callers.tricky_names, "P3": callers.unlooked, "P6": callers.hidden, "T8": strings,
}  # fmt: skip
BIG: Final = frozenset({"J5"})  # bodies of megabytes: few at once
SHOWN: Final = 5  # leaks of a class that are printed


async def attack(here: Ground, scores: dict[str, Score], *, every: bool) -> None:
    """Make every attack that is wanted, over the wire."""
    for id_, cases in OVER_THE_WIRE.items():
        if id_ in scores:
            await here.try_all(scores[id_], cases(every=every), 4 if id_ in BIG else 24)
    await hold(here, scores, every=every)


async def hold(here: Ground, scores: dict[str, Score], *, every: bool) -> None:
    """Those that take more than one request."""
    if "S11" in scores:
        await held.stolen(here, scores["S11"], callers=8 if every else 4)
    for id_, clients, calls in (("J8", 1000 if every else 100, 1), ("S12", 200, 50 if every else 3)):
        if id_ in scores:
            await held.crossed(here, scores[id_], clients=clients, calls=calls)
    if "S1" in scores:
        await held.rebuilt(here, scores["S1"])
    if {"S2", "T5", "T6", "T7"} <= scores.keys():
        await held.trapped(here, scores)
    if "H6" in scores:
        await held.slow(here, scores["H6"])


async def think(scores: dict[str, Score], *, every: bool) -> None:
    """Make every attack that needs no wire."""
    if "S5" in scores:
        await minds.tokens(scores["S5"])
    plain = {"S7": minds.placeholders, "S9": minds.shells, "P2": minds.runaway_patterns, "T2": minds.unseen,
        "T4": minds.bombs}  # fmt: skip
    for id_ in plain.keys() & scores.keys():
        plain[id_](scores[id_])
    if "T1" in scores:
        minds.changed(scores["T1"], 10_000 if every else 1000)
    if "T3" in scores:
        scores["T3"].note = "not promised: what a server says is marked and measured, never understood"


def after(here: Ground, scores: Mapping[str, Score]) -> None:
    """What the gateway wrote and told meanwhile: no secret, no forged line."""
    log = (here.folder / "gateway.log").read_bytes()
    if "T8" in scores:
        for at, line in enumerate(log.splitlines()):
            scores["T8"].count(
                f"line {at} of the log", refused=is_plain(line), why=f"is no line of JSON: {line[:100]!r}"
            )
    if "L1" in scores:
        for path in (here.folder / "gateway.log", *here.folder.glob("mcpgov.db*")):
            for secret in (here.caller, SECRET):
                scores["L1"].count(
                    path.name,
                    refused=path.name.endswith(".key") or secret.encode() not in path.read_bytes(),
                    why="holds a secret",
                )
    if "L2" in scores:
        scores["L2"].cases, scores["L2"].refused = here.told, here.told - len(here.spilled)
        scores["L2"].leaks += here.spilled


def is_plain(line: bytes) -> bool:
    """Whether a line of a log is one JSON object in printable ASCII or letters."""
    try:
        return isinstance(json.loads(line), dict) and line.decode().isprintable()
    except ValueError:
        return False


async def table(wanted: Iterable[str], *, every: bool, folder: Path) -> tuple[dict[str, Score], list[str]]:
    """The scores of the classes that are wanted, and what the gateway weighed meanwhile."""
    scores = {id_: Score(id_, PHRASES[id_]) for id_ in PHRASES if id_ in set(wanted)}
    lines: list[str] = []
    async with ground(folder) as here:
        await attack(here, scores, every=every)
        if "J5" in scores:
            lines, heavy = await weigh(here)
            scores["J5"].leaks += heavy
        lines += [f"left out: {line}" for line in here.left_out + ([] if corpus.files() else [corpus.ABSENT])]
        after(here, scores)
    await think(scores, every=every)
    return scores, lines


def main() -> int:
    """Print the table; how many classes leak."""
    parser = argparse.ArgumentParser(prog="scripts/hostile")
    parser.add_argument("--short", action="store_true", help="fewer cases of each class: about a minute")
    parser.add_argument("ids", nargs="*", metavar="ID", help=", ".join(PHRASES))
    options = parser.parse_args()
    if unknown := set(options.ids) - PHRASES.keys():
        parser.error(f"there is no class {', '.join(sorted(unknown))}")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        scores, lines = asyncio.run(table(options.ids or PHRASES, every=not options.short, folder=Path(folder)))
    suites.run(scores, every=not options.short)
    say(f"{'ID':<5}{'class':<52}{'cases':>7}{'refused':>9}{'as seen':>12}{'leaked':>8}{'slowest':>8}")
    for score in scores.values():
        say(score.row())
    say("\n" + "\n".join(lines))
    for score in scores.values():
        for leak in score.leaks[:SHOWN]:
            say(f"{score.id:<5}! {leak[:400]}")
    leaks = sum(len(score.leaks) for score in scores.values())
    say(f"\n{sum(score.cases for score in scores.values())} cases, {leaks} leaked, {time.perf_counter() - began:.0f} s")
    return 1 if leaks else 0


def say(line: str) -> None:
    """Print one line."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
