"""What is started: each in a session of its own, counted with all its descendants, and ended whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.placement import on

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

TICKS: Final = os.sysconf("SC_CLK_TCK")
KIB: Final = 1024
GRACE: Final = 10.0  # seconds after SIGTERM
TOLD: Final = 400  # characters of what a child said last


class DidNotStartError(Exception):
    """A child ended, or did not answer in time; the text says what it said last."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a child is started."""

    command: Sequence[str]
    cores: AbstractSet[int]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds, in the program and in the kernel for it."""

    user: float = 0.0
    system: float = 0.0

    @property
    def total(self) -> float:
        """Both."""
        return self.user + self.system

    def __sub__(self, before: Used) -> Used:
        return Used(self.user - before.user, self.system - before.system)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a tree of processes: what is resident in each, and the share of each in what several map (`pss`)."""

    rss: int
    pss: int


def _stats() -> Iterator[tuple[int, list[str]]]:
    """The fields of every process that there is, from `ppid` on (proc(5))."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                yield int(entry.name), (entry / "stat").read_text().rpartition(")")[2].split()[1:]


def tree(pid: int) -> dict[int, list[str]]:
    """A process, all of its session, and their descendants: their fields by their ids."""
    every = dict(_stats())
    found = {one for one, fields in every.items() if pid in (one, int(fields[2]))}
    while more := {one for one, fields in every.items() if int(fields[0]) in found} - found:
        found |= more
    return {one: every[one] for one in found}


def cpu_used(pid: int) -> Used:
    """What a process and its descendants have used, those that ended and were waited for included.

    A descendant that leaves the session and whose parent ends is lost; none of the targets does that.
    """
    user = system = 0
    for fields in tree(pid).values():
        user += int(fields[10]) + int(fields[12])
        system += int(fields[11]) + int(fields[13])
    return Used(user / TICKS, system / TICKS)


def memory_of(pid: int) -> Memory:
    """The memory of a process and its descendants."""
    sums = {"Rss:": 0, "Pss:": 0}
    for one in tree(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(" ")
                if name in sums:
                    sums[name] += int(rest.split()[0]) * KIB
    return Memory(sums["Rss:"], sums["Pss:"])


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def last_words(log: Path) -> str:
    """The end of what a child said, on one line."""
    return " ".join(log.read_text("utf-8", "replace").split())[-TOLD:] if log.exists() else ""


@contextmanager
def running(start: Start) -> Generator[int]:
    """A child while the block runs, by its process id; its whole group is ended after."""
    with start.log.open("wb") as log, on(start.cores):
        process = subprocess.Popen(
            start.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **start.environment},
            start_new_session=True,  # Ctrl-C is for the benchmark, which then ends its children in order
        )
    try:
        yield process.pid
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the whole group to end, and insist."""
    for sign, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    process.wait()


def has_ended(pid: int) -> bool:
    """Whether a child of ours ended by itself."""
    state = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return state is not None


def until_listening(pid: int, port: int, log: Path, seconds: float) -> None:
    """Return when `port` takes connections. Raises `DidNotStartError`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not has_ended(pid):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.005)
    raise DidNotStartError(last_words(log) or "it said nothing")
