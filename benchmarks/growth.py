"""What a call costs as everything around it grows: connections, policies, records, tools, streams.

    python -m benchmarks.growth [--full] [--pairs records,tools] [--rounds N] [--seconds N] [--json]

Each pair is two gateways that differ in one thing, loaded in alternating rounds. Flat is what is within 10 %. The full
form stores ten million records, for which it needs 20 GiB of disk and some minutes; the short form a hundred thousand.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.compare import interruptible
from benchmarks.figures import MICRO, table
from benchmarks.gateway import Shape, document, gateway
from benchmarks.ledger_fill import NoRoomError, fill
from benchmarks.machine import machine, missing, until_quiet, versions
from benchmarks.placement import here
from benchmarks.rounds import Sample, in_turn, long_enough, sample
from benchmarks.run import FAILED, tell
from benchmarks.streams import enough_descriptors, opened
from benchmarks.targets import Ground, Target, up, warmed
from benchmarks.upstream import upstream
from benchmarks.wire import Line, message

if TYPE_CHECKING:
    from collections.abc import Mapping

FLAT: Final = 1.1
AT_ONCE: Final = 16
FEW: Final = 10
MANY: Final = 1_000


@dataclass(frozen=True, slots=True)
class Size:
    """Rounds of so many seconds; how many records the larger ledger holds."""

    rounds: int
    seconds: float
    records: int


SHORT: Final = Size(rounds=2, seconds=2, records=100_000)
FULL: Final = Size(rounds=6, seconds=4, records=10_000_000)


@dataclass(frozen=True, slots=True)
class Side:
    """One gateway of a pair: how much there is of each thing. `policies` are loaded and not in force for the call."""

    connections: int = AT_ONCE
    policies: int = 0
    records: int = 0
    tools: int = FEW
    streams: int = 0

    def shape(self) -> Shape:
        """The gateway."""
        unused = document("set-header: { name: X-Team, value: bench }", "tool-rules: { allow: [echo] }")
        return Shape(unused={f"unused-{number:04}": unused for number in range(self.policies)})


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sides that differ in one thing, and what that is called."""

    name: str
    small: Side
    large: Side


def pairs(size: Size) -> tuple[Pair, ...]:
    """All of them."""
    return (
        Pair("connections", Side(connections=FEW), Side(connections=MANY)),
        Pair("policies", Side(policies=FEW), Side(policies=MANY)),
        Pair("records", Side(records=0), Side(records=size.records)),
        Pair("tools", Side(tools=FEW), Side(tools=MANY)),
        Pair("streams", Side(streams=0), Side(streams=MANY)),
    )


@dataclass
class Loaded:
    """A side that is up, with the streams that are held open, and the samples taken of it."""

    side: Side
    target: Target
    ground: Ground
    pace: float = 0.0
    streams: list[Line] = field(default_factory=list["Line"])
    samples: list[Sample] = field(default_factory=list[Sample])

    def cpu_us(self) -> float:
        """CPU of a call: the median of the rounds."""
        return statistics.median(each.cpu.total / each.load.calls for each in self.samples) * MICRO


def started(name: str, side: Side, folder: Path, stack: ExitStack) -> Loaded:
    """A side, with everything there that it should have. Raises what a start raises, and `NoRoomError`."""
    placed = here()
    folder.mkdir()
    served = stack.enter_context(upstream(placed.load, folder, side.tools))
    ground, recipe = Ground(folder, served, placed), gateway(name, side.shape())
    if side.records:
        with up(recipe, ground) as target:
            warmed(target)
        tell(f"  writing {side.records:,} records")
        fill(next(folder.rglob("bench.db")), side.records)
    loaded = Loaded(side, stack.enter_context(up(recipe, ground)), ground)
    line = Line(loaded.target.plan.port)
    line.ask(loaded.target.plan.message("tools/list", message("tools/list", {})).packed())
    line.close()
    loaded.pace = warmed(loaded.target)
    if side.streams:
        loaded.streams = opened(loaded.target, side.streams)
    return loaded


def measured(pair: Pair, size: Size, folder: Path) -> dict[str, Any]:
    """What a call costs on both sides, and their ratio."""
    with ExitStack() as stack:
        sides = [
            started(f"{pair.name} {label}", side, folder / f"{pair.name}-{label}", stack)
            for label, side in (("small", pair.small), ("large", pair.large))
        ]
        by_pid = {loaded.target.pid: loaded for loaded in sides}
        for _, target in in_turn([loaded.target for loaded in sides], size.rounds):
            loaded = by_pid[target.pid]
            seconds = long_enough(size.seconds, loaded.pace, loaded.side.connections)
            loaded.samples.append(sample(target, loaded.ground, loaded.side.connections, seconds))
        for stream in (stream for loaded in sides for stream in loaded.streams):
            stream.close()
    small, large = (loaded.cpu_us() for loaded in sides)
    counts = {"small": getattr(pair.small, pair.name), "large": getattr(pair.large, pair.name)}
    used = {"small_cpu_us": small, "large_cpu_us": large}
    return {**counts, **used, "ratio": large / small, "flat": large <= small * FLAT}


def grown(chosen: tuple[Pair, ...], size: Size) -> dict[str, Any]:
    """Every pair, one after the other. Raises `SystemExit` where the load cannot be had."""
    if lacking := missing():
        raise SystemExit(f"{', '.join(lacking)} is needed, and could not be installed here")
    enough_descriptors(4 * MANY)
    began, found, left_out = machine(), dict[str, Any](), dict[str, str]()
    for pair in chosen:
        tell(f"growth: {pair.name}")
        with tempfile.TemporaryDirectory(prefix="mcpgov-bench-") as folder:
            try:
                found[pair.name] = measured(pair, size, Path(folder))
            except (*FAILED, NoRoomError) as failed:
                left_out[pair.name] = f"{type(failed).__name__}: {failed}"
                tell(f"  left out: {failed}")
    return {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {**began, "placement": here().told},
        "versions": versions(),
        "size": asdict(size),
        "pairs": found,
        "left_out": left_out,
    }


FORMS: Final = (
    *("{name}", "{small:,}", "{large:,}", "{small_cpu_us:.0f}", "{large_cpu_us:.0f}", "{ratio:.2f}", "{verdict}"),
)


def rows(found: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """The table of a run."""
    return [
        ["what grows", "from", "to", "CPU µs", "CPU µs then", "ratio", ""],
        *(
            [form.format(**one, name=name, verdict="flat" if one["flat"] else "grows") for form in FORMS]
            for name, one in found.items()
        ),
    ]


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--pairs", default="", help="comma-separated")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    changed = {name: value for name in ("rounds", "seconds") if (value := getattr(options, name)) is not None}
    size = replace(FULL if options.full else SHORT, **changed)
    chosen = tuple(pair for pair in pairs(size) if not options.pairs or pair.name in options.pairs.split(","))
    if options.full:
        interruptible(until_quiet)
    result = interruptible(lambda: grown(chosen, size))
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        print(table(rows(result["pairs"])))
        print("\n".join(f"left out: {name}: {why}" for name, why in result["left_out"].items()))
    sys.exit(bool(result["left_out"]))


if __name__ == "__main__":
    main()
