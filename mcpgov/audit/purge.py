"""What was removed from the ledger, and the record of that: enough to go on proving what remains.

Pure. A purge removes the oldest records, in the order of commit, so of each writer a prefix. Its record names, for each
writer in it, the chain as it was at the end of what is gone: the last entry, its hash, and the frontier of the tree
(RFC 6962). From there a verifier goes on: later hashes, roots and proofs come out as if everything were still there.
The calls whose beginning is gone and whose end remains are named too. A purge that removes the record of an earlier one
carries on what that said: of no writer is it ever forgotten how much there was.

    WRITER:SEQ:HASH:PEAK,PEAK,…       the last two in hexadecimal, empty for records from before there were hashes
"""

from __future__ import annotations

import json
from dataclasses import field
from datetime import timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from mcpgov.audit.chain import HEX, SEQ, Chain, head
from mcpgov.audit.columns import ENDING, time_of
from mcpgov.audit.fields import MOST
from mcpgov.audit.record import EPOCH, ControlEvent, ControlRecord, RecordEvent, timestamp
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from mcpgov.audit.record import Detail, Row
    from mcpgov.models import Json

PURGED = "mcpgov.control.purged"
OPEN = "mcpgov.control.open"


class Broken(ValueError):
    """Records do not fit their hashes, or their columns. What was tampered with is not removed: it is evidence."""


class Old(NamedTuple):
    """A record that may be removed. `at` is in microseconds since 1970-01-01 UTC, `hash` empty where there is none."""

    id: int
    at: int
    writer: str
    seq: int
    call_id: str | None
    final: int
    event: str
    record: str
    hash: bytes


@frozen
class Removed:
    """What is gone: the chain of each writer at the end of that, and the calls of which only the end remains."""

    chains: Mapping[str, Chain] = field(default_factory=dict[str, Chain])
    open: frozenset[str] = frozenset()

    def after(self, later: Removed) -> Removed:
        """What is gone when more was removed."""
        longer = {
            writer: chain
            for writer, chain in later.chains.items()
            if writer not in self.chains or chain.size > self.chains[writer].size
        }
        return Removed({**self.chains, **longer}, later.open)

    @property
    def records(self) -> int:
        """How many records are gone."""
        return sum(chain.size for chain in self.chains.values())


@frozen
class Cut:
    """Some records to be removed at once, the oldest that there are. `removed` is what is gone then, `named` the
    writers that the record of it has to name.
    """

    rows: Sequence[Old]
    removed: Removed
    named: Sequence[str]

    @property
    def through(self) -> int:
        """The last record, by its place in the ledger."""
        return self.rows[-1].id

    @property
    def span(self) -> tuple[int, int]:
        """From when to when, in microseconds since 1970-01-01 UTC."""
        times = [row.at for row in self.rows]
        return min(times), max(times)

    def records(self, at: datetime, by: Mapping[str, str]) -> list[Row]:
        """The records of it; `by` says who asked for what. The last says how many and from when to when."""
        texts = [chain_text(self.removed.chains[writer]) for writer in self.named]
        parts: list[dict[str, Detail]] = [{"purged": texts[at : at + MOST]} for at in range(0, len(texts), MOST)]
        since, until = (timestamp(EPOCH + timedelta(microseconds=moment)) for moment in self.span)
        parts[-1] |= {"records": len(self.rows), "since": since, "until": until, **by}
        if self.removed.open:
            parts[-1] |= {"open": sorted(self.removed.open)}
        return [ControlRecord(ControlEvent.PURGED, at, part).row() for part in parts]


def chain_text(chain: Chain) -> str:
    """The end of what is gone of a writer, as a record names it."""
    return f"{chain.writer}:{chain.size}:{chain.head.hex()}:{','.join(peak.hex() for peak in chain.frontier)}"


def chain_of(text: Json) -> Chain:
    """The chain that such a text names. Raises ValueError."""
    end, _, peaks = str(text).rpartition(":")
    frontier = peaks.split(",") if peaks else []
    writer, seq, digest = end.rsplit(":", 2) if end.count(":") > 1 else ("", "", "")
    if not digest and not peaks and SEQ.fullmatch(seq):
        return Chain(writer, int(seq), b"")
    found = head(end)
    if len(frontier) != found.seq.bit_count() or not all(HEX.fullmatch(peak) for peak in frontier):
        raise ValueError("names what is no frontier of a tree of that size")
    return Chain(writer, found.seq, found.hash, tuple(bytes.fromhex(peak) for peak in frontier))


def purged_in(record: Mapping[str, Json]) -> Removed | None:
    """What the record of a purge says; None where it is of something else. Raises ValueError."""
    if record.get("mcpgov.control.event") != ControlEvent.PURGED:
        return None
    return removed_of(record.get(PURGED), record.get(OPEN, []))


def removed_of(chains: Json, calls: Json) -> Removed:
    """What lists of chains and of calls say. Raises ValueError."""
    if isinstance(chains, list) and isinstance(calls, list):
        found = [chain_of(one) for one in chains]
        return Removed({chain.writer: chain for chain in found}, frozenset(map(str, calls)))
    raise ValueError("names no list of what was purged")


def folded(records: Iterable[str]) -> Removed:
    """What all records of purges say together. What is none says nothing: the verifier comes to it in its place."""
    removed = Removed()
    for record in records:
        try:
            fields: Json = json.loads(record)
            later = purged_in(fields) if isinstance(fields, dict) else None
        except (ValueError, RecursionError):
            continue
        removed = removed.after(later) if later else removed
    return removed


def old_enough(rows: Iterable[Old], before: int, keep_from: int | None) -> list[Old]:
    """Those of the oldest records that are from before a time and a place. Nothing is taken from behind one that is
    not, so that what remains has no holes.
    """
    return list(takewhile(lambda row: row.at < before and (keep_from is None or row.id < keep_from), rows))


def begun_in(rows: Iterable[Old]) -> set[str]:
    """The calls that begin in these records and do not end there."""
    found: set[str] = set()
    for row in rows:
        if row.event == RecordEvent.INTENT:
            found.add(row.call_id or "")
        elif row.event == RecordEvent.OUTCOME:
            found.discard(row.call_id or "")
    return found


def before_open(rows: Sequence[Old], under_way: Collection[str]) -> Sequence[Old]:
    """The records before the beginning of the first call that has no end yet."""
    return list(takewhile(lambda row: row.event != RecordEvent.INTENT or row.call_id not in under_way, rows))


def cut_of(before: Removed, rows: Sequence[Old]) -> Cut:
    """How to remove these records, of which there is at least one, after what is gone. Raises Broken."""
    own: dict[str, list[Old]] = {}
    for row in rows:
        own.setdefault(row.writer, []).append(row)
    chains = {writer: _extended(before.chains.get(writer, Chain(writer)), some) for writer, some in own.items()}
    for row in rows:
        if misfiled(row):
            raise Broken(f"record {row.seq} of {row.writer} is filed under another time, call or kind than it has")
    carried = {
        writer for row in rows if row.event == RecordEvent.CONTROL for writer in folded([row.record]).chains
    } - chains.keys()
    ended = {row.call_id for row in rows if row.event == RecordEvent.OUTCOME}
    calls = frozenset(before.open | begun_in(rows)) - ended
    return Cut(rows, before.after(Removed(chains, calls)), sorted(chains.keys() | carried))


def misfiled(row: Old) -> bool:
    """Whether what a record is chosen by, and no hash covers, is not what the record says."""
    try:
        fields: Json = json.loads(row.record)
    except (ValueError, RecursionError):
        return True
    if not isinstance(fields, dict):
        return True
    said = (time_of(fields), fields.get("event"), fields.get("call_id"), fields.get("event") in ENDING)
    return (row.at, row.event, row.call_id, row.final) != said


def _extended(chain: Chain, rows: Sequence[Old]) -> Chain:
    """A writer's chain after these records, which have to be its next."""
    end = chain.size + len(rows)
    if [row.seq for row in rows] != list(range(chain.size + 1, end + 1)):
        raise Broken(f"records of {chain.writer} after {chain.size} are missing")
    if not any(row.hash for row in rows) and (not chain.size or not chain.head):
        return Chain(chain.writer, end, b"")
    extended, hashes = chain.extended(row.record for row in rows)
    if hashes != [row.hash for row in rows]:
        raise Broken(f"records of {chain.writer} from {rows[0].seq} to {end} are not what their hashes are of")
    return extended
