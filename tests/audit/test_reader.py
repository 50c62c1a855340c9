"""A call is read as one thing, from the records that began and ended it."""

import pytest

from mcpgov.audit.reader import UNREADABLE, VALUES, Call, CallFilter, readable, record_of

INTENT = {"event": "intent", "ts": "1", "call_id": "a", "mcpgov.decision.reason": "allowed"}
OUTCOME = {
    "event": "outcome",
    "ts": "2",
    "call_id": "a",
    "mcpgov.status": "failed",
    "mcpgov.reason": "upstream-timeout",
}


def test_a_call_is_read_from_its_outcome_first() -> None:
    call = Call(1, INTENT, OUTCOME)
    assert (call.get("ts"), call.get("mcpgov.decision.reason"), call.get("none")) == ("2", "allowed", None)
    assert (call.status, call.reason, call.is_control) == ("failed", "upstream-timeout", False)


def test_a_call_under_way_is_open() -> None:
    call = Call(1, INTENT)
    assert (call.status, call.reason) == ("open", "allowed")
    assert call.fields == INTENT


def test_a_call_is_one_object_with_both_times() -> None:
    assert Call(1, INTENT, OUTCOME).fields == {
        "event": "call",
        "ts": "1",
        "ended_ts": "2",
        "call_id": "a",
        "mcpgov.decision.reason": "allowed",
        "mcpgov.status": "failed",
        "mcpgov.reason": "upstream-timeout",
    }


def test_a_control_event_has_a_reason_and_no_status() -> None:
    call = Call(1, {"event": "control", "mcpgov.control.event": "reload"})
    assert (call.status, call.reason, call.is_control) == (None, "reload", True)


def test_control_events_are_wanted_where_they_are_asked_for() -> None:
    for wanted in (CallFilter(control=True), CallFilter(reason="key-revoked")):
        assert wanted.events == ("intent", "denied", "control")
    for wanted in (CallFilter(), CallFilter(reason="tool-denied")):
        assert wanted.events == ("intent", "denied")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("mcpgov.arguments.value", '{"a":["é"]}', '{\n  "a": [\n    "é"\n  ]\n}'),
        ("mcpgov.answer.value", "null", "null"),
        ("mcpgov.answer.value", "{no json", "{no json"),
        ("mcpgov.answer.value", "[" * 100_000, "[" * 100_000),
        ("mcpgov.answer.value", None, ""),
        ("mcpgov.tool", "{}", ""),
    ],
)
def test_json_in_a_field_is_laid_out_and_whatever_else_stands_there_is_shown(
    name: str, value: str | None, shown: str
) -> None:
    assert readable(name, value) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("garbage", "", "[1]", "7", "null", "[" * 100_000, '{"a":' + "9" * 5_000 + "}", b"\xff\x00"),
        *('{"a":{"b":1}}', '{"a":[["b"]]}', '{"a":[{}]}', '{"a":"\\ud800"}', '{"a":["\\ud800"]}'),
        *('{"a":1e999}', '{"a":NaN}', '{"a":9223372036854775808}', '{"a":[-9223372036854775808]}'),
    ],
)
def test_what_is_no_record_is_read_as_one_that_says_so(text: str | bytes) -> None:
    record = record_of(text)
    assert (record["event"], record["mcpgov.status"]) == (UNREADABLE, UNREADABLE)
    assert "mcpgov audit verify" in str(record["mcpgov.detail"])


def test_whatever_a_record_holds_is_read() -> None:
    text = '{"a":"é\\u0000","b":[1,"x",true,null],"c":-9223372036854775807,"d":0.5}'
    assert record_of(text) == {"a": "é\0", "b": [1, "x", True, None], "c": -(2**63 - 1), "d": 0.5}


def test_what_is_no_record_and_what_holds_json_have_names_that_readers_know() -> None:
    assert UNREADABLE == "unreadable"
    assert VALUES == {"mcpgov.arguments.value": "Arguments", "mcpgov.answer.value": "Answer"}
