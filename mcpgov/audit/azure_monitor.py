"""A table of Azure Monitor as a place that records are exported to: one call of the Logs Ingestion API a payload.

Rules: as fast as one data collection rule may be written to and no faster; compressed; with a token of mcpgov's own
identity, which goes to Azure's hosts only, unless the settings say that the place is private. 413 has the batch halved,
429 is waited for as long as it says, and an answer that a person has to mend says how. No text of an error holds the
token, the path of the URL, or what was answered.
Refuses to know: how the token is got, what a row looks like.
Sources: Logs Ingestion API 2023-01-01; Azure Monitor service limits (1 MB a call, 12,000 calls and 2 GB a minute).
"""

from __future__ import annotations

import asyncio
import gzip
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.audit.export_targets import NEVER, OK, seconds
from mcpgov.audit.exporting import TargetRefused, TargetUnavailable
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcpgov.audit.export_targets import Posts
    from mcpgov.audit.exported import Payload
    from mcpgov.models import Secret

CALLS: Final = 12_000 / 60  # a second
BYTES: Final = 2_000_000_000 / 60  # a second, before they are compressed
MENDS: Final = {
    401: "does not know mcpgov's identity: is the workspace of the tenant in azure: ?",
    403: "lets mcpgov not write: give its identity the role Monitoring Metrics Publisher on the data collection rule",
    404: "has no such data collection rule or stream: look at the URL in audit.exports",
}


class Bearer(Protocol):
    """Tokens of mcpgov's own identity for Azure Monitor."""

    async def token(self) -> Secret:
        """One that holds. Raises Refusal."""
        ...

    def reject(self) -> None:
        """Note that the last one was refused."""
        ...


@dataclass(slots=True)
class Pace:
    """How fast a rule may be written to. `clock` is in seconds; `pause` waits for so many."""

    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    _free: float = 0.0  # when the next call may be made

    async def wait(self, size: int) -> None:
        """Return when a call of `size` bytes may be made."""
        now = self.clock()
        if self._free > now:
            await self.pause(self._free - now)
        self._free = max(self._free, now) + max(1 / CALLS, size / BYTES)


@frozen
class MonitorTable:
    """A stream of a data collection rule. `name` is its origin."""

    name: str
    url: Secret
    web: Posts
    bearer: Bearer = field(repr=False)
    private: bool = False
    pace: Pace = field(default_factory=Pace)

    async def put(self, payload: Payload) -> None:
        """Have the rows taken: 204."""
        body = await asyncio.to_thread(gzip.compress, payload.body, 6, mtime=0)
        await self.pace.wait(len(payload.body))
        try:
            token = await self.bearer.token()
            bearer = ("authorization", f"Bearer {token.reveal()}")
            fields = (("content-type", payload.media_type), ("content-encoding", "gzip"), bearer)
            answer = await self.web.send(self.url.reveal(), body, fields, private=self.private)
        except Refusal as refusal:
            raise TargetUnavailable(f"{self.name}: no token: {refusal.detail or refusal.message}") from None
        except WebUnavailable as error:
            raise TargetUnavailable(f"{self.name}: {error}") from error
        if answer.status in NEVER:
            raise TargetRefused(f"{self.name}: answered {answer.status}")
        if answer.status == 401:
            self.bearer.reject()
        if answer.status not in OK:
            mend = f", {MENDS[answer.status]}" if answer.status in MENDS else ""
            raise TargetUnavailable(f"{self.name}: answered {answer.status}{mend}", seconds(answer))
