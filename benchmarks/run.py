"""One run: targets started, measured side by side, and ended. One that fails is told with its reason, and left out."""

from __future__ import annotations

import statistics
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from subprocess import SubprocessError
from typing import TYPE_CHECKING, Final

from benchmarks.figures import DIRECT, MICRO, Figures, at_concurrency, latency
from benchmarks.latency import latencies
from benchmarks.load import NoLoadError
from benchmarks.processes import KIB, DidNotStartError, memory_of
from benchmarks.rounds import Sample, WrongAnswerError, called, in_turn, long_enough, sample
from benchmarks.streams import StreamBrokenError, idle_bytes, streamed
from benchmarks.targets import Ground, Recipe, Target, up, warmed
from benchmarks.wire import BrokenError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MIB: Final = KIB * KIB
LONG: Final = 20.0  # seconds of starting, after which a target is not started again to measure that
SLOW: Final = 0.02  # seconds of a call beyond which a target is probed apart
FEWER: Final = 20
FAILED: Final = (
    DidNotStartError,
    WrongAnswerError,
    NoLoadError,
    StreamBrokenError,
    BrokenError,
    OSError,
    SubprocessError,
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: rounds of so many seconds at each concurrency, passes of the latency probe, starts, calls
    before memory is looked at again, and idle streams. Those calls may take `patience` times as long as a round's load.
    """

    rounds: int
    seconds: float
    concurrencies: tuple[int, ...]
    passes: int
    starts: int
    calls: int
    streams: int
    patience: float


def tell(text: str) -> None:
    """Say on stderr how it goes."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@dataclass
class Run:
    """What is up, what was measured of it by name, and what was left out, with why."""

    ground: Ground
    size: Size
    recipes: Sequence[Recipe]
    up: list[Target] = field(default_factory=list[Target])
    figures: dict[str, Figures] = field(default_factory=dict[str, Figures])
    versions: dict[str, str] = field(default_factory=dict[str, str])
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    paces: dict[str, float] = field(default_factory=dict[str, float])

    def measure(self) -> None:
        """All of it, in an order in which nothing disturbs what comes after."""
        with ExitStack() as stack:
            for recipe in self.recipes:
                self._start(recipe, stack)
            self._load()
            if self.size.passes:
                self._probe()
            for target in self.up if self.size.calls else ():
                self._attempt(target, self._memory)
            for target in self.up if self.size.streams else ():
                if self._streams(target):
                    self._attempt(target, self._events)
                    self._attempt(target, self._idle)

    def _start(self, recipe: Recipe, stack: ExitStack) -> None:
        """Start a target some times, and the last time for good; look at its memory before it has done anything."""
        tell(f"starting {recipe.name}")
        try:
            starts: list[float] = []
            while len(starts) < self.size.starts - 1 and sum(starts) < LONG:
                with up(recipe, self.ground) as target:
                    starts.append(target.started)
            target = stack.enter_context(up(recipe, self.ground))
            memory = memory_of(target.pid)
            self.paces[target.name] = warmed(target)
            self.versions[recipe.name] = recipe.version()
        except FAILED as failed:
            self._leave_out(recipe.name, failed)
            return
        self.up.append(target)
        found = {"rss_idle_mib": memory.rss / MIB, "pss_idle_mib": memory.pss / MIB}
        started = {"start_s": statistics.median([*starts, target.started])} if target.plan.command else {}
        self.figures[target.name] = {**found, **started}

    def _leave_out(self, name: str, failed: Exception) -> None:
        self.left_out[name] = f"{type(failed).__name__}: {failed}"
        tell(f"  left out: {self.left_out[name]}")
        self.up = [target for target in self.up if target.name != name]
        self.figures.pop(name, None)

    def _attempt(self, target: Target, step: Callable[[Target], Figures]) -> None:
        try:
            self.figures[target.name] |= step(target)
        except FAILED as failed:
            self._not_taken(f"{target.name}, {step.__name__.removeprefix('_')}", failed)

    def _not_taken(self, what: str, failed: Exception) -> None:
        self.left_out[what] = f"{type(failed).__name__}: {failed}"
        tell(f"  not taken: {failed}")

    def _load(self) -> None:
        taken: dict[str, dict[int, list[Sample]]] = {}
        for number, target in in_turn(tuple(self.up), self.size.rounds):
            tell(f"round {number + 1} of {self.size.rounds}: {target.name}")
            for connections in self.size.concurrencies if target in self.up else ():
                seconds = long_enough(self.size.seconds, self.paces[target.name], connections)
                try:
                    found = sample(target, self.ground, connections, seconds)
                except NoLoadError as none:
                    self._not_taken(f"{target.name}, {connections} at a time", none)
                except FAILED as failed:
                    self._leave_out(target.name, failed)
                    break
                else:
                    taken.setdefault(target.name, {}).setdefault(connections, []).append(found)
        for target in self.up:
            for connections, samples in taken.get(target.name, {}).items():
                self.figures[target.name] |= at_concurrency(samples, connections)

    def _probe(self) -> None:
        """The quick ones together, then the slow ones beside the direct call, so that nobody quick waits for them.

        A target that breaks here breaks off the probe of its group: their calls are interleaved.
        """
        quick = [target for target in self.up if self.paces[target.name] < SLOW]
        slow = [target for target in self.up if target not in quick]
        beside = [target for target in quick if target.name == DIRECT]
        for group, passes in ((quick, self.size.passes), ([*beside, *slow], self.size.passes // FEWER)):
            if group[len(beside) :]:
                self._probe_group(group, passes)

    def _probe_group(self, group: Sequence[Target], passes: int) -> None:
        tell(f"latency, one call at a time to each in turn: {', '.join(target.name for target in group)}")
        try:
            times = latencies(group, self.ground, passes, self.size.patience * self.size.seconds)
        except FAILED as failed:
            self._not_taken("latency", failed)
            return
        direct = times.get(DIRECT, [])
        for name, values in times.items():
            if values:
                self.figures[name] = {**latency(values, direct), **self.figures[name]}

    def _memory(self, target: Target) -> Figures:
        tell(f"memory after calls: {target.name}")
        made = called(
            target, self.ground, self.size.calls, self.size.patience * self.size.seconds, self.paces[target.name]
        )
        memory = memory_of(target.pid)
        after = {"rss_after_mib": memory.rss / MIB, "pss_after_mib": memory.pss / MIB}
        return {**after, "calls_before": float(made)}

    def _streams(self, target: Target) -> bool:
        return any(recipe.name == target.name and recipe.streams for recipe in self.recipes)

    def _events(self, target: Target) -> Figures:
        tell(f"event streams: {target.name}")
        found = streamed(target, self.ground, self.size.seconds)
        return {"sse_cpu_us": found.cpu.total / found.events * MICRO, "sse_events_per_s": found.events / found.seconds}

    def _idle(self, target: Target) -> Figures:
        tell(f"{self.size.streams} idle streams: {target.name}")
        return {"idle_kib": idle_bytes(target, self.size.streams) / KIB}
