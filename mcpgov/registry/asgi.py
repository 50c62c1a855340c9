"""The MCP Registry API on the data plane, as raw ASGI: reading only.

    GET /v0.1/servers                                  what there is, in pages (also /v0/servers and /servers)
    GET /v0.1/servers/{name}/versions                  the versions of a server
    GET /v0.1/servers/{name}/versions/{latest|v}       one of them
    GET /mcp/{connection}/server-card                  experimental
    GET /.well-known/ai-catalog.json                   experimental

Who calls is asked as at /mcp: a key or token shows what it may reach. Today's clients have none to show, so the
settings say what callers without any see. A credential that is wrong is refused and written down, and never taken for
none. The name of a server is taken from the raw path, where its slash stands as `%2F`. An ETag is made of the answer
itself, so that it changes with the generation, with the caller's view, and with nothing else.
Sources: the registry's OpenAPI of 2025-12-01; RFC 9110 sections 8.8.3, 13.1.2, 15.4.5.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from mcpgov.catalog.listed import BEARER
from mcpgov.decision import Reason
from mcpgov.endpoint.asgi import PREFIX, answer_whole, head_of
from mcpgov.endpoint.challenge import challenge
from mcpgov.errors import ANSWERS, Refusal
from mcpgov.frozen import frozen
from mcpgov.models import PrincipalKind
from mcpgov.policy.glob import compile_wildcards
from mcpgov.registry.asked import Unanswerable, parse_asked
from mcpgov.registry.cards import CARD, CATALOG, ai_catalog, card
from mcpgov.registry.pages import Reach, Told, page, version_item, versions_page
from mcpgov.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcpgov.catalog.listed import Document
    from mcpgov.endpoint.asgi import Receive, Scope, Send
    from mcpgov.endpoint.metadata import ResourceMetadata
    from mcpgov.identity.client_ip import IPNetwork
    from mcpgov.models import RequestHead
    from mcpgov.pipeline import Stages
    from mcpgov.publish.offer import KeyHeader
    from mcpgov.snapshot import Snapshot

JSON: Final = "application/json"
AI_CATALOG: Final = b"/.well-known/ai-catalog.json"
OK, NOT_MODIFIED, BAD_REQUEST, UNAUTHENTICATED, NOT_FOUND, NOT_IMPLEMENTED = 200, 304, 400, 401, 404, 501
# What GitHub documents that its clients need of a registry.
OPEN: Final = (
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, OPTIONS"),
    ("access-control-allow-headers", "Authorization, Content-Type"),
)
_OURS: Final = re.compile(rb"/v0(?:\.1)?/.*|/servers(?:/.*)?", re.DOTALL)
_SERVERS: Final = re.compile(rb"(?:/v0(?:\.1)?)?/servers(?:/(.+))?", re.DOTALL)
_CARD: Final = re.compile(rb"/mcp/([a-z0-9][a-z0-9-]{0,62})/server-card")


@frozen
class RegistrySettings:
    """What the registry is told. `gateway` is the public URL; `places` are the headers that credentials stand in."""

    gateway: str
    places: tuple[str, ...]
    trusted_proxies: tuple[IPNetwork, ...] = ()
    metadata: ResourceMetadata | None = None
    cards: bool = False
    header: KeyHeader = BEARER  # where gateway keys are sent


@frozen
class Reply:
    """A whole reply, before anything is known of HTTP but its status."""

    status: int
    body: Document
    media: str = JSON


class Registry:
    """The ASGI application of the registry."""

    def __init__(self, stages: Stages, settings: RegistrySettings) -> None:
        self._stages = stages
        self._settings = settings

    def serves(self, path: bytes) -> bool:
        """Whether a raw path is one of the registry's."""
        if _OURS.fullmatch(path):
            return True
        return self._settings.cards and (path == AI_CATALOG or _CARD.fullmatch(path) is not None)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["method"] == "OPTIONS":
            await _answer(send, 204, (), b"")
        elif scope["method"] not in {"GET", "HEAD"}:
            body = {"error": "This registry is read-only: its catalog is kept in files."}
            await _answer(send, NOT_IMPLEMENTED, (("content-type", JSON),), dumps(body))
        else:
            await self._read(scope, send)

    async def _read(self, scope: Scope, send: Send) -> None:
        path: bytes = scope["raw_path"]
        named = _CARD.fullmatch(path)
        head = head_of(scope, PREFIX + named[1] if named else b"", self._settings.trusted_proxies)
        snapshot = self._stages.snapshot()
        try:
            reach = await self._reach(head, snapshot)
        except Refusal as refusal:
            await self._refuse(refusal, head, snapshot, send)
            return
        told = Told(self._settings.gateway, snapshot.stamp, self._settings.header)
        try:
            reply = _reply(path, scope.get("query_string", b""), snapshot, reach, told)
        except Unanswerable as wrong:
            reply = Reply(BAD_REQUEST, {"error": f"{wrong}."})
        body = dumps(reply.body)
        headers = [("content-type", reply.media), *self._caching(reach)]
        if reply.status == OK:
            tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            headers.append(("etag", tag))
            if _is_known(tag, head.headers.all("if-none-match")):
                await _answer(send, NOT_MODIFIED, headers[1:], b"")
                return
        await _answer(send, reply.status, headers, body)

    async def _reach(self, head: RequestHead, snapshot: Snapshot) -> Reach:
        """What the caller may see. Raises Refusal."""
        shown = snapshot.settings.registry.anonymous
        nobody = Reach(servers=compile_wildcards(shown))
        try:
            principal = await self._stages.identity.identify(head)
        except Refusal as refusal:
            if refusal.reason is Reason.CREDENTIAL_MISSING and shown:
                return nobody
            raise
        if principal.kind is not PrincipalKind.ANONYMOUS:
            scope = principal.scope.connections
            return Reach(connections=None if scope is None else compile_wildcards(scope))
        if shown:
            return nobody
        raise Refusal(Reason.CREDENTIAL_MISSING, "Callers without a credential see nothing of this registry.")

    def _caching(self, reach: Reach) -> tuple[tuple[str, str], ...]:
        """Ask again each time, which costs nobody much: only what everybody sees may be kept by others."""
        shared = "public" if reach.servers is not None else "private"
        return (("cache-control", f"{shared}, no-cache"), ("vary", ", ".join(self._settings.places)))

    async def _refuse(self, refusal: Refusal, head: RequestHead, snapshot: Snapshot, send: Send) -> None:
        """Write the refusal down, and answer it as a registry does."""
        refusal.detail = refusal.detail or "at the registry"
        async with self._stages.ledger.recording(head, snapshot.stamp) as record:
            refusal = await record.refused(refusal)
        status = ANSWERS[refusal.reason].status
        fields = {"content-type": JSON, "cache-control": "no-store"}
        fields |= {"www-authenticate": "Bearer"} if status == UNAUTHENTICATED else {}
        told = (*challenge(refusal, head, self._settings.metadata), *refusal.headers)
        fields |= {name.lower(): value for name, value in told}
        fields["x-correlation-id"] = head.correlation_id
        await _answer(send, status, fields.items(), dumps({"error": refusal.message}))


def _reply(path: bytes, query: bytes, snapshot: Snapshot, reach: Reach, told: Told) -> Reply:
    """The answer to who may see `reach`. Raises Unanswerable."""
    shelf = snapshot.registry
    if path == AI_CATALOG:
        return Reply(OK, ai_catalog(shelf, reach, told), CATALOG)
    if named := _CARD.fullmatch(path):
        return _found(card(shelf, reach, named[1].decode(), told), "There is no such connection.", CARD)
    asked, servers = parse_asked(query), _SERVERS.fullmatch(path)
    if servers is None:
        return Reply(NOT_FOUND, {"error": "There is nothing of that name here."})
    if servers[1] is None:
        return Reply(OK, page(shelf, reach, asked, told))
    if (place := _place(servers[1])) is None:
        return Reply(NOT_FOUND, {"error": "There is nothing of that name here."})
    if not place[1]:
        return _found(versions_page(shelf, reach, place[0], asked, told), "There is no such server.")
    return _found(version_item(shelf, reach, place, asked, told), "There is no such version of a server.")


def _place(below: bytes) -> tuple[str, str] | None:
    """The name of a server, and of a version or nothing, in what stands behind /servers/. None for anything else.

    The slash in a name comes encoded from clients that know it belongs to the name, and bare from people.
    """
    try:
        steps = [unquote(step, errors="strict") for step in below.decode("ascii").split("/")]
    except ValueError:  # not ASCII, or not UTF-8 when decoded
        return None
    if "/" not in steps[0]:
        steps[:2] = ["/".join(steps[:2])]
    name, kind, version = (*steps, "", "")[:3]
    if kind != "versions" or len(steps) > 3 or (len(steps) == 3 and not version):
        return None
    return name, version


def _found(body: Document | None, otherwise: str, media: str = JSON) -> Reply:
    return Reply(NOT_FOUND, {"error": otherwise}) if body is None else Reply(OK, body, media)


def _is_known(tag: str, said: Iterable[str]) -> bool:
    """Whether a client has what has this tag (RFC 9110 section 13.1.2, compared weakly)."""
    known = {one.strip().removeprefix("W/") for line in said for one in line.split(",")}
    return not known.isdisjoint({tag, "*"})


async def _answer(send: Send, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (*headers, *OPEN)]
    await answer_whole(send, status, fields, body)
