"""The index in SQLite keeps the contract, and takes turns with the gateway that writes."""

import sqlite3
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from mcpgov.audit.review import ReviewReader
from mcpgov.store.audit_index import IndexPlace, sqlite_place
from mcpgov.store.audit_query import open_sqlite_review
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.contract.review_contract import ReviewContract, Reviewed, Rows


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
