"""The tables that SQLAlchemy knows are the tables that a store is made with."""

import sqlite3
from pathlib import Path

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from mcpgov.audit.record import Row
from mcpgov.store import database
from mcpgov.store.schema import METADATA, RECORDS, VERSION

# The tables of the index of text are SQLite's own.
SQL = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'records\\_text%' ESCAPE '\\'"


def statements(dialect: sqlite.dialect | postgresql.dialect) -> list[str]:
    tables = METADATA.sorted_tables
    made = [CreateTable(table) for table in tables]
    made += [
        CreateIndex(index) for table in tables for index in sorted(table.indexes, key=lambda index: str(index.name))
    ]
    return [" ".join(str(statement.compile(dialect=dialect)).split()) for statement in made]


def test_the_tables_are_those_that_sqlite_files_are_made_with(tmp_path: Path) -> None:
    database.create_database(tmp_path / "made.db")
    made = sqlite3.connect(tmp_path / "made.db")
    written = [" ".join(row[0].split()) for row in made.execute(SQL)]
    made.close()
    tidy = [text.replace(" ( ", " (").replace(" )", ")") for text in statements(sqlite.dialect())]
    assert sorted(text.replace(" ( ", " (").replace(" )", ")") for text in written) == sorted(tidy)
    assert VERSION == database.SCHEMA_VERSION


def test_the_tables_can_be_made_in_postgresql() -> None:
    assert len(statements(postgresql.dialect())) == len(statements(sqlite.dialect()))


def test_a_row_has_a_column_for_each_of_its_fields() -> None:
    assert [column.name for column in RECORDS.columns] == ["id", "writer", "seq", *Row._fields, "hash"]
