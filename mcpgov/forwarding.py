"""Composition: what sends requests to upstreams, remote ones by the HTTP client that is chosen, and local ones."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Final

from mcpgov.stage_settings import answer_limits
from mcpgov.upstream.forward import RemoteForwarder
from mcpgov.upstream.local import LocalForwarder, LocalLimits
from mcpgov.upstream.pooled_client import own_clients
from mcpgov.upstream.stdio_process import StdioLimits
from mcpgov.upstream.switch import Upstreams

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.buffers import Buffers
    from mcpgov.settings import Settings
    from mcpgov.upstream.http_client import OpenClient

LONGEST: Final = 255  # characters of the name of a host (RFC 1035)


def replica() -> str:
    """What tells this gateway from its replicas: its host, and its process there."""
    host = "".join(letter for letter in socket.gethostname() if "!" <= letter <= "~")
    return f"{host[:LONGEST]}-{os.getpid()}"


def build_upstreams(settings: Settings, buffers: Buffers, load: Callable[[str], Any]) -> Upstreams:
    """Both forwarders. `load` loads a module by its name, which aiohttp is only where it is chosen."""
    limits = answer_limits(settings)
    opens: OpenClient = own_clients()
    if settings.experimental.upstream_client == "aiohttp":
        opens = load("mcpgov.upstream.aiohttp_client").aiohttp_clients()
    local = LocalLimits(stdio=StdioLimits(limits.event_bytes), open_calls=limits.open_calls)
    return Upstreams(RemoteForwarder(opens, limits, buffers=buffers), LocalForwarder(local, here=replica()), limits)
