"""What a governed call costs, beside no proxy, compiled proxies and other gateways, all in one run.

    benchmarks/compare [--short | --full] [--targets nginx,mcpgov] [--rounds N] [--seconds N] [--json]

Figures are medians of alternating rounds on this machine. Progress goes to stderr, the result to stdout.
"""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from benchmarks import compiled_proxies, gateway, peers
from benchmarks.figures import FLOOR, OURS, cells, ratios, table
from benchmarks.machine import have, machine, missing, until_quiet, versions
from benchmarks.placement import here
from benchmarks.run import Run, Size, tell
from benchmarks.streams import enough_descriptors
from benchmarks.targets import Ground
from benchmarks.upstream import upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.targets import Recipe

T = TypeVar("T")

EVERY: Final = (*compiled_proxies.RECIPES, *gateway.RECIPES, *peers.RECIPES)
BRIEF: Final = ("direct", FLOOR, OURS, gateway.READING_ANSWERS, peers.TUNED)
SHORT: Final = Size(
    rounds=2, seconds=3, concurrencies=(1, 16), passes=2_000, starts=3, calls=20_000, streams=1_000, patience=3
)
FULL: Final = Size(
    rounds=4, seconds=4, concurrencies=(1, 16, 64), passes=3_000, starts=3, calls=100_000, streams=1_000, patience=15
)


def chosen(names: str, *, full: bool) -> list[Recipe]:
    """The targets by their names, or those of the short or the full form. Raises `SystemExit` for a name unknown."""
    known = {recipe.name: recipe for recipe in EVERY}
    wanted = [name.strip() for name in names.split(",")] if names else list(known) if full else list(BRIEF)
    if unknown := [name for name in wanted if name not in known]:
        raise SystemExit(f"no such target: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in wanted]


def compared(recipes: Sequence[Recipe], size: Size) -> dict[str, Any]:
    """Measure, and give back all that there is to tell. Raises `SystemExit` where the load cannot be had."""
    if lacking := missing():
        raise SystemExit(f"{', '.join(lacking)} is needed, and could not be installed here")
    have(FLOOR)
    enough_descriptors(4 * size.streams)
    began, placed = machine(), here()
    if began["busy"]:
        tell(f"this machine is busy (load {began['load_average']}): the figures are worth less")
    with tempfile.TemporaryDirectory(prefix="mcpgov-bench-") as name:
        folder = Path(name)
        with upstream(placed.load, folder) as served:
            run = Run(Ground(folder, served, placed), size, recipes)
            run.measure()
    return {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {**began, "placement": placed.told},
        "versions": {**versions(), **run.versions},
        "size": asdict(size),
        "targets": run.figures,
        "ratios": {base: ratios(run.figures, base) for base in (FLOOR, OURS)},
        "left_out": run.left_out,
    }


def text(result: dict[str, Any]) -> str:
    """The result for a person."""
    on = result["machine"]
    lines = [
        f"{on['cores']} cores of {on['cpu']}, kernel {on['kernel']}, {on['placement']}",
        *(["the machine was busy with something else"] if on["busy"] else []),
        "",
        table(cells(result)),
        "",
        *(f"left out: {name}: {why}" for name, why in result["left_out"].items()),
    ]
    return "\n".join(lines)


def stop(number: int, frame: object) -> None:
    """End as Ctrl-C does: children first."""
    del number, frame
    raise KeyboardInterrupt


def interruptible(measure: Callable[[], T]) -> T:
    """What `measure` finds; when it is told to end, every child has ended before this process does, with 130."""
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell that starts it aside ignores Ctrl-C
        signal.signal(number, stop)
    try:
        return measure()
    except KeyboardInterrupt:
        with suppress(OSError):
            tell("\nended before its time")
        raise SystemExit(130) from None


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--short", action="store_true", help="the default: five targets, under five minutes")
    form.add_argument("--full", action="store_true", help="every target; peers are installed, which takes a while")
    parser.add_argument("--targets", default="", help="comma-separated")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each run of load")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    changed = {name: value for name in ("rounds", "seconds") if (value := getattr(options, name)) is not None}
    size = replace(FULL if options.full else SHORT, **changed)
    if options.full:
        interruptible(until_quiet)
    result = interruptible(lambda: compared(chosen(options.targets, full=options.full), size))
    print(json.dumps(result, indent=1) if options.json else text(result))


if __name__ == "__main__":
    main()
