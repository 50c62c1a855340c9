"""What this gateway says of itself to clients that sign in: OAuth 2.0 Protected Resource Metadata (RFC 9728). Pure.

    /.well-known/oauth-protected-resource/mcp/{connection}    of one connection
    /.well-known/oauth-protected-resource                     of the gateway itself

Rules: it is made from the settings alone, so a connection that there is not has the same document as one that there
is; nothing of the request stands in it but a name of the right shape. One document has one `resource`, which clients
send to every authorization server: it is that of the first server, and only servers that have the same one are named.

It refuses to know who calls, and which connections there are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen
from mcpgov.strict_json import dumps

if TYPE_CHECKING:
    from mcpgov.models import Json

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
CONNECTION: Final = "connection"
GATEWAY: Final = "gateway"
MAX_AGE: Final = 3600  # seconds
_CONNECTION_PATH: Final = re.compile(r"/mcp/([a-z0-9][a-z0-9-]{0,62})")
# Clients in a browser read it from any origin, with the header that every MCP client sends (MCP-Protocol-Version).
_PUBLIC: Final = (
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, HEAD, OPTIONS"),
    ("access-control-allow-headers", "*"),
)
_METHODS: Final = "GET, HEAD, OPTIONS"


@frozen
class AuthorizationServer:
    """Whose tokens are accepted. `resource` is `connection`, `gateway` or an App ID URI.

    `entra`: its scopes are written with the resource in front, and where none are named `.default` is asked for, which
    is every permission that was granted.
    """

    issuer: str
    resource: str = CONNECTION
    scopes: tuple[str, ...] = ()
    entra: bool = False


@frozen
class ResourceMetadata:
    """What the documents are made from. `public_url` is scheme and host; there is at least one server."""

    public_url: str
    servers: tuple[AuthorizationServer, ...]
    name: str = "mcpgov"


@frozen
class PublicReply:
    """A whole reply to a stranger. Header names are lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def resource_of(server: AuthorizationServer, public_url: str, connection: str) -> str:
    """The `resource` that a token is asked for at `connection`; the empty name is the gateway itself."""
    if server.resource not in {CONNECTION, GATEWAY}:
        return server.resource
    named = server.resource == CONNECTION and connection
    return f"{public_url}/mcp/{connection}" if named else public_url


def accepted_audiences(metadata: ResourceMetadata, issuer: str, connection: str) -> tuple[str, ...]:
    """The audiences that follow from the resource which clients are told to ask `issuer` for.

    A bare origin has two spellings: clients that keep it as a URL ask for the one with a slash.
    """
    found: list[str] = []
    for server in metadata.servers:
        if server.issuer == issuer:
            resource = resource_of(server, metadata.public_url, connection)
            found += [resource, f"{resource}/"] if resource == metadata.public_url else [resource]
    return tuple(found)


def scopes_of(metadata: ResourceMetadata, connection: str) -> tuple[str, ...]:
    """What a client has to ask for, each once. Never offline_access: that is between client and server."""
    public_url, scopes = metadata.public_url, dict[str, None]()
    for server in _named(metadata, connection):
        resource = resource_of(server, public_url, connection)
        wanted = [f"{resource}/{scope}" for scope in server.scopes or (".default",)] if server.entra else server.scopes
        scopes |= dict.fromkeys(wanted)
    return tuple(scopes)


def document(metadata: ResourceMetadata, connection: str) -> dict[str, Json]:
    """The document of a connection, or with the empty name that of the gateway (RFC 9728 section 2)."""
    servers = _named(metadata, connection)
    written: dict[str, Json] = {
        "resource": resource_of(servers[0], metadata.public_url, connection),
        "authorization_servers": [server.issuer for server in servers],
    }
    if scopes := scopes_of(metadata, connection):
        written["scopes_supported"] = list(scopes)
    title = f"{metadata.name}: {connection}" if connection else metadata.name
    written["bearer_methods_supported"], written["resource_name"] = ["header"], title
    return written


def document_url(metadata: ResourceMetadata, connection: str) -> str:
    """Where the document is: the path of the resource goes behind the well-known one (RFC 9728 section 3.1)."""
    return f"{metadata.public_url}{WELL_KNOWN}" + (f"/mcp/{connection}" if connection else "")


def public_reply(method: str, path: str, metadata: ResourceMetadata | None) -> PublicReply:
    """The reply to a request for a path that begins with WELL_KNOWN."""
    below = path.removeprefix(WELL_KNOWN)
    named = _CONNECTION_PATH.fullmatch(below)
    if metadata is None or (below and named is None):
        return _reply(404, {"error": "not_found"}, "no-store")
    if method == "OPTIONS":
        return PublicReply(204, (*_PUBLIC, ("access-control-max-age", str(MAX_AGE))), b"")
    if method not in {"GET", "HEAD"}:
        return _reply(405, {"error": "method_not_allowed"}, "no-store", (("allow", _METHODS),))
    return _reply(200, document(metadata, named[1] if named else ""), f"public, max-age={MAX_AGE}")


def _named(metadata: ResourceMetadata, connection: str) -> tuple[AuthorizationServer, ...]:
    """The servers that go by the same resource as the first."""
    first = resource_of(metadata.servers[0], metadata.public_url, connection)
    return tuple(server for server in metadata.servers if resource_of(server, metadata.public_url, connection) == first)


def _reply(
    status: int, body: dict[str, Json], cache_control: str, more: tuple[tuple[str, str], ...] = ()
) -> PublicReply:
    headers = (("content-type", "application/json"), ("cache-control", cache_control), *_PUBLIC, *more)
    return PublicReply(status, headers, dumps(body))
