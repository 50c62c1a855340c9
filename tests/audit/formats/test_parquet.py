"""Parquet is read back by another reader with its types, row by row, whatever stands in a record."""

import importlib
import io
import json
from typing import Any

import pytest

from mcpgov.audit.exported import Exported
from mcpgov.audit.formats.columns import NAMES
from mcpgov.audit.formats.parquet import Parquet, ParquetFile
from tests.audit.calls import NOW
from tests.audit.exports import HOSTILE, exported, hostile, raw_hostile, rows

PARQUET: Any = importlib.import_module("pyarrow.parquet")
ARROW: Any = importlib.import_module("pyarrow")


def read(body: bytes) -> list[dict[str, Any]]:
    return PARQUET.read_table(io.BytesIO(body)).to_pylist()


@pytest.mark.parametrize("found", [exported(rows()), hostile(), raw_hostile()])
def test_every_row_is_read_back(found: list[Exported]) -> None:
    (payload,) = Parquet(ARROW, 5_000_000).payloads(found)
    table = read(payload.body)
    assert payload.name.endswith(".parquet")
    assert [tuple(row) for row in table] == [NAMES] * len(found)
    assert [json.loads(row["record"]) for row in table] == [one.record for one in found]
    assert [row["seq"] for row in table] == [one.seq for one in found]


def test_a_cell_is_what_the_caller_chose_and_a_time_is_a_time() -> None:
    (payload,) = Parquet(ARROW, 5_000_000).payloads(raw_hostile())
    table = read(payload.body)
    assert [row["tool"] for row in table] == list(HOSTILE)
    assert table[0]["time"] == NOW


def test_batches_make_one_file() -> None:
    sink = io.BytesIO()
    with ParquetFile(ARROW, sink) as file:
        for _ in range(3):
            file.write(exported(rows()))
        file.write([])
    assert len(read(sink.getvalue())) == 15
