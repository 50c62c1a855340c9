"""Records as JSON Lines: each as the ledger has it, and `mcpgov.log_id`, `mcpgov.writer` and `mcpgov.seq`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.audit.exported import Payload
from mcpgov.audit.formats.batches import LIMIT, NDJSON, divided, encoded, name_of
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.audit.exported import Exported


@frozen
class JsonLines:
    """The Format `jsonl`. `limit` is in bytes."""

    limit: int = LIMIT

    def payloads(self, records: Sequence[Exported]) -> Iterator[Payload]:
        """One line a record."""
        for part, lines in divided(records, line, self.limit):
            yield Payload(b"".join(lines), len(part), NDJSON, name_of(part, ".jsonl"))


def line(one: Exported) -> bytes:
    """A record with the line feed of its line; JSON escapes all that could break it."""
    return encoded(one.fields) + b"\n"
