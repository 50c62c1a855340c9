"""Asks the members on a caller's behalf: each question is a request of its own through govern().

So each has its own decision, credential and record, which names the request at /mcp that it is a part of. Rules: who
calls was found out once, at /mcp; a member that refuses, fails, is slow, or answers without end is left out, and says
nothing of the others; all are asked at once, so that those that hang keep nobody waiting but themselves.
What the client said of itself when it came, its capabilities included, is said to each member.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mcpgov.aggregate.merging import found_in, text_at
from mcpgov.aggregate.patience import within
from mcpgov.decision import Reason
from mcpgov.endpoint.inbound import HANDSHAKE_VERSIONS, STATELESS_VERSIONS, parse_request
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.messages import LISTEN, answers, mapping, message_in
from mcpgov.models import Era, Headers
from mcpgov.pipeline import govern
from mcpgov.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence

    from mcpgov.aggregate.merging import Listed
    from mcpgov.aggregate.naming import Found
    from mcpgov.aggregate.sessions import MemberSession, Session
    from mcpgov.decision import Decision
    from mcpgov.models import Answer, Json, MCPRequest, Principal, RequestHead
    from mcpgov.pipeline import Stages
    from mcpgov.snapshot import Snapshot
    from mcpgov.strict_json import JsonLimits

    Hear = Callable[[Answer], Awaitable[None]]

T = TypeVar("T")

PAGES: Final = 100  # of one member's list
MOST: Final = 10_000  # of what is in it
LARGEST: Final = 16 << 20  # bytes of it; what comes after is not asked for, and a page that is larger is refused
METHOD_NOT_FOUND: Final = -32601
GONE: Final = 404  # MCP 2025-11-25: the server no longer has the session
MESSAGES: Final = "application/json, text/event-stream"


class Unanswered(Exception):
    """A member did not answer as asked. Its record, or the answer itself, says why."""


@frozen
class Known:
    """Stage 2 for a part of a request whose caller is known."""

    principal: Principal

    async def identify(self, _head: RequestHead) -> Principal:
        """The caller."""
        return self.principal


class Part:
    """One question and the answer to it, without a socket: implements pipeline.Exchange."""

    def __init__(self, head: RequestHead, body: bytes, limits: JsonLimits, session_id: str) -> None:
        self.head = head
        self.refusal: Refusal | None = None
        self.status = 0
        self.size = 0
        self.session = ""
        self.message: Mapping[str, Json] = {}
        self._body = body
        self._limits = limits
        self._session_id = session_id
        self._request: MCPRequest | None = None
        self.hear: Hear | None = None

    async def read(self, principal: Principal, origins: Collection[str]) -> MCPRequest:
        """The question, parsed as strictly as anybody's."""
        del principal, origins  # both were looked at where the client came in
        request = parse_request(self.head, self._body, self._limits)
        self._request = replace(request, session_id=self._session_id, answer_bytes=LARGEST)
        return self._request

    async def relay(self, answer: Answer, decision: Decision) -> None:
        """Take the answer in; only the message that answers is kept. A stream is given to `hear`, if there is one."""
        del decision
        self.status, self.session = answer.status, answer.headers.get("mcp-session-id")
        if self.hear is not None and answer.streaming:
            await self.hear(answer)
            return
        async for events in answer.events:
            for event in events:
                self.size += len(event.raw)
                message = message_in(event)
                if message and self._request and answers(message, self._request.id):
                    self.message = message

    async def refuse(self, refusal: Refusal) -> None:
        """Keep the refusal; what the gateway says of a session counts as the member's word."""
        self.refusal = refusal
        if refusal.reason is Reason.UNKNOWN_SESSION:
            self.status = GONE


class Asking:
    """Asks the members for one caller, whose request at /mcp has this head."""

    def __init__(
        self,
        stages: Stages,
        limits: JsonLimits,
        snapshot: Snapshot,
        principal: Principal,
        request: MCPRequest,
        patience: float,
    ) -> None:
        """`snapshot` has the members and nobody else; none is waited for longer than `patience`, in seconds."""
        self._stages = replace(stages, identity=Known(principal), snapshot=lambda: snapshot)
        self._members = tuple(snapshot.connections)
        self._patience = patience
        self._limits = limits
        self._head = request.head
        self._era = request.era
        self._meta = {
            key: value for key, value in mapping(request.params.get("_meta")).items() if key != "progressToken"
        }

    async def lists(self, listed: Listed, session: Session | None) -> tuple[list[Found], list[str]]:
        """What the members list, and those that do not answer."""
        asked = await self._each(self._members, lambda member: self._listed(member, listed, session))
        found = [one for _, items in asked if items is not None for one in items]
        return found, [member for member, items in asked if items is None]

    async def discover(self) -> list[Mapping[str, Json]]:
        """What the members that can be reached answer to server/discover; nothing, where one does not know it."""

        async def one(member: str) -> Mapping[str, Json]:
            part = await self.ask(member, "server/discover", {})
            if part.refusal is not None and part.refusal.reason not in {Reason.UPSTREAM_INVALID, Reason.UPSTREAM_ERROR}:
                raise Unanswered
            return mapping(part.message.get("result"))

        return [result for _, result in await self._each(self._members, one) if result is not None]

    async def opened(self, member: str, session: Session) -> MemberSession:
        """The session with a member, opened now if it is not. Raises Refusal."""
        link = session.member(member)
        async with within(self._patience), link.lock:
            if not link.opened:
                hello = {"protocolVersion": session.version, **mapping(json.loads(session.hello))}
                part = await self.ask(member, "initialize", hello)
                if part.refusal is not None:
                    raise part.refusal
                version = text_at(part.message, "result", "protocolVersion")
                if not version:
                    raise Refusal(
                        Reason.UPSTREAM_INVALID, "The upstream opened no session.", detail=f"status {part.status}"
                    )
                link.opened, link.id, link.version = True, part.session, version
                await self.ask(member, "notifications/initialized", {}, link, notification=True)
                if session.level:
                    await self.ask(member, "logging/setLevel", {"level": session.level}, link)
        return link

    async def end(self, session: Session) -> None:
        """End the session with each member that has one."""

        async def one(member: str) -> None:
            await self.ask(member, "", {}, session.member(member), http_method="DELETE")

        await self._each([name for name, link in session.members.items() if link.id], one)

    async def set_level(self, session: Session) -> None:
        """Tell the members that have a session which lines of their logs are wanted; some have none."""

        async def one(member: str) -> None:
            await self.ask(member, "logging/setLevel", {"level": session.level}, session.member(member))

        await self._each([name for name, link in session.members.items() if link.opened], one)

    async def listen(self, member: str, session: Session | None, wanted: Mapping[str, Json], hear: Hear) -> None:
        """Listen to one member for as long as it speaks; `wanted` is for the STATELESS era. Raises Refusal."""
        for _ in range(2):  # a session that is gone is opened anew
            link = await self.opened(member, session) if session else None
            if link is None:
                part = self._question(member, LISTEN, {"notifications": dict(wanted)})
            else:
                part = self._question(member, "", {}, link, http_method="GET")
            part.hear = hear
            await govern(part, self._stages)
            if part.status != GONE or link is None or not link.id:
                return
            link.forget()

    async def ask(
        self,
        member: str,
        method: str,
        params: Mapping[str, Json],
        link: MemberSession | None = None,
        *,
        notification: bool = False,
        http_method: str = "POST",
    ) -> Part:
        """Ask one member one thing."""
        part = self._question(member, method, params, link, notification=notification, http_method=http_method)
        await govern(part, self._stages)
        return part

    def _question(
        self,
        member: str,
        method: str,
        params: Mapping[str, Json],
        link: MemberSession | None = None,
        *,
        notification: bool = False,
        http_method: str = "POST",
    ) -> Part:
        """A request to one member, in the era of the one at /mcp.

        Its id is no other's: in a member's session the client's own requests may be open, and other questions of ours.
        """
        fields = {"accept": MESSAGES, "content-type": "application/json"}
        said = dict(params)
        if self._era is Era.STATELESS:
            fields |= {"mcp-protocol-version": STATELESS_VERSIONS[0], "mcp-method": method}
            said["_meta"] = self._meta
        elif link is not None and link.version in HANDSHAKE_VERSIONS:
            fields["mcp-protocol-version"] = link.version
        asked = secrets.token_hex(16)
        message = {"jsonrpc": "2.0", "method": method, "params": said}
        body = dumps(message if notification else message | {"id": f"mcpgov-{asked}"}) if method else b""
        head = replace(
            headed(self._head, member, fields),
            http_method=http_method,
            received_at=datetime.now(UTC),
            correlation_id=asked,
        )
        return Part(head, body, self._limits, link.id if link else "")

    async def _listed(self, member: str, listed: Listed, session: Session | None) -> list[Found]:
        """Every page of a member's list. Raises Unanswered, Refusal."""
        found: list[Found] = []
        cursor, known, size = "", {""}, 0
        for _ in range(PAGES):
            part = await self._page(member, listed, {"cursor": cursor} if cursor else {}, session)
            result, size = mapping(part.message.get("result")), size + part.size
            found += found_in(listed, member, result)
            cursor = text_at(result, "nextCursor")
            if cursor in known or len(found) >= MOST or size > LARGEST:
                break
            known.add(cursor)
        return found

    async def _page(self, member: str, listed: Listed, params: Mapping[str, Json], session: Session | None) -> Part:
        """One page; of a server that has no such lists, one without a result."""
        link = await self.opened(member, session) if session else None
        part = await self.ask(member, listed.method, params, link)
        if part.status == GONE and link is not None and link.id and session is not None:
            link.forget()
            part = await self.ask(member, listed.method, params, await self.opened(member, session))
        if mapping(part.message.get("error")).get("code") == METHOD_NOT_FOUND:
            return part
        if part.refusal is not None or "result" not in part.message:
            raise Unanswered
        return part

    async def _each(
        self, members: Sequence[str], ask: Callable[[str], Coroutine[Any, Any, T]]
    ) -> list[tuple[str, T | None]]:
        """What each member says, in this order; None where it did not answer."""

        async def one(member: str) -> tuple[str, T | None]:
            try:
                async with within(self._patience):
                    return member, await ask(member)
            except (Unanswered, Refusal):
                return member, None

        return await asyncio.gather(*map(one, members))  # which hands on why it is cancelled, as a group does not


def headed(head: RequestHead, member: str, fields: Mapping[str, str]) -> RequestHead:
    """The head of a part: for a member, with the caller's fields but for those that are about the message."""
    kept = [
        field
        for field in head.headers.fields
        if not field[0].startswith("mcp-") and field[0] not in {*fields, "content-length", "last-event-id"}
    ]
    return replace(head, connection=member, headers=Headers((*kept, *fields.items())))
