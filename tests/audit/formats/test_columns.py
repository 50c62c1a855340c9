"""A row has always the same columns, and the whole record at its end."""

import json

from mcpgov.audit.formats.columns import COLUMNS, NAMES, NUMBERS, texts, values
from tests.audit.exports import documented, exported, rows


def test_a_row_has_every_column() -> None:
    for one in exported(rows()):
        row = values(one)
        assert tuple(row) == NAMES
        assert tuple(dict(zip(NAMES, texts(one), strict=True))) == NAMES
        assert json.loads(str(row["record"])) == one.record


def test_numbers_are_numbers_and_what_is_not_there_is_nothing() -> None:
    _, intent, outcome, denied, _ = (values(one) for one in exported(rows()))
    assert (intent["seq"], intent["total_us"], outcome["total_us"], denied["http_status"]) == (2, None, 4, 403)
    assert (intent["tool"], intent["status"], denied["status"], outcome["tool"]) == ("search", None, "denied", None)
    assert all(isinstance(intent[name], int | None) for name in NUMBERS)


def test_the_columns_are_those_that_are_documented_and_each_is_a_field_of_records() -> None:
    assert " ".join(COLUMNS) == (
        "log_id writer seq time event call_id correlation_id trace_id control_event connection method tool "
        "principal_id principal_kind principal_name project agent_id blueprint_id client_address effect "
        "decision_reason rule status reason http_status upstream_server upstream_us total_us"
    )
    assert set(COLUMNS.values()) - documented() == set()
