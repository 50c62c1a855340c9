"""The long experiments, from the command line (docs/reliability.md); their short forms are tests.

python -m tests.soak.run calls|streams|drain|overload [...]    exits with 1 where something is not as it should be
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import uvloop

from tests.soak import calls, drain, overload, streams
from tests.soak.graph import graph
from tests.soak.site import SoakSite

GRAPH: Final = Path(__file__).parents[2] / "docs" / "images" / "soak.svg"
MOST_SHOWN: Final = 20  # faults


def say(line: str) -> None:
    """Print a line now."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def verdict(faults: Sequence[str]) -> int:
    """Say what is wrong; gives back the exit status."""
    say("\n".join(faults[:MOST_SHOWN]) or "everything adds up")
    return 1 if faults else 0


async def run_calls(wanted: argparse.Namespace) -> int:
    """Many calls."""
    plan = replace(calls.LONG if wanted.calls > calls.SHORT.calls else calls.SHORT, calls=wanted.calls)
    plan = replace(plan, settled=min(plan.settled, plan.calls // 2), seconds=wanted.minutes * 60)
    say(calls.HEADER)
    with tempfile.TemporaryDirectory() as folder:
        points, faults = await calls.soak(SoakSite(Path(folder)), plan, lambda point: say(calls.row(point)))
    if wanted.graph:
        GRAPH.write_text(graph(points, plan), encoding="utf-8")
    say(f"grew by {calls.growth(points, plan) / calls.MIB:.1f} MiB after the first {plan.settled:,} calls")
    return verdict(faults)


async def run_streams(wanted: argparse.Namespace) -> int:
    """Many idle streams."""
    plan = streams.Plan(wanted.streams, wanted.minutes * 60)
    with tempfile.TemporaryDirectory() as full, tempfile.TemporaryDirectory() as empty:
        beside = SoakSite(Path(full), connections=streams.connections(plan))
        found = await streams.idle(beside, SoakSite(Path(empty)), plan, say)
    say(f"{found.open} open after {wanted.minutes:g} minutes, {found.heard} heard what was said at the end")
    say(f"a call takes {found.beside:.2f} ms beside them, {found.without:.2f} ms without: {found.ratio:.2f} times")
    costly = [f"a stream costs {found.each / streams.KIB:.1f} KiB"] if found.each > streams.EACH_AT_MOST else []
    return verdict([*found.faults, *costly, *(["calls take twice as long"] if found.ratio >= 2 else [])])


async def run_drain(wanted: argparse.Namespace) -> int:
    """SIGTERM, round after round, with one worker and with two in turn; every second round has endless answers."""
    faults = list[str]()
    say(f"{'workers':>7}  {'endless':>7}  {'refuses':>7}  {'streams over':>12}  {'gone':>6}   seconds from SIGTERM")
    for number in range(wanted.rounds):
        load = drain.Load(endless=50 * (number // 2 % 2))
        with tempfile.TemporaryDirectory() as folder:
            site = SoakSite(Path(folder), workers=1 + number % 2, connections=drain.CONNECTIONS)
            came = await drain.drained(site, load)
        say(
            f"{1 + number % 2:>7}  {load.endless:>7}  {came.refused:>7.2f}"
            f"  {came.streams_ended:>12.2f}  {came.gone:>6.2f}   {' '.join(came.faults[:1])}"
        )
        faults += came.faults
    return verdict(faults)


async def run_overload(wanted: argparse.Namespace) -> int:
    """Five times as many calls as may be open, held by a policy and by the limits."""
    faults = list[str]()
    for name, plan in (
        ("policy", overload.by_policy(wanted.capacity, wanted.each)),
        ("limits", overload.by_limits(wanted.capacity, wanted.each)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            found = await overload.overload(SoakSite(Path(folder)), plan)
        ends = ", ".join(f"{count} {end}" for end, count in sorted(found.ends.items()))
        say(f"{name}: {ends}; grew by {found.grown / calls.MIB:.1f} MiB")
        say(f"{name}: median {found.admitted:.0f} ms where admitted, {found.refused:.0f} ms where refused")
        faults += [f"{name}: {fault}" for fault in found.faults]
    return verdict(faults)


def wanted_of(arguments: Sequence[str]) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="scripts/soak")
    verbs = parser.add_subparsers(required=True)
    many = verbs.add_parser("calls", help="one call after the other: does the gateway grow?")
    many.add_argument("--calls", type=int, default=calls.LONG.calls)
    many.add_argument("--minutes", type=float, default=24 * 60, help="after which it ends, however many there were")
    many.add_argument("--graph", action="store_true", help=f"write {GRAPH.relative_to(GRAPH.parents[2])}")
    many.set_defaults(run=run_calls)
    idle = verbs.add_parser("streams", help="idle streams: what does each cost, is any lost?")
    idle.add_argument("--streams", type=int, default=streams.LONG.streams)
    idle.add_argument("--minutes", type=float, default=streams.LONG.seconds / 60)
    idle.set_defaults(run=run_streams)
    ends = verbs.add_parser("drain", help="SIGTERM while much is under way")
    ends.add_argument("--rounds", type=int, default=20)
    ends.set_defaults(run=run_drain)
    over = verbs.add_parser("overload", help="five times as many calls as may be open")
    over.add_argument("--capacity", type=int, default=100)
    over.add_argument("--each", type=int, default=10, help="calls of each caller")
    over.set_defaults(run=run_overload)
    return parser.parse_args(arguments)


def main() -> int:
    """Run one experiment."""
    wanted = wanted_of(sys.argv[1:])
    return uvloop.run(wanted.run(wanted))


if __name__ == "__main__":
    sys.exit(main())
