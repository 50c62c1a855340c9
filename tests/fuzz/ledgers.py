"""A small ledger that nobody touched, as an export: one writer that ended, one that lives, a checkpoint of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from mcpgov.audit.chain import Chain, Head, links
from mcpgov.audit.export import export_lines
from mcpgov.audit.note import Signer
from mcpgov.audit.record import ControlEvent, ControlRecord, DeniedRecord, IntentRecord, OutcomeRecord, Row
from mcpgov.audit.verify import Kept
from mcpgov.decision import Reason
from mcpgov.models import OutcomeStatus
from tests.audit.calls import NOW, facts

SIGNER: Final = Signer(bytes(range(32)))


class Ledger:
    """Evidence that is these records, and the writers that nobody named."""

    def __init__(self, records: Sequence[Kept], unnamed: Mapping[str, Head | None]) -> None:
        self._records, self._unnamed = records, unnamed

    def records(self) -> Iterator[Kept]:
        """Every record."""
        return iter(self._records)

    def loose_notes(self) -> Sequence[str]:
        """None."""
        return ()

    def writers(self) -> Mapping[str, Head | None]:
        """Those that nobody named."""
        return self._unnamed


def kept(writer: str, rows: Sequence[Row]) -> tuple[list[Kept], Chain]:
    """Rows as a writer keeps them, a checkpoint after the last."""
    chain, hashes = Chain(writer).extended(row.record for row in rows)
    records = [
        Kept(number, writer, number, row.record, digest)
        for number, (row, digest) in enumerate(zip(rows, hashes, strict=True), 1)
    ]
    records[-1] = records[-1]._replace(note=SIGNER.checkpoint(chain))
    return records, chain


def clean() -> tuple[bytes, dict[str, dict[int, bytes]]]:
    """The export, and the roots of its writers: the checkpoints that left the house."""
    start, stop = ControlRecord(ControlEvent.START, NOW).row(), ControlRecord(ControlEvent.STOP, NOW).row()
    begun, ended = IntentRecord(facts("1")).row(), OutcomeRecord("1", NOW, OutcomeStatus.OK).row()
    first, one = kept("a-1", [start, begun, ended, stop])
    denied = DeniedRecord(facts("2"), Reason.TOOL_DENIED, detail="caf\u00e9").row()
    second, other = kept("b-2", [start, *links([one.end], NOW), denied])
    lines = export_lines(Ledger([*first, *second], {other.writer: None}))
    return "".join(lines).encode(), {chain.writer: {chain.size: chain.root} for chain in (one, other)}
