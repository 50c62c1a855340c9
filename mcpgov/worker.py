"""One of the workers that share a host: which it is, what its supervisor gave it, and what workers cannot share.

A worker is a whole gateway. What must run once however many there are (the admin listener and its index, what is sent
elsewhere, a purge) is the first one's. Rules: what N workers would silently do N times, or forget N - 1 times out of N,
is refused when files are loaded, with its mend. A worker ends when its supervisor does, however that ended.

Refuses to know: who starts workers, and how often (supervisor.py).
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen
from mcpgov.models import LocalUpstream

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from mcpgov.catalog.entries import Entry
    from mcpgov.errors import Problem
    from mcpgov.settings import Settings
    from mcpgov.yaml_source import Source

MOST: Final = 64  # workers on one host
SERVES: Final = b"."  # what a worker says on its link, once, when it serves


@frozen
class Worker:
    """Worker `index`, from 0, of `count`. `listener` and `link` are file descriptors of its supervisor's; -1: none."""

    index: int = 0
    count: int = 1
    listener: int = -1
    link: int = -1

    @property
    def first(self) -> bool:
        """Whether what runs once runs here."""
        return self.index == 0

    @property
    def supervised(self) -> bool:
        """Whether a supervisor started it."""
        return self.link >= 0

    @property
    def place(self) -> Mapping[str, int]:
        """What its logs, and the records of its start and stop, say of it; nothing where it is alone."""
        return {"worker": self.index, "workers": self.count} if self.count > 1 else {}

    @property
    def argument(self) -> str:
        """How a supervisor tells a worker which it is."""
        return f"{self.index}:{self.count}:{self.listener}:{self.link}"


ALONE: Final = Worker()
COLLECT_AFTER: Final = (10_000, 20, 50)  # new objects, and generations of younger ones


def parse_worker(argument: str) -> Worker:
    """What `argument` says; ALONE for an empty one. Raises ValueError."""
    if not argument:
        return ALONE
    index, count, listener, link = (int(part) for part in argument.split(":"))
    return Worker(index, count, listener, link)


def unshared(workers: int, settings: Settings, source: Source, entries: Iterable[Entry]) -> Iterator[Problem]:
    """What so many workers cannot share. `source` is that of `settings`."""
    if workers == 1:
        return
    if settings.counters.url is None and not settings.counters.per_worker:
        message = f"{workers} workers would each count limits for themselves, and admit {workers} times as much"
        mend = "name a Redis, like counters: redis://HOST:6379, or choose counters: per-worker"
        yield source.problem(("counters",), message, mend)
    for entry in entries:
        if any(isinstance(served.connection.upstream, LocalUpstream) for served in entry.connections[:1]):
            message = f"a client's session with a local server is one process, of one of the {workers} workers"
            mend = "serve it with --workers 1, or run it where it has a URL and name that as upstream"
            yield entry.source.problem(("command",), message, mend)


def settle() -> None:
    """Tell the collector of cycles that what has been made so far stays: it looks at none of that again.

    A call leaves it nothing to collect, so it looks at the rest less often, too. Only for a process that does nothing
    but serve from now on: in any other, what is kept so would be garbage.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def inherited(descriptor: int) -> socket.socket:
    """A socket that the supervisor gave; local servers that this process starts do not get it."""
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    return sock


@contextmanager
def supervised(worker: Worker, end: Callable[[int, None], object]) -> Generator[None]:
    """Tell the supervisor that this worker serves, and `end` it as SIGTERM would once the supervisor is gone.

    The system closes the other end of the link when the supervisor ends, however it ends.
    """
    if not worker.supervised:
        yield
        return
    loop = asyncio.get_running_loop()
    with inherited(worker.link) as link:
        link.settimeout(0)

        def gone() -> None:
            loop.remove_reader(link)
            end(signal.SIGTERM, None)

        loop.add_reader(link, gone)  # nothing is ever sent this way: what can be read is the end
        with suppress(OSError):  # it is gone already
            link.send(SERVES)
        try:
            yield
        finally:
            loop.remove_reader(link)
