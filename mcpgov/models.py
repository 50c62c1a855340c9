"""The values that travel from the socket to the upstream and back. All frozen; nothing here decides or does anything.

One order, the order of the flow: who asks for what (RequestHead, MCPRequest), who that is (Principal), where it may go
(Connection), with which key (Credential), what comes back (Answer, Event), and how it ended (Outcome).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, KeysView, Mapping
from dataclasses import field
from datetime import datetime
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Protocol

from mcpgov.frozen import frozen
from mcpgov.pinning.mode import PinMode

if TYPE_CHECKING:
    from mcpgov.decision import Reply

JSONRPCId = str | int
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class Secret:
    """A value that does not print. `reveal()` is called only where the value leaves for the one who may have it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__


class Headers:
    """HTTP header fields in the order received: lower-case names, values as text (RFC 9110 section 5; latin-1)."""

    __slots__ = ("_first", "fields")

    def __init__(self, fields: tuple[tuple[str, str], ...] = ()) -> None:
        self.fields = fields
        self._first = dict(fields)
        if len(self._first) < len(fields):  # some stand twice; of those, the last is in there
            self._first |= dict(reversed(fields))

    @property
    def names(self) -> KeysView[str]:
        """Every name that there is."""
        return self._first.keys()

    def get(self, name: str, default: str = "") -> str:
        """The first value of `name` (lower case), or `default`."""
        return self._first.get(name, default)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of `name`, in the order received."""
        first = self._first.get(name)
        if first is None or len(self._first) == len(self.fields):
            return () if first is None else (first,)
        return tuple([value for field_name, value in self.fields if field_name == name])

    def __contains__(self, name: object) -> bool:
        return name in self._first

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash(self.fields)

    def __repr__(self) -> str:
        return f"Headers({', '.join(self._first)})"  # names only: a value may be a credential


class Era(Enum):
    """The two ways MCP has been spoken over Streamable HTTP."""

    HANDSHAKE = "handshake"  # 2025-03-26, 2025-06-18, 2025-11-25: initialize, sessions, GET stream, DELETE
    STATELESS = "stateless"  # 2026-07-28: every request carries its own version, identity and capabilities


class Kind(StrEnum):
    """What a request on the data plane is."""

    REQUEST = "request"  # JSON-RPC request: has a method and an id
    NOTIFICATION = "notification"  # JSON-RPC notification: has a method, no id
    RESPONSE = "response"  # JSON-RPC response to a request that the server made (HANDSHAKE only)
    STREAM = "stream"  # GET: listen to the server (HANDSHAKE only)
    END = "end"  # DELETE: end the session (HANDSHAKE only)


@frozen
class RequestHead:
    """What is known of a request before its body is read.

    `connection` is the name in the path; `source_address` the caller's own, after the trusted-proxy walk from `peer`.
    The claimed correlation id is never trusted. `aggregate` is that of the request at /mcp which this is a part of.
    """

    http_method: str
    connection: str
    headers: Headers
    peer: str
    source_address: str
    received_at: datetime
    correlation_id: str
    claimed_correlation_id: str = ""
    aggregate: str = ""


@frozen
class MCPRequest:
    """One request, parsed once and strictly. `body` holds exactly the bytes that were read into `params`.

    `name` is what `Mcp-Name` mirrors: params.name, params.uri or params.taskId. `arguments` are those of tools/call.
    `session_id` is sealed until handles.py has opened it. `traceparent` is the caller's, `traces_ignored` the rest.
    `answer_bytes` is set where whoever asks takes no larger answer, however large one may be.
    """

    head: RequestHead
    era: Era
    kind: Kind
    protocol_version: str
    body: bytes = b""
    id: JSONRPCId | None = None
    method: str = ""
    name: str = ""
    params: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    session_id: str = ""
    traceparent: str = ""
    traces_ignored: tuple[str, ...] = ()
    principal_id: str = ""  # whose it is: no message says so, the pipeline does
    answer_bytes: int | None = None
    tool: str = field(init=False, repr=False, compare=False)  # the one that is called, or the empty string

    def __post_init__(self) -> None:
        object.__setattr__(self, "tool", self.name if self.method == "tools/call" else "")

    @property
    def arguments(self) -> Mapping[str, Json]:
        """The arguments of a tools/call, empty where there are none."""
        arguments = self.params.get("arguments") if self.method == "tools/call" else None
        return arguments if isinstance(arguments, dict) else {}


class PrincipalKind(StrEnum):
    """What sort of caller a principal is. The first four are told apart by the claims of an Entra token."""

    AGENT = "agent"  # an agent identity, on its own
    AGENT_ON_BEHALF = "agent-on-behalf-of"  # an agent identity, on behalf of a signed-in user
    AGENT_USER = "agent-user"  # an agent's own user account
    MANAGED_IDENTITY = "managed-identity"  # of a project, or of anything else that runs in Azure
    APP = "app"
    USER = "user"
    KEY = "key"
    ANONYMOUS = "anonymous"
    PROBE = "probe"  # mcpgov itself, looking at an upstream

    @property
    def is_user(self) -> bool:
        """Whether there is a person (or an agent's user account) on whose behalf a token can be had."""
        return self in {PrincipalKind.AGENT_ON_BEHALF, PrincipalKind.AGENT_USER, PrincipalKind.USER}


@frozen
class CallerScope:
    """What a gateway key may be used for: connections and tools by name, `*` and `?` allowed. None is everything."""

    connections: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None


@frozen
class Principal:
    """Who calls. `id` is stable and unique (limits, sessions, consents and records are keyed by it); `project` is the
    label that limits and reviews are asked for; `credential` is a printable reference to what was presented, never the
    value. `scope` bounds a gateway key.

    The rest are claims of a token, empty where the caller showed none: `tenant_id` tid, `app_id` azp or appid,
    `object_id` oid, `agent_id` and `blueprint_id` of an agent identity, `token_id` uti or jti. `shared`: several agents
    go by this identity. `assertion` is a user's own verified token, to be exchanged on their behalf; it is never passed
    on.
    """

    id: str
    kind: PrincipalKind
    name: str = ""
    project: str = ""
    credential: str = ""
    agent_id: str = ""
    blueprint_id: str = ""
    object_id: str = ""
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    tenant_id: str = ""
    app_id: str = ""
    token_id: str = ""
    issuer: str = ""
    subject: str = ""
    shared: bool = False
    scope: CallerScope = CallerScope()
    assertion: Secret | None = field(default=None, repr=False, compare=False)


class AuthType(StrEnum):
    """How mcpgov signs in to an upstream, in Foundry's words."""

    NONE = "None"
    CUSTOM_KEYS = "CustomKeys"
    PROJECT_MANAGED_IDENTITY = "ProjectManagedIdentity"
    AGENTIC_IDENTITY = "AgenticIdentityToken"
    OAUTH2 = "OAuth2"
    USER_ENTRA = "UserEntraToken"


@frozen
class OAuthClient:
    """mcpgov as a client of somebody's authorization server (authType OAuth2).
    `per_user`: authorization code with PKCE, one token for each user who consents; otherwise client credentials, one
    token for the connection. `private` allows the server's own addresses to be loopback or private.
    """

    client_id: str
    client_secret: Secret | None
    token_url: str
    authorization_url: str = ""
    refresh_url: str = ""
    revocation_url: str = ""
    scopes: tuple[str, ...] = ()
    resource: str = ""  # RFC 8707, sent where it is set
    per_user: bool = True
    private: bool = False


@frozen
class CallerToken:
    """A second, per-caller token of a connection: got on behalf of the calling user for `audience`, sent in `header`.
    Without `required`, a caller that is no user goes without it.
    """

    header: str
    audience: str
    required: bool = True


@frozen
class SignIn:
    """What a connection's authType needs to know.
    `audience` is an App ID URI, for which `{audience}/.default` is asked (ProjectManagedIdentity,
    AgenticIdentityToken, UserEntraToken). `identity` is the client id of a user-assigned managed identity; empty for
    the one that the settings name. `agent_identity` is the agent identity that is used, `agent_identities` another one
    for each calling agent's id; `on_behalf_of`: where a user calls, the agent identity acts on their behalf.
    """

    audience: str = ""
    identity: str = ""
    agent_identity: str = ""
    agent_identities: tuple[tuple[str, str], ...] = ()
    on_behalf_of: bool = False
    oauth: OAuthClient | None = None
    caller_token: CallerToken | None = None


@frozen
class RemoteUpstream:
    """An MCP server reached over Streamable HTTP. The query string of `url` is kept.
    `backends` are the only other bases that may ever receive this connection's credential. Without `private`, loopback,
    private and link-local addresses and plain http are refused, also when a name resolves to one. `backend_names` gives
    some of the backends a name. `resolve` has addresses that stand for what the name service says of `host:port`.
    """

    url: str = field(repr=False)  # its query may hold a key
    private: bool = False
    backends: tuple[str, ...] = ()
    backend_names: tuple[tuple[str, str], ...] = ()
    resolve: tuple[tuple[str, str], ...] = ()


@frozen
class LocalUpstream:
    """An MCP server that mcpgov starts itself and speaks to over stdio. Comes from files on disk only.
    `environment` is added to a small allow-list of our own environment; nothing else is inherited.
    """

    command: tuple[str, ...]
    environment: tuple[tuple[str, Secret], ...] = ()
    working_directory: str = ""


@frozen
class Connection:
    """What is exposed at /mcp/{name}: one way to one server, with its own credential. `timeout` is in seconds.
    `client_audience` is an audience that callers' tokens may have here, and at no other connection.
    """

    name: str
    server: str
    upstream: RemoteUpstream | LocalUpstream
    auth_type: AuthType = AuthType.NONE
    keys: tuple[tuple[str, Secret], ...] = ()
    timeout: float = 90.0
    sign_in: SignIn = SignIn()
    client_auth_type: AuthType = AuthType.CUSTOM_KEYS
    client_audience: str = ""
    pin: PinMode = PinMode.TRUST_ON_FIRST_USE


class Renewal(Protocol):
    """How a credential that the upstream refused is replaced by a new one of the same identity."""

    def reject(self) -> None:
        """Note that the upstream refused it: the next call asks for a new one."""
        ...

    async def credential(self) -> Credential:
        """A new one. Raises Refusal (credential-unavailable)."""
        ...


@frozen
class Credential:
    """What is presented to the upstream. `reference` says in records which one it was, never what it is.
    `identity` (who mcpgov is there) and `audience` are for records. `renewal` is there where a refusal by the upstream
    can be mended.
    """

    kind: str
    reference: str
    headers: tuple[tuple[str, Secret], ...] = ()
    identity: str = ""
    audience: str = ""
    renewal: Renewal | None = field(default=None, repr=False, compare=False)


@frozen
class Issued:
    """A token that a policy asked for; `identity` and `audience` are for records."""

    secret: Secret
    identity: str
    audience: str = ""


@frozen
class Event:
    """One message of an answer: the whole body of a JSON answer, or one server-sent event. `raw` is what is sent on.
    `data` is the JSON text inside, None for a comment, a priming event or an empty body; `message` what was read there.
    """

    raw: bytes
    data: bytes | None = None
    message: Mapping[str, Json] | None = field(default=None, repr=False, compare=False)


@frozen
class Answer:
    """What the upstream answered. `events` gives the events of one read together, as they arrive.
    `streaming`: the body is text/event-stream and may last for hours; otherwise it is one complete event, or none.
    `reply` is what policies make of its head. `attempts` counts how often it was asked for.
    """

    status: int
    headers: Headers
    streaming: bool
    events: AsyncIterator[tuple[Event, ...]]
    reply: Reply | None = None
    attempts: int = 1

    def passing(self, events: AsyncIterator[tuple[Event, ...]]) -> Answer:
        """The same answer with these events."""
        return Answer(self.status, self.headers, self.streaming, events, self.reply, self.attempts)


class OutcomeStatus(StrEnum):
    """How a call ended, in the outcome record."""

    OK = "ok"
    TOOL_ERROR = "tool-error"  # a result with isError
    RPC_ERROR = "rpc-error"  # a JSON-RPC error from the upstream, or an HTTP status of 400 and above
    FAILED = "failed"  # the upstream did not answer as an MCP server should; the reason says how
    TRUNCATED = "truncated"  # a stream was cut at a bound of `limits:`; the detail names it
    CANCELLED = "cancelled"  # the client went away, or the gateway was stopped: the upstream call was cancelled
    CLIENT_GONE = "client-gone"  # the client went away; the upstream finished
    NOT_SENT = "not-sent"  # the intent was written, nothing left for the upstream
    UNKNOWN = "unknown"  # found after a crash: nobody knows
    DENIED = "denied"  # never forwarded
