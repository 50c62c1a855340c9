"""The verifier: what a ledger has to say of itself, gone through once from its beginning, and what is wrong with it.

Pure: it is given the evidence, and keeps no more of it than the end of each writer's chain, the calls under way and
the checkpoints that it was given to compare with. What it looks for is written in docs/proof.md, from which anybody can
write another verifier. A record is changed, or one too many (tampered), or it is missing (gap); an export may have been
cut off while it was written (torn). After a finding it goes on, so that a second one is not hidden behind the first.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from mcpgov.audit.chain import NOTHING, Head, entry, named_in
from mcpgov.audit.columns import unlike
from mcpgov.audit.merkle import Frontier, grown, leaf_hash, root
from mcpgov.audit.note import Checkpoint, opened
from mcpgov.audit.purge import Removed, purged_in
from mcpgov.audit.record import RecordEvent
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mcpgov.audit.chain import Chain
    from mcpgov.audit.note import VerifierKey
    from mcpgov.audit.record import Row
    from mcpgov.models import Json

    Roots = Mapping[str, Mapping[int, bytes]]  # by writer and size

SHOWN = 20  # findings that are told one by one
_DECODER = json.JSONDecoder()
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


class Kind(IntEnum):
    """What is wrong; the number is the exit code of the verifier."""

    TAMPERED = 1
    GAP = 2
    TORN = 3


@frozen
class Finding:
    """One thing that is wrong. `place` is the row of the store or the line of the export; 0 where there is none."""

    kind: Kind
    writer: str
    seq: int
    place: int
    what: str

    def __str__(self) -> str:
        where = f" (row {self.place})" if self.place else ""
        record = f"{f'record {self.seq}' if self.seq else 'a record'} of {self.writer}{where} "
        subject = record if self.writer else f"line {self.place} " if self.place else ""
        return f"{self.kind.name.lower()}: {subject}{self.what}"


class Kept(NamedTuple):
    """One record as it was kept. `hash` is empty in one from before there were hashes. `note` is the checkpoint that
    was made after it, `prev` the hash of the one before where the evidence carries it, `columns` those of the store.
    """

    place: int
    writer: str
    seq: int
    record: str
    hash: bytes
    note: str | None = None
    prev: bytes | None = None
    columns: Row | None = None


class Evidence(Protocol):
    """A store or an export, as it is at one moment."""

    def records(self) -> Iterator[Kept | Finding | Removed]:
        """What was removed, where something was; then every record in the order of commit, and what is no record."""
        ...

    def loose_notes(self) -> Iterable[str]:
        """The checkpoints of entries that are not there."""
        ...

    def writers(self) -> Mapping[str, Head | None] | None:
        """The writers that nobody has named yet: those that live (None), the ends of the others; None if not said."""
        ...


@frozen
class Verdict:
    """What was found. `unproved` records are from before there were hashes. `uncovered` are those that no checkpoint
    and no other writer vouches for yet, `purged` how many are gone.
    """

    records: int
    unproved: int
    writers: int
    checkpoints: int
    uncovered: int
    open_calls: int
    findings: tuple[Finding, ...]
    found: int
    purged: int = 0

    @property
    def code(self) -> int:
        """0 ok, 1 tampered, 2 gap, 3 torn tail only."""
        return min((finding.kind for finding in self.findings), default=0)


@dataclass(slots=True)
class _Tail:
    """The end of one writer's chain, as far as it was read."""

    quoted: str
    size: int = 0
    head: bytes = NOTHING
    frontier: Frontier = ()
    leaves: list[bytes] = field(default_factory=list[bytes])
    grown: int = 0
    covered: int = 0
    signed: int = 0  # of it, by a checkpoint of its own
    unproved: bool = False
    broken: bool = False  # something was found, and the roots cannot be right any more
    named: int = 0  # its size when another writer named its end

    def root(self) -> bytes:
        """The root of the tree over what was read."""
        self.frontier = grown(self.frontier, self.grown, self.leaves)
        self.grown += len(self.leaves)
        self.leaves.clear()
        return root(self.frontier)


class Verification:
    """One walk through the evidence. `compared` are the checkpoints that left the house, opened and trusted."""

    def __init__(self, key: VerifierKey | None, compared: Roots) -> None:
        self._key = key
        self._compared = compared
        self._tails: dict[str, _Tail] = {}
        self._open: dict[Json, tuple[str, int, int]] = {}
        self._removed = self._recorded = Removed()
        self._awaited: set[Json] = set()  # calls of which only the end remains
        self._purges: list[Kept] = []
        self._findings: list[Finding] = []
        self._found = self._records = self._unproved = self._checkpoints = 0
        self._seen: set[Kind] = set()

    def begin(self, removed: Removed) -> None:
        """Begin where records were removed."""
        self._removed = removed
        self._awaited.update(removed.open)
        for writer, chain in removed.chains.items():
            size, old = chain.size, not chain.head
            tail = _Tail(json.dumps(writer), size, chain.head, chain.frontier, [], size, size, unproved=old)
            self._tails[writer] = tail
            if (expected := self._compared.get(writer, {}).get(size)) is not None:
                self._end_of_purge(Checkpoint("", size, expected), chain)

    def take(self, kept: Kept) -> None:
        """Go on to the next record."""
        self._records += 1
        tail = self._tails.get(kept.writer)
        if tail is None:
            tail = self._tails[kept.writer] = _Tail(json.dumps(kept.writer))
        problem = self._follows(tail, kept)
        fields = read(kept.record)
        if fields is None:
            self.found(Kind.TAMPERED, kept, problem or "is not the canonical JSON of a record")
            return
        if problem is None and kept.columns is not None:
            problem = unlike(fields, kept.columns)
        called = self._lives(fields, kept)
        if (problem := problem or called) is not None:
            tail.broken = True
            self.found(Kind.TAMPERED, kept, problem)
        if kept.note is not None:
            self._note(kept.note, tail, kept)
        if (expected := self._compared.get(kept.writer, {}).get(kept.seq)) is not None:
            self._root(expected, tail, kept, "a checkpoint that left the house")

    def found(self, kind: Kind, kept: Kept, what: str) -> None:
        """Note what is wrong with a record."""
        self.add(Finding(kind, kept.writer, kept.seq, kept.place, what))

    def add(self, finding: Finding) -> None:
        """Note a finding; of many the first are kept, and one of each kind."""
        self._found += 1
        if len(self._findings) < SHOWN or finding.kind not in self._seen:
            self._findings.append(finding)
        self._seen.add(finding.kind)

    def _follows(self, tail: _Tail, kept: Kept) -> str | None:
        """What is wrong with a record's place in its writer's chain."""
        if kept.seq <= tail.size:
            return f"stands here after record {tail.size}"
        missing = kept.seq - tail.size - 1
        if missing:
            tail.broken = True
            self.found(Kind.GAP, kept, f"comes after record {tail.size}: {missing} missing before it")
        before, tail.size = tail.head, kept.seq
        if not kept.hash:
            return self._without_hash(tail)
        if tail.unproved:
            return "has a hash, and the records of its writer before it have none"
        tail.head = kept.hash
        # In a store the hash of the one before is missing with it; an export carries it.
        return None if missing and kept.prev is None else self._hashed(tail, before, kept)

    def _hashed(self, tail: _Tail, before: bytes, kept: Kept) -> str | None:
        """What is wrong with a record's hash; `before` is that of the record before it."""
        leaf = leaf_hash(entry(tail.quoted, kept.seq, kept.prev or before, kept.record))
        if leaf != kept.hash:
            return "is not what its hash is of: it, or the one before it, was changed"
        if not tail.broken:
            if kept.prev not in {None, before}:
                return "carries another hash of the record before it"
            tail.leaves.append(leaf)
        return None

    def _without_hash(self, tail: _Tail) -> str | None:
        if self._records - 1 > self._unproved:
            return "has no hash, and records before it have one"
        tail.unproved = True
        self._unproved += 1
        return None

    def _lives(self, fields: Mapping[str, Json], kept: Kept) -> str | None:
        """What is wrong with a record in the life of its call; or with the writers that it names."""
        event, call = fields.get("event"), fields.get("call_id")
        if event == RecordEvent.CONTROL:
            return self._controls(fields, kept)
        if not isinstance(call, str):
            return "is of a call that has no id"
        if event == RecordEvent.OUTCOME:
            begun = call in self._awaited or self._open.pop(call, None) is not None
            self._awaited.discard(call)
            if not begun:
                self.found(Kind.GAP, kept, "ends a call that did not begin, or ended before")
        elif call in self._open or call in self._awaited:
            return "begins a call that is under way"
        elif event == RecordEvent.INTENT:
            self._open[call] = (kept.writer, kept.seq, kept.place)
        return None

    def _controls(self, fields: Mapping[str, Json], kept: Kept) -> str | None:
        """What is wrong with what a record says of other writers, or of records that are gone."""
        try:
            heads, purge = named_in(fields), purged_in(fields)
        except ValueError as error:
            return str(error)
        for head in heads:
            self._named(head, kept)
        if purge is not None:
            self._recorded = self._recorded.after(purge)
            self._purges.append(kept)
        return None

    def _named(self, head: Head, by: Kept) -> None:
        """Hold the end of a writer against what another wrote of it."""
        tail = self._tails.get(head.writer)
        if tail is None or tail.size < head.seq:
            self.add(Finding(Kind.GAP, head.writer, head.seq, 0, f"is missing: {by.writer} names it, {there(tail)}"))
        elif (tail.size, tail.head) != (head.seq, head.hash) and not tail.broken:
            self.add(Finding(Kind.TAMPERED, head.writer, head.seq, 0, f"is not the end that {by.writer} names"))
        if tail is not None:
            tail.named = tail.covered = tail.size

    def _note(self, note: str, tail: _Tail, kept: Kept) -> None:
        try:
            checkpoint = opened(note, self._key)
        except ValueError as error:
            self.found(Kind.TAMPERED, kept, f"has a checkpoint that {error}")
            return
        if (checkpoint.writer, checkpoint.size) != (kept.writer, kept.seq):
            self.found(Kind.TAMPERED, kept, "has the checkpoint of another")
            return
        self._root(checkpoint.root, tail, kept, "its checkpoint")

    def _root(self, expected: bytes, tail: _Tail, kept: Kept, named: str) -> None:
        self._checkpoints += 1
        if tail.unproved:
            self.found(Kind.TAMPERED, kept, f"has no hash, and {named} signs one")
        elif not tail.broken and tail.root() != expected:
            tail.broken = True
            self.found(Kind.TAMPERED, kept, f"or one before it is not what {named} signs")
        tail.covered = tail.signed = tail.size

    def verdict(self, evidence: Evidence) -> Verdict:
        """What was found, when all was taken."""
        for note in evidence.loose_notes():
            self._loose(note)
        for writer, sizes in self._compared.items():
            tail, size = self._tails.get(writer), max(sizes)
            if tail is None or tail.size < size:
                what = f"is missing: a checkpoint that left the house covers it, {there(tail)}"
                self.add(Finding(Kind.GAP, writer, size, 0, what))
        self._ends(evidence.writers())
        if Kind.TORN not in self._seen:
            self._holes()
        return Verdict(
            self._records,
            self._unproved,
            len(self._tails),
            self._checkpoints,
            sum(tail.size - tail.covered for tail in self._tails.values() if not tail.unproved),
            len(self._open),
            tuple(self._findings),
            self._found,
            self._removed.records,
        )

    def _holes(self) -> None:
        """Hold what is gone against the records of purges, and these against the checkpoints that sign them."""
        if self._recorded != self._removed:
            self.add(Finding(Kind.TAMPERED, "", 0, 0, "what is said to be purged, no record names"))
        for call in self._awaited:
            self.add(Finding(Kind.GAP, "", 0, 0, f"no record ends {call}, whose beginning was purged"))
        for kept in self._purges:
            tail = self._tails[kept.writer]
            if self._key is not None and tail.signed < kept.seq and not tail.broken:
                self.found(Kind.TAMPERED, kept, "says what was purged, and no checkpoint signs it")

    def _end_of_purge(self, checkpoint: Checkpoint, chain: Chain) -> None:
        """Hold what is gone of a writer against a checkpoint of it; one of less than that says nothing of the rest."""
        if checkpoint.size == chain.size and checkpoint.root != chain.root:
            what = "is the last that was purged, and what was is not what its checkpoint signs"
            self.add(Finding(Kind.TAMPERED, chain.writer, chain.size, 0, what))

    def _loose(self, note: str) -> None:
        try:
            checkpoint = opened(note, self._key)
        except ValueError as error:
            self.add(Finding(Kind.TAMPERED, "", 0, 0, f"a checkpoint of what is not there {error}"))
            return
        chain = self._removed.chains.get(checkpoint.writer)
        if chain is not None and checkpoint.size <= chain.size:
            self._end_of_purge(checkpoint, chain)
            return
        what = "is missing: a checkpoint covers it"
        self.add(Finding(Kind.GAP, checkpoint.writer, checkpoint.size, 0, what))

    def _ends(self, unnamed: Mapping[str, Head | None] | None) -> None:
        """Hold what is there against the writers that nobody has named yet, and the calls that are left open."""
        for head in (unnamed or {}).values():
            if head is not None:
                self._named(head, Kept(0, "the list of writers", 0, "", b""))
        for writer, tail in self._tails.items():
            gone = self._removed.chains.get(writer)
            known = unnamed is None or writer in unnamed or tail.named == tail.size or (gone and gone.size == tail.size)
            if not known and not tail.unproved and not tail.broken:
                self.add(Finding(Kind.TAMPERED, writer, tail.size, 0, "is the last of a writer that nobody announced"))
        for writer, seq, place in self._open.values():
            tail = self._tails[writer]
            lives = tail.named != tail.size if unnamed is None else writer in unnamed and unnamed[writer] is None
            if not lives:
                self.add(Finding(Kind.GAP, writer, seq, place, "begins a call that has no end"))


def verify(evidence: Evidence, key: VerifierKey | None, compared: Roots) -> Verdict:
    """Go through a ledger. Without a key no signature is checked, and the checkpoints in it prove nothing."""
    verification = Verification(key, compared)
    for item in evidence.records():
        if isinstance(item, Kept):
            verification.take(item)
        elif isinstance(item, Removed):
            verification.begin(item)
        else:
            verification.add(item)
    return verification.verdict(evidence)


def there(tail: _Tail | None) -> str:
    """How much there is of a writer, in words."""
    size = tail.size if tail else 0
    return f"{size or 'nothing'}{' is' if size < 2 else ' are'} there"


def encoded(value: Json) -> str:
    """Canonical JSON. Raises ValueError."""
    return _ENCODER.encode(value)


def read(record: str) -> Mapping[str, Json] | None:
    """The fields of a record; None where it is not canonical JSON (RFC 8785 for all that records hold)."""
    try:
        fields = _DECODER.decode(record)
        canonical = isinstance(fields, dict) and encoded(cast("Json", fields)) == record
    except (ValueError, RecursionError):
        return None
    return cast("Mapping[str, Json]", fields) if canonical else None
