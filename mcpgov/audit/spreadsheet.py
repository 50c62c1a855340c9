"""Calls as rows of CSV: which fields are columns, named as in the CSV of records, and cells that no spreadsheet runs.

Refuses to know: where the rows go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.audit.formats import csv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcpgov.audit.reader import Call

COLUMNS: Final = {
    "time": "ts",
    "ended": "ended_ts",
    "status": "mcpgov.status",
    "principal_id": "mcpgov.principal.id",
    "principal_name": "mcpgov.principal.name",
    "project": "mcpgov.principal.project",
    "agent_id": "mcpgov.principal.agent_id",
    "blueprint_id": "mcpgov.principal.blueprint_id",
    "client_address": "client.address",
    "connection": "mcpgov.connection",
    "method": "mcp.method.name",
    "tool": "gen_ai.tool.name",
    "effect": "mcpgov.decision.effect",
    "rule": "mcpgov.decision.rule",
    "total_us": "mcpgov.latency.total_us",
    "correlation_id": "correlation_id",
    "trace_id": "trace_id",
}


def heads() -> str:
    """The first row."""
    return row_of([*COLUMNS, "reason"])


def cells_of(call: Call) -> list[str]:
    """A call as the cells of a row, with why it ended as it did."""
    fields = call.fields
    return [*(cell(fields.get(name)) for name in COLUMNS.values()), cell(call.reason)]


def cell(value: object) -> str:
    """A value as a cell that no spreadsheet runs."""
    return csv.cell("" if value is None else str(value))


def row_of(cells: Iterable[str]) -> str:
    """A row of CSV (RFC 4180), its end included."""
    return csv.row_of(cells).decode()
