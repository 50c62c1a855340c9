"""What ASGI cannot see, and a server at the edge must not leave to the one underneath (decision 5).

- a second request pipelined behind one that is being answered. The server would stop reading, and tell a disconnect to
  the one that waits: the first caller could vanish and its upstream call run on unseen. The connection ends;
- trailers. The parser reports them like fields of the head, which has been judged by then: a caller could add a key, or
  forge its address behind a proxy. They are dropped (RFC 9110 section 6.5.1);
- a head without end, which would fill memory before anybody knows who calls: 431, and the connection ends;
- a target that is not a path. Servers do not agree on what `GET http://elsewhere/` names: 400, and the connection ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

    import uvicorn
    from uvicorn.server import ServerState

HEAD_BYTES = 16 * 1024
HEAD_FIELDS = 64
REFUSED = b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class StrictHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 for one request at a time, with a head of at most 16 KiB in 64 fields and no trailer."""

    # With so many attributes more, each connection would have a dictionary with keys of its own, of 1.5 KB.
    __slots__ = ("_head_is_read", "_swallowed", "url")

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._head_is_read = False
        self._swallowed = 0  # bytes since the parser last had a whole head or a piece of a body

    def data_received(self, data: bytes) -> None:
        """Called for whatever arrives. A field is told of when it is whole; until then only bytes can be counted."""
        self._swallowed += len(data)
        super().data_received(data)
        if self._swallowed > HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of each request."""
        if self.cycle and not self.cycle.response_complete:
            structlog.get_logger().warning("pipelined-request-refused", peer=self.client[0] if self.client else "")
            self.transport.abort()
        self._head_is_read = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for each field, those of a trailer too."""
        if not self._head_is_read:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Called by the parser when a request's head is complete; nothing starts on a connection that has ended."""
        self._head_is_read = True
        self._swallowed = 0
        if len(self.headers) > HEAD_FIELDS or sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")
        elif not self.url.startswith(b"/"):
            self._refuse(b"400 Bad Request")
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Called by the parser for each piece of a body."""
        self._swallowed = 0
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser at the end of each request."""
        self._swallowed = 0
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Called when an answer is sent. A client that waits to be asked for its body may now send another request."""
        if self.expect_100_continue and self.cycle.more_body:
            self.transport.close()
        super().on_response_complete()

    def _refuse(self, status: bytes) -> None:
        """End the connection, with an answer where none is under way."""
        if self.transport.is_closing():
            return
        if not self.cycle or self.cycle.response_complete:
            self.transport.write(REFUSED % status)
            self.transport.close()
        else:
            self.transport.abort()
