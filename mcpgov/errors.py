"""The exception tree, and the one table that says how each reason is answered.

    Refusal              the caller gets an answer that says no; carries a Reason
    ClientGone           there is nobody left to answer
    InvalidConfiguration files that cannot be put in force; carries every Problem found
    StoreUnavailable     a store could not do what was asked; each stage turns it into its own Refusal
    InvalidExpression    an expression of a policy that cannot be compiled; becomes a Problem
    ExpressionError      an expression of a policy that has no value for a request; denies

Codes: the specification's own JSON-RPC codes where it has one; ours are -(31000 + HTTP status), which lies outside
the reserved range -32768..-32000 (JSON-RPC 2.0 section 5.1; MCP 2026-07-28 reserves -32020..-32099 for itself).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mcpgov.decision import Reason, Reply
from mcpgov.frozen import frozen

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INVALID_PARAMS = -32602
HEADER_MISMATCH = -32020
UNSUPPORTED_PROTOCOL_VERSION = -32022
URL_ELICITATION_REQUIRED = -32042  # MCP 2025-11-25, Elicitation, "URL Elicitation Required Error"


@frozen
class AnswerShape:
    """How a refusal looks on the wire. `stateless_code` is the code on 2026-07-28, where a client that meets a 400
    without one of the specification's own modern errors falls back to the handshake (MCP 2026-07-28, era detection).
    """

    status: int
    code: int
    stateless_code: int


def _http(status: int) -> AnswerShape:
    return AnswerShape(status, -(31000 + status), -(31000 + status))


def _rpc(status: int, code: int, stateless_code: int | None = None) -> AnswerShape:
    return AnswerShape(status, code, stateless_code if stateless_code is not None else code)


ANSWERS: dict[Reason, AnswerShape] = {
    Reason.CREDENTIAL_MISSING: _http(401),
    Reason.CREDENTIAL_INVALID: _http(401),
    Reason.CREDENTIAL_EXPIRED: _http(401),
    Reason.CREDENTIAL_REVOKED: _http(401),
    Reason.CREDENTIAL_AMBIGUOUS: _http(401),
    Reason.JWT_EXPIRED: _http(401),
    Reason.JWT_NOT_YET_VALID: _http(401),
    Reason.JWT_SIGNATURE_INVALID: _http(401),
    Reason.JWT_KEY_UNKNOWN: _http(401),
    Reason.JWT_ISSUER_DENIED: _http(401),
    Reason.JWT_AUDIENCE_DENIED: _http(401),
    Reason.JWT_MALFORMED: _http(401),
    Reason.JWT_CLAIM_DENIED: _http(401),
    Reason.SCOPE_MISSING: _http(403),
    Reason.CALLER_NOT_ALLOWED: _http(403),
    Reason.INVALID_JSON: _rpc(400, PARSE_ERROR),
    Reason.INVALID_ENCODING: _rpc(400, PARSE_ERROR),
    Reason.INVALID_MESSAGE: _rpc(400, INVALID_REQUEST),
    Reason.DUPLICATE_KEY: _rpc(400, PARSE_ERROR),
    Reason.AMBIGUOUS_KEY: _rpc(400, INVALID_REQUEST),
    Reason.TOO_DEEP: _rpc(400, PARSE_ERROR),
    Reason.TOO_LARGE: _http(413),
    Reason.REQUEST_TIMEOUT: _http(408),
    Reason.BATCH_REFUSED: _rpc(400, INVALID_REQUEST),
    Reason.UNSUPPORTED_MEDIA_TYPE: _http(415),
    Reason.UNSUPPORTED_PROTOCOL_VERSION: _rpc(400, UNSUPPORTED_PROTOCOL_VERSION),
    Reason.HEADER_MISMATCH: _rpc(400, HEADER_MISMATCH),
    Reason.HEADER_INVALID: _rpc(400, INVALID_REQUEST, HEADER_MISMATCH),
    Reason.METHOD_NOT_ALLOWED: _http(405),
    Reason.HOST_DENIED: _http(421),
    Reason.ORIGIN_DENIED: _http(403),
    Reason.UNKNOWN_CONNECTION: _http(404),
    Reason.CONNECTION_DENIED: _http(404),  # as one that there is not: a key must not learn of others
    Reason.UNKNOWN_SESSION: _rpc(404, INVALID_REQUEST),
    Reason.UNKNOWN_TASK: _rpc(200, INVALID_PARAMS),
    Reason.SOURCE_IP_DENIED: _http(403),
    Reason.RATE_LIMITED: _http(429),
    Reason.QUOTA_EXCEEDED: _http(403),
    Reason.CONCURRENCY_LIMITED: _http(429),
    Reason.HEADER_DENIED: _http(403),
    Reason.ARGUMENTS_DENIED: _http(403),
    Reason.RESULT_DENIED: _http(502),
    Reason.QUARANTINED: _http(403),
    Reason.TOOL_HIDDEN: _rpc(200, INVALID_PARAMS),
    Reason.TOOL_DENIED: _http(403),
    Reason.TOOL_UNAPPROVED: _rpc(200, INVALID_PARAMS),
    Reason.TOOL_CHANGED: _rpc(200, INVALID_PARAMS),
    Reason.POLICY_RESPONSE: _http(403),
    Reason.PREFLIGHT: _http(200),
    Reason.POLICY_ERROR: _http(500),
    Reason.CREDENTIAL_UNAVAILABLE: _http(503),
    Reason.CONSENT_REQUIRED: _rpc(200, URL_ELICITATION_REQUIRED, -31403),
    Reason.USER_REQUIRED: _rpc(200, URL_ELICITATION_REQUIRED, -31403),
    Reason.SIGN_IN_UNAVAILABLE: _http(503),
    Reason.COUNTERS_UNAVAILABLE: _http(503),
    Reason.KEYS_UNAVAILABLE: _http(503),
    Reason.PINS_UNAVAILABLE: _http(503),
    Reason.AUDIT_UNAVAILABLE: _http(503),
    Reason.OVERLOADED: _http(503),
    Reason.INTERNAL_ERROR: _http(500),
    Reason.GATEWAY_STOPPING: _http(503),
    Reason.UPSTREAM_UNREACHABLE: _http(502),
    Reason.CIRCUIT_OPEN: _http(503),
    Reason.UPSTREAM_ADDRESS_DENIED: _http(502),
    Reason.UPSTREAM_TIMEOUT: _http(504),
    Reason.UPSTREAM_RESET: _http(502),
    Reason.UPSTREAM_INVALID: _http(502),
    Reason.UPSTREAM_REDIRECTED: _http(502),
    Reason.UPSTREAM_UNAUTHORIZED: _http(502),
    Reason.UPSTREAM_RATE_LIMITED: _http(429),
    Reason.UPSTREAM_ERROR: _http(502),
    Reason.UPSTREAM_TOO_LARGE: _http(502),
}
# The caller is told that there is no such tool; only the record has the reason.
HIDING = frozenset({Reason.TOOL_HIDDEN, Reason.TOOL_UNAPPROVED, Reason.TOOL_CHANGED})
# Nobody knows who calls: these alone invite to sign in, and another token or key mends them.
UNKNOWN_CALLER = frozenset(reason for reason, shape in ANSWERS.items() if shape.status == 401)


class Refusal(Exception):
    """The call is refused. `message` is told to the caller: no upstream address, no secret, no stack.

    `detail` stays in the audit record and the log. `headers` join the HTTP answer, `data` the JSON-RPC error's data.
    `as_tool_result`: answer with a tools/call result that has isError, so that the model reads the message.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        detail: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        as_tool_result: bool = False,
        reply: Reply | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message
        self.detail = detail
        self.data: dict[str, object] = {}  # set where the specification says what it holds
        self.link = ""  # where a person can mend it (a consent page); told to the caller as its era can show it
        self.headers = headers
        self.as_tool_result = as_tool_result
        self.reply = reply  # what a policy makes of the answer: its status, header fields or body
        self.request_id: str | int | None = None  # set where a message is refused that had a readable id
        self.code: int | None = None  # set where the specification has a closer JSON-RPC code than ANSWERS


class ClientGone(Exception):
    """The client closed its connection; the answer has nowhere to go."""


class StoreUnavailable(Exception):
    """A store (keys, counters, audit) could not be read or written. The message names no secret and no query."""


class InvalidExpression(ValueError):
    """An expression that cannot be compiled. `message` says what and where in it, `mend` how to mend it.

    `offset` is the number of characters before the fault, where it is known.
    """

    def __init__(self, message: str, mend: str = "", offset: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend
        self.offset = offset


class ExpressionError(Exception):
    """An expression has no usable value for this request. The text never quotes a value."""


@frozen
class Problem:
    """One thing wrong in a file: where, what, how to mend it. Lines and columns count from 1; 0 is the whole file."""

    file: str
    line: int
    column: int
    message: str
    mend: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}" + (f" ({self.mend})" if self.mend else "")


@dataclass
class InvalidConfiguration(Exception):
    """Files that cannot be put in force, with everything that is wrong in them."""

    problems: tuple[Problem, ...] = field(default=())

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
