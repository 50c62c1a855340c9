"""How calls are counted for the pages that people read: by the minute and by the hour, and how long they took.

Pure arithmetic over the numbers of one batch; the statements that keep them are beside it, because the one makes no
sense without the other. A call is counted once, when it has ended, at the time at which it began. Latencies are counted
in steps of a quarter of an octave, so that a percentile is right to a tenth.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MINUTE: Final = 60_000_000  # microseconds
HOUR: Final = 60 * MINUTE
PER_OCTAVE: Final = 4
_ROLLUP: Final = """
INSERT INTO {table} ({time}, connection, effect, reason, tool, principal, status, calls)
VALUES (:at, :connection, :effect, :reason, :tool, :principal, :status, :calls)
ON CONFLICT ({time}, connection, effect, reason, tool, principal, status)
DO UPDATE SET calls = {table}.calls + excluded.calls
"""
_LATENCY: Final = """
INSERT INTO {table} ({time}, connection, bucket, calls) VALUES (:at, :connection, :bucket, :calls)
ON CONFLICT ({time}, connection, bucket) DO UPDATE SET calls = {table}.calls + excluded.calls
"""


class Kind(NamedTuple):
    """What calls are told apart by when they are counted."""

    connection: str
    effect: str
    reason: str
    tool: str
    principal: str
    status: str


@dataclass(slots=True)
class Counts:
    """What one batch adds."""

    kinds: Counter[tuple[int, Kind]] = field(default_factory=Counter["tuple[int, Kind]"])
    latencies: Counter[tuple[int, str, int]] = field(default_factory=Counter["tuple[int, str, int]"])

    def add(self, at: int, kind: Kind, total: int | None) -> None:
        """Count a call that began at `at`. How long a refusal took says nothing of the servers: it is left out."""
        self.kinds[at // MINUTE, kind] += 1
        if total is not None and kind.effect == "allow":
            self.latencies[at // MINUTE, kind.connection, bucket_of(total)] += 1

    def statements(self) -> Iterable[tuple[str, list[dict[str, str | int]]]]:
        """What keeps the counts, in either database: each statement, and the rows to run it with."""
        for table, time, minutes in (("rollups", "minute", 1), ("hourly_rollups", "hour", 60)):
            kinds = _coarser(self.kinds, minutes)
            rows = [{"at": at, **kind._asdict(), "calls": calls} for (at, kind), calls in kinds.items()]
            yield _ROLLUP.format(table=table, time=time), rows
        for table, time, minutes in (("latencies", "minute", 1), ("hourly_latencies", "hour", 60)):
            taken: Counter[tuple[int, str, int]] = Counter()
            for (at, connection, bucket), calls in self.latencies.items():
                taken[at // minutes, connection, bucket] += calls
            yield (
                _LATENCY.format(table=table, time=time),
                [
                    {"at": at, "connection": connection, "bucket": bucket, "calls": calls}
                    for (at, connection, bucket), calls in taken.items()
                ],
            )


def _coarser(kinds: Mapping[tuple[int, Kind], int], minutes: int) -> Counter[tuple[int, Kind]]:
    found: Counter[tuple[int, Kind]] = Counter()
    for (at, kind), calls in kinds.items():
        found[at // minutes, kind] += calls
    return found


def bucket_of(total: int) -> int:
    """The step that a latency in microseconds falls into."""
    return int(PER_OCTAVE * math.log2(max(total, 1)))


def middle_of(bucket: int) -> float:
    """A latency in milliseconds that stands for all of a step."""
    return float(2.0 ** ((bucket + 0.5) / PER_OCTAVE)) / 1000


def percentile(buckets: Mapping[int, int], share: float) -> float:
    """The latency in milliseconds that a share of the calls did not exceed; `buckets` is not empty."""
    wanted, seen = share * sum(buckets.values()), 0
    for bucket, calls in sorted(buckets.items()):
        seen += calls
        if seen >= wanted:
            return middle_of(bucket)
    return middle_of(max(buckets))
