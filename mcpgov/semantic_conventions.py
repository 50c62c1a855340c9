"""What a span and a measurement say of a call, in the words of OpenTelemetry's conventions for MCP. Pure.

The conventions are those of the repository semantic-conventions-genai, page "Model Context Protocol".

Rules: no argument, no credential and no raw session id is among it. What a measurement is told apart by is bounded,
whatever callers send: a method, a code or a connection that we do not know is `_OTHER`. What our own words name begins
with `mcpgov.`, as in the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcpgov.audit.redact import clip, without_query
from mcpgov.models import LocalUpstream, OutcomeStatus

if TYPE_CHECKING:
    from collections.abc import Container

    from mcpgov.audit.ended import EndedCall

Attributes = dict[str, str | int]

SERVER_DURATION: Final = "mcp.server.operation.duration"
CLIENT_DURATION: Final = "mcp.client.operation.duration"
BUCKETS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)  # seconds, as advised
OTHER: Final = "_OTHER"
TOOL_ERROR: Final = "tool_error"
METHODS: Final = frozenset({
    *("initialize", "ping", "server/discover", "logging/setLevel", "completion/complete", "subscriptions/listen"),
    *("tools/list", "tools/call", "prompts/list", "prompts/get", "tasks/get", "tasks/update", "tasks/cancel"),
    *("resources/list", "resources/templates/list", "resources/read", "resources/subscribe", "resources/unsubscribe"),
    *("notifications/initialized", "notifications/cancelled", "notifications/progress", "notifications/message"),
    *("notifications/roots/list_changed", "notifications/elicitation/complete"),
})  # fmt: skip
CODES: Final = range(-33000, -31000)  # JSON-RPC's and MCP's own, and mcpgov's


def span_name(call: EndedCall) -> str:
    """`{mcp.method.name} {target}`; a target is a tool or a prompt. The HTTP method where no message was read."""
    request = call.request
    if request is None or not request.method:
        return clip(call.head.http_method)
    target = request.name if request.method in {"tools/call", "prompts/get"} else ""
    return clip(f"{request.method} {target}".strip())


def server_attributes(call: EndedCall) -> Attributes:
    """What the span of the leg in says."""
    told = call.seen.status if call.seen else None
    return _present({
        **_about(call),
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "client.address": call.head.source_address,
        "mcp.session.id": call.session,
        "http.response.status_code": told,
        "mcpgov.correlation_id": call.head.correlation_id,
        "mcpgov.decision.effect": call.effect,
        "mcpgov.decision.rule": clip(call.decision.rule) if call.decision else None,
        "mcpgov.status": call.status.value,
        "mcpgov.reason": call.reason and call.reason.value,
    })  # fmt: skip


def client_attributes(call: EndedCall) -> Attributes:
    """What the span of the leg out says: where it went, by host and port, and how that ended."""
    return _present({**_about(call), **_destination(call), "mcpgov.upstream.server": _server(call)})


def server_dimensions(call: EndedCall, connections: Container[str]) -> Attributes:
    """What measurements of the leg in are told apart by. `connections` are those of the catalog."""
    effect = {"mcpgov.decision.effect": call.effect, "network.transport": "tcp", "network.protocol.name": "http"}
    return _present({**_dimensions(call, connections), **effect})


def client_dimensions(call: EndedCall, connections: Container[str]) -> Attributes:
    """What measurements of the leg out are told apart by."""
    return _present({**_dimensions(call, connections), **_destination(call)})


def connection_of(call: EndedCall, connections: Container[str]) -> str:
    """The connection that was called, if the catalog has it: callers choose the path, and could fill a memory."""
    return call.head.connection if call.head.connection in connections else ""


def error_type(call: EndedCall) -> str:
    """What went wrong: `tool_error`, a JSON-RPC code, an HTTP status, or our reason; empty where nothing did."""
    if call.status is OutcomeStatus.OK:
        return ""
    if call.status is OutcomeStatus.TOOL_ERROR:
        return TOOL_ERROR
    if call.status is OutcomeStatus.RPC_ERROR and call.seen is not None:
        return str(call.seen.status if call.seen.code is None else call.seen.code)
    return (call.reason or call.status).value


def client_seconds(call: EndedCall) -> float:
    """How long the leg out took: from where the intent was durable to the end of the call."""
    return seconds((call.latency.total or 0) - client_start(call))


def client_start(call: EndedCall) -> int:
    """Microseconds from the beginning of the call until it left for the upstream."""
    return (call.latency.decision or 0) + (call.latency.audit or 0)


def seconds(microseconds: int | None) -> float:
    """Seconds, as measurements have them."""
    return (microseconds or 0) / 1_000_000


def _about(call: EndedCall) -> dict[str, str | int | None]:
    """What both spans say: the operation, and how it ended."""
    said: dict[str, str | int | None] = {"mcpgov.connection": clip(call.head.connection)}
    said["error.type"] = error_type(call)
    if call.seen is not None and call.seen.code is not None:
        said["rpc.response.status_code"] = str(call.seen.code)
    request = call.request
    if request is None:
        return said
    return said | {
        "mcp.method.name": clip(request.method),
        "mcp.protocol.version": clip(request.protocol_version),
        "mcp.resource.uri": without_query(request.name) if request.method.startswith("resources/") else None,
        "gen_ai.operation.name": "execute_tool" if request.tool else None,
        "gen_ai.tool.name": clip(request.tool),
        "gen_ai.prompt.name": clip(request.name) if request.method == "prompts/get" else None,
        "jsonrpc.request.id": None if request.id is None else clip(str(request.id)),
    }


def _dimensions(call: EndedCall, connections: Container[str]) -> dict[str, str | int | None]:
    request, error, code = call.request, error_type(call), call.seen.code if call.seen else None
    if code is not None and code not in CODES:
        error = OTHER if call.status is OutcomeStatus.RPC_ERROR else error
    method = request.method if request else ""
    return {
        "mcp.method.name": method if method in METHODS else OTHER,
        "mcp.protocol.version": request.protocol_version if request else None,
        "gen_ai.operation.name": "execute_tool" if request and request.tool else None,
        "error.type": error,
        "rpc.response.status_code": None if code is None else str(code) if code in CODES else OTHER,
        "mcpgov.connection": connection_of(call, connections) or OTHER,
    }


def _destination(call: EndedCall) -> dict[str, str | int | None]:
    upstream = call.connection.upstream if call.connection else None
    if upstream is None:
        return {}
    if isinstance(upstream, LocalUpstream):
        return {"network.transport": "pipe"}
    changes = call.decision.changes if call.decision else None
    place = urlsplit((changes and changes.backend) or upstream.url)
    return {
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "server.address": place.hostname,
        "server.port": place.port or {"https": 443, "http": 80}.get(place.scheme),
    }


def _server(call: EndedCall) -> str | None:
    return clip(call.connection.server) if call.connection else None


def _present(attributes: dict[str, str | int | None]) -> Attributes:
    """Those that are known."""
    return {name: value for name, value in attributes.items() if value is not None and value != ""}
