"""What a target adds to the time of one call: one request to each target in turn, so that all meet the same moments."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from benchmarks.placement import on
from benchmarks.wire import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.targets import Ground, Target

WARM: Final = 0.1  # of the passes, which do not count


def latencies(targets: Sequence[Target], ground: Ground, passes: int, seconds: float) -> dict[str, list[float]]:
    """Seconds of each call by target: so many passes over all of them, or for so long."""
    taken: dict[str, list[float]] = {target.name: [] for target in targets}
    lines = [(taken[target.name], Line(target.plan.port), target.plan.call().packed()) for target in targets]
    with on(ground.placement.load):
        until, warm = time.monotonic() + seconds, round(passes * WARM)
        for number in range(passes + warm):
            if time.monotonic() > until:
                break
            for times, line, request in lines:
                began = time.perf_counter()
                line.ask(request)
                if number >= warm:
                    times.append(time.perf_counter() - began)
    for _, line, _ in lines:
        line.close()
    return taken
