"""The parent of `mcpgov serve --workers N`: N gateways around one listening socket, kept alive, and ended together.

The process that checked the files and bound the address becomes this one by exec, so that nothing of what it read is
left in its memory; it serves nobody, reads no file, and loads little. Rules:

- the socket is opened once and inherited, so that a worker that dies loses only what it had accepted: what waits in the
  socket's queue, the others take, and a queue outlives even the moment in which there is no worker;
- the first worker starts alone. A worker that ends before it ever served ends the whole, having said why, once;
- one that ends later is started again: after 1, 2, 4 ... 30 seconds, and after 1 again when it has run for a minute;
- workers are no members of the terminal's process group: Ctrl-C is for this process, which passes it on once;
- a worker that is gone closes its link, and so does this process, on which workers end by themselves.

Refuses to know: what a gateway is. Run as `python -m mcpgov.supervisor`; only app.py knows with which arguments.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from mcpgov.frozen import frozen
from mcpgov.telemetry import configure_logging
from mcpgov.worker import Worker, inherited

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from pathlib import Path

LONGEST_PAUSE: Final = 30.0  # seconds
DOUBLINGS: Final = 8  # more would make no longer pause, and in the end no number
STEADY: Final = 60.0  # seconds after which a worker that ends is one that worked
LATEST: Final = 45.0  # seconds from the word to end until workers are killed: their drain, and what they close
UNSTARTED: Final = 1  # the exit status where a worker could not be started, and of the whole


class Process(Protocol):
    """A worker's process."""

    @property
    def pid(self) -> int:
        """Its id."""
        ...

    async def serves(self) -> bool:
        """Return when it serves; False where it ended before."""
        ...

    async def wait(self) -> int:
        """Its exit status, once it has ended; negative for a signal."""
        ...

    def tell(self, number: int) -> None:
        """Send it a signal; nothing where it has ended."""
        ...


@frozen
class WorkerProcess:
    """A process of this system. `link` is open for as long as this process lives, and `started` does."""

    started: asyncio.subprocess.Process
    link: socket.socket

    @property
    def pid(self) -> int:
        """Its id."""
        return self.started.pid

    async def serves(self) -> bool:
        """Return when it serves; False where it ended before."""
        try:
            return await asyncio.get_running_loop().sock_recv(self.link, 1) != b""
        except ConnectionError:
            return False

    async def wait(self) -> int:
        """Its exit status, once it has ended; negative for a signal."""
        with self.link:
            return await self.started.wait()

    def tell(self, number: int) -> None:
        """Send it a signal; nothing where it has ended."""
        if self.started.returncode is None:
            self.started.send_signal(number)


@frozen
class Starting:
    """How workers are started: `command`, which is told which worker it is; `listener` is the socket they share."""

    command: tuple[str, ...]
    listener: socket.socket
    count: int

    async def __call__(self, index: int) -> WorkerProcess:
        """Start worker `index`. Raises OSError."""
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        worker = Worker(index, self.count, self.listener.fileno(), theirs.fileno())
        with theirs:
            try:
                started = await asyncio.create_subprocess_exec(
                    *self.command,
                    worker.argument,
                    stdin=DEVNULL,
                    pass_fds=(worker.listener, worker.link),
                    process_group=0,
                )
            except OSError:
                ours.close()
                raise
        return WorkerProcess(started, ours)


class Supervisor:
    """Keeps `count` workers that `start` starts; `refuse` is called once when they are told to end. `pause` waits for
    seconds; `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        count: int,
        start: Callable[[int], Awaitable[Process]],
        refuse: Callable[[], None],
        pause: Callable[[float], Coroutine[None, None, None]] = asyncio.sleep,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._count = count
        self._start = start
        self._refuse = refuse
        self._pause = pause
        self._clock = clock or asyncio.get_running_loop().time
        self._running: dict[int, Process] = {}
        self._serving: dict[int, Process] = {}
        self._served: set[int] = set()  # ever
        self._first_serves = asyncio.Event()
        self._ending = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Keep the workers until told to end. The exit status: 0 where all who served ended well."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep(0))
            await self._unless_ending(self._first_serves.wait())
            for index in range(1, self._count) if not self._ending.is_set() else ():
                tasks.create_task(self._keep(index))
        return self._status

    def tell(self, number: int) -> None:
        """What a signal to this process means: reload, end, or end at once."""
        if number == signal.SIGHUP:
            for process in self._serving.values():  # one that only starts reads the files anyway, and would die of it
                process.tell(number)
        elif not self._ending.is_set():
            self._end()
        elif number == signal.SIGINT:
            self._tell_all(signal.SIGINT)

    def _end(self) -> None:
        self._ending.set()
        self._refuse()
        self._tell_all(signal.SIGTERM)
        asyncio.get_running_loop().call_later(LATEST, self._kill)

    def _kill(self) -> None:
        self._status = UNSTARTED
        structlog.get_logger().error("workers-killed", workers=sorted(self._running), after=LATEST)
        self._tell_all(signal.SIGKILL)

    def _tell_all(self, number: int) -> None:
        for process in self._running.values():
            process.tell(number)

    async def _keep(self, index: int) -> None:
        """Have a worker run, one life after the other."""
        deaths = 0
        while not self._ending.is_set():
            began = self._clock()
            status = await self._live(index)
            if self._ending.is_set():
                return
            if index not in self._served:  # what keeps one from starting keeps them all
                if status <= 0:  # nobody has said why
                    structlog.get_logger().error("worker-not-started", worker=index, status=status)
                self._status = max(status, UNSTARTED)
                self._end()
                return
            deaths = 1 if self._clock() - began >= STEADY else deaths + 1
            pause = pause_after(deaths)
            structlog.get_logger().error("worker-ended", worker=index, status=status, restart_in=pause)
            await self._unless_ending(self._pause(pause))

    async def _live(self, index: int) -> int:
        """One life of a worker: its exit status."""
        log = structlog.get_logger().bind(worker=index)
        try:
            process = await self._start(index)
        except OSError as error:
            log.exception("worker-not-started", error=str(error))
            return UNSTARTED
        self._running[index] = process
        log.debug("worker-started", pid=process.pid)
        if self._ending.is_set():  # told so while it was being started
            process.tell(signal.SIGTERM)
        if serves := await process.serves():
            self._serving[index] = process
            self._note_serving(index, process.pid)
        status = await process.wait()
        del self._running[index]
        self._serving.pop(index, None)
        if self._ending.is_set() and serves and status:
            self._status = UNSTARTED
        return status

    def _note_serving(self, index: int, pid: int) -> None:
        log, complete = structlog.get_logger(), len(self._served) == self._count
        self._served.add(index)
        self._first_serves.set()
        if complete:
            log.warning("worker-restarted", worker=index, pid=pid)
        elif len(self._served) == self._count:
            log.info("workers-serving", pids=[self._running[each].pid for each in range(self._count)])

    async def _unless_ending(self, waiting: Coroutine[None, None, object]) -> None:
        """Wait for something, or until told to end."""
        tasks = [asyncio.ensure_future(waiting), asyncio.ensure_future(self._ending.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


def pause_after(deaths: int) -> float:
    """Seconds until a worker that died so many times in a row is started again."""
    return min(2.0 ** min(deaths - 1, DOUBLINGS), LONGEST_PAUSE)


def become(
    listener: socket.socket, count: int, config: Path | None, *, json: bool, levels: tuple[str, str | None]
) -> None:
    """Replace this process by the supervisor of `count` workers of a settings file. Does not return.

    `levels` of the log: the supervisor's, which reads no settings, and the workers'; None leaves it to their settings.
    """
    listener.set_inheritable(True)
    python = [sys.executable, "-P"]  # what lies in the current folder is no part of mcpgov
    form = "json" if json else "text"
    named = ["--config", str(config)] if config else []
    level = ["--log-level", levels[1]] if levels[1] else []
    verb = ["mcpgov", "serve", *named, "--log-format", form, *level, "--worker"]
    told = [str(listener.fileno()), str(count), form, levels[0]]
    os.execv(python[0], [*python, "-m", "mcpgov.supervisor", *told, *python, "-m", *verb])


async def supervise(starting: Starting) -> int:
    """Keep workers until SIGTERM or SIGINT. The exit status."""
    # Their listener is this process's too: as long as one has it, connections are taken that nobody would answer.
    supervisor = Supervisor(starting.count, starting, starting.listener.close)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.tell, number)
    status = await supervisor.run()
    structlog.get_logger().info("workers-stopped", status=status)
    return status


def main(arguments: Sequence[str]) -> int:
    """What `become` started: the listener, the number of workers, how to log, and what a worker runs."""
    listener, count, form, level, *command = arguments
    configure_logging(json=form == "json", level=level)
    return asyncio.run(supervise(Starting(tuple(command), inherited(int(listener)), int(count))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
