"""The columns of a record where it becomes a row, in CSV and Parquet: always these, always in this order. Pure.

The last one holds the whole record, so that no column leaves anything out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.audit.formats.batches import encoded, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcpgov.audit.exported import Exported
    from mcpgov.models import Json

COLUMNS: Final = {
    "log_id": "mcpgov.log_id",
    "writer": "mcpgov.writer",
    "seq": "mcpgov.seq",
    "time": "ts",
    "event": "event",
    "call_id": "call_id",
    "correlation_id": "correlation_id",
    "trace_id": "trace_id",
    "control_event": "mcpgov.control.event",
    "connection": "mcpgov.connection",
    "method": "mcp.method.name",
    "tool": "gen_ai.tool.name",
    "principal_id": "mcpgov.principal.id",
    "principal_kind": "mcpgov.principal.kind",
    "principal_name": "mcpgov.principal.name",
    "project": "mcpgov.principal.project",
    "agent_id": "mcpgov.principal.agent_id",
    "blueprint_id": "mcpgov.principal.blueprint_id",
    "client_address": "client.address",
    "effect": "mcpgov.decision.effect",
    "decision_reason": "mcpgov.decision.reason",
    "rule": "mcpgov.decision.rule",
    "status": "mcpgov.status",
    "reason": "mcpgov.reason",
    "http_status": "http.response.status_code",
    "upstream_server": "mcpgov.upstream.server",
    "upstream_us": "mcpgov.latency.upstream_us",
    "total_us": "mcpgov.latency.total_us",
}
WHOLE: Final = "record"
NAMES: Final = (*COLUMNS, WHOLE)
NUMBERS: Final = frozenset({"seq", "http_status", "upstream_us", "total_us"})


def texts(one: Exported) -> Iterator[str]:
    """The cells of a row as text, in the order of NAMES; empty where there is nothing."""
    fields = one.fields
    yield from (text_of(fields, field) for field in COLUMNS.values())
    yield encoded(dict(one.record)).decode()


def values(one: Exported) -> Mapping[str, Json]:
    """The cells of a row by name: whole numbers in NUMBERS, text elsewhere, None where there is nothing."""
    fields = one.fields
    row: dict[str, Json] = {}
    for name, field in COLUMNS.items():
        value = fields.get(field)
        if name in NUMBERS:
            row[name] = value if isinstance(value, int) else None
        else:
            row[name] = text_of(fields, field) or None
    return {**row, WHOLE: encoded(dict(one.record)).decode()}
