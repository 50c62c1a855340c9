"""What one governed call costs mcpgov itself: interpreter steps, counted, and CPU, measured.

    python -m benchmarks.hot_path --steps 200       steps a call, and the functions that take the most of them
    python -m benchmarks.hot_path --steps 200 --bare    of which HTTP and ASGI alone
    python -m benchmarks.hot_path --cpu 20000       microseconds of CPU a call, at one and at sixteen at a time
    python -m benchmarks.hot_path --cpu 20000 --against HEAD~3    the same of another revision, in alternating rounds

A gateway is wired as `serve` wires it (gateway key, five policy elements, one credential, a durable ledger in SQLite),
behind the server's own protocol on a transport that is memory, before an upstream that is none: no socket, no kernel.
A step is one bytecode instruction on the event loop's thread. The count is the same on every machine; the thread that
writes the ledger is not in it, and what C does in one step is not either. CPU is that of the whole process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

import uvloop

from benchmarks.gateway import Shape, furnished, new_key
from benchmarks.wire import Message, fields, message
from mcpgov import app
from mcpgov.endpoint.http_protocol import StrictHttpProtocol
from mcpgov.endpoint.server import GatewayServer
from mcpgov.models import Answer, Event, Headers
from mcpgov.stage_settings import endpoint_settings
from mcpgov.strict_json import JsonLimits, parse
from mcpgov.telemetry import configure_logging

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import CodeType, FrameType

    from mcpgov.endpoint.http_protocol import StrictConfig
    from mcpgov.models import Connection, Credential, Json, MCPRequest

CALL: Final = {"name": "echo", "arguments": {"text": "ping"}}
WARM: Final = 64  # calls before anything is counted
WIDTHS: Final = (1, 16)
ROUNDS: Final = 5
SHOWN: Final = 40
PONG: Final = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"pong"}],"resultType":"complete"}}'
ROOT: Final = Path(__file__).parents[1]


@dataclass(slots=True)
class Once:
    """The events of an answer that is one message."""

    events: tuple[Event, ...] | None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        if self.events is None:
            raise StopAsyncIteration
        events, self.events = self.events, None
        return events


class Forwarded:
    """One answer, at once."""

    __slots__ = ("_answer",)

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __aenter__(self) -> Answer:
        return self._answer

    async def __aexit__(self, *_: object) -> None:
        """There is nothing to close."""


class NoUpstream:
    """Implements pipeline.Upstream without a server."""

    def __init__(self) -> None:
        self._headers = Headers((("content-type", "application/json"),))
        message: Json = parse(PONG, JsonLimits())
        self._events = (Event(PONG, PONG, message if isinstance(message, dict) else None),)

    def forward(
        self, _request: MCPRequest, _connection: Connection, _decision: object, _credential: Credential
    ) -> Forwarded:
        """The same answer to every request."""
        return Forwarded(Answer(200, self._headers, streaming=False, events=Once(self._events)))


@dataclass(slots=True)
class Wire(asyncio.Transport):
    """A connection in memory. What is written is looked at, and dropped."""

    answered: asyncio.Future[bytes] | None = None
    written: list[bytes] = field(default_factory=list[bytes])
    closed: bool = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Where the ends of the connection are."""
        return {"peername": ("127.0.0.1", 40000), "sockname": ("127.0.0.1", 8080)}.get(name, default)

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Take a piece of the answer; the last one is the message."""
        self.written.append(piece := bytes(data))
        if piece.endswith(PONG[-24:]) and self.answered is not None:
            self.answered.set_result(b"".join(self.written))
            self.written.clear()

    def is_closing(self) -> bool:
        """Whether one of the two has closed it."""
        return self.closed

    def get_write_buffer_size(self) -> int:
        """All is taken at once."""
        return 0

    def close(self) -> None:
        """A call that is not yet answered is answered so."""
        self.closed = True
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(b"closed: " + b"".join(self.written))

    def pause_reading(self) -> None:
        """There is nothing that would wait."""

    def resume_reading(self) -> None:
        """There is nothing that waits."""


class Caller:
    """One client, on one connection, that makes one call after the other."""

    def __init__(self, server: GatewayServer, key: str) -> None:
        self._wire = Wire()
        headers = {**fields("tools/call", "echo"), "X-API-Key": key}
        self._call = Message(8080, "/mcp/bench", headers, message("tools/call", CALL)).packed()
        config = server.config
        if not config.loaded:
            config.load()
        options = cast("StrictConfig", config)
        self._protocol = StrictHttpProtocol(options, server.server_state, {}, asyncio.get_running_loop())
        self._protocol.connection_made(self._wire)

    async def call(self) -> None:
        """Make one call, and look at its answer."""
        self._wire.answered = asyncio.get_running_loop().create_future()
        self._protocol.data_received(self._call)
        answer = await self._wire.answered
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(answer.decode())

    async def calls(self, count: int) -> None:
        """Make so many."""
        for _ in range(count):
            await self.call()

    def leave(self) -> None:
        """Close the connection, as a client does."""
        self._wire.closed = True
        self._protocol.connection_lost(None)


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[tuple[GatewayServer, str]]:
    """The gateway, as `serve` has it, and a key for it."""
    config = furnished(folder, Shape(), 8080, 9)
    key = await asyncio.to_thread(new_key, config)
    configure_logging(json=True, level="error")
    async with app.running(config) as running:
        stages = replace(running.stages, upstream=NoUpstream())
        endpoint = endpoint_settings(running.storage.settings, running.buffers)
        gateway = running.gateway.__class__(stages, endpoint, lambda: True)
        yield GatewayServer(gateway), key


class Steps:
    """Counts bytecode instructions by function, on the thread that it is switched on in."""

    def __init__(self) -> None:
        self.of: Counter[CodeType] = Counter()
        self.entered: Counter[CodeType] = Counter()

    def __call__(self, frame: FrameType, event: str, _arg: object) -> Steps:
        """Called by the interpreter."""
        if event == "opcode":
            self.of[frame.f_code] += 1
        elif event == "call":
            self.entered[frame.f_code] += 1
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self


OWN: Final = frozenset({Caller.call.__code__, Caller.calls.__code__, Wire.write.__code__, NoUpstream.forward.__code__})


async def bare(_scope: Any, receive: Any, send: Any) -> None:
    """An application that reads its request and answers: what HTTP and ASGI cost alone."""
    while (await receive())["more_body"]:
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(PONG)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PONG})


async def counted(calls: int, *, alone: bool) -> Steps:
    """The steps of so many calls; `alone` to the application that does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder)) as (server, key):
            caller, steps = Caller(GatewayServer(bare) if alone else server, key), Steps()
            await caller.calls(WARM)
            sys.settrace(steps)
            await caller.calls(calls)
            sys.settrace(None)
            caller.leave()
    for code in OWN:
        del steps.of[code]
    return steps


async def measured(calls: int) -> dict[int, float]:
    """Microseconds of CPU of one call, by how many are made at a time: the median of some rounds."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder)) as (server, key):
            taken: dict[int, list[float]] = {width: [] for width in WIDTHS}
            for _ in range(ROUNDS):
                for width, values in taken.items():
                    callers, each = [Caller(server, key) for _ in range(width)], max(1, calls // width // ROUNDS)
                    await asyncio.gather(*(caller.calls(WARM) for caller in callers))
                    begin = time.process_time()
                    await asyncio.gather(*(caller.calls(each) for caller in callers))
                    values.append((time.process_time() - begin) / (each * width))
                    for caller in callers:
                        caller.leave()
    return {width: statistics.median(values) * 1e6 for width, values in taken.items()}


def told(steps: Steps, calls: int) -> str:
    """The tables of the dearest files and functions."""
    total, files = steps.of.total(), Counter[str]()
    for code, count in steps.of.items():
        files[file_of(code)] += count
    lines = [f"{total / calls:>9.1f} steps, {steps.entered.total() / calls:.1f} functions a call"]
    lines += [f"{count / calls:>9.1f} {count / total:6.1%}  {file}" for file, count in files.most_common(SHOWN)]
    for code, count in steps.of.most_common(5 * SHOWN):
        name = f"{code.co_qualname}({', '.join(code.co_varnames[1:4])}…)" if "<" in file_of(code) else code.co_qualname
        times, place = steps.entered[code] / calls, f"{file_of(code)}:{code.co_firstlineno}"
        lines.append(f"{count / calls:>9.1f} {count / total:6.1%} {times:6.1f}x  {name}  {place}")
    return "\n".join(lines)


def file_of(code: CodeType) -> str:
    """The file of a function, and the folder it is in; `<string>` for one that was made."""
    return "/".join(Path(code.co_filename).parts[-2:])


def checked_out(revision: str, folder: Path) -> Path:
    """The files of a revision."""
    packed = subprocess.run(
        ["/usr/bin/env", "git", "archive", revision], check=True, capture_output=True, cwd=ROOT
    ).stdout
    subprocess.run(["/usr/bin/env", "tar", "--extract", "--directory", str(folder)], check=True, input=packed)
    return folder


def run_in(tree: Path, calls: int) -> dict[str, float]:
    """What a process of its own measures of the gateway in `tree`."""
    command = [sys.executable, str(Path(__file__)), "--cpu", str(calls), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, check=True, capture_output=True, env=environment, cwd=tree)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compared(calls: int, revision: str) -> str:
    """CPU of this tree and of another revision, in alternating rounds."""
    with tempfile.TemporaryDirectory() as folder:
        trees = {"here": ROOT, revision: checked_out(revision, Path(folder))}
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
        for number in range(ROUNDS):
            for name in list(trees) if number % 2 == 0 else list(reversed(trees)):
                taken[name].append(run_in(trees[name], calls))
    lines: list[str] = []
    for width in map(str, WIDTHS):
        medians = {name: statistics.median(one[width] for one in found) for name, found in taken.items()}
        told = ", ".join(f"{name} {value:.1f} us" for name, value in medians.items())
        lines.append(f"c={width}: {told}, ratio {medians['here'] / medians[revision]:.3f}")
    return "\n".join(lines)


def main() -> None:
    """Count or measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, metavar="CALLS", default=0)
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--cpu", type=int, metavar="CALLS", default=0)
    parser.add_argument("--against", metavar="REVISION", default="")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.against:
        print(compared(options.cpu, options.against))
    elif options.cpu:
        figures = uvloop.run(measured(options.cpu))
        print(json.dumps(figures) if options.json else figures)
    else:
        calls = options.steps or WARM
        steps = uvloop.run(counted(calls, alone=options.bare))
        print(json.dumps(steps.of.total() / calls) if options.json else told(steps, calls))


if __name__ == "__main__":
    main()
