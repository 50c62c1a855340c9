"""The columns that a record is filed under say what it says, or it is told which does not."""

import json

import pytest

from mcpgov.audit.columns import COLUMNS, REASONS, time_of, unlike
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, IntentRecord, OutcomeRecord, OutcomeStatus
from mcpgov.decision import Reason
from tests.audit.calls import NOW, facts
from tests.audit.exports import documented
from tests.audit.test_verify import ROWS


def test_columns_say_what_the_record_says() -> None:
    for row in ROWS:
        assert unlike(json.loads(row.record), row) is None
    row = ROWS[1]
    for column, value in row._asdict().items():
        changed = row._replace(**{column: 9 if isinstance(value, int) else "x"})
        assert (unlike(json.loads(row.record), changed) is None) == (column == "record"), column


def test_a_column_of_a_database_without_the_null_character_shows_its_symbol() -> None:
    row = IntentRecord(facts("1", tool="a\0b")).row()
    assert unlike(json.loads(row.record), row._replace(tool="a\N{SYMBOL FOR NULL}b")) is None


def test_a_control_record_is_filed_under_whom_it_is_about() -> None:
    about = {"connection": "city", "principal": "p" * 300, "source": "10.0.0.1", "correlation_id": "c"}
    row = ControlRecord(ControlEvent.CONSENT_GIVEN, NOW, about).row()
    assert unlike(json.loads(row.record), row) is None
    assert unlike(json.loads(row.record), row._replace(principal="other")) is not None


@pytest.mark.parametrize("fields", [{}, {"ts": "x"}, {"ts": "2026-11-20"}])
def test_a_record_without_a_time_has_none(fields: dict[str, str]) -> None:
    assert time_of(dict(fields)) is None


def test_each_event_has_its_reason_where_readers_look_for_it() -> None:
    for row in (
        IntentRecord(facts("1")).row(),
        DeniedRecord(facts("1"), Reason.TOOL_DENIED).row(),
        OutcomeRecord("1", NOW, OutcomeStatus.FAILED, Reason.UPSTREAM_UNREACHABLE).row(),
        ControlRecord(ControlEvent.STOP, NOW).row(),
    ):
        assert row.reason
        assert unlike(json.loads(row.record), row) is None
        assert unlike(json.loads(row.record), row._replace(reason=None)) == "is filed under another reason than it has"


def test_each_column_is_of_a_field_that_records_have() -> None:
    assert {*COLUMNS.values(), *REASONS.values()} <= documented()
