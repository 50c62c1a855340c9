"""The gateway as a program, built with one fault: what an observer from outside has to notice.

python -m tests.faults.faulty_gateway no-sync|sends-first serve ...
"""

import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

from mcpgov.app import main
from mcpgov.audit.ledger import CallRecording
from mcpgov.models import Answer
from mcpgov.store import database, sqlite_ledger

durable_intent, heard = CallRecording.intent, CallRecording.heard


def connect_without_sync(path: Path, *, busy: float = database.BUSY, flushed: bool = False) -> sqlite3.Connection:
    """Open the store so that a commit does not wait for the disk."""
    opened = database.connect(path, busy=busy, flushed=flushed)
    opened.execute("PRAGMA synchronous = OFF")
    return opened


async def no_intent(self: CallRecording) -> None:
    """Hand no intent over before the call is sent."""


def heard_with_intent(self: CallRecording, answer: Answer) -> Answer:
    """Hand the intent over once the upstream answers, and do not wait for it."""
    waiting = durable_intent(self)
    with suppress(StopIteration):
        waiting.send(None)
    waiting.close()
    return heard(self, answer)


if __name__ == "__main__":
    if sys.argv.pop(1) == "no-sync":
        sqlite_ledger.connect = connect_without_sync
    else:
        CallRecording.intent, CallRecording.heard = no_intent, heard_with_intent
    main()
