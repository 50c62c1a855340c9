"""The ledger is read by people and by machines, safely, while the gateway writes and while it does not."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from mcpgov.audit.reader import CallFilter, Following
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, IntentRecord, OutcomeRecord
from mcpgov.cli.audit import filtered, moment
from mcpgov.decision import Reason
from mcpgov.models import OutcomeStatus
from mcpgov.store.audit_reader import open_sqlite_reader
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW, facts
from tests.cli.folder import furnish
from tests.cli.read_ledger import HOSTILE, TRACE, Ledger
from tests.store.altered import ALTERED, alter


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "mcpgov.db")
    yield ledger
    ledger.store.close(finished=False)


def test_tail_shows_what_ended_last_and_what_happened_to_the_gateway(ledger: Ledger) -> None:
    result = ledger.run("tail")
    header, *lines = result.stdout.splitlines()
    assert header.startswith("time (UTC)           principal")
    assert [line.split() for line in lines] == [
        ["2026-11-20", "12:00:00", "mcpgov", "start"],
        *(
            ["2026-11-20", "12:00:00", "alice", "city", *rest]
            for rest in (
                ["search", "allowed", "ok", "12.3", "correlation-"],
                ["delete", "tool-denied", "denied", "0.9", "correlation-"],
                ["evil\\x1b[2J\\u202e\\n", "tool-hidden", "denied", "correlation-"],
            )
        ),
    ]


def test_tail_shows_as_many_as_are_asked_for(ledger: Ledger) -> None:
    assert len(ledger.run("tail", "-n", "2").stdout.splitlines()) == 3


def test_tail_follows_until_it_is_interrupted(ledger: Ledger) -> None:
    def call_ends() -> None:
        ledger.store.append([ledger.outcome("3")])
        ledger.meanwhile = nothing_ends

    def nothing_ends() -> None:
        ledger.meanwhile = ledger.interrupt

    ledger.meanwhile = call_ends
    result = ledger.run("tail", "-f", "-n", "1", "--json")
    assert result.exit_code == 0
    assert [json.loads(line)["call_id"] for line in result.stdout.splitlines()] == ["4", "3"]
    assert ledger.pauses == [0.5, 0.5, 0.5]


def test_tail_of_an_empty_ledger_follows_from_its_beginning(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "other.db")
    empty = SqliteLedgerStore(tmp_path / "empty.db")
    empty.open()
    ledger.path = tmp_path / "empty.db"

    def first() -> None:
        empty.append([ControlRecord(ControlEvent.START, NOW).row()])
        ledger.meanwhile = ledger.interrupt

    ledger.meanwhile = first
    assert json.loads(ledger.run("tail", "-f", "--json").stdout)["event"] == "control"


def test_query_shows_a_table_of_calls_newest_first(ledger: Ledger) -> None:
    result = ledger.run("query")
    assert result.exit_code == 0
    day, _, *rows = result.stdout.splitlines()
    assert day == "calls of 2026-11-20"
    assert [row.split()[3] for row in rows] == ["evil\\x1b[2J\\u202e\\n", "tools/list", "delete", "search"]
    assert "open" in rows[1]
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("columns", "spared"), [(100, set[str]()), (99, {"ms"}), (95, {"ms"}), (94, {"ms", "connection"})]
)
def test_a_narrow_terminal_is_spared_columns_but_never_the_id(ledger: Ledger, columns: int, spared: set[str]) -> None:
    _, header, *rows = ledger.run("query", columns=columns).stdout.splitlines()
    assert {"ms", "connection", "id"} - set(header.split()) == spared
    assert all(row.rstrip().endswith("  correlation-") for row in rows)


def test_what_has_no_room_is_shortened_and_keeps_to_its_line(ledger: Ledger) -> None:
    tool = "a tool with a long name and the end of it"
    ledger.store.append([DeniedRecord(facts("5", NOW, tool=tool), Reason.UNSUPPORTED_PROTOCOL_VERSION).row()])
    _, header, first, *rest = ledger.run("query", columns=80).stdout.splitlines()
    assert len(rest) == 4
    assert header.startswith("time (UTC)  ")
    assert first.startswith("12:00:00 ")
    assert "a tool with a" in first
    assert first.count("…") == 2
    assert first.endswith("  correlation-")


def test_calls_of_several_days_say_which(ledger: Ledger) -> None:
    ledger.store.append([DeniedRecord(facts("5", NOW + timedelta(days=1), tool="late"), Reason.RATE_LIMITED).row()])
    _, *rows = ledger.run("query", columns=80).stdout.splitlines()
    assert rows[0].startswith("2026-11-21 12:00:00")
    assert rows[1].startswith("2026-11-20 12:00:00")


def test_query_finds_what_matches_every_filter(ledger: Ledger) -> None:
    result = ledger.run("query", "tool=delete", "principal=alice", "status=denied", "--json")
    [found] = [json.loads(line) for line in result.stdout.splitlines()]
    assert (found["call_id"], found["mcpgov.decision.reason"]) == ("2", "tool-denied")
    assert ledger.run("query", "tool=delete", "principal=bob", "--json").stdout == ""


def test_a_consent_is_found_by_its_reason_and_beside_calls_where_control_events_are_asked_for(ledger: Ledger) -> None:
    details = {"principal": "entra:t:alice", "connection": "city", "correlation_id": "c0ffee00c0ffee00"}
    ledger.store.append([ControlRecord(ControlEvent.CONSENT_GIVEN, NOW + timedelta(hours=1), details).row()])
    shown = ["13:00:00", "entra:t:alice", "city", "mcpgov", "consent-given", "c0ffee00c0ff"]
    for where in (["reason=consent-given"], ["principal=entra:t:alice", "--control"]):
        *_, row = ledger.run("query", *where).stdout.splitlines()
        assert row.split() == shown
    of_city = [
        json.loads(line)["event"]
        for line in ledger.run("query", "connection=city", "--control", "--json").stdout.splitlines()
    ]
    assert of_city[0] == "control"
    assert len(of_city) == 5
    assert "control" not in ledger.run("query", "connection=city", "--json").stdout
    assert "consent-given" not in ledger.run("query", "status=open", "--control").stdout
    assert ledger.run("tail", "-n", "1").stdout.splitlines()[1].split()[2:] == shown[1:]
    assert "consent-given" in ledger.run("show", "c0ffee00").stdout


def test_a_control_event_says_who_which_and_by_what_id_it_is_found(ledger: Ledger) -> None:
    later = NOW + timedelta(hours=1)
    said = (
        (ControlEvent.KEY_CREATED, {"principal": "local:ops", "key": "3fGh81Kx", "name": "ci"}),
        (ControlEvent.EXPORT_FAILING, {"export": "siem", "error": "503"}),
        (ControlEvent.SINK_FAILED, {"sink": "/mnt/b.db", "why": "locked"}),
        (ControlEvent.ADMIN_ACTED, {"admin": "admin:a1", "name": "dana", "role": "admin", "what": "POST /keys"}),
    )
    ledger.store.append([ControlRecord(event, later, details).row() for event, details in said])
    rows = [row.split()[2:] for row in ledger.run("tail", "-n", "4").stdout.splitlines()[1:]]
    assert rows == [
        ["local:ops", "ci", "mcpgov", "key-created", "3fGh81Kx"],
        ["siem", "mcpgov", "export-failing"],
        ["/mnt/b.db", "mcpgov", "sink-failed"],
        ["dana", "POST", "/keys", "admin-acted"],
    ]


@pytest.mark.parametrize(
    "typed", [("tail",), ("tail", "--json"), ("query",), ("query", "--json"), ("query", "--csv"), ("show", "1")]
)
def test_the_name_of_a_tool_never_acts_on_the_terminal(ledger: Ledger, typed: tuple[str, ...]) -> None:
    printed = ledger.run(*typed).output
    assert [char for char in printed if char not in "\r\n" and (char < " " or "\x7f" <= char <= "\x9f")] == []


def test_query_is_bounded_in_number_and_time(ledger: Ledger) -> None:
    assert len(ledger.run("query", "--limit", "2", "--json").stdout.splitlines()) == 2
    assert ledger.run("query", "--until", "2026-11-20", "--json").stdout == ""
    assert len(ledger.run("query", "--since", "2026-11-20", "--json").stdout.splitlines()) == 4


def test_json_is_ascii_and_one_object_a_line(ledger: Ledger) -> None:
    lines = ledger.run("query", "reason=tool-hidden", "--json").stdout.splitlines()
    assert [json.loads(line)["gen_ai.tool.name"] for line in lines] == [HOSTILE]
    assert lines[0].isascii()


def test_csv_has_one_row_a_call(ledger: Ledger) -> None:
    rows = list(csv.DictReader(io.StringIO(ledger.run("query", "decision=deny", "--csv").stdout)))
    assert [(row["tool"], row["reason"]) for row in rows] == [
        ("evil\\x1b[2J\\u202e\\n", "tool-hidden"),
        ("delete", "tool-denied"),
    ]


def test_query_follows_what_matches_and_shows_each_end_once(ledger: Ledger) -> None:
    def more() -> None:
        ledger.store.append(
            [
                OutcomeRecord("3", NOW, OutcomeStatus.FAILED).row(),
                DeniedRecord(facts("5", NOW, tool="delete"), Reason.RATE_LIMITED).row(),
                IntentRecord(facts("6", NOW, connection="town")).row(),
                OutcomeRecord("6", NOW, OutcomeStatus.OK).row(),
                ControlRecord(ControlEvent.STOP, NOW).row(),
                IntentRecord(facts("7", NOW)).row(),
            ]
        )
        ledger.meanwhile = lambda: setattr(ledger, "meanwhile", ledger.interrupt)

    for where, first, then in (
        (["connection=city"], ["1", "2", "3", "4"], ["3", "5"]),
        (["tool=delete"], ["2", "5"], []),
        (["--control", "--limit", "1"], ["7"], []),
    ):
        ledger.meanwhile = more if then else ledger.interrupt
        shown = ledger.run("query", *where, "--follow", "--json").stdout.splitlines()
        assert [json.loads(line)["call_id"] for line in shown] == [*first, *then]
    ledger.meanwhile = ledger.interrupt
    assert ledger.run("query", "-f").stdout.splitlines()[0].startswith("time (UTC)")


def test_a_call_that_ends_while_one_looks_is_shown_once(ledger: Ledger) -> None:
    with open_sqlite_reader(ledger.path) as reader:
        position = reader.latest(1)[-1].position
        ledger.store.append([OutcomeRecord("3", NOW, OutcomeStatus.OK).row()])
        came = reader.following(CallFilter(), position, 10)
        assert [call.get("call_id") for call in came.calls] == ["3"]
        assert reader.following(CallFilter(), came.position, 10) == Following((), came.position)
        events = reader.following(CallFilter(control=True), 0, 1)
        assert ([call.is_control for call in events.calls], events.position) == ([True], 1)


@pytest.mark.parametrize("options", [["--json", "--csv"], ["--follow", "--until", "1h"]])
def test_options_that_do_not_go_together_are_refused(ledger: Ledger, options: list[str]) -> None:
    assert ledger.run("query", *options).exit_code == 2


@pytest.mark.parametrize("where", ["tools=delete", "tool", "limit=3", "since=1h"])
def test_a_filter_that_there_is_not_is_explained(ledger: Ledger, where: str) -> None:
    result = ledger.run("query", where)
    assert result.exit_code == 2
    assert "NAME=VALUE" in result.stderr


@pytest.mark.parametrize(
    ("where", "mend"),
    [
        ("status=denid", "did you mean denied?"),
        ("status=bogus", "known here: cancelled"),
        ("decision=denied", "there is no such decision"),
        ("status=", "there is no such status"),
        ("reason=rate-limted", "did you mean rate-limited?"),
        ("reason=key-revokd", "did you mean key-revoked?"),
    ],
)
def test_a_status_or_reason_that_there_is_not_is_refused(ledger: Ledger, where: str, mend: str) -> None:
    result = ledger.run("query", where)
    assert (result.exit_code, result.stdout) == (2, "")
    assert mend in result.stderr


@pytest.mark.parametrize("where", ["status=open", "status=not-sent", "reason=allowed", "reason=start"])
def test_every_word_of_the_vocabularies_can_be_asked_for(ledger: Ledger, where: str) -> None:
    assert ledger.run("query", where).exit_code == 0


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_finding_nothing_is_said_and_is_no_failure(ledger: Ledger, form: list[str]) -> None:
    result = ledger.run("query", "principal=bob", *form)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No call matches.\n")


@pytest.mark.parametrize("until", ["2026-11-19", "2026-11-20"])
def test_a_span_of_time_with_nothing_in_it_is_refused(ledger: Ledger, until: str) -> None:
    result = ledger.run("query", "--since", "2026-11-20", "--until", until)
    assert result.exit_code == 2
    assert "--until" in result.stderr


def test_an_argument_that_is_no_text_matches_nothing(ledger: Ledger) -> None:
    assert ledger.run("query", "tool=a\udcff").stderr == "No call matches.\n"
    assert ledger.run("show", "\udcff").stderr.startswith("There is no record with the id \\udcff.")


@pytest.mark.parametrize("arguments", [["show"], ["query"], ["query", "--since"]])
def test_a_key_that_is_typed_by_mistake_is_not_repeated(ledger: Ledger, arguments: list[str]) -> None:
    result = ledger.run(*arguments, "mcpgov_3fGh81KxSECRET")
    assert result.exit_code != 0
    assert "mcpgov_3fGh81Kx…" in result.stderr
    assert "SECRET" not in result.output


def test_show_gives_every_record_of_a_call(ledger: Ledger) -> None:
    result = ledger.run("show", "1")
    assert result.exit_code == 0
    assert "gen_ai.tool.name" in result.stdout
    assert "mcpgov.latency.total_us" in result.stdout
    assert re.search(r"^seq +[0-9]+ *$", result.stdout, re.MULTILINE)
    assert re.search(r"^writer +[0-9a-f]+-[0-9a-f]{8} *$", result.stdout, re.MULTILINE)
    by_trace = ledger.run("show", TRACE, "--json").stdout.splitlines()
    assert [json.loads(line)["event"] for line in by_trace] == ["intent", "outcome"]
    one, other = (json.loads(line) for line in by_trace)
    assert (one["writer"], one["seq"] < other["seq"]) == (other["writer"], True)


def test_show_of_an_id_that_there_is_not_fails(ledger: Ledger) -> None:
    result = ledger.run("show", "none\x1b")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "There is no record with the id none\\x1b. See `mcpgov audit query`.\n"


@pytest.mark.parametrize("verb", [["tail"], ["query"], ["show", "1"]])
def test_a_store_that_is_not_there_is_told_in_one_line(tmp_path: Path, ledger: Ledger, verb: list[str]) -> None:
    ledger.path = tmp_path / "none.db"
    result = ledger.run(*verb)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("none.db does not exist; the gateway makes it when it starts (mcpgov serve)\n")


@pytest.mark.parametrize("verb", [[], ["tail"], ["query"], ["show"]])
def test_every_verb_explains_itself_with_examples(ledger: Ledger, verb: list[str]) -> None:
    result = ledger.run(*verb, "--help")
    assert result.exit_code == 0
    assert not verb or "mcpgov audit" in result.stdout


def test_a_time_is_an_age_or_a_date() -> None:
    assert moment("", NOW) is None
    assert moment("90s", NOW) == NOW - timedelta(seconds=90)
    assert moment("15m", NOW) == NOW - timedelta(minutes=15)
    assert moment("2h", NOW) == NOW - timedelta(hours=2)
    assert moment("7d", NOW) == NOW - timedelta(days=7)
    assert moment("2026-11-20", NOW) == datetime(2026, 11, 20, tzinfo=UTC)
    assert moment("2026-11-20T08:00+02:00", NOW) == datetime(2026, 11, 20, 6, tzinfo=UTC)
    with pytest.raises(typer.BadParameter, match="not a time"):
        moment("yesterday", NOW)
    with pytest.raises(typer.BadParameter, match="not a time"):
        moment("999999d", NOW)


def test_a_value_may_hold_an_equals_sign() -> None:
    assert filtered(["tool=a=b"]).tool == "a=b"


def test_show_makes_the_decision_again(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    shown = ledger.run("show", "2", "--explain")
    assert shown.exit_code == 0
    assert "its connection is not in the catalog any more." in shown.stdout
    assert ledger.run("show", "1", "--explain").stdout.count("cannot be made again") == 1  # not for the outcome


def test_an_explanation_is_not_told_as_json(ledger: Ledger) -> None:
    refused = ledger.run("show", "2", "--explain", "--json")
    assert refused.exit_code == 2
    assert "--explain is told in words" in refused.stderr


def test_show_tells_why_the_policies_cannot_be_read(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    furnish(tmp_path, {"policies/company.yaml": "inbound: 1"})
    monkeypatch.chdir(tmp_path)
    refused = ledger.run("show", "2", "--explain")
    assert refused.exit_code == 1
    assert "policies/company.yaml:1:10: inbound must be a list" in refused.stderr


@pytest.mark.parametrize("how", ALTERED)
@pytest.mark.parametrize(
    "verb", [("tail",), ("tail", "--json"), ("query", "--control"), ("query", "--csv"), ("show", "correlation-1")]
)
def test_a_record_that_somebody_altered_holds_up_no_other(ledger: Ledger, how: str, verb: tuple[str, ...]) -> None:
    alter(ledger.path, how, 2)
    result = ledger.run(*verb)
    assert (result.exit_code, result.exception) == (0, None)


def test_a_record_that_cannot_be_read_is_shown_as_one(ledger: Ledger) -> None:
    alter(ledger.path, "garbage", 4)
    line = ledger.run("tail").stdout.splitlines()[3]
    assert line.split() == ["unreadable"]
