"""The ledger in memory: the twin that tests run the whole gateway with, and the store of a demo that keeps nothing.

Several writers may share one MemoryDisk, as several processes share a file. `forget()` is the crash of a writer.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from mcpgov.audit.chain import Chain, Head, links
from mcpgov.audit.ledger_store import OpenCall
from mcpgov.audit.record import EPOCH, Durability, RecordEvent
from mcpgov.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from mcpgov.audit.purge import Cut
    from mcpgov.audit.record import Row


@dataclass(slots=True)
class MemoryDisk:
    """What was kept, by whom, as (writer, number, row), and its hashes; whether each writer that did not finish is
    alive; the ends that nobody has named, the notes as (writer, size, note), and how many rows were purged.
    """

    rows: list[tuple[str, int, Row]] = field(default_factory=list["tuple[str, int, Row]"])
    kept: set[tuple[str, int]] = field(default_factory=set["tuple[str, int]"])
    writers: dict[str, bool] = field(default_factory=dict[str, bool])
    hashes: list[bytes] = field(default_factory=list[bytes])
    ends: list[Head] = field(default_factory=list[Head])
    notes: list[tuple[str, int, str]] = field(default_factory=list["tuple[str, int, str]"])
    purged: int = 0
    names: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryLedgerStore:
    """The LedgerStore of one writer on a MemoryDisk."""

    def __init__(self, disk: MemoryDisk | None = None, durability: Durability = Durability.DURABLE) -> None:
        self.disk = disk or MemoryDisk()
        self.writer = f"memory{next(self.disk.names)}"
        self.name = "memory"
        self.durability = durability
        self._chain = Chain(self.writer)
        self._signed = 0

    def open(self) -> None:
        """Announce this writer."""
        self.disk.writers[self.writer] = True

    def recover(self, ended: Callable[[OpenCall], Row]) -> int:
        """End the calls of every writer that is gone."""
        with self.disk.lock:
            gone = [writer for writer, alive in self.disk.writers.items() if not alive]
            begun = [row for writer, _, row in self.disk.rows if writer in gone and row.event == RecordEvent.INTENT]
            calls = [OpenCall(row.call_id or "", row.correlation_id or "", row.trace_id or "") for row in begun]
            rows = [ended(call) for call in calls if (call.call_id, 1) not in self.disk.kept]
            for writer in gone:
                self._note_end(writer)
            self._keep(rows)
            return len(rows)

    def claim(self) -> None:
        """There is nothing to wait for."""

    def append(self, rows: Sequence[Row]) -> None:
        """Keep rows, all or none."""
        with self.disk.lock:
            if any((row.call_id, row.final) in self.disk.kept for row in rows if not row.final):
                raise StoreUnavailable("a call cannot begin twice")
            self._keep(rows)

    def _keep(self, rows: Sequence[Row]) -> None:
        if rows and not self._chain.size:
            rows = [*self._links(EPOCH + timedelta(microseconds=rows[0].at)), *rows]
        for row in rows:
            place = (row.call_id or "", row.final)
            if row.call_id is None or place not in self.disk.kept:
                self._chain, (digest,) = self._chain.extended([row.record])
                self.disk.rows.append((self.writer, self._chain.size, row))
                self.disk.hashes.append(digest)
                self.disk.kept.add(place)

    def _links(self, at: datetime) -> list[Row]:
        ends, self.disk.ends = self.disk.ends, []
        return links(ends, at, self.durability)

    def checkpoint(self, sign: Callable[[Chain], str], at: datetime) -> int:
        """Keep a signed note of what this writer has written, the writers that ended named in it."""
        with self.disk.lock:
            self._keep(self._links(at))
            if self._signed != self._chain.size:
                self.disk.notes.append((self.writer, self._chain.size, sign(self._chain)))
                self._signed = self._chain.size
            return self._signed

    def purge(self, cut: Cut, records: Sequence[Row], sign: Callable[[Chain], str], _at: datetime) -> None:
        """Remove the oldest records, and keep the records of that, signed."""
        with self.disk.lock:
            disk, gone, chains = self.disk, len(cut.rows), cut.removed.chains
            del disk.rows[:gone], disk.hashes[:gone]
            disk.purged += gone
            disk.notes[:] = [note for note in disk.notes if note[0] not in chains or note[1] > chains[note[0]].size]
            self._keep(records)
            disk.notes.append((self.writer, self._chain.size, sign(self._chain)))
            self._signed = self._chain.size

    def close(self, *, finished: bool) -> None:
        """Let go; a writer that is not finished is left to recovery."""
        if finished:
            self._note_end(self.writer)
        else:
            self.forget()

    def _note_end(self, writer: str) -> None:
        last = [
            (seq, digest)
            for (who, seq, _), digest in zip(self.disk.rows, self.disk.hashes, strict=True)
            if who == writer
        ]
        if self.disk.writers.pop(writer, None) is not None and last:
            self.disk.ends.append(Head(writer, *last[-1]))

    def forget(self) -> None:
        """Be gone, as after a crash."""
        self.disk.writers[self.writer] = False
