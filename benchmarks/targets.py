"""What is measured: how each target is started, and that it answers the call before anything is measured of it."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks.processes import DidNotStartError, Start, has_ended, last_words, running, until_listening
from benchmarks.wire import REVISION, BrokenError, Line, Message, fields, message

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.placement import Placement
    from benchmarks.upstream import Upstream

POLL: Final = 0.005
WARM: Final = 200  # calls before anything is measured


@dataclass(frozen=True, slots=True)
class Ground:
    """What all targets of a run stand on."""

    folder: Path
    upstream: Upstream
    placement: Placement


@dataclass(frozen=True, slots=True)
class Plan:
    """How one target is started and called. `introduce` tells a server that listens of the upstream, where it has to be
    told over HTTP, and gives the plan to call it by. Without a command it is the upstream itself.
    """

    command: Sequence[str]
    port: int
    path: str = "/mcp"
    tool: str = "echo"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    revision: str = REVISION
    all_cores: bool = False
    patience: float = 60.0
    introduce: Callable[[], Plan] | None = None

    def call(self, **arguments: int | str) -> Message:
        """The call that is measured, as this target is sent it."""
        params = {"name": self.tool, "arguments": arguments or {"text": "ping"}, "_meta": {"progressToken": 1}}
        return self.message("tools/call", message("tools/call", params), self.tool)

    def message(self, method: str, body: str, name: str = "") -> Message:
        """Any message to it."""
        return Message(self.port, self.path, {**fields(method, name, self.revision), **self.headers}, body)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A target by its name: its version, and what makes its plan. `streams`: it passes event streams on as they come.

    `plan` may raise `DidNotStartError` where something is missing on this machine.
    """

    name: str
    version: Callable[[], str]
    plan: Callable[[Ground], Plan]
    streams: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """A target that runs and has answered. `started` is the seconds from its start to its first answer."""

    name: str
    plan: Plan
    pid: int
    started: float


@contextmanager
def up(recipe: Recipe, ground: Ground) -> Generator[Target]:
    """A target while the block runs. Raises `DidNotStartError`."""
    plan = recipe.plan(ground)
    if not plan.command:
        yield Target(recipe.name, plan, ground.upstream.pid, 0.0)
        return
    cores = ground.placement.both if plan.all_cores else ground.placement.proxy
    log = ground.folder / f"{recipe.name.replace(' ', '-')}.log"
    began = time.perf_counter()
    with running(Start(plan.command, cores, log, plan.environment)) as pid:
        if plan.introduce is not None:
            until_listening(pid, plan.port, log, plan.patience)
            plan = plan.introduce()
        until_answered(plan, pid, log)
        yield Target(recipe.name, plan, pid, time.perf_counter() - began)


def until_answered(plan: Plan, pid: int, log: Path) -> None:
    """Return when the call is answered as it should be. Raises `DidNotStartError`."""
    deadline, heard = time.monotonic() + plan.patience, ""
    while time.monotonic() < deadline and not has_ended(pid):
        with suppress(OSError, BrokenError):
            heard = complaint(plan)
            if not heard:
                return
        time.sleep(POLL)
    raise DidNotStartError(heard or last_words(log) or "it said nothing")


def complaint(plan: Plan) -> str:
    """What is wrong with the answer to a call; empty when nothing is."""
    line = Line(plan.port)
    try:
        answer = line.ask(plan.call().packed())
    finally:
        line.close()
    if answer.status == 200 and b"pong" in answer.body:
        return ""
    return f"answered {answer.status}: {answer.body[:300].decode('utf-8', 'replace')}"


def warmed(target: Target, calls: int = WARM, seconds: float = 5.0) -> float:
    """Call a target some times, one after the other, for so long at most; the seconds that the last one took."""
    line, request, until = Line(target.plan.port), target.plan.call().packed(), time.monotonic() + seconds
    took = 0.0
    for _ in range(calls):
        began = time.monotonic()
        if began > until:
            break
        line.ask(request)
        took = time.monotonic() - began
    line.close()
    return took
