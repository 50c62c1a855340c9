"""The chain: each record of a writer carries the hash of the one before, and each writer names those that ended.

Pure. What is hashed is the record's entry, canonical JSON (RFC 8785) as the record in it is:

    {"prev":"<hash of the writer's entry before, in hex; zeros for the first>","record":{…},"seq":7,"writer":"…"}

One hash a record, that of an RFC 6962 leaf, serves the chain and the tree that checkpoints sign. So nothing that a
writer wrote can be changed, dropped, inserted or moved without changing every hash after it. That a writer cannot
vanish whole is for the others: the first record of each names the last hash of those that ended and that nobody named.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Self

from mcpgov.audit.fields import MOST
from mcpgov.audit.merkle import HASH, Frontier, grown, leaf_hash, root
from mcpgov.audit.record import ControlEvent, ControlRecord, Durability
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from mcpgov.audit.record import Row
    from mcpgov.models import Json

NOTHING = bytes(HASH)  # what the first entry of a writer has for the hash of the one before
HEX = re.compile(f"[0-9a-f]{{{2 * HASH}}}")
SEQ = re.compile(r"[0-9]{1,18}")  # what a database has a number for
HEADS = "mcpgov.control.heads"


@frozen
class Chain:
    """What a writer has written so far: how many entries, the hash of the last, and the frontier of their tree."""

    writer: str
    size: int = 0
    head: bytes = NOTHING
    frontier: Frontier = ()

    def extended(self, records: Iterable[str]) -> tuple[Self, list[bytes]]:
        """The chain after these records (canonical JSON), and the hash of each."""
        prev, hashes, quoted = self.head, list[bytes](), json.dumps(self.writer)
        for seq, record in enumerate(records, self.size + 1):
            prev = leaf_hash(entry(quoted, seq, prev, record))
            hashes.append(prev)
        frontier = grown(self.frontier, self.size, hashes)
        return type(self)(self.writer, self.size + len(hashes), prev, frontier), hashes

    @property
    def root(self) -> bytes:
        """The root of the tree over every entry (RFC 6962)."""
        return root(self.frontier)

    @property
    def end(self) -> Head:
        """The last entry, as others name it."""
        return Head(self.writer, self.size, self.head)


@frozen
class Head:
    """An entry, named: that a writer's entry number `seq` has this hash."""

    writer: str
    seq: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.writer}:{self.seq}:{self.hash.hex()}"


def entry(quoted: str, seq: int, prev: bytes, record: str) -> bytes:
    """What is hashed for one record; `quoted` is the writer's name as JSON has it."""
    return f'{{"prev":"{prev.hex()}","record":{record},"seq":{seq},"writer":{quoted}}}'.encode()


def links(heads: Sequence[Head], at: datetime, durability: Durability = Durability.DURABLE) -> list[Row]:
    """The records that name these heads."""
    parts = (heads[start : start + MOST] for start in range(0, len(heads), MOST))
    named = ({"heads": [str(head) for head in part]} for part in parts)
    return [ControlRecord(ControlEvent.WRITERS, at, heads_of, durability).row() for heads_of in named]


def named_in(record: Mapping[str, Json]) -> list[Head]:
    """The heads that a record names. Raises ValueError for what is no head."""
    if record.get("mcpgov.control.event") != ControlEvent.WRITERS:
        return []
    found = record.get(HEADS)
    return [head(one) for one in (found if isinstance(found, list) else [found])]


def head(text: Json) -> Head:
    """A head from its text. Raises ValueError."""
    writer, _, rest = str(text).partition(":")
    seq, _, digest = rest.partition(":")
    if not (HEX.fullmatch(digest) and SEQ.fullmatch(seq)):
        raise ValueError("names what is no head; write WRITER:SEQ:HASH")
    return Head(writer, int(seq), bytes.fromhex(digest))
