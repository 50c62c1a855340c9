"""What the routes of the admin API answer when all is well, as JSON Schemas for its OpenAPI document, by route. Pure.

A member may be added; what is here stays, and is there unless it says otherwise. Fields of records are not listed:
docs/audit.md has them. tests/admin/test_answers.py holds every answer against these, with nothing beside them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mcpgov.pinning.judgement import PinState

if TYPE_CHECKING:
    from collections.abc import Mapping

    Schema = Mapping[str, Any]

TEXT: Final = {"type": "string"}
WHOLE: Final = {"type": "integer"}
NUMBER: Final = {"type": "number"}
FLAG: Final = {"type": "boolean"}
ANY: Final = {"type": "object"}
TIME: Final = {"type": "string", "format": "date-time"}


def each(schema: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": schema}


def maybe(schema: Schema) -> Schema:
    """It, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def counts() -> Schema:
    """How many, by name."""
    return {"type": "object", "additionalProperties": WHOLE}


def members(**schemas: Schema) -> Schema:
    """An object with all of these."""
    return {"type": "object", "required": list(schemas), "properties": schemas}


TEXTS: Final = each(TEXT)
PAIRS: Final = each(TEXTS)
STATE: Final = {"enum": ["in force", "overlapping", "expired", "revoked"]}
MADE: Final = {"created_at": TIME, "expires_at": maybe(TIME), "revoked_at": maybe(TIME)}
NAMED: Final = {"id": TEXT, "name": TEXT, "state": STATE, **MADE}
ROLE: Final = {"enum": ["viewer", "operator", "admin"]}
SCOPE: Final = {"connections": maybe(TEXTS), "tools": maybe(TEXTS)}
KEY: Final = {**NAMED, "project": TEXT, **SCOPE, "last_used_at": maybe(TIME), "replaced_by": maybe(TEXT)}
ADMIN_KEY: Final = {**NAMED, "role": ROLE}
REVOKED: Final = members(id=TEXT, state={"const": "revoked"})
RECORD: Final = members(id=WHOLE, writer=TEXT, seq=WHOLE, hash=maybe(TEXT), record=ANY)
TOP: Final = members(value=TEXT, shown=TEXT, calls=WHOLE, denied=WHOLE)
BAR: Final = members(at=TIME, ok=WHOLE, trouble=WHOLE, denied=WHOLE, **{"given-up": WHOLE})
LATENCY: Final = members(p50=NUMBER, p95=NUMBER, p99=NUMBER, calls=WHOLE)
USED: Final = members(
    principal=TEXT, name=TEXT, connection=TEXT, tool=TEXT, calls=WHOLE, denied=WHOLE, trouble=WHOLE, last=TIME
)
EXPORT: Final = members(
    **dict.fromkeys(("name", "target", "format", "error"), TEXT),
    **dict.fromkeys(("position", "behind"), WHOLE),
    **dict.fromkeys(("oldest", "failing"), maybe(TIME)),
)
STATS: Final = members(
    since=TIME,
    until=TIME,
    step_seconds=WHOLE,
    totals=counts(),
    decisions=counts(),
    statuses=counts(),
    bars=each(BAR),
    agents=each(TOP),
    tools=each(TOP),
    reasons=each(TOP),
    latency_ms=maybe(LATENCY),
    counted=maybe(WHOLE),
)
LEDGER: Final = members(
    records=WHOLE,
    behind=WHOLE,
    checkpointed_at=maybe(TIME),
    uncovered=WHOLE,
    verified=maybe(members(at=TIME, result=TEXT, by=TEXT)),
    failed_sinks={"type": "object", "additionalProperties": TIME},
)
HEALTH: Final = {"enum": ["unknown", "available", "unavailable", "no-tools"]}
OWN_TOOLS: Final = each({"type": "array"})  # the name of a tool, and the policies of its own
CONNECTION: Final = members(
    **dict.fromkeys(("name", "server", "upstream", "auth_type", "client_auth_type"), TEXT),
    timeout=NUMBER,
    policies=TEXTS,
    tools=OWN_TOOLS,
    health=HEALTH,
    **dict.fromkeys(("problem", "why", "since"), TEXT),
)
SERVER: Final = members(
    **dict.fromkeys(("name", "title", "version", "description"), TEXT),
    policies=TEXTS,
    connections=each(CONNECTION),
    **dict.fromkeys(("pin", "status", "publisher", "registry", "owner", "file"), TEXT),
    categories=TEXTS,
    environments=TEXTS,
    contacts=each(members(name=TEXT, email=TEXT, url=TEXT)),
    tools=members(listed=FLAG, counts=counts()),
)
POLICY: Final = {
    **dict.fromkeys(("name", "file", "mode", "digest"), TEXT),
    "elements": WHOLE,
    **dict.fromkeys(("scopes", "left_out"), TEXTS),
}
ELEMENT: Final = members(
    rule=TEXT, section=TEXT, depth=WHOLE, asked=PAIRS, changes=PAIRS, told=TEXTS, denies=maybe(TEXT)
)
SENT: Final = members(to=TEXT, headers=PAIRS)  # where something is sent
EXPLAINED: Final = members(
    **dict.fromkeys(("connection", "method", "tool", "principal", "kind", "address"), TEXT),
    **dict.fromkeys(("decision", "rule", "message", "detail", "policy_hash"), TEXT),
    left_out={"type": "array"},
    reported={"type": "array"},
    elements=each(ELEMENT),
    replied=members(status=WHOLE, headers=PAIRS, body=TEXT),
)
PIN_STATE: Final = {"enum": [state.value for state in PinState]}
TOOL: Final = members(
    **dict.fromkeys(("server", "place", "tool", "digest", "approved", "rejected", "fault", "decided_by"), TEXT),
    state=PIN_STATE,
    seen_at=TIME,
    decided_at=maybe(TIME),
    differences=each(members(path=TEXT, change=TEXT, before={}, after={})),
    lines=TEXTS,
    findings=each(members(severity=TEXT, path=TEXT, message=TEXT, mend=TEXT)),
)
DECIDED: Final = members(server=TEXT, place=TEXT, tool=TEXT, digest=TEXT, state=PIN_STATE)
SHAPES: Final[Mapping[str, Schema]] = {
    "get-audit-calls": members(calls=each(ANY), next=maybe(TEXT)),
    "get-audit-calls-id": members(records=each(RECORD)),
    "get-audit-stats": STATS,
    "get-audit-usage": members(usage=each(USED)),
    "get-audit-state": LEDGER,
    "get-audit-events": members(records=each(RECORD), next=maybe(TEXT)),
    "get-audit-exports": members(exports=each(EXPORT)),
    "get-keys": members(keys=each(members(**KEY))),
    "post-keys": members(**KEY, key=TEXT),
    "delete-keys-id": REVOKED,
    "get-admin-keys": members(keys=each(members(**ADMIN_KEY))),
    "post-admin-keys": members(**ADMIN_KEY, key=TEXT),
    "delete-admin-keys-id": REVOKED,
    "get-catalog": members(stamp=TEXT, servers=each(SERVER)),
    "get-catalog-server-pins": members(server=TEXT, pin=TEXT, tools=each(TOOL)),
    "post-catalog-server-approve": DECIDED,
    "post-catalog-server-reject": DECIDED,
    "get-connections": members(connections=each(CONNECTION)),
    "get-connections-name": CONNECTION,
    "get-policies": members(policies=each(members(**POLICY, text={"type": "null"}))),
    "get-policies-name": members(**POLICY, text=TEXT),
    "post-policies-explain": {**EXPLAINED, "properties": {**EXPLAINED["properties"], "sent": SENT}},
    "get-openapi-json": ANY,
}
