"""A record on its way has one name, wherever it arrives."""

from mcpgov.audit.record import microseconds
from tests.audit.calls import NOW
from tests.audit.exports import records


def test_a_record_has_one_name_everywhere() -> None:
    (one,) = records(1, 7)
    assert one.uid == "8a3f21c09b7d4e65/1a1fccfe290-893aec4d/7"
    assert one.fields["mcpgov.log_id"] == "8a3f21c09b7d4e65"
    assert (one.fields["mcpgov.writer"], one.fields["mcpgov.seq"]) == ("1a1fccfe290-893aec4d", 7)
    assert one.at == microseconds(NOW)
