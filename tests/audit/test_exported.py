"""A record on its way has one name, wherever it arrives."""

from datetime import UTC, datetime

from mcpgov.audit.exported import ExportState
from mcpgov.audit.record import microseconds
from tests.audit.calls import NOW
from tests.audit.exports import records


def test_a_record_has_one_name_everywhere() -> None:
    (one,) = records(1, 7)
    assert one.uid == "8a3f21c09b7d4e65/1a1fccfe290-893aec4d/7"
    assert one.fields["mcpgov.log_id"] == "8a3f21c09b7d4e65"
    assert (one.fields["mcpgov.writer"], one.fields["mcpgov.seq"]) == ("1a1fccfe290-893aec4d", 7)
    assert one.at == microseconds(NOW)


def test_the_state_of_an_export_is_told_in_words_that_a_machine_reads() -> None:
    state = ExportState("siem", "file:///out", "jsonl", 7, 2, datetime(2026, 11, 1, tzinfo=UTC), None, "")
    assert state.fields == {
        "name": "siem",
        "target": "file:///out",
        "format": "jsonl",
        "position": 7,
        "behind": 2,
        "oldest": "2026-11-01T00:00:00.000000Z",
        "failing": None,
        "error": "",
    }
