"""Calls are found again, by filter and by id, while somebody writes and while nobody does."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mcpgov.audit.reader import AuditReader, CallFilter
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, IntentRecord, OutcomeRecord
from mcpgov.decision import Reason
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.models import OutcomeStatus, PrincipalKind
from mcpgov.store.audit_reader import open_sqlite_reader
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import AGENT, ALICE, NOW, facts


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A ledger of six calls, a second apart, and two control records; its writer still runs."""
    store = SqliteLedgerStore(tmp_path / "mcpgov.db")
    store.open()
    tick = timedelta(seconds=1)
    bob = replace(ALICE, id="key:bob", name="bob", project="search")
    anonymous = replace(ALICE, id="anonymous", kind=PrincipalKind.ANONYMOUS, name="", project="")
    store.append(
        [
            ControlRecord(ControlEvent.START, NOW).row(),
            IntentRecord(facts("1", NOW, tool="search")).row(),
            IntentRecord(facts("2", NOW + tick, tool="delete", principal=bob)).row(),
            OutcomeRecord("2", NOW + 5 * tick, OutcomeStatus.FAILED, Reason.UPSTREAM_TIMEOUT).row(),
            DeniedRecord(facts("3", NOW + 2 * tick, tool="delete", principal=anonymous), Reason.TOOL_DENIED).row(),
            IntentRecord(facts("4", NOW + 3 * tick, principal=AGENT, connection="town", source="10.0.0.9")).row(),
            OutcomeRecord(
                "1", NOW + 6 * tick, OutcomeStatus.OK, correlation_id="correlation-1", trace_id="f" * 32
            ).row(),
            ControlRecord(ControlEvent.RELOAD, NOW).row(),
            IntentRecord(
                facts("5", NOW + 4 * tick, method="tools/list", traceparent=f"00-{'f' * 32}-{'1' * 16}-01")
            ).row(),
        ]
    )
    yield tmp_path / "mcpgov.db"
    store.close(finished=False)


@pytest.fixture
def reader(path: Path) -> Iterator[AuditReader]:
    with open_sqlite_reader(path) as reader:
        yield reader


def ids(reader: AuditReader, wanted: CallFilter) -> list[object]:
    return [call.get("call_id") for call in reader.calls(wanted)]


def test_calls_are_joined_newest_first_without_control_events(reader: AuditReader) -> None:
    calls = reader.calls(CallFilter())
    assert [(call.get("call_id"), call.status, call.reason) for call in calls] == [
        ("5", "open", "allowed"),
        ("4", "open", "allowed"),
        ("3", "denied", "tool-denied"),
        ("2", "failed", "upstream-timeout"),
        ("1", "ok", "allowed"),
    ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CallFilter(since=NOW + timedelta(seconds=3)), ["5", "4"]),
        (CallFilter(until=NOW + timedelta(seconds=1)), ["1"]),
        (CallFilter(connection="town"), ["4"]),
        (CallFilter(method="tools/list"), ["5"]),
        (CallFilter(tool="delete"), ["3", "2"]),
        (CallFilter(principal="key:bob"), ["2"]),
        (CallFilter(principal="bob"), ["2"]),
        (CallFilter(principal="anonymous"), ["3"]),
        (CallFilter(project="search"), ["2"]),
        (CallFilter(reason="upstream-timeout"), ["2"]),
        (CallFilter(reason="tool-denied"), ["3"]),
        (CallFilter(status="failed"), ["2"]),
        (CallFilter(status="denied"), ["3"]),
        (CallFilter(status="open"), ["5", "4"]),
        (CallFilter(source="10.0.0.9"), ["4"]),
        (CallFilter(agent="agent-1"), ["4"]),
        (CallFilter(blueprint="blueprint-1", agent="agent-1"), ["4"]),
        (CallFilter(agent="agent-"), []),
        (CallFilter(agent='agent-1","x":"'), []),
        (CallFilter(decision="deny"), ["3"]),
        (CallFilter(decision="allow"), ["5", "4", "2", "1"]),
        (CallFilter(text="TIMEOUT delete"), ["2"]),
        (CallFilter(text="100%"), []),
        (CallFilter(correlation="correlation-3"), ["3"]),
        (CallFilter(tool="delete", principal="bob"), ["2"]),
        (CallFilter(tool="delete' OR 1=1 --"), []),
        (CallFilter(limit=2), ["5", "4"]),
        (CallFilter(limit=2, oldest_first=True), ["1", "2"]),
    ],
)
def test_a_filter_finds_what_matches_all_of_it(reader: AuditReader, wanted: CallFilter, found: list[str]) -> None:
    assert ids(reader, wanted) == found


def test_control_events_are_found_where_they_are_wanted_and_are_never_under_way(
    reader: AuditReader, path: Path
) -> None:
    assert [call.reason for call in reader.calls(CallFilter(reason="reload"))] == ["reload"]
    assert len(reader.calls(CallFilter(control=True))) == 7
    assert ids(reader, CallFilter(control=True, status="open")) == ["5", "4"]
    other = SqliteLedgerStore(path)
    other.open()
    other.append([ControlRecord(ControlEvent.CONSENT_REVOKED, NOW, {"principal": "key:k", "connection": "port"}).row()])
    other.close(finished=True)
    for wanted in (CallFilter(connection="port"), CallFilter(principal="key:k")):
        assert reader.calls(wanted) == []
        assert [call.reason for call in reader.calls(replace(wanted, control=True))] == ["consent-revoked"]


@pytest.mark.parametrize(
    ("identifier", "events"),
    [
        ("2", ["intent", "outcome"]),
        ("correlation-1", ["intent", "outcome"]),
        ("correlation-", ["intent", "intent", "denied", "intent", "outcome", "intent"]),
        ("correla", []),
        ("f" * 32, ["outcome", "intent"]),
        ("3", ["denied"]),
        ("none", []),
    ],
)
def test_records_are_found_by_call_correlation_and_trace(
    reader: AuditReader, identifier: str, events: list[str]
) -> None:
    assert [record["event"] for record in reader.records(identifier)] == events


def test_the_latest_are_those_that_ended_last_oldest_first(reader: AuditReader) -> None:
    latest = reader.latest(3)
    assert [(call.get("call_id"), call.get("event")) for call in latest] == [
        ("3", "denied"),
        ("1", "outcome"),
        (None, "control"),
    ]
    assert [call.get("call_id") for call in reader.latest(100)] == [None, "2", "3", "1", None]
    assert latest[1].begun["gen_ai.tool.name"] == "search"


def test_following_shows_each_end_once(reader: AuditReader, path: Path) -> None:
    position = reader.latest(1)[0].position
    assert reader.after(position, 10) == []
    other = SqliteLedgerStore(path)
    other.open()
    other.append([OutcomeRecord("4", NOW, OutcomeStatus.OK).row(), OutcomeRecord("5", NOW, OutcomeStatus.OK).row()])
    other.close(finished=True)
    first = reader.after(position, 1)
    second = reader.after(first[0].position, 10)
    assert [(call.get("call_id"), call.status) for call in (*first, *second)] == [("4", "ok"), ("5", "ok")]


def test_a_store_can_be_read_when_nobody_writes(tmp_path: Path) -> None:
    store = SqliteLedgerStore(tmp_path / "quiet.db")
    store.open()
    store.append([ControlRecord(ControlEvent.START, NOW).row()])
    store.close(finished=True)
    before = sorted(file.name for file in tmp_path.iterdir())
    with open_sqlite_reader(tmp_path / "quiet.db") as reader:
        assert len(reader.latest(1)) == 1
    assert before == ["quiet.db"]


def test_a_store_that_cannot_be_read_is_unavailable(path: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"):
        open_sqlite_reader(tmp_path / "none.db")
    with open_sqlite_reader(path) as reader:
        with sqlite3.connect(path) as database:
            database.execute("ALTER TABLE records RENAME TO gone")
        database.close()
        with pytest.raises(StoreUnavailable, match="no such table"):
            reader.latest(1)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(InvalidConfiguration):
        open_sqlite_reader(path)
