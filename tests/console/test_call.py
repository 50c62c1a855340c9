"""A call's page, from its records."""

from datetime import timedelta

from mcpgov.audit.reader import Call, record_of
from mcpgov.audit.record import DeniedRecord, IntentRecord, Latency, OutcomeRecord, Row
from mcpgov.audit.review import Kept
from mcpgov.audit.values import Redacted
from mcpgov.console.call import call_page, calls_of, parts_of, took
from mcpgov.decision import Reason
from mcpgov.models import OutcomeStatus
from tests.audit.calls import NOW, facts


def kept(*rows: Row) -> list[Kept]:
    return [Kept(number, "w", number, "", record_of(row.record)) for number, row in enumerate(rows, 1)]


def test_records_become_calls() -> None:
    intent, denied = IntentRecord(facts("1")).row(), DeniedRecord(facts("2"), Reason.TOOL_DENIED).row()
    outcome = OutcomeRecord("1", NOW + timedelta(seconds=1), OutcomeStatus.OK).row()
    found = calls_of(kept(intent, denied, outcome))
    assert [(call.get("call_id"), call.status, len(records)) for call, records in found] == [
        ("1", "ok", 2),
        ("2", "denied", 1),
    ]
    (alone,) = calls_of(kept(outcome))
    assert alone[0].status == "ok"


def test_the_parts_of_the_time_are_the_whole() -> None:
    latency = Latency(100, 200, 5_000, 6_000)
    call = Call(1, record_of(OutcomeRecord("1", NOW, OutcomeStatus.OK, latency=latency).row().record))
    assert list(parts_of(call, 6_000)) == [
        ("decision", "Decided", 100),
        ("audit", "Written down", 200),
        ("upstream", "Upstream, to the head", 5_000),
        ("answer", "Answer", 700),
    ]
    assert took(Call(1, {})) is None


def test_a_record_from_before_the_chain_says_so() -> None:
    records = kept(DeniedRecord(facts("2"), Reason.TOOL_DENIED).row())
    ((call, own),) = calls_of(records)
    page = str(call_page(call, own, ()))
    assert "before records were chained" in page
    assert "Decision, explained" not in page
    assert "aaaaaaaaa\N{HORIZONTAL ELLIPSIS}" in page  # the digest of the policies, short


def test_values_are_shown_as_they_were_written_down_and_cannot_hide() -> None:
    known = facts("2")._replace(value=Redacted('{"name":"<b>\u202e"}', dropped=2, left_out=0))
    ((call, own),) = calls_of(kept(DeniedRecord(known, Reason.TOOL_DENIED).row()))
    page = str(call_page(call, own, ()))
    assert "As they were written down; 2 values dropped by a rule." in page
    assert "&quot;name&quot;: &quot;&lt;b&gt;\\u202e&quot;" in page
    assert "left out" not in page
    assert "<h2>Answer</h2>" not in page
