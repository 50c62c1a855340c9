"""What the gateway answers itself at /mcp: the greeting of either era, merged lists, search_tools, a session's end.

Rules: it offers what it can pass on: tools, prompts, resources, completions, logs, and word of their changes, whether
or not a member has any. What a member says of itself is not repeated. A server/discover is answered with 2026-07-28
only where every member that answers speaks it: else clients of both eras would miss members.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from mcpgov import __version__
from mcpgov.aggregate.asking import METHOD_NOT_FOUND
from mcpgov.aggregate.listening import Listening
from mcpgov.aggregate.merging import LISTS, TOOLS, list_result, page_of, speaks, text_at
from mcpgov.aggregate.search import SEARCH, found_result, matching, two_tools
from mcpgov.aggregate.sessions import HELLO
from mcpgov.decision import Reason
from mcpgov.endpoint.inbound import HANDSHAKE_VERSIONS, STATELESS_VERSIONS
from mcpgov.errors import INVALID_PARAMS, Refusal
from mcpgov.messages import LISTEN, mapping
from mcpgov.models import Answer, Era, Event, Headers, Kind
from mcpgov.strict_json import dumps
from mcpgov.upstream.answers import EVENT_STREAM

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from mcpgov.aggregate.merging import Listed
    from mcpgov.aggregate.sessions import Sessions
    from mcpgov.aggregate.visit import Visit
    from mcpgov.models import Json

SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
OFFERED: Final[Mapping[str, Mapping[str, Json]]] = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "completions": {},
}
LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")  # RFC 5424
WITHOUT_STREAM: Final = "POST, DELETE"


class Answering:
    """Answers one request."""

    def __init__(self, visit: Visit, sessions: Sessions) -> None:
        self._visit = visit
        self._sessions = sessions
        self._request = visit.request
        self._opened = ""

    @asynccontextmanager
    async def answer(self) -> AsyncGenerator[Answer]:
        """The answer. Raises Refusal."""
        request = self._request
        if request.kind is Kind.STREAM or (request.method == LISTEN and request.era is Era.STATELESS):
            async with self._stream() as answer:
                yield answer
            return
        if request.kind is not Kind.REQUEST:
            if request.kind is Kind.END and self._visit.session:
                self._sessions.close(self._visit.session)
                await self._visit.asking.end(self._visit.session)
            yield Answer(200 if request.kind is Kind.END else 202, Headers(), streaming=False, events=_whole(b""))
            return
        yield self._message(await self._result())

    @asynccontextmanager
    async def _stream(self) -> AsyncGenerator[Answer]:
        """What the members say of their own accord, for as long as they do. Raises Refusal."""
        asked = mapping(self._request.params.get("notifications"))
        wanted = await self._visit.wanted(asked)
        listening = Listening(self._visit.asking, self._visit.session, wanted, self._request.id)
        async with listening.opened(asked) as anybody:
            if anybody:
                headers = Headers((("content-type", EVENT_STREAM),))
                yield Answer(200, headers, streaming=True, events=listening)
            elif self._request.kind is Kind.STREAM:
                raise Refusal(
                    Reason.METHOD_NOT_ALLOWED, f"Use one of: {WITHOUT_STREAM}.", headers=(("Allow", WITHOUT_STREAM),)
                )
            else:
                yield self._message(None)

    def _message(self, result: dict[str, Json] | None) -> Answer:
        """The answer with this result; with None, that the method is not known here."""
        request = self._request
        message: dict[str, Json] = {"jsonrpc": "2.0", "id": request.id}
        if result is None:
            unknown: Json = {"code": METHOD_NOT_FOUND, "message": "Method not found"}
            status, message["error"] = (404 if request.era is Era.STATELESS else 200), unknown
        else:
            stateless: dict[str, Json] = {"resultType": "complete"} if request.era is Era.STATELESS else {}
            status, message["result"] = 200, {**stateless, **result}
        session = (("mcp-session-id", self._opened),) if self._opened else ()
        headers = Headers((("content-type", "application/json"), *session))
        return Answer(status, headers, streaming=False, events=_whole(dumps(message)))

    async def _result(self) -> dict[str, Json] | None:
        """The result of a request; None for a method that is not known here."""
        request = self._request
        match request.method, request.era:
            case "initialize", Era.HANDSHAKE:
                return self._greeting()
            case "server/discover", Era.STATELESS:
                return await self._discovered()
            case "ping", Era.HANDSHAKE:
                return {}
            case "logging/setLevel", Era.HANDSHAKE if self._visit.session:
                self._visit.session.level = _level(request.params)
                await self._visit.asking.set_level(self._visit.session)
                return {}
            case "tools/call", _ if self._visit.searching and request.tool == SEARCH:
                items, _ = await self._visit.items(TOOLS)
                return found_result(matching(items, text_at(request.arguments, "query")))
            case method, _ if method in LISTS:
                return await self._list(LISTS[method])
            case _:
                return None

    async def _list(self, listed: Listed) -> dict[str, Json]:
        """One page of a merged list. Raises Refusal for a cursor that is none."""
        if listed is TOOLS and self._visit.searching:
            return list_result(listed, list(two_tools()), "", (), self._request.era)
        items, unavailable = await self._visit.items(listed)
        page, cursor = page_of(listed, self._visit.naming.members, items, self._request.params.get("cursor"))
        return list_result(listed, page, cursor, unavailable, self._request.era)

    def _greeting(self) -> dict[str, Json]:
        """The result of initialize, and a session (MCP 2025-11-25, Lifecycle)."""
        params = self._request.params
        asked = text_at(params, "protocolVersion")
        version = asked if asked in HANDSHAKE_VERSIONS else HANDSHAKE_VERSIONS[0]
        said = dumps({key: params[key] for key in ("capabilities", "clientInfo") if key in params})
        if len(said) > HELLO:
            raise Refusal(Reason.TOO_LARGE, f"A client says at most {HELLO} bytes of itself.")
        self._opened = self._sessions.open(self._visit.principal, version, said).id
        offered = {**_offered(), "logging": {}}
        return {"protocolVersion": version, "capabilities": offered, "serverInfo": dict(_named())}

    async def _discovered(self) -> dict[str, Json]:
        """The result of server/discover (MCP 2026-07-28)."""
        said = await self._visit.asking.discover()
        stateless = all(speaks(result, STATELESS_VERSIONS) for result in said)
        return {
            "supportedVersions": list(STATELESS_VERSIONS if stateless else HANDSHAKE_VERSIONS),
            "capabilities": _offered(),
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": {SERVER_INFO: dict(_named())},
        }


def _level(params: Mapping[str, Json]) -> str:
    """The level of logging/setLevel. Raises Refusal (invalid-message) for what is none."""
    level = text_at(params, "level")
    if level not in LEVELS:
        refusal = Refusal(Reason.INVALID_MESSAGE, f'"params.level" must be one of {", ".join(LEVELS)}.')
        refusal.code = INVALID_PARAMS
        raise refusal
    return level


def _offered() -> dict[str, Json]:
    return {name: dict(OFFERED[name]) for name in OFFERED}


def _named() -> Mapping[str, Json]:
    return {"name": "mcpgov", "title": "mcpgov", "version": __version__}


async def _whole(body: bytes) -> AsyncGenerator[tuple[Event, ...]]:
    if body:
        yield (Event(body, body),)
