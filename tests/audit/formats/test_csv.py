"""CSV is read back cell by cell by any reader, and no spreadsheet runs what a caller chose."""

import csv
import io
import json

import pytest

from mcpgov.audit.exported import Exported
from mcpgov.audit.formats.columns import NAMES
from mcpgov.audit.formats.csv import FORMULA, Csv, cell
from tests.audit.exports import HOSTILE, exported, hostile, raw_hostile, rows


@pytest.mark.parametrize("found", [exported(rows()), hostile(), raw_hostile()])
def test_every_row_is_read_back_and_no_cell_is_a_formula(found: list[Exported]) -> None:
    (payload,) = Csv(5_000_000).payloads(found)
    csv.field_size_limit(1_000_000)
    head, *read = csv.reader(io.StringIO(payload.body.decode(), newline=""))
    assert tuple(head) == NAMES
    assert len(read) == len(found) == payload.count
    assert [row[0] for row in read] == [one.log for one in found]
    assert [json.loads(row[-1]) for row in read] == [one.record for one in found]
    assert not any(text.startswith(FORMULA) or "\0" in text for row in read for text in row)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_shows_what_it_is_and_runs_nothing(text: str) -> None:
    shown = cell(text)
    assert shown.removeprefix("'") == text.replace("\0", "␀")
    assert shown.startswith("'") == text.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_full_width_signs_are_signs() -> None:
    assert cell("\uff1d1") == "'\uff1d1"


def test_what_is_added_to_a_file_has_no_second_header() -> None:
    (payload,) = Csv(header=False).payloads(exported(rows()))
    assert payload.body.startswith(b"8a3f21c09b7d4e65,")
    (whole,) = Csv().payloads(exported(rows()))
    assert whole.body.endswith(payload.body)
