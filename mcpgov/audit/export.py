"""An export of the ledger that can be verified: one line of canonical JSON a record, in the order of commit.

    {"checkpoint":"<note>","entry":{"prev":"…","record":{…},"seq":7,"writer":"…"},"hash":"<hex>"}

`checkpoint` stands in the line of the last entry that it signs, and in no other. A record from before there were hashes
has the empty string for `prev` and `hash`. The last line names the writers that no other has named yet, each with its
end, or with nothing while it lives: an export without it was cut off.

    {"writers":{"<writer>":"<writer>:7:<hash>","<another>":""}}

Where the oldest records were purged, a line before all others says what is gone, as the records of purges do that are
in the ledger: a verifier begins with it.

    {"open":["<call>"],"purged":["<writer>:7:<hash>:<peak>,<peak>"]}

Only lines, read and made: where they lie is for others.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Protocol, cast

from mcpgov.audit.chain import NOTHING, entry, head
from mcpgov.audit.purge import Removed, chain_text, removed_of
from mcpgov.audit.verify import Finding, Kept, Kind, encoded, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mcpgov.audit.chain import Head
    from mcpgov.audit.verify import Evidence
    from mcpgov.models import Json

LONGEST = 1 << 20  # bytes of a line
LEAST, MOST = {"entry", "hash"}, {"checkpoint", "entry", "hash"}
ENTRY = {"prev", "record", "seq", "writer"}


def export_lines(evidence: Evidence) -> Iterator[str]:
    """The lines of a ledger, each with its end. What is no record of a store is not exported."""
    heads: dict[str, bytes] = {}
    for kept in evidence.records():
        if isinstance(kept, Removed):
            heads = {writer: chain.head for writer, chain in kept.chains.items()}
            chains: list[Json] = [chain_text(kept.chains[writer]) for writer in sorted(kept.chains)]
            calls: list[Json] = [*sorted(kept.open)]
            yield f"{encoded({'open': calls, 'purged': chains})}\n"
        if isinstance(kept, Kept):
            before = heads.get(kept.writer, NOTHING) if kept.hash else b""
            heads[kept.writer] = kept.hash
            text = entry(json.dumps(kept.writer), kept.seq, before, kept.record).decode()
            note = f'"checkpoint":{json.dumps(kept.note, ensure_ascii=False)},' if kept.note else ""
            yield f'{{{note}"entry":{text},"hash":"{kept.hash.hex()}"}}\n'
    unnamed: dict[str, Json] = {writer: str(end or "") for writer, end in (evidence.writers() or {}).items()}
    yield f"{encoded({'writers': unnamed})}\n"


class Lines(Protocol):
    """A file that is open for reading bytes."""

    def readline(self, size: int, /) -> bytes:
        """The next line with its end, or its first `size` bytes; nothing at the end of the file."""
        ...


class ExportEvidence:
    """The Evidence in an export."""

    def __init__(self, file: Lines) -> None:
        self._file = file
        self._writers: dict[str, Head | None] | None = None

    def records(self) -> Iterator[Kept | Finding | Removed]:
        """What was purged, every record, and every line that is none."""
        number = 0
        try:
            for number, line in enumerate(iter(lambda: self._file.readline(LONGEST), b""), 1):
                yield from self._read(line, number)
            if self._writers is None:
                yield Finding(Kind.TORN, "", 0, number or 1, "is not the last: the export was cut off")
        except EOFError:
            yield Finding(Kind.TORN, "", 0, number + 1, "is cut off")
        except (OSError, zlib.error) as error:
            yield Finding(Kind.TAMPERED, "", 0, number + 1, f"cannot be unpacked: {error}")

    def _read(self, line: bytes, number: int) -> Iterator[Kept | Finding | Removed]:
        """The record in a line, or what is wrong with the line."""
        if not line.endswith(b"\n"):
            if len(line) == LONGEST:
                yield Finding(Kind.TAMPERED, "", 0, number, "is longer than any record")
            return  # without its last line it is found to be cut off
        try:
            fields = read(line[:-1].decode()) or {}
            if self._writers is None and set(fields) == {"writers"}:
                self._writers = ends(fields["writers"])
            elif number == 1 and set(fields) == {"open", "purged"}:
                yield removed_of(fields["purged"], fields["open"])
            else:
                yield parsed({} if self._writers is not None else fields, number)
        except ValueError:
            yield Finding(Kind.TAMPERED, "", 0, number, "is not the line of a record")

    def loose_notes(self) -> Iterable[str]:
        """An export has its checkpoints where they belong."""
        return ()

    def writers(self) -> Mapping[str, Head | None] | None:
        """The writers of the last line, once it was read."""
        return self._writers


def ends(writers: Json) -> dict[str, Head | None]:
    """The writers that the last line names. Raises ValueError."""
    if isinstance(writers, dict):
        return {writer: head(end) if end else None for writer, end in writers.items()}
    raise ValueError


def parsed(fields: Mapping[str, Json], number: int) -> Kept:
    """The record in the fields of a line. Raises ValueError."""
    if not LEAST <= set(fields) <= MOST:
        raise ValueError
    inner, digest, note = fields["entry"], fields["hash"], fields.get("checkpoint")
    if not isinstance(inner, dict) or set(inner) != ENTRY or not isinstance(note, str | None):
        raise ValueError
    prev, seq, writer = inner["prev"], inner["seq"], inner["writer"]
    if type(seq) is not int or not isinstance(writer, str):
        raise ValueError
    record = encoded(cast("Json", inner["record"]))
    return Kept(number, writer, seq, record, unhexed(digest), note, unhexed(prev) or None)


def unhexed(digest: Json) -> bytes:
    """The bytes of a hash. Raises ValueError for what is no text of small hexadecimal digits."""
    found = bytes.fromhex(str(digest))
    if found.hex() != digest:
        raise ValueError
    return found
