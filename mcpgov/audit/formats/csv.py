"""Records as CSV (RFC 4180) with fixed columns. Pure.

Callers choose names, and a spreadsheet runs what looks like a formula: a cell that begins like one gets an apostrophe
in front (OWASP, CSV injection). A NUL, at which many readers end, is written as its symbol.
"""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING, Final

from mcpgov.audit.exported import Payload
from mcpgov.audit.formats.batches import LIMIT, divided, name_of
from mcpgov.audit.formats.columns import NAMES, texts
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mcpgov.audit.exported import Exported

MEDIA_TYPE: Final = "text/csv; charset=utf-8"
# As they are typed, and as full-width characters, which some spreadsheets take for the same.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUL: Final = str.maketrans({"\0": "\N{SYMBOL FOR NULL}"})


@frozen
class Csv:
    """The Format `csv`. `limit` is in bytes. Each payload begins with the names of the columns if `header`."""

    limit: int = LIMIT
    header: bool = True

    def payloads(self, records: Sequence[Exported]) -> Iterator[Payload]:
        """One row a record."""
        head = row_of(NAMES) if self.header else b""
        for part, rows in divided(records, row, self.limit):
            yield Payload(head + b"".join(rows), len(part), MEDIA_TYPE, name_of(part, ".csv"))


def row(one: Exported) -> bytes:
    """A record as a row."""
    return row_of(cell(text) for text in texts(one))


def cell(text: str) -> str:
    """A text as a cell that no spreadsheet runs."""
    shown = text.translate(_NUL)
    return f"'{shown}" if shown.startswith(FORMULA) else shown


def row_of(cells: Iterable[str]) -> bytes:
    """A row with its end."""
    line = StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode("utf-8", "replace")
