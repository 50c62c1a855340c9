"""The index follows the ledger: once, whole, in whatever steps it is read, and whatever happens in between."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcpgov.audit.field_modes import FieldModes
from mcpgov.audit.reader import CallFilter
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, OutcomeRecord, Row
from mcpgov.audit.redact import Digester
from mcpgov.audit.values import redacted
from mcpgov.decision import Reason
from mcpgov.errors import StoreUnavailable
from mcpgov.models import OutcomeStatus
from mcpgov.store import audit_index
from mcpgov.store.audit_index import AuditIndexer, indexing
from mcpgov.store.audit_query import open_sqlite_review
from mcpgov.store.audit_reader import open_sqlite_reader
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.admin.house import some_rows
from tests.audit.calls import NOW, facts

TABLES = ("calls", "callers", "rollups", "hourly_rollups", "latencies", "hourly_latencies")
PATIENCE = 20  # seconds


def ledger(folder: Path, rows: list[Row]) -> Path:
    store = SqliteLedgerStore(folder / "mcpgov.db")
    store.open()
    store.append(rows)
    store.close(finished=True)
    return folder / "mcpgov.db"


def kept(path: Path) -> dict[str, list[Any]]:
    """Everything that the index holds."""
    with closing(sqlite3.connect(path)) as database:
        found: dict[str, list[Any]] = {
            table: database.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()
            for table in TABLES
            if table != "callers"
        }
        found["callers"] = database.execute("SELECT * FROM callers ORDER BY 1").fetchall()
        for word in ("search", "delete", "alice", "timeout"):
            query = "SELECT rowid FROM records_text WHERE records_text MATCH ? ORDER BY rowid"
            found[word] = [row[0] for row in database.execute(query, (word,))]
        return found


def indexed(path: Path) -> dict[str, list[Any]]:
    while AuditIndexer(path).index():
        pass
    return kept(path)


def test_every_call_stands_once_with_how_it_ended(tmp_path: Path) -> None:
    found = indexed(ledger(tmp_path, some_rows()))
    calls = [(row[0], row[1], row[-2]) for row in found["calls"]]
    assert calls == [
        (2, 3, "ok"),
        (4, 5, "failed"),
        (6, 6, "denied"),
        (7, 8, "client-gone"),
        (9, 9, "denied"),
        (10, None, "open"),
    ]
    assert found["delete"] == [4, 6]
    assert found["timeout"] == [4]


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
def test_it_does_not_matter_in_which_steps_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    (tmp_path / "whole").mkdir()
    whole = indexed(ledger(tmp_path / "whole", some_rows()))
    monkeypatch.setattr(audit_index, "BATCH", batch)
    path = ledger(tmp_path, some_rows())
    assert indexed(path) == whole
    assert AuditIndexer(path).index() == 0
    assert kept(path) == whole


def test_a_call_that_ends_later_is_counted_when_it_does(tmp_path: Path) -> None:
    rows = some_rows()
    path = ledger(tmp_path, rows)
    before = indexed(path)
    ledger(tmp_path, [ControlRecord(ControlEvent.START, NOW).row(), OutcomeRecord("6", NOW, OutcomeStatus.OK).row()])
    after = indexed(path)
    assert len(after["rollups"]) == len(before["rollups"]) + 1
    assert len(after["calls"]) == len(before["calls"])


def test_what_fails_in_between_is_neither_repeated_nor_skipped(tmp_path: Path) -> None:
    path = ledger(tmp_path, some_rows())
    with closing(sqlite3.connect(path)) as database:
        database.execute("ALTER TABLE hourly_latencies RENAME TO gone")
        database.commit()
        with pytest.raises(StoreUnavailable, match="hourly_latencies"):
            AuditIndexer(path).index()
        assert database.execute("SELECT count(*) FROM calls").fetchone() == (0,)
        database.execute("ALTER TABLE gone RENAME TO hourly_latencies")
        database.commit()
    (tmp_path / "whole").mkdir()
    assert indexed(path) == indexed(ledger(tmp_path / "whole", some_rows()))


def test_two_that_read_at_once_count_once(tmp_path: Path) -> None:
    path = ledger(tmp_path, [DeniedRecord(facts(str(n)), Reason.TOOL_DENIED).row() for n in range(600)])
    threads = [threading.Thread(target=indexed, args=(path,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT sum(calls) FROM rollups").fetchone() == (600,)


def test_an_end_whose_beginning_is_gone_is_passed_over(tmp_path: Path) -> None:
    found = indexed(ledger(tmp_path, [OutcomeRecord("9", NOW, OutcomeStatus.OK).row()]))
    assert found["calls"] == []


def test_it_goes_on_by_itself_and_stops_when_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_index, "IDLE", 0.01)
    monkeypatch.setattr(audit_index, "BROKEN", 0.01)
    done = threading.Event()
    path = tmp_path / "mcpgov.db"
    with indexing(path):  # there is no store yet: it is waited for
        ledger(tmp_path, some_rows())
        watcher = threading.Thread(target=watch, args=(path, done), daemon=True)
        watcher.start()
        assert done.wait(PATIENCE)
    assert [thread.name for thread in threading.enumerate() if thread.name == "audit-index"] == []


def watch(path: Path, done: threading.Event) -> None:
    """Set `done` once every call is indexed."""
    while not done.is_set():
        with closing(sqlite3.connect(path)) as database:
            if database.execute("SELECT count(*) FROM calls").fetchone() == (6,):
                done.set()


def test_a_call_is_found_by_the_digest_of_its_arguments_and_of_a_value_in_them(tmp_path: Path) -> None:
    digester = Digester(b"k" * 32)
    given = digester.fingerprint(b'{"name":"Kyoto"}')
    known = replace(facts("9"), arguments=given, value=redacted({"name": "Kyoto"}, FieldModes(), digester))
    other = replace(facts("8"), arguments=digester.fingerprint(b"{}"))
    path = ledger(tmp_path, [DeniedRecord(one, Reason.TOOL_DENIED).row() for one in (other, known)])
    assert AuditIndexer(path).index() == 2
    with open_sqlite_review(path) as review, open_sqlite_reader(path) as reader:
        for digest in (given.digest, digester.scalar("Kyoto"), given.digest.rpartition(":")[2]):
            wanted = CallFilter(text=digest)
            assert [call.get("call_id") for call in review.page(wanted).calls] == ["9"]
            assert [call.get("call_id") for call in reader.calls(wanted)] == ["9"]
        assert review.page(CallFilter(text="hmac-sha256")).calls == ()
