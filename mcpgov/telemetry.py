"""Operational logs: JSON lines for machines, text for a terminal. Not the audit: what must be proved is in the ledger.

Everything that logs through the standard library (the server, asyncio) comes out in the same form. Its level is
mcpgov's own: libraries say warnings and errors and never less, because at info and debug HTTP clients write down whole
URLs and headers, and drivers the statements with their values (invariant 7).
"""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

import structlog

from mcpgov.decision import Metric, Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from structlog.typing import Processor

    from mcpgov.effects import Teller
    from mcpgov.log_settings import LogLevel
    from mcpgov.models import Secret

SEVERITIES: Final = {"verbose": logging.DEBUG, "information": logging.INFO, "error": logging.ERROR}
OURS: Final = ("mcpgov", "__main__")  # loggers; the second is what a module run as a program is called
LONGEST: Final = 4096  # characters of one thing that a policy says
SHORTEST: Final = 4  # blotting out a shorter secret would spoil the text, and tell what it is
# Without the local variables of each frame, which hold keys (invariant 7); the defaults would print them.
TRACE = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def configure_logging(*, json: bool, level: str = "info", always: Mapping[str, int] | None = None) -> None:
    """Send logs to stderr: one JSON object a line, or readable text. `level` is as set_level() has it.

    `always` are fields of every line, whichever thread it comes from.
    """
    shared: list[Processor] = [
        lambda _, __, line: {**line, **(always or {})},
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
    ]
    structlog.configure(
        processors=[*shared[:-1], structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    to_read = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    renderer: list[Processor] = (
        [structlog.processors.ExceptionRenderer(TRACE), structlog.processors.JSONRenderer()] if json else [to_read]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )
    stderr = logging.StreamHandler(sys.stderr)
    stderr.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [stderr]
    set_level(level)


def set_level(level: str) -> None:
    """The least that is said from now on, in every thread: debug, info, warning or error; by libraries a warning."""
    least = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(max(least, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(least)


class Loudness:
    """How much this process says: what its command line asks for, else what the settings do, also when they change."""

    def __init__(self, told: LogLevel | None = None) -> None:
        self._told: LogLevel | None = told
        self.level: LogLevel = told or "info"

    def follow(self, wanted: LogLevel) -> LogLevel | None:
        """Take what the settings want now. The level before, where that is another one."""
        before = self.level
        self.level = self._told or wanted
        set_level(self.level)
        return before if before != self.level else None


class PolicyLog:
    """Where the traces and metrics of policies go: one line of the log each, what they say as fields; and to `also`.

    What a caller chose can stand in them: it cannot act on a terminal, and it is cut. `secrets` are what policies drew
    in: none is written, whichever way it got into the text.
    """

    def __init__(self, secrets: Callable[[], Iterable[Secret]] = tuple, also: Iterable[Teller] = ()) -> None:
        self._secrets = secrets
        self.also = tuple(also)

    def tell(self, effect: Trace | Metric) -> None:
        """Log it. A trace has the level that its severity asks for."""
        log = structlog.get_logger()
        if isinstance(effect, Metric):
            shown = replace(effect, dimensions=self._named(effect.dimensions))
            log.info("policy-metric", **{**asdict(shown), "dimensions": dict(shown.dimensions)})
        else:
            shown = replace(effect, message=self._shown(effect.message), metadata=self._named(effect.metadata))
            log.log(SEVERITIES[shown.severity], "policy-trace", **{**asdict(shown), "metadata": dict(shown.metadata)})
        for teller in self.also:
            teller.tell(shown)

    def _named(self, values: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple((name, self._shown(value)) for name, value in values)

    def conceal(self, text: str) -> str:
        """The text without the secrets that policies drew in."""
        for secret in self._secrets():
            if len(value := secret.reveal()) >= SHORTEST:
                text = text.replace(value, "***")
        return text

    def _shown(self, text: str) -> str:
        text = self.conceal(text)
        text = text[:LONGEST] + (f"…[+{len(text) - LONGEST}]" if len(text) > LONGEST else "")
        return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
