"""Event streams: what an event costs that passes through, and what a stream costs on which nothing comes."""

from __future__ import annotations

import resource
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.placement import on
from benchmarks.processes import Used, cpu_used, memory_of
from benchmarks.rounds import SETTLED
from benchmarks.wire import Line, message

if TYPE_CHECKING:
    from benchmarks.targets import Ground, Target
    from benchmarks.wire import Message

EVENTS: Final = 20_000  # of one answer
SPARE: Final = 512  # descriptors besides the streams
OPENED: Final = 1.0  # seconds in which what was allocated for the opening goes
LISTEN: Final = "subscriptions/listen"


class StreamBrokenError(Exception):
    """A stream did not come as it was sent."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """So many events through a target, in so many seconds, and what it used for them."""

    events: int
    seconds: float
    cpu: Used


def streamed(target: Target, ground: Ground, seconds: float) -> Streamed:
    """Ask for long answers, one after the other, for so long. Raises `StreamBrokenError` if an event is lost."""
    request, events, line = target.plan.call(events=EVENTS).packed(), 0, Line(target.plan.port)
    with on(ground.placement.load):
        ask_and_count(line, request)
        before, began = cpu_used(target.pid), time.perf_counter()
        while time.perf_counter() < began + seconds:
            events += ask_and_count(line, request)
        took = time.perf_counter() - began
    line.close()
    time.sleep(SETTLED)
    return Streamed(events, took, cpu_used(target.pid) - before)


def ask_and_count(line: Line, request: bytes) -> int:
    """The events of one answer, its result included."""
    answer = line.ask(request)
    if (found := answer.body.count(b"data: ")) != EVENTS + 1:
        raise StreamBrokenError(f"{answer.status}, {found} events of {EVENTS + 1}: {answer.body[:200]!r}")
    return found


def listening(target: Target, number: int) -> Message:
    """What opens a stream on which nothing comes."""
    asked = {"notifications": {"toolsListChanged": True}}
    return target.plan.message(LISTEN, message(LISTEN, asked, f"listen-{number}"))


def opened(target: Target, streams: int) -> list[Line]:
    """So many streams, open and acknowledged. Raises `StreamBrokenError`."""
    enough_descriptors(streams)
    lines: list[Line] = []
    for number in range(streams):
        lines.append(Line(target.plan.port))
        lines[-1].send(listening(target, number).packed())
        status, _, come = lines[-1].head()
        if status != 200 or b"acknowledged" not in (come or lines[-1].more()):
            raise StreamBrokenError(f"stream {number} was answered {status}")
    time.sleep(OPENED)
    return lines


def idle_bytes(target: Target, streams: int) -> float:
    """Bytes of memory (PSS) that a target holds for each of so many idle streams."""
    before = memory_of(target.pid).pss
    lines = opened(target, streams)
    held = memory_of(target.pid).pss - before
    for line in lines:
        line.close()
    return held / streams


def enough_descriptors(wanted: int) -> None:
    """Let this process, and what it starts from now on, have so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, wanted + SPARE)), hard))
