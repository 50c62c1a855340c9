"""The index in SQLite keeps the contract, and takes turns with the gateway that writes."""

import sqlite3
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from mcpgov.audit.reader import CallFilter
from mcpgov.audit.record import DeniedRecord
from mcpgov.audit.review import ReviewReader
from mcpgov.decision import Reason
from mcpgov.store.audit_index import IndexPlace, sqlite_place
from mcpgov.store.audit_query import open_sqlite_review
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW, facts
from tests.contract.review_contract import ReviewContract, Reviewed, Rows
from tests.store.altered import ALTERED, alter


class InSqlite(Reviewed):
    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, rows: Rows) -> None:
        store = SqliteLedgerStore(self._path)
        store.open()
        store.append(rows)
        store.close(finished=True)

    def place(self) -> IndexPlace:
        return sqlite_place(self._path)

    def review(self) -> AbstractContextManager[ReviewReader]:
        return open_sqlite_review(self._path)

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path)) as database:
            found = database.execute(statement).fetchall()
            database.commit()
            return found


class TestSqliteReview(ReviewContract):
    @pytest.fixture
    def kept(self, tmp_path: Path) -> Reviewed:
        return InSqlite(tmp_path / "mcpgov.db")

    def forget_words(self, kept: Reviewed) -> None:
        kept.ask("INSERT INTO records_text (records_text) VALUES ('delete-all')")


@pytest.mark.parametrize("how", ALTERED)
def test_a_record_that_somebody_altered_holds_up_no_other(tmp_path: Path, how: str) -> None:
    kept = InSqlite(tmp_path / "mcpgov.db")
    kept.append([DeniedRecord(facts(name, NOW), Reason.TOOL_DENIED).row() for name in "abcd"])
    place, key = kept.ask("SELECT id, call_id FROM records WHERE call_id IS NOT NULL ORDER BY id")[1]
    alter(tmp_path / "mcpgov.db", how, place)
    kept.index()
    with kept.review() as review:
        shown = [call.get("call_id") for call in review.page(CallFilter()).calls]
        assert all(name in shown for name in "acd")
        assert [one.id for one in review.kept(key)] == [place]
        assert review.state().behind == 0
