"""How the gateway speaks to the client: the shape of a refusal, and which headers of an answer cross. Pure.

A refusal is one JSON-RPC message, carried by a whole HTTP reply or as the last event of a stream that has begun.
It is an error, or a tools/call result that the model reads. errors.ANSWERS says with which status and code.

What policies make of a reply is applied here: its status, header fields and body. None of it touches how the message is
carried (RESERVED), or the correlation id, which leads to the record.

Where a person has to act first, the refusal has a link, and the client is asked to open it as its era can be asked:
by an input that the call requires (2026-07-28), by the error for it (2025-11-25), else in words. The link is a person's
to follow: it stands where clients show it, and the text has it for those that only show text.

It refuses to know why a call is denied, and it never says more than the refusal's own message: no upstream address, no
rule, no stack. A hidden tool is answered like one that does not exist.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mcpgov.decision import Reason, Reply
from mcpgov.endpoint.inbound import CAPABILITIES_KEY, CONSENT_KEY, era_of
from mcpgov.errors import ANSWERS, HIDING, INVALID_REQUEST, URL_ELICITATION_REQUIRED, Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Era, Kind
from mcpgov.strict_json import JsonLimits, dumps, parse

if TYPE_CHECKING:
    from mcpgov.decision import Decision, HeaderEdit
    from mcpgov.models import Answer, Json, JSONRPCId, MCPRequest, RequestHead

RawHeaders = tuple[tuple[bytes, bytes], ...]

DECISION_KEY = "io.github.mcpgov/decision"
UNAUTHENTICATED = 401
BAD_REQUEST = 400
BODILESS = frozenset({204, 205, 304})  # RFC 9110 sections 15.3.5, 15.3.6, 15.4.5
JSON_LIMITS = JsonLimits()
ASKING = frozenset({Reason.CONSENT_REQUIRED, Reason.USER_REQUIRED})
INTERACTIVE = frozenset({"tools/call", "prompts/get", "resources/read"})  # MCP 2026-07-28, InputRequiredResult
ELICITING_VERSION = "2025-11-25"  # the one version with an error for it
TOLD_IN_WORDS = -31403  # the code of the error where there is neither
UNKNOWN = {"prompts/get": "Unknown prompt", "resources/read": "Unknown resource"}  # else a tool
CONTENT_TYPE = "content-type"
# How the message is carried, and the session, which is sealed: no policy edits these (RFC 9110 sections 6.4, 7.6.1).
RESERVED = frozenset({
    *("connection", "content-encoding", "content-length", "content-range", CONTENT_TYPE, "keep-alive"),
    *("mcp-session-id", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
})  # fmt: skip
# What an answer may tell beside its body. Set-Cookie, WWW-Authenticate (it would send clients to a stranger's sign-in),
# Server, Date and everything hop-by-hop stay here; Mcp-Session-Id crosses sealed, which is the endpoint's work.
CROSSING = ("x-accel-buffering", "allow", "retry-after", "mcp-protocol-version")


@frozen
class RefusalReply:
    """A whole HTTP reply that says no. Header names are lower case."""

    status: int
    headers: RawHeaders
    body: bytes


def refusal_reply(refusal: Refusal, request: MCPRequest | None, head: RequestHead) -> RefusalReply:
    """The HTTP reply to a refused request; `request` is None where it was refused before it could be read."""
    usual = 200 if _is_result(refusal, request) else ANSWERS[refusal.reason].status
    reply = refusal.reply or Reply()
    status = reply.status or usual
    body = dumps(_message(refusal, request, head)) if reply.body is None else reply.body
    headers = {
        CONTENT_TYPE: "application/json" if reply.body is None else _media_type(reply.body),
        "cache-control": "no-store",
        **({"www-authenticate": "Bearer"} if status == UNAUTHENTICATED else {}),
        **{name.lower(): value for name, value in refusal.headers},
    }
    _edit(headers, reply.edits, own_body=reply.body is not None)
    if status in BODILESS or not body:
        body = b""
        del headers[CONTENT_TYPE]
    headers["x-correlation-id"] = head.correlation_id
    return RefusalReply(status, _raw(tuple(headers.items())), body)


def refusal_event(refusal: Refusal, request: MCPRequest | None, head: RequestHead) -> bytes:
    """The same message as the last event of a stream that has begun (WHATWG HTML, server-sent events)."""
    return b"event: message\ndata: " + dumps(_message(refusal, request, head)) + b"\n\n"


def reply_headers(answer: Answer, decision: Decision, correlation_id: str) -> RawHeaders:
    """The headers that go out with an upstream's answer: what may cross, what the policies add, and our own."""
    answer_headers = answer.headers
    headers = {"cache-control": "no-store"}  # an answer is for one caller, also where the upstream calls it public
    # The type alone: a charset could make a client read other text than a list filter did.
    media = answer_headers.get("content-type").partition(";")[0].strip().lower()
    if media:
        headers["content-type"] = media
    if media == "text/event-stream":
        headers |= {"x-accel-buffering": "no", "cache-control": "no-store, no-transform"}  # to compress is to buffer
    if not answer_headers.names.isdisjoint(CROSSING):
        headers |= {name: value for name in CROSSING if is_told(value := answer_headers.get(name))}
    headers |= {name.lower(): value for name, value in decision.reply_headers}
    _edit(headers, answer.reply.edits if answer.reply else (), own_body=False)
    headers["x-correlation-id"] = correlation_id
    return _raw(tuple(headers.items()))


def is_told(value: str) -> bool:
    """Whether the value of a field can be told: visible ASCII, for clients read anything else in more than one way."""
    return bool(value) and value.isascii() and value.isprintable()


def _edit(headers: dict[str, str], edits: tuple[HeaderEdit, ...], *, own_body: bool) -> None:
    """Make the edits of policies, save what they may not touch; the type only of a body that is theirs."""
    for edit in edits:
        if edit.name not in RESERVED or (own_body and edit.name == CONTENT_TYPE and edit.action != "delete"):
            edit.apply(headers)


def _media_type(body: bytes) -> str:
    """What a body is whose policy does not say: JSON where it is an object or an array, else text."""
    try:
        structured = isinstance(parse(body, JSON_LIMITS), dict | list)
    except Refusal:
        structured = False
    return "application/json" if structured else "text/plain; charset=utf-8"


def _raw(headers: tuple[tuple[str, str], ...]) -> RawHeaders:
    return tuple([(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers])


def _is_result(refusal: Refusal, request: MCPRequest | None) -> bool:
    return (
        (refusal.as_tool_result or (refusal.reason in ASKING and not _knows_error(refusal, request)))
        and refusal.reason not in HIDING
        and request is not None
        and request.kind is Kind.REQUEST
        and bool(request.tool)
    )


def _message(refusal: Refusal, request: MCPRequest | None, head: RequestHead) -> dict[str, object]:
    era = era_of(head.headers) if request is None else request.era
    message: dict[str, object] = {"jsonrpc": "2.0", "id": _id(refusal, request)}
    if request is not None and _may_require_input(refusal, request):
        asked = {CONSENT_KEY: {"method": "elicitation/create", "params": _elicitation(refusal)}}
        return message | {"result": {"resultType": "input_required", "inputRequests": asked}}
    if _is_result(refusal, request):
        return message | {"result": _result(refusal, era, head.correlation_id)}
    return message | {"error": _error(refusal, request, era, head.correlation_id)}


def _id(refusal: Refusal, request: MCPRequest | None) -> JSONRPCId | None:
    """The id of the request that is answered. The id of a posted response is the server's, and answers nothing here."""
    if request is None:
        return refusal.request_id
    return request.id if request.kind is Kind.REQUEST else None


def _result(refusal: Refusal, era: Era, correlation_id: str) -> dict[str, object]:
    result: dict[str, object] = {
        "content": [{"type": "text", "text": _words(refusal)}],
        "isError": True,
        "_meta": {DECISION_KEY: {"reason": refusal.reason, "correlationId": correlation_id}},
    }
    return {"resultType": "complete", **result} if era is Era.STATELESS else result


def _error(refusal: Refusal, request: MCPRequest | None, era: Era, correlation_id: str) -> dict[str, object]:
    code = _code(refusal, era) if refusal.code is None else refusal.code
    if refusal.reason in HIDING:
        # No data, and not the refusal's own message: nothing that tells hidden from unknown. The record has the reason.
        method, name = (request.method, request.name) if request else ("tools/call", "")
        data: dict[str, object] = {"data": {"uri": name}} if method == "resources/read" else {}
        return {"code": code, "message": f"{UNKNOWN.get(method, 'Unknown tool')}: {name}", **data}
    # A key must not learn of connections that are none of its own: they look like those that there are not.
    reason = Reason.UNKNOWN_CONNECTION if refusal.reason is Reason.CONNECTION_DENIED else refusal.reason
    data = {**refusal.data, "reason": reason, "correlationId": correlation_id}
    if refusal.reason in ASKING:
        knows = _knows_error(refusal, request)
        code = URL_ELICITATION_REQUIRED if knows else TOLD_IN_WORDS
        data |= {"elicitations": [_elicitation(refusal) | {"elicitationId": _elicitation_id(refusal)}]} if knows else {}
    return {"code": code, "message": _words(refusal), "data": data}


def _may_require_input(refusal: Refusal, request: MCPRequest) -> bool:
    """Whether the client can be asked to open the link and to call again (MCP 2026-07-28, Elicitation, URL mode)."""
    asking = refusal.reason in ASKING and refusal.link and request.kind is Kind.REQUEST
    if not asking or request.era is not Era.STATELESS or request.method not in INTERACTIVE:
        return False
    found: Json = dict(request.params)
    for key in ("_meta", CAPABILITIES_KEY, "elicitation", "url"):
        found = found.get(key) if isinstance(found, dict) else None
    return isinstance(found, dict)


def _knows_error(refusal: Refusal, request: MCPRequest | None) -> bool:
    """Whether the client may know the error that asks it to open the link."""
    if request is None or not refusal.link or request.era is not Era.HANDSHAKE:
        return False
    version = request.params.get("protocolVersion") if request.method == "initialize" else request.protocol_version
    return version == ELICITING_VERSION


def _elicitation(refusal: Refusal) -> dict[str, object]:
    return {"mode": "url", "url": refusal.link, "message": refusal.message}


def _elicitation_id(refusal: Refusal) -> str:
    """One for each link, and with it for each ticket."""
    return hashlib.sha256(refusal.link.encode()).hexdigest()[:32]


def _words(refusal: Refusal) -> str:
    return f"{refusal.message} {refusal.link}" if refusal.link else refusal.message


def _code(refusal: Refusal, era: Era) -> int:
    """The code of the reason; where a policy has set another status, the code of that (see errors)."""
    shape, status = ANSWERS[refusal.reason], refusal.reply.status if refusal.reply else None
    if status is None or status < BAD_REQUEST or status == shape.status:
        return shape.stateless_code if era is Era.STATELESS else shape.code
    return INVALID_REQUEST if status == BAD_REQUEST else -(31000 + status)
