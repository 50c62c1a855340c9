"""Load in rounds: every target in turn, forwards, then backwards, so that whatever else happens meets all alike."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.load import Load, loaded
from benchmarks.processes import Used, cpu_used
from benchmarks.targets import complaint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.targets import Ground, Target

SETTLED: Final = 0.1  # seconds in which what follows an answer is done: the outcome's record, for one
ANSWERS: Final = 8  # that each connection should get, however slow the target is
LONGEST: Final = 20.0  # seconds, all the same
AT_ONCE: Final = 4  # calls of those that are made for what they leave in memory
BATCH: Final = 2.0  # seconds of load between two looks at how many calls there were


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of load against one target. `upstream` is what the upstream used meanwhile."""

    load: Load
    cpu: Used
    upstream: Used


def long_enough(seconds: float, pace: float, connections: int) -> float:
    """How long a target is loaded that takes `pace` seconds for one call alone."""
    return max(seconds, min(LONGEST, ANSWERS * pace * connections))


class WrongAnswerError(Exception):
    """A target stopped answering as it should: nothing that was measured of it counts."""


def in_turn(targets: Sequence[Target], rounds: int) -> Iterator[tuple[int, Target]]:
    """Every target in every round, each second round backwards."""
    for number in range(rounds):
        for target in targets if number % 2 == 0 else reversed(targets):
            yield number, target


def sample(target: Target, ground: Ground, connections: int, seconds: float) -> Sample:
    """Load a target and count what it uses. Raises `WrongAnswerError` if it does not answer the call after."""
    before, upstream = cpu_used(target.pid), cpu_used(ground.upstream.pid)
    load = loaded(target.plan.call(), connections, seconds, ground.placement.load)
    time.sleep(SETTLED)
    used, upstream_used = cpu_used(target.pid) - before, cpu_used(ground.upstream.pid) - upstream
    if wrong := complaint(target.plan):
        raise WrongAnswerError(f"{target.name} {wrong}")
    if load.errors > load.calls // 100:
        sys.stderr.write(f"  {target.name}: {load.errors} of {load.calls} calls failed\n")
    return Sample(load, used, upstream_used)


def called(target: Target, ground: Ground, calls: int, seconds: float, pace: float) -> int:
    """Call a target so often, or for so long; how often it was."""
    made, until = 0, time.monotonic() + seconds
    while made < calls and time.monotonic() < until:
        made += loaded(target.plan.call(), AT_ONCE, long_enough(BATCH, pace, AT_ONCE), ground.placement.load).calls
    return made
