"""Tells of every reload, and of renewed certificates: in the log, in the ledger, and to upstreams no longer used.

How much is logged changes with a reload, and the ledger has who asked for it: what is logged at debug is more than
operators see on another day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

from mcpgov.audit.record import ControlEvent
from mcpgov.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mcpgov.certificates import Renewal
    from mcpgov.log_settings import LogLevel
    from mcpgov.models import Connection
    from mcpgov.reload import ReloadResult
    from mcpgov.snapshot import Snapshot


class Ledger(Protocol):
    """Where control events are written down."""

    async def control(self, event: ControlEvent, **details: str | int) -> None:
        """Write one down. Raises StoreUnavailable."""
        ...


class Upstreams(Protocol):
    """What keeps sockets and processes for connections."""

    async def update(self, connections: Iterable[Connection]) -> None:
        """Keep what these connections use."""
        ...


class Reporter:
    """Passes results on to whom it was told of, and counts them: generations put in force, and those refused.

    `follow` is told which level of the log the settings want; it gives the one before where that changed something.
    """

    def __init__(self) -> None:
        self.follow: Callable[[LogLevel], LogLevel | None] = lambda _: None
        self.reloads = 0
        self.refused = 0
        self._heard: tuple[Ledger, Upstreams, Callable[[], Snapshot]] | None = None

    def to(self, ledger: Ledger, upstreams: Upstreams, current: Callable[[], Snapshot]) -> None:
        """Who is to hear of it, once they are there."""
        self._heard = ledger, upstreams, current

    async def __call__(self, result: ReloadResult) -> None:
        """Pass a result on. A ledger that cannot be written does not stop a good generation."""
        if self._heard is None:
            return
        self.refused += bool(result.problems)
        self.reloads += not result.problems
        ledger, upstreams, current = self._heard
        log = structlog.get_logger()
        why = {name: said for name in ("trigger", "owner") if (said := getattr(result, name))}
        try:
            if result.problems:
                log.error("reload-refused", problems=[str(problem) for problem in result.problems])
                first = str(result.problems[0])
                await ledger.control(ControlEvent.RELOAD_REFUSED, problems=len(result.problems), first=first, **why)
            else:
                level = current().settings.log.level
                before = self.follow(level)
                log.info("reloaded", old=result.old, new=result.new, waiting_for_restart=result.restart)
                await upstreams.update(current().connections.values())
                await ledger.control(ControlEvent.RELOAD, old=result.old, new=result.new, **why)
                if before:
                    log.warning("log-level-changed", old=before, new=level)
                    await ledger.control(ControlEvent.LOG_LEVEL_CHANGED, old=before, new=level, **why)
        except StoreUnavailable as error:
            log.exception("reload-not-recorded", error=str(error))

    async def renewed(self, renewal: Renewal) -> None:
        """Pass on what came of new files of a certificate. One that cannot be written down is presented all the same:
        the one before it may have hours left.
        """
        if self._heard is None:
            return
        ledger, log = self._heard[0], structlog.get_logger()
        try:
            if renewal.problem:
                problem = str(renewal.problem)
                log.error("certificate-refused", listener=renewal.listener, problem=problem)
                await ledger.control(ControlEvent.CERTIFICATE_REFUSED, listener=renewal.listener, problem=problem)
            else:
                told = {"listener": renewal.listener, "expires": renewal.expires}
                log.info("certificate-renewed", **told)
                await ledger.control(ControlEvent.CERTIFICATE_RENEWED, **told)
        except StoreUnavailable as error:
            log.exception("reload-not-recorded", error=str(error))
