"""TLS in front of HTTP: connections are taken here, so that each counts, and has a clock, while it is in its handshake.

A handshake has as long as a head has, and is given the certificate of its moment. One that brings no TLS, ends early or
is one too many is closed without a word: what could be told would have to be told in the clear. Nothing is recorded, as
there is no request yet. Refuses to know: where certificates come from (certificates.py).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from mcpgov.endpoint.http_protocol import StrictConfig, StrictHttpProtocol

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from uvicorn.server import ServerState

GOODBYE: Final = 1.0  # seconds that a client has to answer ours, when the server ends
FULL: Final = 1.0  # seconds until connections are taken again, when the system had no descriptor left


class EncryptedConfig(StrictConfig):
    """The server's options where it speaks TLS. `present` gives the certificate and key for the next connection."""

    present: Callable[[], ssl.SSLContext]


class EncryptedHttpProtocol(StrictHttpProtocol):
    """HTTP within TLS, where a connection ends only when the client has said so too, or has had the time."""

    __slots__ = ()

    def _too_late(self) -> None:
        """Nothing has come in time. When the server ends, a client that sleeps must not hold it up."""
        super()._too_late()
        if self._last:
            self.loop.call_later(GOODBYE, self.transport.abort)


class EncryptedListener:
    """Takes the connections of a socket, until it is closed. Has of asyncio's Server what uvicorn asks for."""

    def __init__(self, sock: socket.socket, config: EncryptedConfig, state: ServerState) -> None:
        self._sock = sock
        self._config = config
        self._state = state
        self._handshakes: set[asyncio.Task[None]] = set()
        sock.settimeout(0)
        self._taking = asyncio.get_running_loop().create_task(self._take_all())

    def close(self) -> None:
        """Take no more, and let go of those that are in their handshake."""
        for task in (self._taking, *self._handshakes):
            task.cancel()

    async def wait_closed(self) -> None:
        """Return when that is done."""
        await asyncio.wait({self._taking, *self._handshakes})

    async def _take_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(self._sock)
            except OSError:  # no descriptor left, or a client that was gone before it was taken
                await asyncio.sleep(FULL)
                continue
            if len(self._state.connections) + len(self._handshakes) >= self._config.limits.connections:
                sock.close()
                continue
            task = loop.create_task(self._encrypt(sock))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _encrypt(self, sock: socket.socket) -> None:
        limits = self._config.limits
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: EncryptedHttpProtocol(self._config, self._state, {}),
                sock,
                ssl=self._config.present(),
                ssl_handshake_timeout=limits.header_seconds,
                ssl_shutdown_timeout=limits.pace.seconds,
            )
        except OSError:  # no TLS, none that we speak, too slow, or gone
            sock.close()
