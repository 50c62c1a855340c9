"""What a target adds to the time of one call: one request to each target in turn, so that all meet the same moments."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from benchmarks.placement import on
from benchmarks.wire import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.targets import Ground, Target

WARM: Final = 0.1  # so many more passes, or so much more time, before any counts


def latencies(targets: Sequence[Target], ground: Ground, passes: int, seconds: float) -> dict[str, list[float]]:
    """Seconds of each call by target: so many passes over all of them, or for so long."""
    lines = [(Line(target.plan.port), target.plan.call().packed()) for target in targets]
    with on(ground.placement.load):
        passed(lines, round(passes * WARM), seconds * WARM)
        taken = passed(lines, passes, seconds)
    for line, _ in lines:
        line.close()
    return {target.name: times for target, times in zip(targets, taken, strict=True)}


def passed(lines: Sequence[tuple[Line, bytes]], passes: int, seconds: float) -> list[list[float]]:
    """Ask each in turn, again and again; the seconds that each answer took."""
    taken: list[list[float]] = [[] for _ in lines]
    until = time.monotonic() + seconds
    for _ in range(passes):
        if time.monotonic() > until:
            break
        for times, (line, request) in zip(taken, lines, strict=True):
            began = time.perf_counter()
            line.ask(request)
            times.append(time.perf_counter() - began)
    return taken
