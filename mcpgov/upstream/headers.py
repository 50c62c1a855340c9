"""Which URL and which header fields a request goes upstream with. Pure.

Rules: the fields are rebuilt by an allow-list, never copied and then cleaned, so what we do not know does not cross:
not the caller's credential, Cookie, Referer, Origin, forwarding or hop-by-hop fields (RFC 9110 section 7.6.1). The
policy's edits come next and the connection's credential last, so that it always wins. What mirrors the body
(Mcp-Method, Mcp-Name) is made from the body that was evaluated. A credential leaves only for the hosts that the
catalog entry names.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

from mcpgov import __version__
from mcpgov.decision import Reason
from mcpgov.destinations import may_receive, origin
from mcpgov.errors import Refusal
from mcpgov.models import Era, Kind
from mcpgov.trace_context import context_of

if TYPE_CHECKING:
    from mcpgov.decision import Changes, Decision, HeaderEdit, QueryEdit
    from mcpgov.models import Credential, MCPRequest, RemoteUpstream

Fields = list[tuple[str, str]]

USER_AGENT = f"mcpgov/{__version__}"
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
# One line of visible ASCII, or nothing: CR, LF and NUL inject fields.
VALUE = re.compile(r"([\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?)?")
COPIED = ("accept-language", "baggage", "tracestate")
ACCEPT = {Kind.STREAM: "text/event-stream", Kind.END: "*/*"}
ACCEPT_MESSAGES = "application/json, text/event-stream"
RESERVED = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-encoding", "content-length", "content-type"),
        *("expect", "host", "keep-alive", "last-event-id", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)
# No policy lets these cross: what the caller signs in with, and what is made anew.
NEVER = frozenset({"authorization", "cookie", "x-api-key", "traceparent", "user-agent", "x-correlation-id"})
PLAIN = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
SENTINEL = re.compile(r"=\?base64\?.*\?=")


def destination(upstream: RemoteUpstream, changes: Changes) -> str:
    """The URL to send to: the upstream's own as it is written, or what the policies make of it.

    `changes.path` stands in for the path of the upstream's URL; with `changes.backend` the path comes after that base.
    The query is the upstream's own (unless it stays behind), that of `changes.path`, and then each edit. Raises
    Refusal (policy-error) for a host that the catalog entry does not name: it must not get the credential.
    """
    if changes.backend is None and changes.path is None and not changes.query:
        return upstream.url
    backend = changes.backend or upstream.url
    base, own = urlsplit(backend), urlsplit(upstream.url)
    path, _, query = (changes.path or own.path).partition("?")
    if changes.backend is not None:
        path = base.path.rstrip("/") + path
    pairs = [pair for part in (own.query if changes.own_query else "", query) for pair in part.split("&") if pair]
    for edit in changes.query:
        pairs = _with_parameter(pairs, edit)
    url = urlunsplit((base.scheme, base.netloc, path, "&".join(pairs), ""))
    if not may_receive(upstream, backend) or origin(url) != origin(backend):
        detail = str(origin(backend)) if changes.backend else "the rewritten URL"
        raise Refusal(Reason.POLICY_ERROR, "The policy chose a backend that is not allowed.", detail=detail)
    return url


def _with_parameter(pairs: list[str], edit: QueryEdit) -> list[str]:
    """The parameters after one set-query-parameter; what it does not name stays as it is written."""
    kept = [pair for pair in pairs if unquote_plus(pair.partition("=")[0]) != edit.name]
    if edit.action == "delete":
        return kept
    if edit.action == "skip" and len(kept) < len(pairs):
        return pairs
    added = [f"{quote(edit.name, safe='')}={quote(value, safe='')}" for value in edit.values]
    return [*(pairs if edit.action == "append" else kept), *added]


def outgoing(request: MCPRequest, decision: Decision, credential: Credential, url: str) -> tuple[tuple[str, str], ...]:
    """The header fields of the request to `url`, in lower case. Raises Refusal for a field that no header can hold."""
    fields: Fields = [("host", urlsplit(url).netloc.rpartition("@")[2]), *_protocol_fields(request)]
    fields += _caller_fields(request, decision.changes)
    for name, value in fields:
        _check(name, value, Reason.HEADER_INVALID)
    for edit in decision.changes.headers:
        fields = _edited(fields, edit)
    for name, secret in credential.headers:
        value = secret.reveal()
        _check(name, value or "\0", Reason.CREDENTIAL_UNAVAILABLE)  # an empty one would call us anonymous
        _refuse_reserved(name, Reason.CREDENTIAL_UNAVAILABLE)
        fields = [*_without(fields, name), (name.lower(), value)]
    return tuple(fields)


def _protocol_fields(request: MCPRequest) -> Fields:
    """What the transport asks for, rebuilt from the parsed request (Streamable HTTP, both eras)."""
    head = request.head
    fields: Fields = [
        ("user-agent", USER_AGENT),
        ("accept", head.headers.get("accept") or ACCEPT.get(request.kind, ACCEPT_MESSAGES)),
        ("accept-encoding", "identity"),  # an encoded answer could not be looked into, or grow without bound
        ("x-correlation-id", head.correlation_id),
        ("traceparent", context_of(head, request).traceparent),
    ]
    if request.body:
        fields.append(("content-type", "application/json"))
    if request.era is Era.STATELESS or "mcp-protocol-version" in head.headers:
        fields.append(("mcp-protocol-version", request.protocol_version))
    if request.era is Era.STATELESS:
        fields.append(("mcp-method", request.method))
        # What extensions name is theirs to mirror: it decides nothing here.
        name = encoded(request.name) if request.name else head.headers.get("mcp-name")
        return [*fields, ("mcp-name", name)] if name else fields
    if request.session_id:
        fields.append(("mcp-session-id", request.session_id))
    if "last-event-id" in head.headers:
        fields.append(("last-event-id", head.headers.get("last-event-id")))
    return fields


def _caller_fields(request: MCPRequest, changes: Changes) -> Fields:
    """The few fields of the caller that cross, and those that a policy names.

    What its Connection field names stays, and so does every field in which a credential may stand.
    """
    headers = request.head.headers
    nominated = {token.strip().lower() for value in headers.all("connection") for token in value.split(",")}
    wanted = {name for name in changes.forwarded if not _is_reserved(name) and _folded(name) not in NEVER}
    fields: Fields = []
    for name, value in headers.fields:
        mirrored = name.startswith("mcp-param-") and request.era is Era.STATELESS
        crosses = (mirrored or name in COPIED or name in wanted) and _folded(name) not in changes.withheld
        if crosses and name not in nominated and value:
            fields.append((name, value))
    return fields


def encoded(text: str) -> str:
    """`text` as a mirrored header value; base64 where it is not plain (MCP 2026-07-28, Value Encoding)."""
    if PLAIN.fullmatch(text) and not SENTINEL.fullmatch(text):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def _edited(fields: Fields, edit: HeaderEdit) -> Fields:
    """The fields after one set-header. Several values become one field, joined by a comma (RFC 9110 section 5.3)."""
    _refuse_reserved(edit.name, Reason.POLICY_ERROR)
    kept, name = _without(fields, edit.name), edit.name.lower()
    exists = len(kept) < len(fields)
    if edit.action == "delete":
        return kept
    if edit.action == "skip" and exists:
        return fields
    values = list(edit.values)
    if edit.action == "append":
        values = [value for field, value in fields if _folded(field) == _folded(name)] + values
    value = ", ".join(values)
    _check(name, value, Reason.POLICY_ERROR)
    return [*kept, (name, value)]


def _without(fields: Fields, name: str) -> Fields:
    folded = _folded(name)
    return [field for field in fields if _folded(field[0]) != folded]


def _folded(name: str) -> str:
    """One spelling for the names that a server may read as one: many take `_` for `-` (GHSA-vjrc-mh2v-45x6)."""
    return name.lower().replace("_", "-")


def _check(name: str, value: str, reason: Reason) -> None:
    if not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
        raise Refusal(reason, "A header field of this call cannot be sent.", detail=f"header {name!a}")


def _is_reserved(name: str) -> bool:
    folded = _folded(name)
    return folded in RESERVED or folded.startswith("mcp-")


def _refuse_reserved(name: str, reason: Reason) -> None:
    if _is_reserved(name):
        raise Refusal(
            reason, "A header field of this call cannot be sent.", detail=f"header {name!a} is the gateway's own"
        )
