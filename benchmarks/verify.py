"""How fast a ledger is verified, and what its chain costs those who write it: both measured here, in one run.

python -m benchmarks.verify [RECORDS]. The cost is that of the same batches kept by the same store, with the hashes and
without, alternating; on a disk that takes its time to flush it vanishes.
"""

import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Self

from mcpgov.audit.chain import Chain
from mcpgov.audit.note import Signer
from mcpgov.audit.record import IntentRecord, Latency, OutcomeRecord, Row
from mcpgov.audit.verify import verify
from mcpgov.models import OutcomeStatus
from mcpgov.store.evidence import open_sqlite_evidence
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW, facts

BATCH = 256
CHECKPOINT = 1000
ROUNDS = 200
SIGNER = Signer(bytes(32))


class Unchained(Chain):
    """A chain that hashes nothing."""

    def extended(self, records: Iterable[str]) -> tuple[Self, list[bytes]]:
        """Nothing for each record."""
        hashes = [b"" for _ in records]
        return replace(self, size=self.size + len(hashes)), hashes


class Unhashed(SqliteLedgerStore):
    """A store that keeps no hashes."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._chain = Unchained(self.writer)


def calls(first: int, count: int) -> Iterator[Row]:
    """The records of calls that are allowed and end well."""
    for number in range(first, first + count):
        at = NOW + timedelta(milliseconds=number)
        yield IntentRecord(facts(str(number), at, tool="get_forecast")).row()
        yield OutcomeRecord(str(number), at, OutcomeStatus.OK, latency=Latency(1, 2, 3, 6)).row()


def filled(path: Path, records: int) -> None:
    """Write a ledger, with its checkpoints."""
    store = SqliteLedgerStore(path)
    store.open()
    for first in range(0, records // 2, CHECKPOINT // 2):
        store.append(list(calls(first, CHECKPOINT // 2)))
        store.checkpoint(SIGNER.checkpoint, NOW)
    store.close(finished=True)


def kept(store: SqliteLedgerStore, rows: Sequence[Row]) -> float:
    """Seconds that a batch takes."""
    start = time.perf_counter()
    store.append(rows)
    return time.perf_counter() - start


def chaining(folder: Path) -> tuple[float, float]:
    """Microseconds a record, with the chain and without it."""
    stores = (SqliteLedgerStore(folder / "chained.db"), Unhashed(folder / "unchained.db"))
    times: tuple[list[float], list[float]] = ([], [])
    for store in stores:
        store.open()
        store.append(list(calls(0, 1)))
    for number in range(1, ROUNDS + 1):
        batch = list(calls(number * BATCH, BATCH // 2))
        for place in (0, 1) if number % 2 else (1, 0):
            times[place].append(kept(stores[place], batch))
    for store in stores:
        store.close(finished=False)
    return median(times[0]) / BATCH * 1e6, median(times[1]) / BATCH * 1e6


def main(records: int) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        filled(folder / "ledger.db", records)
        start = time.perf_counter()
        with open_sqlite_evidence(folder / "ledger.db") as evidence:
            verdict = verify(evidence, SIGNER.key, {})
        seconds = time.perf_counter() - start
        size = (folder / "ledger.db").stat().st_size
        print(f"verified {verdict.records:,} records in {seconds:.2f} s: {verdict.records / seconds:,.0f} records/s")
        print(f"         {verdict.checkpoints} checkpoints, {size / verdict.records:.0f} bytes a record on the disk")
        with_chain, without = chaining(folder)
        print(
            f"appended {with_chain:.2f} µs a record with the chain, {without:.2f} without: x {with_chain / without:.2f}"
        )
        if verdict.code:
            raise SystemExit(str(verdict.findings[0]))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
