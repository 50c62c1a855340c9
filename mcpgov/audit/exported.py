"""What is exported: a record on its way, what a place is given at once, what a format is, how far an export is.

Pure: only values and a Protocol, for the formats as for the loop that sends.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from mcpgov.audit.record import timestamp
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from mcpgov.models import Json


@frozen
class Exported:
    """A record on its way: the whole record, and where it stands. `at` is in microseconds since 1970-01-01 UTC.

    `id` is its place in this store, which orders; `log`, `writer` and `seq` are its name everywhere.
    """

    id: int
    log: str
    writer: str
    seq: int
    at: int
    record: Mapping[str, Json]

    @property
    def uid(self) -> str:
        """What it is known by wherever it arrives: `<log>/<writer>/<seq>`."""
        return f"{self.log}/{self.writer}/{self.seq}"

    @property
    def fields(self) -> dict[str, Json]:
        """The record with its name, as one flat object."""
        return {
            **self.record,
            "mcpgov.log_id": self.log,
            "mcpgov.writer": self.writer,
            "mcpgov.seq": self.seq,
        }


@frozen
class Payload:
    """What a place is given at once. `count` is how many records, in order, it stands for; `name` is unique to them,
    and the same for the same records.
    """

    body: bytes
    count: int
    media_type: str
    name: str


class Format(Protocol):
    """Puts records into the words of others. Pure."""

    def payloads(self, records: Sequence[Exported]) -> Iterable[Payload]:
        """All of these records in their order, in as many payloads as its own limits ask for."""
        ...


@frozen
class ExportState:
    """How far an export is. `behind` is in records; `oldest` is when the oldest record was made that waits, `failing`
    since when it fails; None where nothing waits, and where it does not fail.
    """

    name: str
    target: str
    format: str
    position: int
    behind: int
    oldest: datetime | None
    failing: datetime | None
    error: str

    @property
    def fields(self) -> dict[str, Json]:
        """The same for a machine, with times in ISO 8601."""
        oldest, failing = (at and timestamp(at) for at in (self.oldest, self.failing))
        return {**asdict(self), "oldest": oldest, "failing": failing}
