"""How the ledger is written: how much waits, how long, and what is durable before what. Pure."""

from __future__ import annotations

from mcpgov.frozen import frozen


@frozen
class Tuning:
    """How the ledger is written. Times are in seconds."""

    waiting: int = 8192  # rows that may wait before more are refused
    batch: int = 256  # rows in one commit
    patience: float = 2.0  # how long one who waits is left without an answer
    retry: float = 0.25  # how often a store that failed is tried again
    quiet: float = 60.0  # at most one log line of each kind of failure in this time
    closing: float = 5.0  # how long close() waits for the thread
    unsigned: int = 1000  # rows after which a checkpoint is made
    unsigned_for: float = 10.0  # how long what was written may be without a checkpoint
    jump: float = 1.0  # by how much the clock goes back before that is noted
    linger: float = 0.005  # how long the end of a call that nobody waits for is kept back, to share another's commit
    opening: float = 5.0  # how long a store is waited for that others can begin without
    every_store: bool = False  # a row counts as written when every store has it; otherwise when one has
    outcome_first: bool = False  # an answer ends when its outcome is written; otherwise before
