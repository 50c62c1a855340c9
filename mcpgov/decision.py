"""What was decided, and why: the closed vocabulary of reasons, and the Decision that travels with a call.

A reason is one kebab-case string, the same in the audit record, the log, the metric label, the JSON-RPC error data
and the documentation. A reason that is not in this list cannot be given.
"""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Reason(StrEnum):
    """Why a call was let through, refused, or ended as it did. docs/reasons.md explains each one."""

    ALLOWED = "allowed"

    # the caller is not known
    CREDENTIAL_MISSING = "credential-missing"
    CREDENTIAL_INVALID = "credential-invalid"
    CREDENTIAL_EXPIRED = "credential-expired"
    CREDENTIAL_REVOKED = "credential-revoked"
    CREDENTIAL_AMBIGUOUS = "credential-ambiguous"
    JWT_EXPIRED = "jwt-expired"
    JWT_NOT_YET_VALID = "jwt-not-yet-valid"
    JWT_SIGNATURE_INVALID = "jwt-signature-invalid"
    JWT_KEY_UNKNOWN = "jwt-key-unknown"
    JWT_ISSUER_DENIED = "jwt-issuer-denied"
    JWT_AUDIENCE_DENIED = "jwt-audience-denied"
    JWT_MALFORMED = "jwt-malformed"
    JWT_CLAIM_DENIED = "jwt-claim-denied"
    SCOPE_MISSING = "scope-missing"
    CALLER_NOT_ALLOWED = "caller-not-allowed"

    # the message is not one that two parsers would read alike
    INVALID_JSON = "invalid-json"
    INVALID_ENCODING = "invalid-encoding"
    INVALID_MESSAGE = "invalid-message"
    DUPLICATE_KEY = "duplicate-key"
    AMBIGUOUS_KEY = "ambiguous-key"
    TOO_DEEP = "too-deep"
    TOO_LARGE = "too-large"
    REQUEST_TIMEOUT = "request-timeout"
    BATCH_REFUSED = "batch-refused"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    UNSUPPORTED_PROTOCOL_VERSION = "unsupported-protocol-version"
    HEADER_MISMATCH = "header-mismatch"
    HEADER_INVALID = "header-invalid"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    HOST_DENIED = "host-denied"
    ORIGIN_DENIED = "origin-denied"

    # there is no such thing for this caller
    UNKNOWN_CONNECTION = "unknown-connection"
    CONNECTION_DENIED = "connection-denied"
    UNKNOWN_SESSION = "unknown-session"
    UNKNOWN_TASK = "unknown-task"

    # a policy said no
    SOURCE_IP_DENIED = "source-ip-denied"
    RATE_LIMITED = "rate-limited"
    QUOTA_EXCEEDED = "quota-exceeded"
    CONCURRENCY_LIMITED = "concurrency-limited"
    HEADER_DENIED = "header-denied"
    ARGUMENTS_DENIED = "arguments-denied"
    RESULT_DENIED = "result-denied"
    QUARANTINED = "quarantined"
    TOOL_HIDDEN = "tool-hidden"
    TOOL_DENIED = "tool-denied"
    TOOL_UNAPPROVED = "tool-unapproved"
    TOOL_CHANGED = "tool-changed"
    POLICY_RESPONSE = "policy-response"
    PREFLIGHT = "preflight"
    POLICY_ERROR = "policy-error"

    # something that the call needs is not there
    CREDENTIAL_UNAVAILABLE = "credential-unavailable"
    CONSENT_REQUIRED = "consent-required"
    USER_REQUIRED = "user-required"
    SIGN_IN_UNAVAILABLE = "sign-in-unavailable"
    COUNTERS_UNAVAILABLE = "counters-unavailable"
    KEYS_UNAVAILABLE = "keys-unavailable"
    PINS_UNAVAILABLE = "pins-unavailable"
    AUDIT_UNAVAILABLE = "audit-unavailable"
    OVERLOADED = "overloaded"
    INTERNAL_ERROR = "internal-error"
    GATEWAY_STOPPING = "gateway-stopping"

    # the upstream did not answer as an MCP server should
    UPSTREAM_UNREACHABLE = "upstream-unreachable"
    CIRCUIT_OPEN = "circuit-open"
    UPSTREAM_ADDRESS_DENIED = "upstream-address-denied"
    UPSTREAM_TIMEOUT = "upstream-timeout"
    UPSTREAM_RESET = "upstream-reset"
    UPSTREAM_INVALID = "upstream-invalid"
    UPSTREAM_REDIRECTED = "upstream-redirected"
    UPSTREAM_UNAUTHORIZED = "upstream-unauthorized"
    UPSTREAM_RATE_LIMITED = "upstream-rate-limited"
    UPSTREAM_ERROR = "upstream-error"
    UPSTREAM_TOO_LARGE = "upstream-too-large"

    # the caller went away before the answer was complete
    CLIENT_GONE = "client-gone"


@frozen
class Spend:
    """An effect: take `count` from the counter `key`, which holds `calls` in any `period` seconds (a sliding window).

    `fixed`: windows of `period` seconds instead that follow each other from `starts` (seconds since 1970) on; a period
    of 0 never ends. A count of 0 only asks whether anything is left. `apart`: nothing is enforced by it, and it may
    fail. Performed to a Spent.
    """

    key: str
    calls: int
    period: int
    count: int = 1
    fixed: bool = False
    starts: int = 0
    apart: bool = False


@frozen
class Spent:
    """What came of a Spend. In seconds: `reset` until the window is whole again, `retry_after` until the count fits.

    `receipt` names what was taken, for a Refund; it means something to the counters only.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: int
    retry_after: int = 0
    receipt: str = ""


@frozen
class Refund:
    """An effect: give back what a Spend took. Performed to None."""

    spend: Spend
    spent: Spent


@frozen
class Charge:
    """An effect: when the call has ended, take `amount()` from the counter of `spend`, whether it is there or not.

    For what is only known afterwards, such as the bytes of an answer. Performed to None.
    """

    spend: Spend
    amount: Callable[[], int]


@frozen
class Hold:
    """An effect: keep one of `limit` places under `key` until the call has ended. Performed to whether one was free."""

    key: str
    limit: int


@frozen
class Describe:
    """An effect: the annotations of `tool`, as last listed on `connection`. Performed to a mapping, perhaps empty."""

    connection: str
    tool: str


@frozen
class Learn:
    """An effect: performed to a function that takes the tools of a tools/list answer on `connection`, for Describe."""

    connection: str


@frozen
class Trace:
    """An effect: a line for the log, written by `rule`. `severity` is verbose, information or error."""

    rule: str
    source: str
    severity: str
    message: str
    metadata: tuple[tuple[str, str], ...] = ()


@frozen
class Metric:
    """An effect: a measurement, with the dimensions it is told apart by."""

    rule: str
    name: str
    value: float
    namespace: str = ""
    dimensions: tuple[tuple[str, str], ...] = ()


@frozen
class LogEvent:
    """An effect: an event for one of the settings' loggers, sent if it can be. Performed to None."""

    rule: str
    logger: str
    body: str
    partition_id: str = ""
    partition_key: str = ""


@frozen
class Tell:
    """An effect: performed to a function that takes Traces, for what is found while an answer passes."""


@frozen
class FetchKeys:
    """An effect: the signing keys that an OpenID configuration at `url` leads to, from the cache where they are fresh.

    `kid` is the key that is looked for: where it is unknown, the keys are fetched again, but not often. Performed to a
    json_web_token.KeySet. Raises Refusal (sign-in-unavailable) where there are none to be had.
    """

    url: str
    kid: str = ""


@frozen
class GetToken:
    """An effect: a token of a managed identity for `resource`. `client_id` is a user-assigned one; empty is the
    settings' own. Performed to an Issued. Raises Refusal (credential-unavailable).
    """

    resource: str
    client_id: str = ""


@frozen
class GetAuthorization:
    """An effect: the token that the OAuth2 connection `provider` has for `principal_id`, or for everybody where it
    signs in with client credentials. `scope` is what the principal's key may be used for (CallerScope.connections), and
    bounds this, too. Performed to an Issued. Raises Refusal (credential-unavailable, consent-required).
    """

    provider: str
    principal_id: str
    scope: tuple[str, ...] | None = None


Effect = (
    Spend
    | Refund
    | Charge
    | Hold
    | Describe
    | Learn
    | Trace
    | Metric
    | LogEvent
    | Tell
    | FetchKeys
    | GetToken
    | GetAuthorization
)


@frozen
class HeaderEdit:
    """One set-header, of the request that goes upstream or of the reply. `action`: override, skip, append, delete."""

    name: str
    action: str
    values: tuple[str, ...] = field(default=(), repr=False)  # one may be a key

    def apply(self, headers: dict[str, str]) -> None:
        """Edit header fields with lower-case names. Several values become one, joined by a comma (RFC 9110 5.3)."""
        if self.action == "delete":
            headers.pop(self.name, None)
        elif self.action != "skip" or self.name not in headers:
            before = [headers[self.name]] if self.action == "append" and self.name in headers else []
            headers[self.name] = ", ".join([*before, *self.values])


@frozen
class QueryEdit:
    """One set-query-parameter of the request that goes upstream. `action`: override, skip, append or delete."""

    name: str
    action: str
    values: tuple[str, ...] = field(default=(), repr=False)


@frozen
class Reply:
    """What policies make of the reply to the caller. None leaves the status, or the body, as it would be."""

    status: int | None = None
    edits: tuple[HeaderEdit, ...] = ()
    body: bytes | None = field(default=None, repr=False)


@frozen
class Granted:
    """A token that `rule` got: whose it is and what it is for, as records say it. Never the token."""

    rule: str
    identity: str
    audience: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.rule, self.identity, self.audience)))


@frozen
class Reported:
    """What a policy in report mode would have said no to."""

    reason: Reason
    rule: str


class Retry(Protocol):
    """Says whether an answer is asked for once more. Never consulted for tools/call."""

    def wait(self, attempt: int, status: int, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait before the next attempt after the `attempt`th, counted from 1; None to take this answer.

        `headers` has lower-case names. Raises Refusal (policy-error).
        """
        ...


@frozen
class Changes:
    """What policies change in the request that goes upstream.

    `backend` is another base URL, `path` another path (with its query, if it has one); without `own_query` the query of
    the connection's URL stays behind. `forwarded` names the caller's header fields that cross besides the usual ones.
    `withheld` names those that never do, in lower case and with `-` for `_`: a caller's credential may stand there.
    `timeout` is in seconds. `fail_on_error`: an HTTP status of 400 and above is a refusal, whatever comes with it.
    """

    headers: tuple[HeaderEdit, ...] = ()
    query: tuple[QueryEdit, ...] = ()
    backend: str | None = None
    path: str | None = None
    own_query: bool = True
    forwarded: tuple[str, ...] = ()
    withheld: frozenset[str] = frozenset()
    timeout: float | None = None
    fail_on_error: bool = False
    retry: Retry | None = None


@frozen
class Decision:
    """The verdict of the policies on one request, with everything the forward and the answer need from them.

    `rule` names the document and element that decided, `policy_hash` the exact text in force. `message` is told to the
    caller, `detail` is for the record and quotes no value of the request. `as_tool_result`: the refusal is a tools/call
    result with isError, so that the model reads why. `answers` has one letter for each question that the policies asked
    of the request, so that the decision can be made again without it. `granted` are the tokens that they got.
    """

    reason: Reason
    rule: str = ""
    policy_hash: str = ""
    message: str = ""
    detail: str = ""
    as_tool_result: bool = False
    changes: Changes = field(default=Changes())
    limits: tuple[Spent, ...] = ()
    reply_headers: tuple[tuple[str, str], ...] = ()
    reply: Reply | None = None
    reported: tuple[Reported, ...] = ()
    granted: tuple[Granted, ...] = ()
    answers: str = ""

    @property
    def allowed(self) -> bool:
        """Whether the call may go on."""
        return self.reason is Reason.ALLOWED
