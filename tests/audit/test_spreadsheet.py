"""Rows that a spreadsheet reads, and runs nothing of."""

import csv
import io

from mcpgov.audit.formats import columns
from mcpgov.audit.reader import Call
from mcpgov.audit.spreadsheet import COLUMNS, cell, cells_of, heads, row_of
from tests.audit.exports import documented


def test_a_cell_is_never_a_formula() -> None:
    assert [cell(text) for text in ("=1", "+1", "-1", "@x", "\t", "ok", None, 7)] == [
        *("'=1", "'+1", "'-1", "'@x", "'\t", "ok", "", "7"),
    ]


def test_a_call_is_one_row_with_a_column_for_each_head() -> None:
    call = Call(1, {"ts": "T", "gen_ai.tool.name": 'a,"b"\n=c'}, {"mcpgov.status": "ok", "mcpgov.reason": "allowed"})
    [row] = csv.DictReader(io.StringIO(heads() + row_of(cells_of(call))))
    assert (row["time"], row["tool"], row["status"], row["reason"]) == ("T", 'a,"b"\n=c', "ok", "allowed")


def test_a_column_is_called_what_it_is_called_in_the_csv_of_records() -> None:
    names = {field: name for name, field in columns.COLUMNS.items()}
    shared = {name: field for name, field in COLUMNS.items() if field in names}
    assert shared == {names[field]: field for field in shared.values()}
    assert not any(" " in name for name in COLUMNS)


def test_a_column_is_of_a_field_that_records_have() -> None:
    assert set(COLUMNS.values()) - {"ended_ts"} <= documented()
