"""The index of words in its two kinds: SQLite has FTS5, PostgreSQL vectors of words under a GIN index.

Both are asked the same and mean the same. A word is a run of letters and digits, whatever its case and its accents;
what was typed has to stand there as a whole, the last of it as a beginning; several words in one piece of text, like
`ci-agent`, have to follow one another. SQLite cuts words itself. PostgreSQL would see hosts, paths and numbers in a
text, and index those, so words are cut here for it and no dictionary of its own is asked.
What somebody typed is a value and never a query of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sqlalchemy import String, cast, column, literal, literal_column, table, text
from sqlalchemy.dialects.postgresql import TSQUERY

from mcpgov.frozen import frozen
from mcpgov.store.record_words import searchable

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, TableClause, TextClause
    from sqlalchemy.sql.elements import ColumnClause

WORD: Final = re.compile(r"[^\W_]+")
LONGEST: Final = 500  # characters of a word: PostgreSQL takes 2,046 bytes
MOST: Final = 100_000  # characters of a text that are indexed: PostgreSQL takes 1 MB


@frozen
class WordIndex:
    """One kind. `call` is the column that holds the id of a call; `keep` takes `call` and `text`, written by `written`;
    `has` is the condition that what was typed stands there.
    """

    table: TableClause
    call: ColumnClause[int]
    keep: TextClause
    written: Callable[[str], str]
    has: Callable[[str], ColumnElement[bool]]


def words_in(text: str) -> str:
    """What somebody typed, as a query of FTS5: every word, as a whole, the last as a beginning."""
    words = ['"' + word.replace('"', '""') + '"' for word in searchable(text).replace("\0", " ").split()]
    return " ".join(words) + "*" if words else '""'


def words_of(text: str) -> list[str]:
    """The words of a text, as they are compared: in lower case and without accents."""
    plain = unicodedata.normalize("NFD", text).lower()
    marked = (char for char in plain if unicodedata.category(char)[0] != "M")
    return [word[:LONGEST] for word in WORD.findall("".join(marked))]


def vector_of(text: str) -> str:
    """A text as a vector of words, each with its place: letters and digits alone, so that nothing has to be quoted."""
    return " ".join(f"{word}:{place}" for place, word in enumerate(words_of(text[:MOST]), 1))


def query_of(text: str) -> str:
    """What somebody typed, as a query of such vectors; empty, which finds nothing, where there is no word in it."""
    pieces = [words for piece in searchable(text).split() if (words := words_of(piece))]
    return " & ".join(" <-> ".join(words) for words in pieces) + (":*" if pieces else "")


def _fts5(typed: str) -> ColumnElement[bool]:
    return literal_column("records_text").op("MATCH")(words_in(typed))


def _tsvector(typed: str) -> ColumnElement[bool]:
    return literal_column("records_text.text").op("@@")(cast(literal(query_of(typed), String), TSQUERY))


_ROWID: Final[ColumnClause[int]] = column("rowid")
_ID: Final[ColumnClause[int]] = column("id")
FTS5: Final = WordIndex(
    table("records_text", _ROWID),
    _ROWID,
    text("INSERT INTO records_text (rowid, text) VALUES (:call, :text)"),
    str,
    _fts5,
)
TSVECTOR: Final = WordIndex(
    table("records_text", _ID),
    _ID,
    text("INSERT INTO records_text (id, text) VALUES (:call, CAST(:text AS TSVECTOR))"),
    vector_of,
    _tsvector,
)
