"""The HTTP clients there are, and forwarders over them. UPSTREAM_CLIENT=aiohttp in the environment chooses one."""

import os
import ssl
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from mcpgov.buffers import Buffers
from mcpgov.upstream.addresses import Resolver
from mcpgov.upstream.aiohttp_client import aiohttp_clients
from mcpgov.upstream.bounds import AnswerLimits
from mcpgov.upstream.forward import RemoteForwarder
from mcpgov.upstream.http_client import OpenClient
from mcpgov.upstream.pooled_client import own_clients

Clients = Callable[[ssl.SSLContext | None, Resolver | None], OpenClient]
CLIENTS: Final[Mapping[str, Clients]] = {"own": own_clients, "aiohttp": aiohttp_clients}
CHOSEN: Final = os.environ.get("UPSTREAM_CLIENT", "own")


class Forwarding(Protocol):
    """Makes a forwarder over one of the clients."""

    def __call__(
        self,
        limits: AnswerLimits | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
        buffers: Buffers | None = None,
    ) -> RemoteForwarder: ...


def forwarding(client: str) -> Forwarding:
    """What makes forwarders over the client of this name."""

    def remote(
        limits: AnswerLimits | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver | None = None,
        buffers: Buffers | None = None,
    ) -> RemoteForwarder:
        return RemoteForwarder(CLIENTS[client](tls, resolver), limits, buffers=buffers)

    return remote


remote_forwarder: Final = forwarding(CHOSEN)
