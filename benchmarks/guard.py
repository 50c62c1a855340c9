"""Whether a governed call still costs what it did, as a multiple of what nginx uses for the same call in the same run.

python -m benchmarks.guard [--record]. Exits 1 when the multiple is worse than the one recorded by 30 %; 0
where it is not, and where wrk, nginx or a compiler cannot be had, which it says.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from benchmarks.compare import chosen, compared
from benchmarks.figures import FLOOR, OURS
from benchmarks.machine import commit, have
from benchmarks.run import Size

RECORDED: Final = Path(__file__).parent / "results" / "guard.json"
TOLERATED: Final = 1.3
FIGURE: Final = "c16_cpu_us"
SIZE: Final = Size(rounds=3, seconds=2, concurrencies=(16,), passes=0, starts=1, calls=0, streams=0, patience=1)


def verdict(ratio: float, recorded: float) -> tuple[bool, str]:
    """Whether it may pass, and the line that says so."""
    worse = ratio > recorded * TOLERATED
    told = (
        f"mcpgov uses {ratio:.1f} times nginx's CPU a call; recorded {recorded:.1f}, at most {recorded * TOLERATED:.1f}"
    )
    return not worse, f"{told}: {'too much' if worse else 'good'}"


def measured() -> tuple[float, dict[str, float]]:
    """The multiple, and the microseconds that it is one of."""
    result = compared(chosen(f"{FLOOR},{OURS}", full=False), SIZE)
    if lost := result["left_out"]:
        raise SystemExit(f"bench-guard: {lost}")
    used = {name: result["targets"][name][FIGURE] for name in (FLOOR, OURS)}
    return result["ratios"][FLOOR][OURS][FIGURE], used


def main() -> None:
    """Measure, compare with what is recorded, or record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write down this run as what it costs")
    options = parser.parse_args()
    if lacking := [program for program in ("wrk", "nginx", "cc") if not have(program)]:
        print(f"bench-guard: nothing measured, {', '.join(lacking)} cannot be had here")
        return
    ratio, used = measured()
    print(f"nginx {used[FLOOR]:.1f} µs, mcpgov {used[OURS]:.1f} µs of CPU a call, 16 at a time")
    if options.record:
        RECORDED.parent.mkdir(exist_ok=True)
        RECORDED.write_text(json.dumps({"ratio": round(ratio, 2), "commit": commit()}) + "\n")
        print(f"recorded: {ratio:.1f} times nginx's CPU a call")
        return
    if not RECORDED.exists():
        print("bench-guard: nothing is recorded to compare with; --record does")
        return
    good, told = verdict(ratio, json.loads(RECORDED.read_text("utf-8"))["ratio"])
    print(told)
    sys.exit(not good)


if __name__ == "__main__":
    main()
