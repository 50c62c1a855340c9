"""What a pin belongs to: a server by its name, and the place where it leads.

Pure. An approval is for a definition and for who answers the calls: the same list from another host, or another
tenant of the same host, is that of another server. So the pins of a server are kept under one text, its name and its
place. A place is the URL of the upstream, or of a local server its command line and working directory; what an operator
changes beside that (keys, the backends of a policy) leaves the pins as they are. Of a query only a digest is told: some
servers take a key in it. Refuses to know what is pinned.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcpgov.canonical_json import canonical
from mcpgov.destinations import origin
from mcpgov.models import LocalUpstream

if TYPE_CHECKING:
    from mcpgov.models import Connection, RemoteUpstream


def pinned_as(connection: Connection) -> str:
    """The server of a connection as pins name it: `com.contoso/notes https://notes.contoso.com:443/mcp`."""
    return f"{connection.server} {place_of(connection)}"


def place_of(connection: Connection) -> str:
    """Where a connection leads, as one text of which two places never have the same."""
    return _place_of(connection.upstream)


@lru_cache(maxsize=1024)  # asked for every call
def _place_of(upstream: RemoteUpstream | LocalUpstream) -> str:
    if isinstance(upstream, LocalUpstream):
        return canonical({"command": list(upstream.command), "cwd": upstream.working_directory})
    found = origin(upstream.url)
    if not found:
        return canonical(upstream.url)
    url = urlsplit(upstream.url)
    query = f"?{hashlib.sha256(url.query.encode()).hexdigest()[:16]}" if url.query else ""
    return f"{found[0]}://{found[1]}:{found[2]}{url.path}{query}"


def name_in(server: str) -> str:
    """The name in what pinned_as() gave."""
    return server.partition(" ")[0]  # a name has no space


def place_in(server: str) -> str:
    """The place in what pinned_as() gave; empty where it has none."""
    return server.partition(" ")[2]
