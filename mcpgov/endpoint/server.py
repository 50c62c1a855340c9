"""The HTTP server underneath, as the gateway runs it: no headers of its own, no proxy believed, no pipelining.

It ends when it is told to by SIGTERM or SIGINT, from the moment it exists and not only once it serves: a signal that
came in between would otherwise be lost, or end the process with calls unrecorded. Told to end, it takes no connection
more and closes those that are idle; running calls have DRAIN seconds, are cancelled then, and have LAST seconds to say
so. A client that does not take what it is told keeps nobody from ending.

A listener takes no more connections than half of the descriptors that the process may open, whatever the settings say:
strangers that hold all they can leave some for the servers behind, the store, and operators.
"""

from __future__ import annotations

import asyncio
import math
import signal
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import uvicorn

if sys.platform != "win32":
    import resource

from mcpgov.endpoint.handshake import EncryptedConfig, EncryptedListener
from mcpgov.endpoint.http_protocol import StrictConfig, StrictHttpProtocol
from mcpgov.endpoint.limits import UNTOLD, ConnectionLimits

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Generator, Iterable
    from types import FrameType

DRAIN = 22  # seconds; with what is closed after the calls less than 30, after which orchestrators kill
LAST = 1.0  # seconds
ENDS = (signal.SIGTERM, signal.SIGINT)


def nothing() -> None:
    """For a server whose application need not know that it ends."""


def noted_signals() -> list[int]:
    """The signals to end that come from now on, until a server is there to follow them."""
    loop, noted = asyncio.get_running_loop(), list[int]()
    for number in ENDS:
        loop.add_signal_handler(number, noted.append, number)
    return noted


def descriptors(wanted: int) -> int:
    """How many files this process may have open; fewer than `wanted` only where the system gives no more."""
    if sys.platform == "win32":
        return wanted  # it has no such bound
    files = resource.RLIMIT_NOFILE
    most, last = (sys.maxsize if one == resource.RLIM_INFINITY else one for one in resource.getrlimit(files))
    if most < wanted:
        with suppress(OSError, ValueError):  # some systems have fewer than they say
            asked = min(wanted, last)
            resource.setrlimit(files, (asked, resource.getrlimit(files)[1]))
            return asked
    return most


class GatewayServer(uvicorn.Server):
    """Serves one ASGI application on sockets that it is given, until it is told to end; `ending` is called then.

    `present` gives the certificate and key for each connection as it comes; without it there is no TLS.
    """

    def __init__(
        self,
        app: Any,
        drain: int = DRAIN,
        ending: Callable[[], object] = nothing,
        limits: ConnectionLimits = UNTOLD,
        present: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        options = (EncryptedConfig if present else StrictConfig)(
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
        options.limits = replace(limits, connections=min(limits.connections, descriptors(2 * limits.connections) // 2))
        if isinstance(options, EncryptedConfig) and present:
            options.present = present
        super().__init__(options)
        self._ending = ending

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none here: uvicorn would raise them again when it is done, before what is ours is closed."""
        yield

    def end_on_signals(self, noted: Iterable[int] = ()) -> None:
        """From now on SIGTERM and SIGINT end the server; a second SIGINT does not wait for running calls. `noted` are
        signals that came before.
        """
        loop = asyncio.get_running_loop()
        for number in ENDS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        for number in noted:
            self.handle_exit(number, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called for each signal."""
        super().handle_exit(sig, frame)
        self._ending()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called once, to take connections."""
        if not isinstance(self.config, EncryptedConfig):
            await super().startup(sockets)
            return
        taking = [EncryptedListener(sock, self.config, self.server_state) for sock in sockets or ()]
        self.servers = cast("list[asyncio.base_events.Server]", taking)
        self.started = True

    def url_on(self, sock: socket.socket) -> str:
        """Where it is called, by the address that it listens on."""
        host, port = sock.getsockname()[:2]
        scheme = "https" if isinstance(self.config, EncryptedConfig) else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

    async def serve_on(self, sock: socket.socket) -> None:
        """Serve until told to end; when this returns, every call has ended and was given the time to say so."""
        await self.serve(sockets=[sock])
        calls = set(self.server_state.tasks)
        if self.force_exit:  # told twice: uvicorn has not waited for the calls that run, and has not ended them either
            for call in calls:
                call.cancel()
        if calls:
            await asyncio.wait(calls, timeout=LAST)
        for connection in list(self.server_state.connections):
            connection.transport.abort()  # whoever waits to write to it is let go
        await asyncio.gather(*calls, return_exceptions=True)
