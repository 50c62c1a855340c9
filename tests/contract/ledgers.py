"""Ledgers as gateways leave them: calls, refusals, crashes, recoveries, checkpoints; and both verifiers over them."""

import itertools
import random
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from mcpgov.audit.chain import Head
from mcpgov.audit.checkpoints import compared
from mcpgov.audit.export import ExportEvidence
from mcpgov.audit.ledger_store import LedgerStore, OpenCall
from mcpgov.audit.note import Signer
from mcpgov.audit.purge import Old, Removed, folded
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, IntentRecord, OutcomeRecord, Row
from mcpgov.audit.retention import OldestRecords, Purge, PurgingLedger, Retention, Wanted
from mcpgov.audit.verify import Finding, Kept, Verdict, verify
from mcpgov.decision import Reason
from mcpgov.models import OutcomeStatus
from mcpgov.store.evidence import open_sqlite_evidence
from mcpgov.store.memory_ledger import MemoryDisk, MemoryLedgerStore
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests import independent_verifier
from tests.audit.calls import NOW, facts

SIGNER = Signer(bytes(range(32)))
VKEY = str(SIGNER.key)
TOOLS = ("get_forecast", "delete_repository", "f\u00fchre aus", '"}],\n\u2028\x00\U0001f600', "\\u0041")


@dataclass
class Gateways:
    """Gateways over one ledger, led by chance. `new` makes a writer, `kill` ends one as a crash does, `oldest` reads
    what may be purged.
    """

    chance: random.Random
    new: Callable[[], LedgerStore]
    kill: Callable[[LedgerStore], None]
    alive: list[LedgerStore] = field(default_factory=list[LedgerStore])
    oldest: Callable[[], OldestRecords] | None = None
    open: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def now(self) -> datetime:
        """A time that goes on."""
        return NOW + timedelta(milliseconds=next(self.numbers))

    def start(self) -> LedgerStore:
        """Another gateway."""
        store = self.new()
        store.open()
        store.recover(self.unknown)
        store.append([ControlRecord(ControlEvent.START, self.now).row()])
        self.alive.append(store)
        self.open[store.writer] = []
        return store

    def unknown(self, call: OpenCall) -> Row:
        """How a call ends that a crash left open."""
        return OutcomeRecord(call.call_id, self.now, OutcomeStatus.UNKNOWN).row()

    def work(self, store: LedgerStore, batches: int) -> None:
        """Let a gateway write a few batches."""
        for _ in range(batches):
            store.append([self.row(store.writer) for _ in range(self.chance.randint(1, 4))])

    def row(self, writer: str) -> Row:
        """A call that begins, ends, or is refused."""
        under_way, tool = self.open[writer], self.chance.choice(TOOLS)
        if under_way and self.chance.random() < 0.5:
            call = under_way.pop(self.chance.randrange(len(under_way)))
            return OutcomeRecord(call, self.now, OutcomeStatus.OK).row()
        known = facts(f"{writer}-{next(self.numbers)}", self.now, tool=tool)
        if self.chance.random() < 0.3:
            return DeniedRecord(known, Reason.TOOL_DENIED, detail="no\u00efve").row()
        under_way.append(known.call_id)
        return IntentRecord(known).row()

    def stop(self, store: LedgerStore) -> None:
        """End a gateway in order."""
        store.append([OutcomeRecord(call, self.now, OutcomeStatus.OK).row() for call in self.open[store.writer]])
        store.append([ControlRecord(ControlEvent.STOP, self.now).row()])
        store.checkpoint(SIGNER.checkpoint, self.now)
        store.close(finished=True)
        self.alive.remove(store)

    def crash(self, store: LedgerStore) -> None:
        """End a gateway in disorder."""
        self.kill(store)
        self.alive.remove(store)

    def purge(self, before: datetime | None = None) -> Purge:
        """Remove what is older than some moment."""
        assert self.oldest is not None
        since = self.chance.random() * (self.now - NOW)
        return Retention(self.oldest(), self.purging, SIGNER.checkpoint, lambda: None).purge(
            Wanted(1, "somebody"), (before or NOW + since) + timedelta(days=1)
        )

    @contextmanager
    def purging(self) -> Generator[PurgingLedger]:
        """A writer that purges and is gone."""
        store = self.new()
        store.open()
        assert isinstance(store, MemoryLedgerStore | SqliteLedgerStore)
        yield store
        store.close(finished=True)

    def run(self, steps: int) -> None:
        """Whatever may happen."""
        for _ in range(steps):
            if not self.alive or self.chance.random() < 0.2:
                self.start()
            store = self.chance.choice(self.alive)
            self.work(store, self.chance.randint(0, 3))
            match self.chance.randrange(6 if self.oldest is None else 7):
                case 6:
                    self.purge()
                case 0:
                    self.stop(store)
                case 1:
                    self.crash(store)
                case _:
                    store.checkpoint(SIGNER.checkpoint, self.now)


class MemoryOldest:
    """The OldestRecords of a MemoryDisk."""

    def __init__(self, disk: MemoryDisk) -> None:
        self.disk = disk

    def removed(self) -> Removed:
        return folded(row.record for _, _, row in self.disk.rows if row.reason == ControlEvent.PURGED)

    def oldest(self, after: int, limit: int) -> list[Old]:
        found = [
            Old(place, row.at, writer, seq, row.call_id, row.final, row.event, row.record, digest)
            for place, ((writer, seq, row), digest) in enumerate(
                zip(self.disk.rows, self.disk.hashes, strict=True), self.disk.purged + 1
            )
        ]
        return [old for old in found if old.id > after][:limit]

    def ended(self, calls: Collection[str]) -> set[str]:
        return {call for call in calls if (call, 1) in self.disk.kept}


class MemoryEvidence:
    """The Evidence in a MemoryDisk."""

    def __init__(self, disk: MemoryDisk) -> None:
        self.disk = disk

    def records(self) -> Iterator[Kept | Finding | Removed]:
        removed = MemoryOldest(self.disk).removed()
        if removed.chains:
            yield removed
        notes = {(writer, size): note for writer, size, note in self.disk.notes}
        for place, ((writer, seq, row), digest) in enumerate(zip(self.disk.rows, self.disk.hashes, strict=True), 1):
            yield Kept(place, writer, seq, row.record, digest, notes.get((writer, seq)), None, row)

    def loose_notes(self) -> Iterator[str]:
        return iter(())

    def writers(self) -> Mapping[str, Head | None]:
        return dict.fromkeys(self.disk.writers) | {end.writer: end for end in self.disk.ends}


def notes_in(folder: Path | None) -> list[str]:
    """The checkpoints in a folder."""
    return [file.read_text("utf-8") for file in folder.rglob("*.note")] if folder else []


def verdict_on(ledger: Path, folder: Path | None = None) -> Verdict:
    """What mcpgov finds in a store or an export; the independent verifier agrees."""
    roots, wrong, _ = compared(notes_in(folder), SIGNER.key)
    assert wrong == []
    if ledger.suffix == ".jsonl":
        with ledger.open("rb") as file:
            verdict = verify(ExportEvidence(file), SIGNER.key, roots)
    else:
        with open_sqlite_evidence(ledger) as evidence:
            verdict = verify(evidence, SIGNER.key, roots)
    assert independent_verifier.main(str(ledger), VKEY, str(folder or "")) == verdict.code, verdict.findings
    return verdict
