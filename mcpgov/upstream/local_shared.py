"""A STATELESS local server: one process that all callers of a connection share, started again when it ends.

Rules: request ids and progress tokens are minted anew for this link, so that no caller can name another's, and are
mapped back in everything that is answered; nothing else in a message changes. What cannot be told to belong to one
caller is told to none. A caller that leaves cancels its request (2026-07-28, Cancellation: on stdio by notification).
A server that ends again and again is started less and less often. One that does not know `server/discover` is a
HANDSHAKE server, and is said to be one in the words that make a client fall back to `initialize`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcpgov.decision import Reason
from mcpgov.errors import HEADER_MISMATCH, INVALID_REQUEST, PARSE_ERROR, UNSUPPORTED_PROTOCOL_VERSION, Refusal
from mcpgov.frozen import frozen
from mcpgov.messages import SUBSCRIPTION_ID, error_code, is_response, mapping, outline, parse_message
from mcpgov.strict_json import dumps
from mcpgov.upstream.answers import not_mcp
from mcpgov.upstream.mailbox import Mailbox, first_messages, json_answer, stream_answer
from mcpgov.upstream.stdio_process import StdioProcess, ended

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from mcpgov.messages import Message
    from mcpgov.models import Answer, Json, JSONRPCId, MCPRequest

MAILBOX_BYTES = 4 << 20
METHOD_NOT_FOUND = -32601
MISSING_CAPABILITY = -32021
STATELESS_ERRORS = frozenset({HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_PROTOCOL_VERSION})
STATUS = dict.fromkeys((*STATELESS_ERRORS, INVALID_REQUEST, PARSE_ERROR), 400) | {METHOD_NOT_FOUND: 404}
LONGEST_PAUSE = 60.0  # seconds
DOUBLINGS = 8  # more would make no longer pause, and in the end no number
RANDOM_BITS, COUNTED_BITS = 32, 21  # of a minted id: 53, what every reader of JSON keeps


@frozen
class Call:
    """An open request: how its caller named it, and where its messages go."""

    request_id: JSONRPCId | None
    token: Json
    mailbox: Mailbox


@dataclass(slots=True)
class Restarts:
    """When a server that ends may be started again: at once, then after 1, 2, 4 ... seconds. `clock` is monotonic."""

    clock: Callable[[], float]
    failures: int = 0
    not_before: float = 0.0

    def ended(self) -> None:
        """It ended without having answered anything since the last failure."""
        doubled = min(self.failures - 1, DOUBLINGS)
        pause = min(2.0**doubled, LONGEST_PAUSE) if self.failures else 0.0
        self.failures += 1
        self.not_before = self.clock() + pause

    def answered(self) -> None:
        """It works."""
        self.failures = 0

    def require_time(self) -> None:
        """Raise Refusal (upstream-unreachable) while it is too early."""
        wait = self.not_before - self.clock()
        if wait > 0:
            message = "The local server keeps ending and is not started again yet."
            told = (("Retry-After", str(int(wait) + 1)),)
            raise Refusal(Reason.UPSTREAM_UNREACHABLE, message, headers=told)


class SharedServer:
    """The process behind one connection, whoever calls. `start` starts one; `clock` is monotonic, in seconds."""

    def __init__(self, start: Callable[[], Awaitable[StdioProcess]], clock: Callable[[], float]) -> None:
        self._start = start
        self._restarts = Restarts(clock)
        self._starting = asyncio.Lock()
        self._process: StdioProcess | None = None
        self._reading: set[asyncio.Task[None]] = set()  # the current process's, and those that are being ended
        self._ids = itertools.count(1)
        self._calls: dict[int, Call] = {}

    @property
    def in_use(self) -> bool:
        """Whether a request is open."""
        return bool(self._calls)

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    @asynccontextmanager
    async def exchange(self, request: MCPRequest, deadline: float) -> AsyncGenerator[Answer, None]:
        """Write a request and give its answer. Raises Refusal: upstream-timeout, -reset, -unreachable."""
        if request.method == "initialize":  # it would put the process into the other era, for everybody
            yield not_found(request)
            return
        minted = self._mint()
        meta = mapping(request.params.get("_meta"))
        call = Call(request.id, meta.get("progressToken"), Mailbox(MAILBOX_BYTES))
        self._calls[minted] = call
        try:
            yield await self._first(request, minted, call, deadline)
        finally:
            del self._calls[minted]
            call.mailbox.close()
            if not call.mailbox.complete and self._process is not None:
                self._process.send_now(cancelled(minted))

    async def notify(self, request: MCPRequest) -> None:
        """Write a notification through; but never a cancellation, which could name another caller's request."""
        if request.method != "notifications/cancelled":
            await (await self._running()).send(request.body)

    async def end(self) -> None:
        """End the process, if there is one. Requests that are open get upstream-reset."""
        process, self._process = self._process, None
        self._fail(ended())
        if process is not None:
            await process.stop()
        await asyncio.gather(*self._reading)

    def _mint(self) -> int:
        """An id that no open request has, and that nobody can guess who has seen others."""
        return secrets.randbits(RANDOM_BITS) << COUNTED_BITS | next(self._ids) % (1 << COUNTED_BITS)

    async def _first(self, request: MCPRequest, minted: int, call: Call, deadline: float) -> Answer:
        probe = request.method == "server/discover"
        try:
            first = await first_messages(call.mailbox, self._send(request, minted), deadline)
        except Refusal as refusal:
            if probe and refusal.reason is Reason.UPSTREAM_RESET:
                return not_found(request)  # some HANDSHAKE servers end when they hear of anything but initialize
            raise
        if len(first) != 1 or not call.mailbox.complete:
            return stream_answer(first, call.mailbox)
        code = error_code(parse_message(first[0]) or {})
        if probe and code is not None and code not in STATELESS_ERRORS:
            return not_found(request)
        return json_answer(first[0], STATUS.get(code, 200) if isinstance(code, int) else 200)

    async def _send(self, request: MCPRequest, minted: int) -> None:
        await (await self._running()).send(renamed(request.body, minted))

    async def _running(self) -> StdioProcess:
        async with self._starting:
            if self._process is None:
                self._restarts.require_time()
                self._process = await self._start()
                reading = asyncio.create_task(self._read(self._process))
                self._reading.add(reading)
                reading.add_done_callback(self._reading.discard)
            return self._process

    async def _read(self, process: StdioProcess) -> None:
        failure = ended()
        try:
            async for line in process.lines():
                self._route(process, line)
        except Refusal as refusal:
            failure = refusal
        finally:  # nobody reads it any more, whatever the cause
            if self._process is process:
                self._process = None
                self._restarts.ended()
                self._fail(failure)
                await process.stop()

    def _fail(self, failure: Refusal) -> None:
        for call in self._calls.values():
            call.mailbox.close(failure)

    def _route(self, process: StdioProcess, line: bytes) -> None:
        """Give a message to the one caller that it belongs to, in that caller's names."""
        message = parse_message(line)
        call = self._calls.get(belongs_to(message or outline(line)))
        if call is None:
            process.log.debug("local-server-said-it-to-nobody", bytes=len(line))
            if message is not None and "method" in message and "id" in message:
                process.send_now(refused_request(message))
        elif message is None:
            call.mailbox.close(not_mcp("an answer that cannot be read"))
        elif call.mailbox.full:  # to wait for one caller would hold up all the others
            call.mailbox.close(Refusal(Reason.OVERLOADED, "The client takes the answer more slowly than it is given."))
        else:
            self._deliver(call, message)

    def _deliver(self, call: Call, message: Message) -> None:
        last = is_response(message)
        if last:
            self._restarts.answered()
        try:
            call.mailbox.put(told_to(call, message), last=last)
        except (ValueError, RecursionError):  # a number that no JSON can hold, a depth that can be read but not written
            call.mailbox.close(not_mcp("an answer that cannot be written again"))
        if message.get("method") == "notifications/cancelled":
            call.mailbox.close()  # how a server ends a subscription over stdio


def renamed(body: bytes, minted: int) -> bytes:
    """A request with the id, and the progress token if there is one, that this link knows it by."""
    message: dict[str, Json] = json.loads(body)
    message["id"] = minted
    params = mapping(message.get("params"))
    meta = mapping(params.get("_meta"))
    if "progressToken" in meta:
        message["params"] = {**params, "_meta": {**meta, "progressToken": minted}}
    return dumps(message)


def belongs_to(message: Message) -> int:
    """The minted id of the request that a message from the server belongs to; 0 where it does not say."""
    if is_response(message):
        named = message.get("id")
    else:
        params = mapping(message.get("params"))
        named = {
            "notifications/progress": params.get("progressToken"),
            "notifications/cancelled": params.get("requestId"),
        }.get(str(message.get("method")), mapping(params.get("_meta")).get(SUBSCRIPTION_ID))
    return named if isinstance(named, int) and not isinstance(named, bool) else 0


def told_to(call: Call, message: Message) -> bytes:
    """The message in the caller's names. Raises ValueError or RecursionError if it cannot be written again."""
    told = dict(message)
    part = "result" if "result" in told else "params"
    inner = dict(mapping(told.get(part)))
    if is_response(message):
        told["id"] = call.request_id
    if message.get("method") == "notifications/progress":
        inner["progressToken"] = call.token
    if message.get("method") == "notifications/cancelled":
        inner["requestId"] = call.request_id
    meta = mapping(inner.get("_meta"))
    if SUBSCRIPTION_ID in meta:
        inner["_meta"] = {**meta, SUBSCRIPTION_ID: call.request_id}
    if inner:
        told[part] = inner
    return dumps(told)


def not_found(request: MCPRequest) -> Answer:
    """What a server of the other era would have answered (MCP 2026-07-28, era detection)."""
    error = {"code": METHOD_NOT_FOUND, "message": "Method not found"}
    return json_answer(dumps({"jsonrpc": "2.0", "id": request.id, "error": error}), 404)


def cancelled(minted: int) -> bytes:
    """The word to the server that nobody waits for its answer any more."""
    return dumps({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": minted}})


def refused_request(message: Message) -> bytes:
    """The answer to a request of the server's own, which this era does not have."""
    error = {"code": METHOD_NOT_FOUND, "message": "A server has no requests in this protocol version."}
    return dumps({"jsonrpc": "2.0", "id": message.get("id"), "error": error})
