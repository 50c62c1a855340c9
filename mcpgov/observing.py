"""What watches a running gateway put together: counters for Prometheus, spans and measurements for OpenTelemetry.

A room of the composition root: app.py hands it the parts that are looked at. Off unless asked for: Prometheus where
there is an admin listener to be scraped, OpenTelemetry where the environment names a collector, as for every SDK of it
(OpenTelemetry specification, "OTLP Exporter Configuration"). A variable that cannot be followed is an error at once.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from mcpgov import __version__
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.extras import OTEL
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping

    from mcpgov.audit.ended import Observer
    from mcpgov.audit.ledger import AuditLedger
    from mcpgov.effects import Teller
    from mcpgov.models import Connection
    from mcpgov.prometheus import Prometheus, Readings
    from mcpgov.reporter import Reporter
    from mcpgov.snapshot import Snapshot

    Load = Callable[[str], Any]

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
SPOKEN: Final = "http/protobuf"
LAST_EXPORT: Final = 3.0  # seconds that the last spans and measurements may take to leave


def nothing_waits(_connections: Iterable[Connection], /) -> Mapping[str, int]:
    """For a gateway that has no pins."""
    return {}


@frozen
class Watched:
    """The parts of a gateway that are looked at. `lag` is in seconds, for each place that checkpoints are sent to, and
    `behind` for each export; `available` says of each connection whether its server is there, as far as that is known,
    and `waiting` how many tools of their servers wait for a person.
    """

    current: Callable[[], Snapshot]
    ledger: AuditLedger
    reporter: Reporter
    lag: Callable[[], Mapping[str, float]]
    behind: Callable[[], Mapping[str, float]] = dict
    available: Callable[[], Mapping[str, bool]] = dict
    waiting: Callable[[Iterable[Connection]], Mapping[str, int]] = nothing_waits

    def connections(self) -> Mapping[str, object]:
        """Those of the catalog in force."""
        return self.current().connections


@frozen
class Telemetry:
    """Who hears of calls that ended, and of what policies say; `prometheus` is there where it can be scraped."""

    observers: tuple[Observer, ...] = ()
    tellers: tuple[Teller, ...] = ()
    prometheus: Prometheus | None = None


@frozen
class Signals:
    """What is exported to a collector."""

    traces: bool
    metrics: bool


@asynccontextmanager
async def observing(watched: Watched, load: Load, environ: Mapping[str, str] = os.environ) -> AsyncGenerator[Telemetry]:
    """What watches the gateway, until it ends; `load` loads a module of ours. Raises InvalidConfiguration."""
    prometheus = None
    if watched.current().settings.admin is not None:
        room = load("mcpgov.prometheus")
        prometheus = room.Prometheus(lambda: readings(room.Readings, watched), watched.connections)
    scraped = (prometheus,) if prometheus else ()
    signals = signals_of(environ)
    if not (signals.traces or signals.metrics):
        yield Telemetry(scraped, (), prometheus)
        return
    if not OTEL.installed:
        raise wrong(ENDPOINT, f"is set, and {OTEL.package} is not installed", f"{OTEL.mend}, or unset the variable")
    export = load("mcpgov.opentelemetry_export").open_export(
        __version__, watched.connections, traces=signals.traces, metrics=signals.metrics
    )
    try:
        yield Telemetry((*scraped, export), (export,), prometheus)
    finally:
        # A thread that nobody waits for longer: a collector that is down must not keep the gateway from ending.
        closing = threading.Thread(target=export.close, name="mcpgov-telemetry", daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, LAST_EXPORT)


def signals_of(environ: Mapping[str, str]) -> Signals:
    """What the environment asks for. Raises InvalidConfiguration for what cannot be spoken."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Signals(traces=False, metrics=False)
    return Signals(traces=wants("TRACES", environ), metrics=wants("METRICS", environ))


def wants(signal: str, environ: Mapping[str, str]) -> bool:
    """Whether a signal is exported: a collector is named, and its exporter is not `none`."""
    endpoint = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or environ.get(ENDPOINT)
    if not endpoint or environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip() == "none":
        return False
    own = f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"
    name = own if environ.get(own) else PROTOCOL
    if (said := environ.get(name) or SPOKEN) != SPOKEN:
        raise wrong(name, f"is {said}, which mcpgov does not speak", f"set it to {SPOKEN}")
    return True


def wrong(variable: str, what: str, mend: str) -> InvalidConfiguration:
    """A variable of the environment that cannot be followed."""
    return InvalidConfiguration((Problem(variable, 0, 0, what, mend),))


def readings(shape: type[Readings], watched: Watched) -> Readings:
    """How the gateway is now."""
    snapshot, ledger = watched.current(), watched.ledger
    backlog = ledger.sinks.backlog
    return shape(
        version=__version__,
        generation=snapshot.stamp,
        connections=len(snapshot.connections),
        under_way=ledger.under_way,
        ready=ledger.ready,
        waiting=backlog.waiting,
        owed=backlog.owed,
        refused=backlog.refused,
        reloads=watched.reporter.reloads,
        reloads_refused=watched.reporter.refused,
        lag=watched.lag(),
        behind=watched.behind(),
        sinks=ledger.sinks.states,
        available=watched.available(),
        tools_waiting=watched.waiting(snapshot.connections.values()),
    )
