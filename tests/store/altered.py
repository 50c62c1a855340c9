"""What somebody who can write into a SQLite file may put in place of a record, so that no reader expects it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

ALTERED: Final = {
    "garbage": "record = 'garbage'",
    "list": "record = '[1]'",
    "deep": f"record = '{'[' * 100_000}'",
    "long number": f"record = '{{\"a\":{'9' * 5_000}}}'",
    "surrogate": 'record = \'{"a":"\\ud800"}\'',
    "list for an id": "record = json_set(record, '$.call_id', json('[\"x\"]'))",
    "no record": "record = x'ff00'",
    "no text": "record = CAST(x'7b22ff' AS TEXT)",
    "no text in a column": "tool = CAST(x'ff' AS TEXT)",
    "bytes in a column": "tool = x'ff'",
    "no time": "at = 'x'",
    "no time that there is": "at = 9223372036854775807",
    "no number": "seq = 'x'",
    "no hash": "hash = 'x'",
}


def alter(path: Path, how: str, place: int) -> None:
    """Do it to the record with this id."""
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute(f"UPDATE records SET {ALTERED[how]} WHERE id = ?", (place,)).rowcount == 1
