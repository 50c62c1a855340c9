"""A proxy of plain TCP between a gateway and a database: it passes everything, or goes away, falls silent, or is slow.

What it does from now on is its `mode`, also to connections that there are already.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import StrEnum
from threading import Thread
from typing import Final

SLOWLY: Final = 0.15  # seconds that each piece is held back


class Mode(StrEnum):
    """What becomes of what passes."""

    PASS = "pass"
    DOWN = "down"  # connections are reset, new ones too
    SILENT = "silent"  # connections are taken, and nothing passes
    SLOW = "slow"  # everything passes, late


class Stalling:
    """In front of a port of this machine, on a port of its own."""

    def __init__(self, server: int, slowly: float) -> None:
        self.port = 0
        self._slowly = slowly
        self._server = server
        self._mode = Mode.PASS
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def mode(self) -> Mode:
        """What it does."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        self._changed.set()
        self._changed = asyncio.Event()
        if mode is Mode.DOWN:
            self._cut()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the gateway."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        if self._mode is Mode.DOWN:
            writer.transport.abort()
        try:
            with suppress(OSError):
                there, back = await asyncio.open_connection("127.0.0.1", self._server)
                self._writers.add(back)
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
                self._writers.discard(back)
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                while self._mode is Mode.SILENT:
                    await self._changed.wait()
                if self._mode is Mode.SLOW:
                    await asyncio.sleep(self._slowly)
                writer.write(data)
                await writer.drain()
        finally:
            writer.transport.abort()

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def stop(self) -> None:
        """End every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def stalling(server: int, slowly: float = SLOWLY) -> AsyncGenerator[Stalling]:
    """A proxy on a free port of the loopback."""
    proxy = Stalling(server, slowly)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        await proxy.stop()
        await listener.wait_closed()


@contextmanager
def stalling_elsewhere(server: int) -> Generator[tuple[int, Callable[[Mode], None]]]:
    """The same in a loop of its own, for a gateway that holds its loop up while it starts: the port, and what sets the
    mode.
    """
    ready: Future[tuple[Stalling, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        async with stalling(server) as proxy:
            ended = asyncio.Event()
            ready.set_result((proxy, asyncio.get_running_loop(), ended))
            await ended.wait()

    thread = Thread(target=asyncio.run, args=[run()])
    thread.start()
    proxy, loop, ended = ready.result()

    def become(mode: Mode) -> None:
        loop.call_soon_threadsafe(setattr, proxy, "mode", mode)

    try:
        yield proxy.port, become
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
