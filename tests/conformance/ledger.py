"""The upstream's own account of what it did, to be held against the gateway's audit.

One JSON line for each start and each end of a tool call, on disk before the server goes on: after the gateway, or the
machine under it, was killed, the ledger still says which calls reached the upstream.
"""

import asyncio
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

POLL_SECONDS: Final = 0.02
WAIT_SECONDS: Final = 20

LedgerEvent: TypeAlias = Literal["start", "done", "cancelled"]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line: what happened to which call, and when, in seconds since the epoch."""

    event: LedgerEvent
    tool: str
    arguments: dict[str, Any]
    time: float


class Ledger:
    """Appends to a file; without a path it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else path.open("a", encoding="utf-8")

    def write(self, event: LedgerEvent, tool: str, arguments: dict[str, Any]) -> None:
        """Add one line, flushed and synced."""
        if self._file is None:
            return
        self._file.write(json.dumps(asdict(LedgerEntry(event, tool, arguments, time.time()))) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def entries(path: Path) -> list[LedgerEntry]:
    """All whole lines of a ledger file, in order; none when there is no file yet."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [LedgerEntry(**json.loads(line)) for line in lines if line.endswith("\n")]


async def wait_for(path: Path, event: LedgerEvent, tag: str) -> LedgerEntry:
    """The first entry of that event for the call whose argument `tag` is this. Raises TimeoutError after 20 s."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            for entry in entries(path):
                if entry.event == event and entry.arguments.get("tag") == tag:
                    return entry
            await asyncio.sleep(POLL_SECONDS)
