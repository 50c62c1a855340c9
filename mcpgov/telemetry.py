"""Operational logs: JSON lines for machines, text for a terminal. Not the audit: what must be proved is in the ledger.

Everything that logs through the standard library (the server, asyncio) comes out in the same form.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor


# Without the local variables of each frame, which hold keys (invariant 7); the defaults would print them.
TRACE = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def configure_logging(*, json: bool, level: str = "info") -> None:
    """Send logs to stderr: one JSON object a line, or readable text. `level` is debug, info, warning or error."""
    shared: list[Processor] = [
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
    root.setLevel(level.upper())
    for chatty in ("uvicorn", "asyncio", "watchfiles"):  # what they have to tell is told by ours
        logging.getLogger(chatty).setLevel(logging.WARNING)
