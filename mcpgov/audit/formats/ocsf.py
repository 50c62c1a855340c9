"""Records as OCSF 1.3 events of the class API Activity (6003), one JSON object a line. Pure.

Each record is an event of its own: an intent must not wait for its outcome, which may never come. Both have the id of
the call in `metadata.correlation_uid`, and the intent, which alone says who and what, has everything that the class
asks for; the outcome says of the rest that it is unknown. What happens to the gateway is of the same class, with itself
as the actor, so that one query finds all. Fields without a place in OCSF stand in `unmapped` under their own names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.audit.exported import Payload
from mcpgov.audit.formats.batches import LIMIT, NDJSON, divided, encoded, is_trouble, name_of, text_of
from mcpgov.audit.record import RecordEvent
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mcpgov.audit.exported import Exported
    from mcpgov.models import Json

VERSION: Final = "1.3.0"
CATEGORY: Final = 6  # Application Activity
CLASS: Final = 6003
READ, OTHER = 2, 99
INFORMATIONAL, LOW = (1, "Informational"), (2, "Low")
STATUSES: Final = {"": (0, "Unknown"), "ok": (1, "Success"), "denied": (2, "Failure")}
READING: Final = frozenset({"resources/read", "prompts/get", "ping", "initialize", "server/discover"})
UNKNOWN: Final = "unknown"
# Fields that have a place of their own below, and so do not stand in `unmapped`.
MAPPED: Final = frozenset(
    {"call_id", "client.address", "user_agent.original", "http.request.method", "http.response.status_code"}
    | {"mcp.method.name", "mcpgov.upstream.server", "mcpgov.status", "jsonrpc.request.id", "mcp.protocol.version"}
    | {"mcpgov.principal.id", "mcpgov.principal.name", "mcpgov.principal.app_id", "mcpgov.principal.issuer"}
)


@frozen
class Ocsf:
    """The Format `ocsf`. `limit` is in bytes."""

    limit: int = LIMIT

    def payloads(self, records: Sequence[Exported]) -> Iterator[Payload]:
        """One event a record."""
        for part, lines in divided(records, lambda one: encoded(event(one)) + b"\n", self.limit):
            yield Payload(b"".join(lines), len(part), NDJSON, name_of(part, ".ocsf.jsonl"))


def event(one: Exported) -> dict[str, Json]:
    """A record as an event."""
    record = one.record
    operation = operation_of(record)
    activity = READ if operation in READING or operation.endswith("/list") else OTHER
    status = text_of(record, "mcpgov.status")
    code, caption = STATUSES.get(status, STATUSES["denied"] if is_trouble(record) else (OTHER, status))
    severity, severity_caption = LOW if is_trouble(record) else INFORMATIONAL
    made: dict[str, Json] = {
        "activity_id": activity,
        "activity_name": "Read" if activity == READ else operation,
        "category_name": "Application Activity",
        "category_uid": CATEGORY,
        "class_name": "API Activity",
        "class_uid": CLASS,
        "type_uid": CLASS * 100 + activity,
        "severity_id": severity,
        "severity": severity_caption,
        "status_id": code,
        "status": caption,
        "time": one.at // 1000,
        "metadata": metadata(one),
        "actor": actor(record),
        "api": api(record, operation),
        "src_endpoint": source(record),
        "unmapped": {name: value for name, value in record.items() if name not in MAPPED},
    }
    if status:
        made["status_detail"] = status
    return made | http(record) | resources(record)


def operation_of(record: Mapping[str, Json]) -> str:
    """What was asked: an MCP method; of the gateway itself, what happened."""
    if record.get("event") == RecordEvent.CONTROL:
        return f"mcpgov/{text_of(record, 'mcpgov.control.event')}"
    return text_of(record, "mcp.method.name") or UNKNOWN


def metadata(one: Exported) -> Json:
    """Whose event this is, and its name everywhere."""
    made: dict[str, Json] = {
        "version": VERSION,
        "product": {"name": "mcpgov", "vendor_name": "mcpgov"},
        "uid": one.uid,
        "sequence": one.seq,
        "log_name": one.log,
        "log_provider": one.writer,
        "event_code": text_of(one.record, "event"),
    }
    if call := text_of(one.record, "call_id"):
        made["correlation_uid"] = call
    return made


def actor(record: Mapping[str, Json]) -> Json:
    """Who called. At least one member is needed (constraint at_least_one)."""
    if record.get("event") == RecordEvent.CONTROL:
        return {"app_name": "mcpgov"}
    user, name = (text_of(record, f"mcpgov.principal.{part}") or UNKNOWN for part in ("id", "name"))
    made: dict[str, Json] = {"user": {"uid": user, "name": name}}
    if app := text_of(record, "mcpgov.principal.app_id"):
        made["app_uid"] = app
    if issuer := text_of(record, "mcpgov.principal.issuer"):
        made["idp"] = {"name": issuer, "uid": issuer}
    return made


def api(record: Mapping[str, Json], operation: str) -> Json:
    """What was called, at which server."""
    made: dict[str, Json] = {"operation": operation}
    if server := text_of(record, "mcpgov.upstream.server"):
        made["service"] = {"name": server}
    if version := text_of(record, "mcp.protocol.version"):
        made["version"] = version
    if asked := text_of(record, "jsonrpc.request.id"):
        made["request"] = {"uid": asked}
    return made


def source(record: Mapping[str, Json]) -> Json:
    """Where it came from."""
    address = text_of(record, "client.address")
    return {"ip": address} if address else {"name": "mcpgov" if record.get("event") == RecordEvent.CONTROL else UNKNOWN}


def http(record: Mapping[str, Json]) -> dict[str, Json]:
    """The HTTP around it."""
    made: dict[str, Json] = {}
    if method := text_of(record, "http.request.method"):
        request: dict[str, Json] = {"http_method": method}
        if agent := text_of(record, "user_agent.original"):
            request["user_agent"] = agent
        made["http_request"] = request
    if isinstance(status := record.get("http.response.status_code"), int):
        made["http_response"] = {"code": status}
    return made


def resources(record: Mapping[str, Json]) -> dict[str, Json]:
    """The tool, prompt or resource that was used."""
    kinds = {"tool": "gen_ai.tool.name", "prompt": "gen_ai.prompt.name", "resource": "mcp.resource.uri"}
    named = ((kind, text_of(record, field)) for kind, field in kinds.items())
    found: list[Json] = [{"type": kind, "name": name} for kind, name in named if name]
    return {"resources": found} if found else {}
