"""What those hear who count and time calls: each call, once, when it has ended and its end was handed to the ledger.

Pure. Telemetry, which may be lost; what has to be proved is in the ledger. No argument and no credential is among it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from mcpgov.audit.record import AnswerSeen, Latency
    from mcpgov.decision import Decision, Reason
    from mcpgov.models import Connection, MCPRequest, OutcomeStatus, RequestHead


@frozen
class EndedCall:
    """A call that has ended. `reason` is that of its end, None where it was simply answered. `session` is the digest of
    the session's id. `connection` is one of the catalog, None where none was found. Latencies are in microseconds.
    """

    head: RequestHead
    status: OutcomeStatus
    reason: Reason | None
    latency: Latency
    request: MCPRequest | None = None
    connection: Connection | None = None
    decision: Decision | None = None
    seen: AnswerSeen | None = None
    session: str = ""

    @property
    def forwarded(self) -> bool:
        """Whether it left for the upstream."""
        return self.latency.audit is not None

    @property
    def effect(self) -> str:
        """`allow` where the call was decided for, else `deny`."""
        return "allow" if self.decision is not None and self.decision.allowed else "deny"


class Observer(Protocol):
    """Hears of every call. Never waits, never raises."""

    def ended(self, call: EndedCall) -> None:
        """Take note of a call."""
        ...
