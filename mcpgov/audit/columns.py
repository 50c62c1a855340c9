"""The columns that a record is filed under in a store: copies of what the record says, and held against it.

Pure. A search reads the columns; whoever changed one would hide a record from it that the ledger still holds.
"""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING

from mcpgov.audit.record import RecordEvent, Row, microseconds
from mcpgov.audit.redact import clip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Json

# Where the columns that a record is found by stand in it; the reason is where the event puts it.
COLUMNS = {
    "call_id": "call_id",
    "event": "event",
    "connection": "mcpgov.connection",
    "method": "mcp.method.name",
    "tool": "gen_ai.tool.name",
    "principal": "mcpgov.principal.id",
    "principal_name": "mcpgov.principal.name",
    "project": "mcpgov.principal.project",
    "status": "mcpgov.status",
    "source": "client.address",
    "correlation_id": "correlation_id",
    "trace_id": "trace_id",
}
REASONS: Mapping[str, str] = {
    RecordEvent.INTENT: "mcpgov.decision.reason",
    RecordEvent.DENIED: "mcpgov.decision.reason",
    RecordEvent.OUTCOME: "mcpgov.reason",
    RecordEvent.CONTROL: "mcpgov.control.event",
}
CONTROLLED = ("connection", "principal", "source", "correlation_id")  # that a control record is found by
NUL = {0: "\N{SYMBOL FOR NULL}"}  # in the columns of a database that has no text with a NUL
NAMES = tuple(COLUMNS.values())
COPIES = attrgetter(*COLUMNS)
ENDING = frozenset({RecordEvent.OUTCOME, RecordEvent.DENIED})


def unlike(fields: Mapping[str, Json], columns: Row) -> str | None:
    """Which of the columns that a record is found by does not say what the record says."""
    event = fields.get("event")
    if event == RecordEvent.CONTROL:
        fields = {**fields, **of_control(fields)}
    if (copies := COPIES(columns)) != tuple(map(fields.get, NAMES)):
        for column, copy, name in zip(COLUMNS, copies, NAMES, strict=True):
            if copy != fields.get(name) and copy != str(fields.get(name)).translate(NUL):
                return f"is filed under another {column} than it has"
    if columns.reason != fields.get(REASONS.get(str(event), "")):
        return "is filed under another reason than it has"
    if columns.final != (event in ENDING):
        return "is filed as another kind of record than it is"
    if columns.at != time_of(fields):
        return "is filed under another time than it has"
    return None


def of_control(fields: Mapping[str, Json]) -> Mapping[str, Json]:
    """What a control record is found by, under the names that a call has for it."""
    found = {COLUMNS[name]: fields.get(f"mcpgov.control.{name}") for name in CONTROLLED}
    return {name: clip(str(value)) for name, value in found.items() if value is not None}


def time_of(fields: Mapping[str, Json]) -> int | None:
    """When a record was made, in microseconds since 1970-01-01 UTC; None where it does not say."""
    try:
        return microseconds(datetime.fromisoformat(str(fields.get("ts"))))
    except (ValueError, TypeError):
        return None
