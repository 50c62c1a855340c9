"""One request at /mcp, from the socket to the member that it is for, or to the answer that is made of all of them.

It is one call of govern(), as any other: what is for one member becomes a request to it once its body says which, with
that member's policies, credential and record; what is answered here (initialize, lists) is recorded as a call to no
connection, with no policy but the members' own. Rules: the bytes are the caller's, only a name in them is changed; a
name that is nobody's is answered as that of an unknown tool, and never sent; a tools/call is sent once.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mcpgov.aggregate.answering import Answering
from mcpgov.aggregate.asking import GONE, headed
from mcpgov.aggregate.callbacks import Letters, Renumbered
from mcpgov.aggregate.events import Numbered, left_at, watched
from mcpgov.aggregate.merging import LISTS, PROMPTS, RESOURCES, TOOLS, require_cursor, text_at
from mcpgov.aggregate.search import CALL, SEARCH
from mcpgov.aggregate.sessions import HELLO
from mcpgov.aggregate.snapshot import with_aggregate
from mcpgov.aggregate.visit import Shared, Visit, unknown
from mcpgov.decision import Reason
from mcpgov.endpoint.inbound import HANDSHAKE_VERSIONS, parse_request
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.json_spans import span_of, with_value
from mcpgov.messages import LISTEN, exact, mapping
from mcpgov.models import Era, Headers, Kind
from mcpgov.pipeline import govern
from mcpgov.policy.rewriting import Rewritten
from mcpgov.strict_json import dumps
from mcpgov.upstream.headers import encoded
from mcpgov.upstream.here import Here

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from contextlib import AbstractAsyncContextManager

    from mcpgov.aggregate.merging import Listed
    from mcpgov.aggregate.sessions import MemberSession
    from mcpgov.aggregate_settings import Aggregate
    from mcpgov.decision import Decision
    from mcpgov.messages import Exact
    from mcpgov.models import Answer, MCPRequest, Principal
    from mcpgov.pipeline import Exchange
    from mcpgov.snapshot import Snapshot

SESSION: Final = "mcp-session-id"
LAST_EVENT: Final = "last-event-id"
NAMING: Final[Mapping[str, tuple[Listed, tuple[str, ...]]]] = {
    "tools/call": (TOOLS, ("params", "name")),
    "prompts/get": (PROMPTS, ("params", "name")),
    "resources/read": (RESOURCES, ("params", "uri")),
}
SUBSCRIBING: Final = ("resources/subscribe", "resources/unsubscribe")  # HANDSHAKE


@frozen
class Target:
    """Which member a request is for, under which name there, and its body with that name."""

    member: str
    own: str
    body: bytes


async def serve(shared: Shared, exchange: Exchange) -> None:
    """Take one request at /mcp to its end. Without an aggregate there is nothing there."""
    snapshot = shared.stages.snapshot()
    settings = snapshot.settings.aggregate
    if settings is None:
        await govern(exchange, shared.stages)
        return
    call = AggregateCall(exchange, shared, snapshot, settings)
    seen, upstream = with_aggregate(snapshot, call.judge), Here(shared.stages.upstream, call.answer)
    try:
        await govern(call, replace(shared.stages, snapshot=lambda: seen, upstream=upstream))
    finally:
        call.close()


class AggregateCall:
    """Implements pipeline.Exchange over the exchange with the client: its head names the member, once that is known."""

    def __init__(self, exchange: Exchange, shared: Shared, snapshot: Snapshot, settings: Aggregate) -> None:
        self.head = replace(exchange.head, aggregate=exchange.head.correlation_id)
        self._exchange = exchange
        self._shared = shared
        self._snapshot = snapshot
        self._settings = settings
        self._visit: Visit | None = None
        self._verdict: Refusal | None = None
        self._link: MemberSession | None = None
        self._letters = Letters()
        self._open: Exact | None = None

    async def read(self, principal: Principal, origins: Collection[str]) -> MCPRequest:
        """The request, or the one to a member that it becomes. What is refused once it is read, judge() says."""
        request = replace(await self._exchange.read(principal, origins), head=self.head)
        self._visit = visit = Visit(self._shared, self._snapshot, self._settings, principal, request)
        try:
            _require_short(request)
            self._require_session(visit)
            target = await self._target(visit)
            if target is None:
                return request
            request = self._for_member(request, target)
            return await self._in_session(visit, request)
        except Refusal as refusal:
            self._verdict = refusal
            return request

    def judge(self) -> None:
        """Raise the Refusal of a request that has nowhere to go."""
        if self._verdict is not None:
            raise self._verdict

    def answer(self, _request: MCPRequest) -> AbstractAsyncContextManager[Answer]:
        """The gateway's own answer."""
        if self._visit is None:
            raise unknown()
        return Answering(self._visit, self._shared.sessions).answer()

    async def relay(self, answer: Answer, decision: Decision) -> None:
        """Send the answer on; a member's session id stays here."""
        if self.head.connection:
            if answer.status == GONE and self._link is not None:
                self._link.forget()
            kept = tuple(field for field in answer.headers.fields if field[0] != SESSION)
            told = Rewritten(answer, (Renumbered(self.head.connection, self._letters),))
            events = Numbered(told, self.head.connection) if self._link and answer.streaming else told
            answer = replace(answer, headers=Headers(kept), events=events)
        await self._exchange.relay(answer, decision)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer no. The member's session may be gone, or be another upstream's since a reload."""
        if refusal.reason is Reason.UNKNOWN_SESSION and self._link is not None:
            self._link.forget()
        await self._exchange.refuse(refusal)

    def close(self) -> None:
        """The request is no longer open in its session."""
        if self._visit and self._visit.session and self._open is not None:
            self._visit.session.calls.pop(self._open, None)

    def _require_session(self, visit: Visit) -> None:
        """Find the session. Raises Refusal: unknown-session, invalid-message."""
        request = visit.request
        if request.era is Era.HANDSHAKE and request.method != "initialize":
            visit.session = self._shared.sessions.get(request.session_id, visit.principal)

    async def _target(self, visit: Visit) -> Target | None:
        """The member that a request is for; None for what is answered here. Raises Refusal for what is nobody's."""
        request = visit.request
        if request.method == "tools/call" and visit.searching:
            return None if request.tool == SEARCH else await self._found(visit)
        if request.method in NAMING:
            return await self._named(visit, *NAMING[request.method])
        if request.method == "completion/complete":
            prompt = text_at(request.params, "ref", "name")
            about = (PROMPTS, ("params", "ref", "name")) if prompt else (RESOURCES, ("params", "ref", "uri"))
            return await self._named(visit, *about)
        if request.method in SUBSCRIBING and visit.session is not None:
            return await self._named(visit, RESOURCES, ("params", "uri"))
        if request.kind is not Kind.REQUEST:
            return self._reply(visit)
        if request.method in LISTS:
            require_cursor(LISTS[request.method], request.params.get("cursor"))
        if request.method == LISTEN:
            watched(mapping(request.params.get("notifications")))
        return None

    def _reply(self, visit: Visit) -> Target | None:
        """The member that asked what is answered, whose answer is not wanted any more, or whose stream is gone on with;
        None where it is nobody.
        """
        request, session = visit.request, visit.session
        member, body = "", None
        if session and request.method == "notifications/cancelled":
            member = session.calls.get(exact(request.params.get("requestId")) or ("", ""), "")
            body = request.body
        elif session and request.kind is Kind.RESPONSE and (asked := session.letters.answered(request.id)):
            member, body = asked[0], with_value(request.body, ("id",), asked[1])
        elif request.kind is Kind.STREAM and (left := left_at(self.head.headers.get(LAST_EVENT))):
            member, body = left[0], b""
        known = session is not None and member in session.members and member in visit.naming.members
        return Target(member, "", body) if body is not None and known else None

    async def _named(self, visit: Visit, listed: Listed, path: tuple[str, ...]) -> Target:
        """The member whose the name at `path` is."""
        name = text_at({"params": dict(visit.request.params)}, *path)
        member, own = await visit.owner(listed, name)
        body = visit.request.body if own == name else with_value(visit.request.body, path, json.dumps(own))
        return Target(member, own, body or b"")

    async def _found(self, visit: Visit) -> Target:
        """The member whose tool call_tool names. Raises Refusal."""
        request, inner = visit.request, ("params", "arguments", "arguments")
        name = text_at(request.arguments, "name")
        if request.tool != CALL or not name:
            raise unknown()
        member, own = await visit.owner(TOOLS, name)
        given = span_of(request.body, inner)
        arguments = request.body[given].decode() if given else "{}"
        body = with_value(request.body, inner[:2], arguments) or b""
        return Target(member, own, with_value(body, ("params", "name"), json.dumps(own)) or b"")

    def _for_member(self, request: MCPRequest, target: Target) -> MCPRequest:
        """The request as the member gets it, read anew: what its policies see is what it gets."""
        fields = {"content-type": "application/json", "accept": request.head.headers.get("accept")}
        if request.kind is Kind.STREAM and (left := left_at(request.head.headers.get(LAST_EVENT))):
            fields[LAST_EVENT] = left[1]
        mirrored = [field for field in request.head.headers.fields if field[0].startswith("mcp-param-")]
        if request.era is Era.STATELESS:
            fields |= {"mcp-protocol-version": request.protocol_version, "mcp-method": request.method}
            fields |= {"mcp-name": encoded(target.own)} if request.name else {}
        self.head = headed(self.head, target.member, {**dict(mirrored), **fields})
        return parse_request(self.head, target.body, self._shared.limits)

    async def _in_session(self, visit: Visit, request: MCPRequest) -> MCPRequest:
        """The request in the member's session, where there are sessions. Raises Refusal."""
        session, member = visit.session, self.head.connection
        self._letters = session.letters if session else self._letters
        if request.kind is Kind.REQUEST:
            self._letters.sent(request.id, member)
        if session is None:
            return request
        self._link = link = await visit.asking.opened(member, session)
        if request.kind is Kind.REQUEST:
            self._open = exact(request.id)
            session.calls |= {self._open: member} if self._open else {}
        version = link.version if link.version in HANDSHAKE_VERSIONS else session.version
        self.head = replace(self.head, headers=Headers((*self.head.headers.fields, ("mcp-protocol-version", version))))
        return replace(request, head=self.head, protocol_version=version, session_id=link.id)


def _require_short(request: MCPRequest) -> None:
    """Refuse (too-large) a `_meta` that is long: every member that is asked is told all of it (STATELESS)."""
    said = request.params.get("_meta")
    if request.era is Era.STATELESS and len(request.body) > HELLO and len(dumps(said)) > HELLO:
        raise Refusal(Reason.TOO_LARGE, f'"params._meta" may have at most {HELLO} bytes here.')
