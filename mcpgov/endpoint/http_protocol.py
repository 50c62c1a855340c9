"""What ASGI cannot see, and a server at the edge must not leave to the one underneath (decision 5).

- a second request pipelined behind one that is being answered. The server would stop reading, and tell a disconnect to
  the one that waits: the first caller could vanish and its upstream call run on unseen. The connection ends;
- trailers. The parser reports them like fields of the head, which has been judged by then: a caller could add a key, or
  forge its address behind a proxy. They are dropped (RFC 9110 section 6.5.1);
- a head, a trailer or chunk extensions without end, which would fill memory or time before anybody knows who calls;
- a head that two servers could read differently (limits.py has the list): 400, and the connection ends;
- clients that are silent, slow, or take nothing of what they are told: a clock runs wherever it is the client's turn,
  but for a body that is being read, which is waited for there, by name (limits.py);
- one connection too many: 503, unread.

Nothing here is recorded: there is no request yet, and nobody who made it. It refuses to know what is asked for.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote

import httptools
import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mcpgov.endpoint.http_cycle import LEAVING, WHOLE, Cycle
from mcpgov.endpoint.limits import UNTOLD, head_fault

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application, HTTPScope
    from uvicorn.server import ServerState

REFUSED: Final = b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n%s\r\n"
RETRY: Final = b"retry-after: 1\r\n"
FRAMING: Final = (b"content-length", b"transfer-encoding")
MOMENT: Final = 0.25  # seconds that a request, sent before its client knew that the server ends, has to come
CHUNK_FRAME: Final = 20  # bytes around a chunk: sixteen digits and two line ends


class Turn(Enum):
    """What is awaited on a connection."""

    REQUEST = "the first byte of a request"
    HEAD = "the rest of its head"
    BODY = "the rest of its body"
    ANSWER = "its answer"
    ANOTHER = "another request, for a while"


class StrictConfig(uvicorn.Config):
    """The server's options, and the limits of each of its connections."""

    limits = UNTOLD


class Rest:
    """What a second parser tells of a body, and of what comes behind it."""

    __slots__ = ("_began", "_whole", "on_body", "on_chunk_header", "on_message_complete")

    def __init__(self, whole: StrictHttpProtocol) -> None:
        self._whole = whole
        self._began = False
        self.on_body = whole.on_body
        self.on_chunk_header = whole.on_chunk_header
        self.on_message_complete = whole.on_message_complete

    def on_message_begin(self) -> None:
        """Called for the request whose body it is, and for one that is pipelined behind it."""
        if self._began:
            self._whole.on_message_begin()
        self._began = True


class StrictHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 for one request at a time, with a head of bounded size and no trailer, from a client that keeps up."""

    # With so many attributes more, each connection would have a dictionary with keys of its own, of 1.5 KB.
    __slots__ = ("_call", "_framing", "_last", "_limits", "_patience", "_taking", "_turn", "_unread", "_until",
        "_wakes", "url")  # fmt: skip

    def __init__(
        self,
        config: StrictConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = config.limits
        self._turn = Turn.REQUEST
        self._last = False  # the next request is the last one, or the one that is being answered
        self._call: Cycle | None = None  # the same as `cycle`
        self._framing = 0  # bytes that were neither a whole head nor a piece of a body
        self._unread = b""  # how the body is framed that the parser takes for another protocol's bytes
        self._patience: asyncio.TimerHandle | None = None  # with what is to come; looks whether it is too late yet
        self._wakes = self._until = math.inf  # when it looks next, and when it will be; of the loop's clock
        self._taking: asyncio.TimerHandle | None = None  # of what was written

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Called when a client has connected."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._refuse(b"503 Service Unavailable", RETRY)
        else:
            self._wait(self._limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when it is over."""
        if self._patience is not None:
            self._patience.cancel()
        self._stop_asking()
        self.connections.discard(self)
        self.parser = cast("httptools.HttpRequestParser", None)  # or the two keep each other
        if self._call is not None:
            self._call.leave()
        self.flow.resume_writing()
        if exc is None:
            self.transport.close()

    # -- what comes ----------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Called for whatever arrives. A field is told of when it is whole; until then only bytes can be counted."""
        if self._turn is Turn.ANOTHER:
            self._turn = Turn.REQUEST
            self._wait(self._limits.header_seconds)
        self._framing += len(data)
        try:
            self._read(data)
        except httptools.HttpParserError:  # its words, and those of the server, stay here
            self._refuse(b"400 Bad Request")
        if self._framing > self._limits.header_bytes:
            self._refuse(b"431 Request Header Fields Too Large")

    def _read(self, data: bytes) -> None:
        """Parse what has come. A request for another protocol is one like any other (RFC 9110 section 7.8): the parser
        leaves its body unread, so another reads on.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if not self._unread or self.transport.is_closing():
                return
            self.parser, framing, self._unread = httptools.HttpRequestParser(Rest(self)), self._unread, b""
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%s\r\n\r\n" % framing + data[upgrade.args[0] :])

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of each request."""
        if self.cycle and not self.cycle.response_complete:
            structlog.get_logger().warning("pipelined-request-refused", peer=self.client[0] if self.client else "")
            self.transport.abort()
        self._turn = Turn.HEAD
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for each field, those of a trailer too."""
        if self._turn is Turn.HEAD:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Called by the parser when a request's head is complete; nothing starts on a connection that has ended."""
        self._framing = 0
        self._wait(None)
        version = self.parser.get_http_version() if self.parser else ""
        fault = head_fault(self.url, self.headers, version, self._limits)
        if fault:
            self._refuse(fault)
        if not self.transport.is_closing():
            self._start(version, dict(self.headers))

    def _start(self, version: str, fields: dict[bytes, bytes]) -> None:
        """Have the application serve the request. It is given what uvicorn gives it, and our extensions."""
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.expect_100_continue = fields.get(b"expect", b"").lower() == b"100-continue"
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": "",
            "method": self.parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
            "headers": self.headers,
        }
        # Behind a request for another protocol, the parser expects that one.
        kept = version != "1.0" and self.parser.should_keep_alive() and b"upgrade" not in fields
        self._call = call = Cycle(self, cast("HTTPScope", scope), keep_alive=kept and not self._last)
        scope["extensions"] = {LEAVING: call.when_left, WHOLE: call.is_whole}
        self.cycle = call
        self._start_asgi_task(call, cast("ASGI3Application", self.config.app))
        self._turn = Turn.BODY  # of the request that the cycle is now for
        if self.parser.should_upgrade():
            framed = (field for field in self.headers if field[0] in FRAMING)
            self._unread = b"".join(b"%s: %s" % field for field in framed)  # one at most: see head_fault

    def on_chunk_header(self) -> None:
        """Called by the parser when a chunk's size and extensions are read, which are nothing to anybody."""
        self._framing = max(0, self._framing - CHUNK_FRAME)

    def on_body(self, body: bytes) -> None:
        """Called by the parser for each piece of a body."""
        self._framing = max(0, self._framing - len(body))
        if self._call is not None and not self._call.response_complete and not self.transport.is_closing():
            self._call.take(body)

    def on_message_complete(self) -> None:
        """Called by the parser at the end of each request."""
        if self._unread:
            return  # not yet: see _read
        self._turn = Turn.ANSWER
        self._framing = 0
        if self._call is not None and not self.transport.is_closing():
            if not self._call.response_complete:
                self._call.end_body()
            self._answered()

    # -- what goes -----------------------------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """Called when an answer is sent. A client that waits to be asked for its body may now send another request."""
        if self.expect_100_continue and self.cycle.more_body:
            self.transport.close()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._end()
        else:
            self.flow.resume_reading()
            self._answered()

    def pause_writing(self) -> None:
        """Called when the client takes less than it is sent."""
        super().pause_writing()
        self._ask_again()

    def resume_writing(self) -> None:
        """Called when it has caught up; not for one whose connection is about to end, which may keep a little."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._stop_asking()

    def shutdown(self) -> None:
        """Called when the server ends. Where nothing is being answered, a request may be on its way: of a connection
        that is closed at once, nobody would know whether it was served (RFC 9112 section 9.6).
        """
        self._last = True
        if self._call is not None and not self._call.response_complete:
            self._call.keep_alive = False
        else:
            self._wait(MOMENT)

    # -- whose turn it is ----------------------------------------------------------------------------------------------

    def _answered(self) -> None:
        """After an answer, what is left of its request, or else the next one, has a while to come."""
        if self.cycle.response_complete:
            self._turn = Turn.ANOTHER if self._turn is Turn.ANSWER else self._turn
            self._wait(self._limits.idle_seconds)

    def _wait(self, seconds: float | None) -> None:
        """Be patient for so long from now on; None is for ever. A timer that is set stays set, and looks again when it
        is due: to set another at every turn of every request would cost more than all the rest of this file.
        """
        if self._last and seconds is not None:
            seconds = MOMENT
        self._until = math.inf if seconds is None else self.loop.time() + seconds
        if self._until < self._wakes:
            self._set(seconds or 0)

    def _set(self, seconds: float) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._wakes = self.loop.time() + seconds
        self._patience = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._patience, self._wakes = None, math.inf
        left = self._until - self.loop.time()
        if left <= 0:
            self._too_late()
        elif left < math.inf:
            self._set(left)

    def _too_late(self) -> None:
        if self._turn is Turn.HEAD:
            self._refuse(b"408 Request Timeout")
        else:
            self._end()

    def _ask_again(self) -> None:
        """See to it, from time to time, that the client goes on taking what waits for it."""
        self._stop_asking()
        left = self.transport.get_write_buffer_size()
        self._taking = self.loop.call_later(self._limits.pace.seconds, self._has_taken, left)

    def _has_taken(self, before: int) -> None:
        if before - self.transport.get_write_buffer_size() < self._limits.pace.seconds * self._limits.pace.rate:
            self.transport.abort()
        else:
            self._ask_again()

    def _stop_asking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
        self._taking = None

    def _end(self) -> None:
        """End the connection when the client has taken what was written, or takes too long for it."""
        self.transport.close()
        self._ask_again()

    def _refuse(self, status: bytes, fields: bytes = b"") -> None:
        """End the connection, with an answer where none has begun."""
        if self.transport.is_closing():
            return
        if self.cycle and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
            return
        if self._turn is Turn.BODY and self.cycle.response_complete:
            self._end()  # answered while its body came: a second answer would be taken for the next request's
            return
        if self.cycle:
            self.cycle.disconnected = True  # whatever it was about to say: one request has one answer
        self.transport.write(REFUSED % (status, fields))
        self._end()
