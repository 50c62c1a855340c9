"""The gateway as a program, built with one fault: what an observer from outside has to notice.

python -m tests.faults.faulty_gateway no-sync|sends-first serve ...
"""

import sqlite3
import sys
from pathlib import Path

from mcpgov.app import main
from mcpgov.audit.ledger import CallRecording
from mcpgov.store import database, sqlite_ledger

durable_intent = CallRecording.intent


def connect_without_sync(path: Path, *, busy: float = database.BUSY) -> sqlite3.Connection:
    """Open the store so that a commit does not wait for the disk."""
    opened = database.connect(path, busy=busy)
    opened.execute("PRAGMA synchronous = OFF")
    return opened


async def intent_at_some_time(self: CallRecording) -> None:
    """Hand the intent over, and wait for it only where that is no trouble."""
    waiting = durable_intent(self)
    try:
        waiting.send(None)
    except StopIteration:
        return
    waiting.close()


if __name__ == "__main__":
    if sys.argv.pop(1) == "no-sync":
        sqlite_ledger.connect = connect_without_sync
    else:
        CallRecording.intent = intent_at_some_time
    main()
