"""One local MCP server as a process: started, spoken to line by line, heard on stderr, ended without a trace.

Rules: it inherits a short list of our environment and nothing else; it has its own process group, and the whole group
ends with it; its stdin pushes back on us and we push back on its stdout; what it says on stderr is logged escaped,
short, without the secrets it was given, and not faster than a person could read. What the lines mean is for its
owner.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Self, cast

import structlog

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcpgov.models import LocalUpstream, Secret

INHERITED = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER")
READ = 65536  # bytes
LOGGED_CHARACTERS = 500
LOGGED_LINES = 100
SHORTEST_SECRET = 4  # characters; to mask anything shorter would mask the language


@frozen
class StdioLimits:
    """The most bytes of one message, the seconds a server gets for each step of ending (asked, told, killed), and the
    seconds in which at most LOGGED_LINES of what it says on stderr are logged.
    """

    message_bytes: int = 32 << 20
    grace: float = 2.0
    logged_seconds: float = 10.0


class OutPipe:
    """A pipe that a process writes to and we read: ours to close, whoever else still holds the other end."""

    def __init__(self, theirs: int, reader: asyncio.StreamReader, transport: asyncio.BaseTransport) -> None:
        self.theirs = theirs
        self.close = transport.close
        self._reader = reader

    @classmethod
    async def open(cls) -> Self:
        """A new pipe. `theirs` is the file descriptor to write to."""
        ours, theirs = os.pipe()
        reader = asyncio.StreamReader(limit=READ)
        file = os.fdopen(ours, "rb", 0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), file
        )
        return cls(theirs, reader, transport)

    async def read(self) -> bytes:
        """What has come, at least one byte of it; empty at the end."""
        return await self._reader.read(READ)


class StdioProcess:
    """A running server. Whoever starts one reads `lines` to their end and then calls `stop`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        pipes: tuple[OutPipe, OutPipe],
        name: str,
        limits: StdioLimits,
        secrets: list[Secret],
    ) -> None:
        self._process = process
        self._stdin = cast("asyncio.StreamWriter", process.stdin)
        self._stdout, self._stderr = pipes
        self._limits = limits
        self.log = structlog.get_logger().bind(connection=name, pid=process.pid)
        self._writing = asyncio.Lock()
        self._exited = asyncio.Event()
        self._read_out = asyncio.Event()
        self._reaping = asyncio.create_task(self._reap(secrets))

    @classmethod
    async def start(cls, name: str, upstream: LocalUpstream, limits: StdioLimits) -> Self:
        """Start the command of `upstream`. Raises Refusal (upstream-unreachable)."""
        stdout, stderr = await OutPipe.open(), await OutPipe.open()
        try:
            process = await asyncio.create_subprocess_exec(
                *upstream.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=stdout.theirs,
                stderr=stderr.theirs,
                env=environment_of(upstream),
                cwd=upstream.working_directory or None,
                start_new_session=True,  # its own group: our Ctrl-C is not its own, and its children end with it
            )
        except OSError as error:
            stdout.close()
            stderr.close()
            why = error.strerror or type(error).__name__
            log = structlog.get_logger()
            log.warning("local-server-not-started", connection=name, program=upstream.command[0], error=why)
            message = "The local server cannot be started."
            raise Refusal(Reason.UPSTREAM_UNREACHABLE, message, detail=type(error).__name__) from None
        finally:
            os.close(stdout.theirs)
            os.close(stderr.theirs)
        return cls(process, (stdout, stderr), name, limits, [secret for _, secret in upstream.environment])

    async def send(self, message: bytes) -> None:
        """Write one message as one line, when there is room for it. Raises Refusal (upstream-reset)."""
        try:
            async with self._writing:
                if self._stdin.is_closing():
                    raise ConnectionResetError
                await self._stdin.drain()
                self._stdin.write(one_line(message))
        except (ConnectionError, RuntimeError):  # uvloop says RuntimeError for a pipe that is closed
            raise ended() from None

    def send_now(self, message: bytes) -> None:
        """Write a short message without waiting, or lose it: for a word to a server that may have stopped listening."""
        if not self._stdin.is_closing() and self._stdin.transport.get_write_buffer_size() <= READ:
            self._stdin.write(one_line(message))

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """What it writes on stdout, line by line, until it ends. Raises Refusal (upstream-too-large)."""
        parts: list[bytes] = []
        size = 0
        try:
            while chunk := await self._stdout.read():
                *complete, rest = chunk.split(b"\n")
                for end in complete:
                    yield b"".join([*parts, end])
                    parts, size = [], 0
                parts.append(rest)
                size += len(rest)
                if size > self._limits.message_bytes:
                    raise Refusal(Reason.UPSTREAM_TOO_LARGE, "The local server sent a message that is too large.")
        finally:
            self._read_out.set()

    async def stop(self) -> None:
        """End it and its group, kindly first. Returns when it is gone."""
        self._stdin.close()
        for sign in (None, signal.SIGTERM, signal.SIGKILL):
            if sign is not None and not self._exited.is_set():
                self._signal_group(sign)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._exited.wait(), self._limits.grace)
        await asyncio.wait({self._reaping}, timeout=3 * self._limits.grace)

    async def _reap(self, secrets: list[Secret]) -> None:
        """Stay with the process to its end, and leave nothing of it: no child, no pipe."""
        hearing = asyncio.create_task(self._hear(secrets))
        await self._process.wait()
        self._signal_group(signal.SIGKILL)  # what it started and left behind
        self._exited.set()
        self.log.info("local-server-ended", returncode=self._process.returncode)
        await asyncio.wait({hearing}, timeout=self._limits.grace)  # its last words say why it ended
        with suppress(TimeoutError):
            await asyncio.wait_for(self._read_out.wait(), self._limits.grace)
        self._stdout.close()  # also where something got away and still holds it
        self._stderr.close()
        await asyncio.wait({hearing})

    def _signal_group(self, sign: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, sign)

    async def _hear(self, secrets: list[Secret]) -> None:
        """Log what it says on stderr. Read on whatever comes: a full pipe would stop it."""
        clock = asyncio.get_running_loop().time
        since, said = clock(), 0
        chunk, rest = b"\n", b""
        while chunk:
            chunk = await self._stderr.read()
            *complete, rest = (rest[-READ:] + (chunk or b"\n")).split(b"\n")
            for line in filter(None, complete):
                if clock() - since > self._limits.logged_seconds:
                    since, said = clock(), 0
                said += 1
                if said <= LOGGED_LINES:
                    self.log.info("local-server-said", text=printable(line, secrets))
                elif said == LOGGED_LINES + 1:
                    self.log.warning("local-server-says-too-much", seconds=self._limits.logged_seconds)


def environment_of(upstream: LocalUpstream) -> dict[str, str]:
    """The environment a local server gets: a few names of ours, then its own."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return inherited | {name: secret.reveal() for name, secret in upstream.environment}


def one_line(message: bytes) -> bytes:
    """A JSON message as one line. Raw line ends in JSON stand only between tokens, where a space means the same."""
    return message.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"


def printable(line: bytes, secrets: list[Secret]) -> str:
    """A line of stderr as it may be logged."""
    text = line.decode("utf-8", "replace")
    for secret in secrets:
        if len(secret.reveal()) >= SHORTEST_SECRET:
            text = text.replace(secret.reveal(), "***")
    return ascii(text[:LOGGED_CHARACTERS].rstrip())[1:-1]


def ended() -> Refusal:
    """The refusal for calls whose server has ended."""
    return Refusal(Reason.UPSTREAM_RESET, "The local server ended.")
