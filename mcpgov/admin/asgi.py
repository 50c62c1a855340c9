"""The admin listener: which host may be asked for, what is API and what is pages, and how each says no.

Rules: nothing is answered under a host name that is not ours; nothing is cached, framed, sniffed or referred; the API
knows people by their key alone, never by a cookie, so that no page of anybody's can ask it something; every route is
checked against the role that it declares, and what is not declared is not there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import parse_qsl

from mcpgov.admin.access import ACTED, AdminRefusal, Fault, Role, deed, require
from mcpgov.admin.audit import AuditRoutes
from mcpgov.admin.catalog import CatalogRoutes
from mcpgov.admin.keys import KeyRoutes
from mcpgov.admin.openapi import openapi
from mcpgov.admin.pins import PinRoutes
from mcpgov.admin.policies import PolicyRoutes
from mcpgov.admin.routes import BASE, Asked, Reply, Route, check_query, find_route, parse_body
from mcpgov.decision import Reason
from mcpgov.endpoint.limits import read_body
from mcpgov.errors import ANSWERS, Refusal, StoreUnavailable
from mcpgov.models import Headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping

    from mcpgov.admin.parts import AdminParts
    from mcpgov.admin.sessions import Gate
    from mcpgov.endpoint.limits import Sites

    Scope = Mapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

LONGEST_BODY: Final = 64 * 1024  # bytes
MOST_FIELDS: Final = 64  # of a query or a form
CONSOLE: Final = "/console"
METRICS: Final = "/metrics"
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
ALWAYS: Final = (
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),  # without one, a form of ours would come back from the origin `null`
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
)
STORE_DOWN: Final = (
    "The store cannot be read or written at the moment. Look for audit-unavailable in the gateway's log; "
    "the API works again when the store does."
)
NO_PAGE: Final = (("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),)


class Pages(Protocol):
    """The pages of the console: an ASGI application for what is under /console."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None:
        """Serve one HTTP request, whose host was checked."""
        ...


class AdminListener:
    """The ASGI application of the admin plane."""

    def __init__(
        self, parts: AdminParts, gate: Gate, sites: Sites, pages: Pages, metrics: Callable[[], bytes] | None = None
    ) -> None:
        self._gate = gate
        self._metrics = metrics
        self._sites = sites
        self._pages = pages
        self._note = parts.note
        groups = (AuditRoutes(parts), KeyRoutes(parts), CatalogRoutes(parts), PinRoutes(parts), PolicyRoutes(parts))
        self.routes = (*(route for group in groups for route in group.routes()), self._document_route())
        self._document = openapi(self.routes, parts.version)

    def _document_route(self) -> Route:
        returns = "The OpenAPI document of this API."
        return Route("GET", "/openapi.json", Role.VIEWER, "This document.", returns, self._tell_document)

    async def _tell_document(self, _: Asked) -> Reply:
        return Reply(self._document)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] != "http":
            return
        headers = headers_of(scope)
        path = str(scope["raw_path"].decode("latin-1"))
        try:
            check_host(self._sites, headers)
            if path == CONSOLE or path.startswith(f"{CONSOLE}/"):
                await self._pages(scope, receive, send)
                return
            if path == "/":
                await answer(send, 303, (("location", CONSOLE),), b"")
                return
            if path == METRICS and scope["method"] == "GET" and self._metrics is not None:
                require(await self._gate.by_key(headers.get("authorization")), Role.VIEWER)
                await answer(send, 200, (("content-type", METRICS_TYPE), *NO_PAGE), self._metrics())
                return
            reply = await self._answer(scope, receive, headers, path)
        except AdminRefusal as refusal:
            reply = refused(refusal)
        except StoreUnavailable:
            reply = refused(AdminRefusal(Fault.STORE_UNAVAILABLE, STORE_DOWN))
        if reply is not None:
            await send_reply(send, reply)

    async def _answer(self, scope: Scope, receive: Receive, headers: Headers, path: str) -> Reply | None:
        """What a route answers; None where the caller left. Who asks is known before anything else is told."""
        person = await self._gate.by_key(headers.get("authorization"))
        route, named = find_route(self.routes, str(scope["method"]), path.removeprefix(BASE))
        if not path.startswith(f"{BASE}/"):
            raise AdminRefusal(Fault.NOT_FOUND, f"There is no such path. See {BASE}/openapi.json.")
        require(person, route.role)
        query = fields_of(scope["query_string"])
        check_query(route, query)
        body = await body_of(receive, headers)
        if body is None:
            return None
        asked = Asked(person, named, query, parse_body(route, body))
        if route.role is not Role.VIEWER:
            await self._note(ACTED, deed(person, f"{route.method} {path}"))
        return await route.answer(asked)


def headers_of(scope: Scope) -> Headers:
    """The header fields of a request."""
    return Headers(tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]))


def check_host(sites: Sites, headers: Headers) -> None:
    """Raise AdminRefusal (host-denied, origin-denied) unless Host and Origin are ours."""
    try:
        sites.check(headers)
    except Refusal as refusal:
        host = ANSWERS[refusal.reason].status == 421
        raise AdminRefusal(Fault.HOST_DENIED if host else Fault.ORIGIN_DENIED, "This is not served here.") from None


def fields_of(raw: bytes) -> Mapping[str, str]:
    """The fields of a query or a form. Raises AdminRefusal (invalid-request)."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise AdminRefusal(Fault.INVALID_REQUEST, "This cannot be read as a query or a form.") from None
    if len(dict(pairs)) != len(pairs):
        raise AdminRefusal(Fault.INVALID_REQUEST, "A name stands there twice.")
    return dict(pairs)


async def body_of(receive: Receive, headers: Headers) -> bytes | None:
    """The whole body; None where the caller left. Raises AdminRefusal (too-large; invalid-request for a slow one)."""
    try:
        return await read_body(receive, headers, LONGEST_BODY)
    except Refusal as refusal:
        fault = Fault.TOO_LARGE if refusal.reason is Reason.TOO_LARGE else Fault.INVALID_REQUEST
        raise AdminRefusal(fault, refusal.message) from None


def refused(refusal: AdminRefusal) -> Reply:
    """A no, as JSON."""
    headers = (("allow", refusal.allow),) if refusal.allow else ()
    told = {"error": {"reason": refusal.fault.value, "message": refusal.message}}
    return Reply(told, refusal.status, headers=headers)


async def send_reply(send: Send, reply: Reply) -> None:
    """Send what a route answers. What comes in chunks was found as far as its first chunk before anything is sent."""
    if reply.chunks is None:
        fields = (("content-type", reply.content_type), *NO_PAGE, *reply.headers)
        if reply.status == 401:
            fields = (*fields, ("www-authenticate", "Bearer"))
        await answer(send, reply.status, fields, json.dumps(reply.value).encode())
        return
    name = ("content-disposition", f'attachment; filename="{reply.filename}"')
    first = await anext(reply.chunks, b"")
    await begin(send, 200, (("content-type", reply.content_type), name, *NO_PAGE))
    await send({"type": "http.response.body", "body": first, "more_body": True})
    async for chunk in reply.chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def answer(send: Send, status: int, fields: Iterable[tuple[str, str]], body: bytes) -> None:
    """A whole answer."""
    await begin(send, status, (*fields, ("content-length", str(len(body)))))
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def begin(send: Send, status: int, fields: Iterable[tuple[str, str]]) -> None:
    """The head of an answer, with what every answer has."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in (*ALWAYS, *fields)]
    await send({"type": "http.response.start", "status": status, "headers": raw})
