"""The one thing that ASGI cannot see: a second request pipelined behind one that is still being answered.

The server underneath stops reading when a second request waits, and tells the disconnect to the one that waits: the
first caller could vanish and its upstream call would run on unseen. No MCP client pipelines, so the connection ends.
"""

from __future__ import annotations

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class UnpipelinedHttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 without pipelining: a request that comes before the answer to the one before it ends the connection.

    RFC 9112 section 9.3.2 lets a server close a connection at any time; an unanswered request may then be retried.
    """

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of each request."""
        if self.cycle and not self.cycle.response_complete:
            structlog.get_logger().warning("pipelined-request-refused", peer=self.client[0] if self.client else "")
            self.transport.abort()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser when a request's head is complete; nothing starts on a connection that has ended."""
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Called by the parser for each piece of a body."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser at the end of each request."""
        if not self.transport.is_closing():
            super().on_message_complete()
