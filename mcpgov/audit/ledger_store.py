"""What a store of the ledger has to be able to do. Which there are is in store/.

It knows rows, not calls; what a row says is decided in record.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mcpgov.audit.chain import Chain
    from mcpgov.audit.record import Durability, Row

    Sign = Callable[[Chain], str]


@frozen
class OpenCall:
    """A call with an intent and no end."""

    call_id: str
    correlation_id: str
    trace_id: str


class LedgerStore(Protocol):
    """Where rows are kept. Called from one thread at a time. Every method raises StoreUnavailable.

    `name` is for people, and holds no password. `durability` is what a row outlives that was kept.
    `writer` is unique to this object and lives as long as it: rows are numbered from 1 for each writer, without a gap,
    and chained. Its first rows name the writers that ended (chain.links), and come with the first that it is given.
    """

    writer: str
    name: str
    durability: Durability

    def open(self) -> None:
        """Make the store ready and announce this writer, so that others see whether it still lives.

        May be called again when it failed.
        """
        ...

    def recover(self, ended: Callable[[OpenCall], Row]) -> int:
        """Give each intent without an end, whose writer is gone, the end that `ended` makes: all in one transaction.

        Gives back how many. The calls of a writer that lives are not touched, and a call never gets a second end.
        """
        ...

    def claim(self) -> None:
        """Wait for whatever the next append would wait for, so that what comes meanwhile shares its commit.

        Nothing where nobody else writes.
        """
        ...

    def append(self, rows: Sequence[Row]) -> None:
        """Keep rows in this order: all of them, as durable as said, or none. A second end of a call is not kept."""
        ...

    def checkpoint(self, sign: Sign, at: datetime) -> int:
        """Name the writers that ended since, then keep the note that `sign` makes of all that this writer has written;
        neither where there is no news. Gives back how many entries the last note is of.
        """
        ...

    def close(self, *, finished: bool) -> None:
        """Let go. `finished`: every call of this writer has its end; otherwise the next recovery sees to it."""
        ...
