"""The HTTP server underneath, as the gateway runs it: no headers of its own, no proxy believed, no pipelining.

It ends when it is told to by SIGTERM or SIGINT, from the moment it exists and not only once it serves: a signal that
came in between would otherwise be lost, or end the process with calls unrecorded.
"""

from __future__ import annotations

import asyncio
import math
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from mcpgov.endpoint.http_protocol import StrictConfig, StrictHttpProtocol
from mcpgov.endpoint.limits import UNTOLD, ConnectionLimits

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator

DRAIN = 30  # seconds that running calls have once it was told to end


class GatewayServer(uvicorn.Server):
    """Serves one ASGI application on sockets that it is given, until it is told to end."""

    def __init__(self, app: Any, drain: int = DRAIN, limits: ConnectionLimits = UNTOLD) -> None:
        options = StrictConfig(
            app,
            http=StrictHttpProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=drain,
            timeout_keep_alive=math.ceil(limits.idle_seconds),
        )
        options.limits = limits
        super().__init__(options)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none here: uvicorn would raise them again when it is done, before what is ours is closed."""
        yield

    def end_on_signals(self) -> None:
        """From now on SIGTERM and SIGINT end the server; a second SIGINT does not wait for running calls."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)

    async def serve_on(self, sock: socket.socket) -> None:
        """Serve until told to end; when this returns, every call has ended and was given the time to say so."""
        await self.serve(sockets=[sock])
        if self.force_exit:  # told twice: uvicorn has not waited for the calls that run, and has not ended them either
            for task in self.server_state.tasks:
                task.cancel()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)
