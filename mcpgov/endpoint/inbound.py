"""The gate: reads one HTTP request as one MCP request, or refuses it. Pure.

Decides the era from MCP-Protocol-Version alone, as the SDKs do, and everything else from the body; in the STATELESS
era the headers must say the same as the body (MCP 2026-07-28, Streamable HTTP, "Request Metadata"). What two parsers
could read differently is refused: arrays, keys that only look like the protocol's own, headers that stand twice.

It refuses to know what a tool may do, who calls, and whether there is such a connection. Unknown methods, fields and
headers are let through: the upstream knows them.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from mcpgov.decision import Reason
from mcpgov.errors import INVALID_PARAMS, Refusal
from mcpgov.messages import ENVELOPE_KEYS, looks_alike
from mcpgov.models import Era, Kind, MCPRequest
from mcpgov.strict_json import dumps, parse
from mcpgov.trace_context import claims_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mcpgov.models import Headers, Json, JSONRPCId, RequestHead
    from mcpgov.strict_json import JsonLimits

STATELESS_VERSIONS = ("2026-07-28",)
HANDSHAKE_VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26")
ASSUMED_VERSION = "2025-03-26"  # without a header (MCP 2025-06-18, Transports, "Protocol Version Header")

VERSION_HEADER = "mcp-protocol-version"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
CONSENT_KEY = "io.github.mcpgov/consent"  # of the one input that we ask for ourselves; see reply.py

# The parameter that Mcp-Name mirrors (2026-07-28, Streamable HTTP; tasks extension SEP-2663).
NAMED_BY = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}
GOVERNED = frozenset(
    {*NAMED_BY, "tools/list", "tasks/result", "tasks/list"}
)  # methods that a policy decides on: no other spelling of them passes

PARAMS_KEYS = frozenset(
    {"name", "uri", "arguments", "_meta", "taskId", "task", "cursor", "requestState", "inputResponses"}
    | {"protocolVersion", "capabilities", "clientInfo", "requestId", "progressToken", "ref", "argument", "level"}
)
META_KEYS = frozenset(
    {VERSION_KEY, CAPABILITIES_KEY, "io.modelcontextprotocol/clientInfo", "io.modelcontextprotocol/logLevel"}
    | {"progressToken", "traceparent", "tracestate", "baggage"}
)
KEY_LENGTH = 256  # of a key on those three levels

# Two of these are read as the first by one server and as the last by the next.
SINGLETONS = frozenset(
    {"host", "content-type", "content-length", "transfer-encoding", "authorization", "origin"}
    | {"mcp-session-id", "last-event-id", "traceparent"}
)
# With SINGLETONS and Mcp-*, what is read here or by what is in front of us: who calls, from where, what the body is.
MEANT = SINGLETONS | {
    *("forwarded", "x-real-ip", "cookie", "proxy-authorization", "connection", "upgrade", "expect", "te", "trailer"),
    *("content-encoding", "tracestate", "baggage", "x-correlation-id", "x-ms-correlation-id", "x-request-id"),
}
MEANT_PREFIXES = ("mcp-", "x-forwarded-")
JSON = "application/json"
CHARSETS = frozenset({"", "charset=utf-8", 'charset="utf-8"'})
BODILESS = {"GET": Kind.STREAM, "DELETE": Kind.END}
ALLOWED = {Era.HANDSHAKE: "GET, POST, DELETE", Era.STATELESS: "POST"}

ID_LENGTH = 1024
ID_MAGNITUDE = 2**63
ARRAY = re.compile(rb"[ \t\r\n]*\[")
NAME_LENGTH = 128  # of a tool's name (MCP 2025-11-25, Tools, "Tool Names")
METHOD = re.compile(r"[!-~]{1,256}")
BASE64_VALUE = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)


def era_of(headers: Headers) -> Era:
    """The era in which an answer is due, also where the request cannot be read: unknown versions are newer ones."""
    version = _field(headers, VERSION_HEADER)
    return Era.HANDSHAKE if version in HANDSHAKE_VERSIONS or VERSION_HEADER not in headers else Era.STATELESS


def is_disguised(name: str, caller_headers: Collection[str] = ()) -> bool:
    """Whether a header is written with `_` that, with `-`, would be one that means something here (decision 28)."""
    dashed = name.replace("_", "-")
    return dashed != name and (dashed in MEANT or dashed in caller_headers or dashed.startswith(MEANT_PREFIXES))


def parse_request(head: RequestHead, body: bytes, limits: JsonLimits, principal_id: str = "") -> MCPRequest:
    """The MCP request that an HTTP request of this principal carries. `session_id` is as presented, still sealed.

    Raises Refusal, with `request_id` set where a request with a valid id was refused.
    """
    if head.http_method != "POST":
        return _without_body(head)
    _require_json(head.headers)
    if ARRAY.match(body):  # before parsing: batches are executed by some servers in every version
        raise Refusal(Reason.BATCH_REFUSED, "The body is an array; send one message in each POST.")
    message = parse(body, limits)
    if not isinstance(message, dict):
        raise Refusal(Reason.INVALID_MESSAGE, "The body is not a JSON-RPC message, which is an object.")
    try:
        return _with_message(head, body, message, principal_id)
    except Refusal as refusal:
        refusal.request_id = _id(message) if "method" in message else None
        raise


def _without_body(head: RequestHead) -> MCPRequest:
    _require_single(head.headers)
    era, version = _negotiated(head.headers, {})
    kind = BODILESS.get(head.http_method) if era is Era.HANDSHAKE else None
    if kind is None:
        allowed = ALLOWED[era]
        raise Refusal(Reason.METHOD_NOT_ALLOWED, f"Use one of: {allowed}.", headers=(("Allow", allowed),))
    trace, session = claims_of(head.headers), _session(head.headers, era)
    return MCPRequest(
        head, era, kind, version, session_id=session, traceparent=trace.followed, traces_ignored=trace.ignored
    )


def _with_message(head: RequestHead, body: bytes, message: dict[str, Json], principal_id: str) -> MCPRequest:
    _require_exact_keys(message, ENVELOPE_KEYS, "the envelope")
    request_id = _id(message)
    kind = _kind(message, request_id)
    params = _member(message, "params")
    _require_exact_keys(params, PARAMS_KEYS, "params")
    meta = _member(params, "_meta")
    _require_exact_keys(meta, META_KEYS, "params._meta")
    _require_single(head.headers)
    era, version = _negotiated(head.headers, meta)
    method = _method(message, kind)
    if era is Era.STATELESS:
        _require_self_contained(kind, meta)
        params, body = _without_our_input(message, params, body)
    name = _name(method, params, kind)
    if era is Era.STATELESS and kind is Kind.REQUEST:
        _require_mirrors(head.headers, method, name)
    trace = claims_of(head.headers, meta.get("traceparent"))
    return MCPRequest(
        head=head,
        era=era,
        kind=kind,
        protocol_version="" if method == "initialize" and VERSION_HEADER not in head.headers else version,
        body=body,
        id=request_id,
        method=method,
        name=name,
        params=params,
        session_id=_session(head.headers, era),
        traceparent=trace.followed,
        traces_ignored=trace.ignored,
        principal_id=principal_id,
    )


# -- the body ----------------------------------------------------------------------------------------------------------


def _require_exact_keys(members: Mapping[str, Json], reserved: frozenset[str], where: str) -> None:
    """No key that a lenient reader takes for a reserved one, and none that a person could not tell from another."""
    if members.keys() <= reserved:
        return
    others = members.keys() - reserved
    unclear = any(len(key) > KEY_LENGTH or not key.isprintable() for key in others)
    if unclear or looks_alike(members, reserved):
        what = "too long, not printable, or looks like one of the protocol's own"
        raise Refusal(Reason.AMBIGUOUS_KEY, f"A key in {where} can be read in two ways: it is {what}.")


def _kind(message: Mapping[str, Json], request_id: JSONRPCId | None) -> Kind:
    if message.get("jsonrpc") != "2.0":
        raise Refusal(Reason.INVALID_MESSAGE, 'The message is not JSON-RPC: "jsonrpc" must be "2.0".')
    answers = ("result" in message) + ("error" in message)
    if ("method" in message) + answers != 1:
        raise Refusal(Reason.INVALID_MESSAGE, 'A message has either "method", or "result", or "error".')
    kind = Kind.RESPONSE if answers else Kind.REQUEST if "id" in message else Kind.NOTIFICATION
    anonymous = kind is Kind.NOTIFICATION or ("error" in message and message.get("id") is None)  # JSON-RPC 2.0, 5
    if request_id is None and not anonymous:
        raise Refusal(Reason.INVALID_MESSAGE, '"id" must be a string or an integer, of a reasonable size.')
    return kind


def _id(message: Mapping[str, Json]) -> JSONRPCId | None:
    """The id, if it is one that every peer keeps as it is: no null, no boolean, no fraction, nothing huge."""
    match message.get("id"):
        case bool():
            return None
        case int() as number if abs(number) < ID_MAGNITUDE:
            return number
        case str() as text if len(text) <= ID_LENGTH:
            return text
        case _:
            return None


def _member(parent: Mapping[str, Json], key: str) -> dict[str, Json]:
    """An object inside the message. Absent and null are the empty object: some serialisers write out every field."""
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _invalid_params(f'"{key}" must be an object.')
    return value


def _method(message: Mapping[str, Json], kind: Kind) -> str:
    method = message.get("method", "")
    if isinstance(method, str) and method in GOVERNED:
        return method
    if not isinstance(method, str) or ("method" in message and not METHOD.fullmatch(method)):
        raise Refusal(Reason.INVALID_MESSAGE, '"method" must be a string of visible ASCII characters, at most 256.')
    if method.lower() in GOVERNED:
        raise Refusal(Reason.INVALID_MESSAGE, f'"method" is written {method.lower()}.')
    if kind is Kind.REQUEST and method.lower().startswith("notifications/"):  # a cancellation would pass for a request
        raise Refusal(Reason.INVALID_MESSAGE, 'A notification is sent without an "id".')
    return method


def _name(method: str, params: Mapping[str, Json], kind: Kind) -> str:
    """What the call is about: a tool, a prompt, a resource, a task. Empty where the method names nothing."""
    if kind is Kind.NOTIFICATION and method in GOVERNED:  # some servers would run it, and nobody hear of the denial
        raise Refusal(Reason.INVALID_MESSAGE, f'{method} is a request: it needs an "id".')
    key = NAMED_BY.get(method, "")
    name = params.get(key)
    if name is not None and not isinstance(name, str):
        raise _invalid_params(f'"params.{key}" must be a string.')
    if method == "tools/call":
        if not name:
            raise _invalid_params('"params.name" must name a tool.')
        if len(name) > NAME_LENGTH or not name.isprintable():  # nobody could tell it from another, or read its record
            raise _invalid_params(f'"params.name" must have at most {NAME_LENGTH} characters, all of them visible.')
        _member(params, "arguments")
    return name or ""


def _invalid_params(message: str) -> Refusal:
    refusal = Refusal(Reason.INVALID_MESSAGE, message)
    refusal.code = INVALID_PARAMS
    return refusal


def _without_our_input(message: dict[str, Json], params: dict[str, Json], body: bytes) -> tuple[dict[str, Json], bytes]:
    """The message as the upstream may see it: an answer to what we asked ourselves is none to anything it asked."""
    responses = params.get("inputResponses")
    if not isinstance(responses, dict) or CONSENT_KEY not in responses:
        return params, body
    others = {key: value for key, value in responses.items() if key != CONSENT_KEY}
    kept = {key: value for key, value in params.items() if key != "inputResponses"}
    params = kept | ({"inputResponses": others} if others else {})
    return params, dumps(message | {"params": params})


# -- the headers -------------------------------------------------------------------------------------------------------


def _field(headers: Headers, name: str) -> str:
    """The value of a header, without the white space around it (RFC 9110 section 5.5)."""
    return headers.get(name).strip(" \t")


def _require_json(headers: Headers) -> None:
    if headers.get("content-type") == JSON and "content-encoding" not in headers:
        return
    if any(value.strip(" \t").lower() not in {"", "identity"} for value in headers.all("content-encoding")):
        raise Refusal(Reason.UNSUPPORTED_MEDIA_TYPE, "Send the body without Content-Encoding: it is read here.")
    media, *parameters = _field(headers, "content-type").lower().split(";")
    if media.strip() != JSON or not all(item.strip() in CHARSETS for item in parameters):
        raise Refusal(Reason.UNSUPPORTED_MEDIA_TYPE, "Send Content-Type: application/json, in UTF-8.")


def _require_single(headers: Headers) -> None:
    if "_" in "".join(headers.names):  # head_of() leaves none but those in disguise
        disguised = next(name for name in headers.names if "_" in name)
        message = f"Some servers read the header {disguised[:KEY_LENGTH]} as one with dashes."
        raise Refusal(Reason.HEADER_INVALID, message)
    if len(headers.names) == len(headers.fields):
        return
    names = [name for name, _ in headers.fields]
    for name in names:
        mirror = name.startswith("mcp-") and name != "mcp-session-id"
        if (mirror or name in SINGLETONS) and names.count(name) > 1:
            reason = Reason.HEADER_MISMATCH if mirror else Reason.HEADER_INVALID
            raise Refusal(reason, f"The header {name} stands more than once.")


def _negotiated(headers: Headers, meta: Mapping[str, Json]) -> tuple[Era, str]:
    """The era and version. Header and body must agree before either is believed, as in the SDK's own ladder."""
    version = _field(headers, VERSION_HEADER)
    if VERSION_KEY in meta and (VERSION_HEADER not in headers or meta[VERSION_KEY] != version):
        raise Refusal(Reason.HEADER_MISMATCH, "MCP-Protocol-Version and the version in params._meta differ.")
    if version in STATELESS_VERSIONS:
        return Era.STATELESS, version
    if version in HANDSHAKE_VERSIONS:
        return Era.HANDSHAKE, version
    if VERSION_HEADER not in headers:
        return Era.HANDSHAKE, ASSUMED_VERSION
    # To one who speaks for itself in _meta only that era is offered: naming the other would invite a downgrade.
    supported = STATELESS_VERSIONS if VERSION_KEY in meta else (*STATELESS_VERSIONS, *HANDSHAKE_VERSIONS)
    refusal = Refusal(Reason.UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version")
    refusal.data = {"supported": list(supported), "requested": version}
    raise refusal


def _require_self_contained(kind: Kind, meta: Mapping[str, Json]) -> None:
    if kind is Kind.RESPONSE:
        raise Refusal(Reason.INVALID_MESSAGE, "In 2026-07-28 a client posts no responses.")
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]
    if missing and kind is Kind.REQUEST:
        raise _invalid_params(f"params._meta lacks {' and '.join(missing)}.")


def _require_mirrors(headers: Headers, method: str, name: str) -> None:
    """Mcp-Method and Mcp-Name say what the body says, letter by letter (2026-07-28, "Server Validation")."""
    if _decoded(_field(headers, "mcp-method")) != method:
        raise Refusal(Reason.HEADER_MISMATCH, "The header mcp-method is missing or differs from the body.")
    if method in NAMED_BY and _decoded(_field(headers, "mcp-name")) != name:
        raise Refusal(Reason.HEADER_MISMATCH, "The header mcp-name is missing or differs from the body.")


def _decoded(value: str) -> str | None:
    """The text that =?base64?...?= stands for; any other value is itself. None where the base64 is not canonical."""
    encoded = BASE64_VALUE.fullmatch(value) if value.startswith("=?") else None
    if encoded is None:
        return value
    try:
        raw = base64.b64decode(encoded[1], validate=True)
        return raw.decode("utf-8") if base64.b64encode(raw).decode() == encoded[1] else None
    except ValueError:
        return None


def _session(headers: Headers, era: Era) -> str:
    return _field(headers, "mcp-session-id") if era is Era.HANDSHAKE else ""
