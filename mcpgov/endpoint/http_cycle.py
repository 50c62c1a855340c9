"""One request and its answer on a connection: the `receive` and `send` that an ASGI application is given.

It does what uvicorn's own cycle does, and no more than is used here: what has come of the body is given at once, and
the head of an answer of known length goes out with its first piece. Two extensions save each call a task and a timer:
LEAVING takes a function that is called when the connection is lost before the answer is complete, WHOLE says whether
all of the body has come. No application here frames its answers itself (transfer-encoding).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn._types import HTTPScope
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LEAVING: Final = "mcpgov.leaving"
WHOLE: Final = "mcpgov.whole"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LINE: Final = b"%b: %b\r\n"
UNSIZED: Final = (204, 304)  # RFC 9110 section 8.6


class Cycle(RequestResponseCycle):
    """The cycle of a connection for one request at a time. `protocol` is told when the answer is sent."""

    def __init__(self, protocol: HttpToolsProtocol, scope: HTTPScope, *, keep_alive: bool) -> None:
        # The base would be told all of this one by one, and make an Event for each request.
        self.scope = scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.logger = protocol.logger
        self.on_response = protocol.on_response_complete
        self.disconnected = False
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.body = bytearray()
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self._came = False  # something of the body that nobody has received yet, or its end
        self._arrival: asyncio.Event | None = None  # made where somebody has to wait
        self._leaving: Callable[[], object] | None = None
        self._head = b""  # of an answer of which nothing else was written yet
        self._left: int | None = 0  # bytes of the answer that are still to come; None where nobody has said

    # -- what comes ----------------------------------------------------------------------------------------------------

    def take(self, body: bytes) -> None:
        """A piece of the body has come. What nobody receives is not read on for ever."""
        self.body += body
        if len(self.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self._wake()

    def end_body(self) -> None:
        """All of the body has come."""
        self.more_body = False
        self._wake()

    def is_whole(self) -> bool:
        """Whether all of the body has come, and can be received at once."""
        return self._came and not self.more_body

    def leave(self) -> None:
        """The connection is lost."""
        if self.response_complete:
            return
        self.disconnected = True
        if self._arrival is not None:
            self._arrival.set()
        if self._leaving is not None:
            self._leaving()

    def when_left(self, call: Callable[[], object]) -> None:
        """Have `call` called when the client leaves before the answer is complete; now, where it has left."""
        self._leaving = call
        if self.disconnected:
            call()

    async def receive(self) -> Any:
        """What has come of the body since the last time, as soon as there is something; or that the client has left."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(CONTINUE)
            self.waiting_for_100_continue = False
        if not (self._came or self.disconnected or self.response_complete):
            self.flow.resume_reading()
            self._arrival = self._arrival or asyncio.Event()
            self._arrival.clear()
            await self._arrival.wait()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        self._came = False
        body, self.body = bytes(self.body), bytearray()
        self.flow.resume_reading()  # also where the body is whole: a client that leaves is only noticed by reading
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def _wake(self) -> None:
        self._came = True
        if self._arrival is not None:
            self._arrival.set()

    # -- what goes -----------------------------------------------------------------------------------------------------

    async def send(self, message: Any) -> None:
        """Send the head of the answer, or a piece of its body. Raises RuntimeError where it is not the turn of that."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self._begin(message["status"], message.get("headers", []))
        elif message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"It is not the turn of {message['type']}.")

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        names, values = zip(*headers, strict=True) if headers else ((), ())
        # A line end in one of them would begin a field, or an answer, that nobody here has written.
        if HEADER_RE.search(b"".join(names)) or HEADER_VALUE_RE.search(b"".join(values)):
            raise RuntimeError("A header field of the answer has a character that none may have.")
        fields = dict(zip(map(bytes.lower, names), values, strict=True))
        lines = [STATUS_LINE[status], *map(LINE.__mod__, headers)]
        if b"close" in [token.strip() for token in fields.get(b"connection", b"").lower().split(b",")]:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close\r\n")
        length = fields.get(b"content-length")
        self._left = None if length is None else int(length)
        if length is None and (self.scope["method"] == "HEAD" or status in UNSIZED):
            self._left = 0
        elif length is None:
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self._head = b"".join(lines)
        if length is None:  # a stream, whose first event may be long in coming
            self._write(b"")

    def _go_on(self, body: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            self._write(b"")
        elif self._left is None:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self._write(chunk if more else chunk + b"0\r\n\r\n")
        else:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("The body of the answer is not as long as was said.")
            self._write(body)
        if not more:
            self.response_complete = True
            self._wake()
            # What knows of the cycle is let go of, so that nobody has to collect it.
            self._leaving = None
            self.scope["extensions"] = {}
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def _write(self, data: bytes) -> None:
        """Write the head, if nobody has yet, and the data, if there is any."""
        data, self._head = self._head + data, b""
        if data:
            self.transport.write(data)
