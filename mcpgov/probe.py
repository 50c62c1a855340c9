"""Proves a connection: asks its server what it is and which tools it has, on the only way there is, through govern().

Rules: the probe is the principal mcpgov:probe, or a caller whose token is given, verified as any caller's. Policies,
limits and credentials apply to it as to everybody, and every message of it is in the ledger. It never calls a tool.
The era is found as clients find it: server/discover first (MCP 2026-07-28), then the handshake, whose session is ended.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from dataclasses import field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mcpgov import __version__
from mcpgov.decision import Reason
from mcpgov.diagnosis import Diagnosis, Seen, diagnose, link_in, untested
from mcpgov.endpoint.inbound import CAPABILITIES_KEY, HANDSHAKE_VERSIONS, STATELESS_VERSIONS, VERSION_KEY, parse_request
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Era, Headers, Principal, PrincipalKind, RequestHead
from mcpgov.pipeline import Stages, govern
from mcpgov.strict_json import JsonLimits, dumps
from mcpgov.upstream.answers import Answered

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mcpgov.decision import Decision
    from mcpgov.models import Answer, Connection, Credential, Json, MCPRequest, Secret
    from mcpgov.pipeline import CredentialSource

PROBE: Final = Principal("mcpgov:probe", PrincipalKind.PROBE, name="mcpgov:probe")
HERE: Final = "127.0.0.1"
PATIENCE: Final = 120.0  # seconds for all of it
PAGES: Final = 100  # of one list of tools
METHOD_NOT_FOUND: Final = -32601
CLIENT: Final[Mapping[str, Json]] = {"name": "mcpgov-probe", "version": __version__}
# What a server of the other era may make of server/discover; everything else is the same in both.
NOT_UNDERSTOOD: Final = frozenset({Reason.UPSTREAM_INVALID, Reason.UPSTREAM_ERROR})
SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"


@frozen
class ProbeResult:
    """What was found. `tools` are those that the caller may see; `latency_ms` is how long the last list took.

    `annotations` are what the server says of each tool, its own word. `credential`, `identity` and `audience` say with
    what mcpgov signed in, never the value. `waiting` counts the tools that wait for a person. `problem` is None where
    the connection is proved, but for what `untested` says.
    """

    connection: str
    principal: str
    era: str
    protocol: str
    server: str
    server_version: str
    tools: tuple[str, ...]
    credential: str
    identity: str
    audience: str
    latency_ms: float
    correlation_ids: tuple[str, ...]
    problem: Diagnosis | None
    untested: str = ""
    annotations: Mapping[str, Mapping[str, bool]] = field(default_factory=dict[str, "Mapping[str, bool]"])
    waiting: int = 0

    @property
    def ok(self) -> bool:
        """Whether an agent can use the connection."""
        return self.problem is None


class Probe:
    """Probes through these stages. `clock` is monotonic, in seconds; `patience` is for one whole test."""

    def __init__(self, stages: Stages, clock: Callable[[], float], patience: float = PATIENCE) -> None:
        self._stages = stages
        self._clock = clock
        self._patience = patience

    async def test(self, connection: str, token: Secret | None = None) -> ProbeResult:
        """Prove `connection`, as the probe or as the caller that `token` belongs to. Raises nothing that goes wrong."""
        visit = Visit(self._stages, self._clock, connection, token)
        try:
            async with asyncio.timeout(self._patience):
                await visit.run()
        except Unproved:
            pass
        except TimeoutError:
            visit.refusal = Refusal(Reason.UPSTREAM_TIMEOUT, "The upstream did not answer in time.")
        return visit.report()


class Unproved(Exception):
    """The visit cannot go on; what it has seen says why."""


@frozen
class AsProbe:
    """Stage 2 for the probe, which is nobody but itself."""

    async def identify(self, _head: RequestHead) -> Principal:
        """The probe."""
        return PROBE


class NotedCredentials:
    """Stage 4, whose last credential is remembered: a report has to say which it was."""

    def __init__(self, source: CredentialSource) -> None:
        self.last: Credential | None = None
        self._source = source

    async def credential_for(self, connection: Connection, principal: Principal) -> Credential:
        """The connection's own credential. Raises Refusal."""
        self.last = await self._source.credential_for(connection, principal)
        return self.last


class ProbeExchange:
    """One message and the answer to it, without a socket: implements pipeline.Exchange."""

    def __init__(self, head: RequestHead, body: bytes) -> None:
        self.head = head
        self.principal: Principal | None = None
        self.refusal: Refusal | None = None
        self.status = 0
        self.session = ""
        self.message: Mapping[str, Json] = {}
        self._body = body
        self._request: MCPRequest | None = None

    async def read(self, principal: Principal, origins: Collection[str]) -> MCPRequest:
        """The message, parsed as strictly as anybody's."""
        del origins  # the probe is no browser
        self.principal = principal
        self._request = parse_request(self.head, self._body, JsonLimits())
        return self._request

    async def relay(self, answer: Answer, decision: Decision) -> None:
        """Take the answer in; only the message that answers is kept."""
        del decision
        self.status, self.session = answer.status, answer.headers.get("mcp-session-id")
        async for events in answer.events:
            for event in events:
                self._note(event.data)

    def _note(self, data: bytes | None) -> None:
        try:
            message: Json = json.loads(data or b"null")
        except (ValueError, RecursionError):
            return
        if isinstance(message, dict) and self._request and message.get("id") == self._request.id:
            self.message = message

    async def refuse(self, refusal: Refusal) -> None:
        """Keep the refusal."""
        self.refusal = refusal


class Visit:
    """One test of one connection: what is sent in which order, and what was seen so far."""

    def __init__(self, stages: Stages, clock: Callable[[], float], connection: str, token: Secret | None) -> None:
        self.refusal: Refusal | None = None
        self._noted = NotedCredentials(stages.credentials)
        identity = stages.identity if token else AsProbe()
        self._stages = replace(stages, identity=identity, credentials=self._noted)
        self._clock = clock
        self._name = connection
        self._token = token
        self._numbers = itertools.count(1)
        self._ids: list[str] = []
        self._principal = None if token else PROBE
        self._record = ""
        self._era: Era | None = None
        self._version = ""
        self._session = ""
        self._server: Mapping[str, Json] = {}
        self._tools: list[str] | None = None
        self._annotations: dict[str, Mapping[str, bool]] = {}
        self._latency = 0.0
        self._error: Mapping[str, Json] | None = None

    async def run(self) -> None:
        """Find the era, then list the tools. Raises Unproved."""
        if not await self._discover():
            await self._shake_hands()
        try:
            await self._list_tools()
        finally:
            if self._session:
                await self._send(Era.HANDSHAKE, None, http_method="DELETE")

    async def _discover(self) -> bool:
        """Whether the server speaks 2026-07-28. What an older one makes of the question is no fault of it."""
        exchange = await self._send(Era.STATELESS, "server/discover")
        if exchange.refusal and exchange.refusal.reason not in NOT_UNDERSTOOD:
            self._fail(exchange)
        result = _member(exchange.message, "result")
        versions = result.get("supportedVersions")
        if not isinstance(versions, list) or STATELESS_VERSIONS[0] not in versions:
            return False
        self._era, self._version = Era.STATELESS, STATELESS_VERSIONS[0]
        self._server = _member(_member(result, "_meta"), SERVER_INFO) or _member(result, "serverInfo")
        return True

    async def _shake_hands(self) -> None:
        opening: dict[str, Json] = {
            "protocolVersion": HANDSHAKE_VERSIONS[0],
            "capabilities": {},
            "clientInfo": dict(CLIENT),
        }
        exchange = await self._send(Era.HANDSHAKE, "initialize", opening)
        result = self._result(exchange)
        self._era, self._session = Era.HANDSHAKE, exchange.session
        self._version, self._server = _text(result, "protocolVersion"), _member(result, "serverInfo")
        self._require_taken(await self._send(Era.HANDSHAKE, "notifications/initialized", notification=True))

    async def _list_tools(self) -> None:
        tools: list[str] = []
        cursor, known = "", {""}
        for _ in range(PAGES):
            before = self._clock()
            exchange = await self._send(
                self._era or Era.HANDSHAKE, "tools/list", {"cursor": cursor} if cursor else None
            )
            self._latency = (self._clock() - before) * 1000
            if _member(exchange.message, "error").get("code") == METHOD_NOT_FOUND:
                break  # a server that has none need not know the method
            result = self._result(exchange)
            listed = result.get("tools")
            for tool in listed if isinstance(listed, list) else ():
                if isinstance(tool, dict):
                    tools.append(_text(tool, "name"))
                    said = _member(tool, "annotations")
                    self._annotations[tools[-1]] = {
                        hint: is_so for hint, is_so in said.items() if isinstance(is_so, bool)
                    }
            cursor = _text(result, "nextCursor")
            if cursor in known:
                break
            known.add(cursor)
        self._tools = tools

    async def _send(
        self,
        era: Era,
        method: str | None,
        params: Mapping[str, Json] | None = None,
        *,
        notification: bool = False,
        http_method: str = "POST",
    ) -> ProbeExchange:
        """Send one message through govern(); `method` is None where there is no body."""
        fields = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
        written = dict(params or {})
        if era is Era.STATELESS:
            fields |= {"mcp-protocol-version": STATELESS_VERSIONS[0], "mcp-method": method or ""}
            written["_meta"] = {
                VERSION_KEY: STATELESS_VERSIONS[0],
                CAPABILITIES_KEY: {},
                "io.modelcontextprotocol/clientInfo": dict(CLIENT),
            }
        elif self._version in HANDSHAKE_VERSIONS:
            fields["mcp-protocol-version"] = self._version
        if self._session:
            fields["mcp-session-id"] = self._session
        if self._token:
            fields["authorization"] = f"Bearer {self._token.reveal()}"
        message: dict[str, object] = {"jsonrpc": "2.0", "method": method, "params": written}
        if not notification:
            message["id"] = next(self._numbers)
        exchange = ProbeExchange(self._head(http_method, fields), dumps(message) if method else b"")
        self._ids.append(exchange.head.correlation_id)
        await govern(exchange, self._stages)
        self._principal = exchange.principal or self._principal
        return exchange

    def _head(self, http_method: str, fields: Mapping[str, str]) -> RequestHead:
        now, correlation_id = datetime.now(UTC), secrets.token_hex(16)
        return RequestHead(http_method, self._name, Headers(tuple(fields.items())), HERE, HERE, now, correlation_id)

    def _require_taken(self, exchange: ProbeExchange) -> None:
        if exchange.refusal is not None:
            self._fail(exchange)

    def _result(self, exchange: ProbeExchange) -> Mapping[str, Json]:
        """The result in an answer. Raises Unproved where there is none."""
        if exchange.refusal is not None or "result" not in exchange.message:
            self._fail(exchange)
        return _member(exchange.message, "result")

    def _fail(self, exchange: ProbeExchange) -> None:
        self._record = exchange.head.correlation_id
        self.refusal, self._error = exchange.refusal, _member(exchange.message, "error") or None
        if self.refusal is None and self._error is None:
            self.refusal = Answered(Reason.UPSTREAM_INVALID, "The upstream did not answer.", exchange.status)
        raise Unproved

    def report(self) -> ProbeResult:
        """What was found, and what is wrong with it."""
        credential, seen = self._noted.last, self._seen()
        return ProbeResult(
            connection=self._name,
            principal=self._principal.id if self._principal else "",
            era=self._era.value if self._era else "",
            protocol=self._version,
            server=_text(self._server, "name"),
            server_version=_text(self._server, "version"),
            tools=tuple(self._tools or ()),
            credential=credential.reference if credential else "",
            identity=credential.identity if credential else "",
            audience=credential.audience if credential else "",
            latency_ms=round(self._latency, 1),
            correlation_ids=tuple(self._ids),
            problem=diagnose(seen),
            untested=untested(seen.connection, self._principal),
            annotations=self._annotations,
            waiting=seen.waiting,
        )

    def _seen(self) -> Seen:
        connections, refusal, error = self._stages.snapshot().connections, self.refusal, self._error or {}
        code = error.get("code") if self._error is not None else None
        connection = connections.get(self._name)
        listed = [connection] if connection and self._tools is not None else []
        return Seen(
            self._name,
            connection,
            self._noted.last,
            refusal and refusal.reason,
            refusal.message if refusal else "",
            refusal.detail if refusal else "",
            refusal.status if isinstance(refusal, Answered) else None,
            refusal.link if refusal else link_in(json.dumps(self._error)),
            code if isinstance(code, int) else 0 if self._error is not None else None,
            _text(error, "message"),
            None if self._tools is None else len(self._tools),
            sum(self._stages.pins.waiting(listed).values()),
            tuple(connections),
            self._principal,
            self._record,
        )


def _member(parent: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _text(parent: Mapping[str, Json], key: str) -> str:
    value = parent.get(key)
    return value if isinstance(value, str) else ""
