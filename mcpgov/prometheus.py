"""What Prometheus scrapes: calls counted and timed as they end, and how the gateway is at the moment of the scrape.

Rules: a registry of our own, nothing of the process's; every label is bounded: connections are those of the catalog
(any other is `unknown`), decisions, reasons and statuses are closed vocabularies. No caller, tool or argument is a
label: who did what is a question for the ledger, not for a counter.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from mcpgov.frozen import frozen
from mcpgov.semantic_conventions import connection_of, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from prometheus_client import Metric

    from mcpgov.audit.ended import EndedCall

UNKNOWN: Final = "unknown"
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 90.0)  # seconds
WAITS: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  # seconds


@frozen
class Readings:
    """How the gateway is at a moment. `lag` is in seconds, for each place that checkpoints are sent to, and so is
    `behind`, for each export; `sinks` are the stores of the ledger, and whether each took what it was given last;
    `available` says whether the server of a connection can be used, where that is known; `tools_waiting` how many tools
    of a server wait for a person.
    """

    version: str
    generation: str
    connections: int
    under_way: int
    ready: bool
    waiting: int
    owed: int
    refused: int
    reloads: int
    reloads_refused: int
    lag: Mapping[str, float] = field(default_factory=dict[str, float])
    behind: Mapping[str, float] = field(default_factory=dict[str, float])
    sinks: Mapping[str, bool] = field(default_factory=dict[str, bool])
    available: Mapping[str, bool] = field(default_factory=dict[str, bool])
    tools_waiting: Mapping[str, int] = field(default_factory=dict[str, int])


class Prometheus:
    """Implements audit.ended.Observer. `read` says how the gateway is, `connections` which are in the catalog."""

    def __init__(self, read: Callable[[], Readings], connections: Callable[[], Container[str]]) -> None:
        self._connections = connections
        self._registry = registry = CollectorRegistry(auto_describe=False)
        registry.register(Gauges(read))
        self._calls = Counter(
            *("mcpgov_calls", "Calls that ended, by how."),
            labelnames=("connection", "decision", "reason", "status"),
            registry=registry,
        )
        timed = ("connection",)
        self._total = Histogram(
            *("mcpgov_call_duration_seconds", "A call, from its head to the end of its answer.", timed),
            buckets=BUCKETS,
            registry=registry,
        )
        self._upstream = Histogram(
            *("mcpgov_upstream_duration_seconds", "From sending a call on to the head of its answer.", timed),
            buckets=BUCKETS,
            registry=registry,
        )
        self._decision = Histogram(
            *("mcpgov_decision_duration_seconds", "Who calls, what, whether, with whose credential.", timed),
            buckets=WAITS,
            registry=registry,
        )
        self._audit = Histogram(
            *("mcpgov_audit_duration_seconds", "What a call waited until its intent was durable."),
            buckets=WAITS,
            registry=registry,
        )

    def ended(self, call: EndedCall) -> None:
        """Count and time a call."""
        name = connection_of(call, self._connections()) or UNKNOWN
        reason = call.reason or (call.decision and call.decision.reason)
        self._calls.labels(name, call.effect, reason.value if reason else "", call.status.value).inc()
        latency = call.latency
        self._total.labels(name).observe(seconds(latency.total))
        if latency.decision is not None:
            self._decision.labels(name).observe(seconds(latency.decision))
        if latency.audit is not None:
            self._audit.observe(seconds(latency.audit))
        if latency.upstream is not None:
            self._upstream.labels(name).observe(seconds(latency.upstream))

    def text(self) -> bytes:
        """Everything, in the text format of Prometheus, version 0.0.4."""
        return generate_latest(self._registry)


class Gauges(Collector):
    """What is read when it is asked for."""

    def __init__(self, read: Callable[[], Readings]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Every one of them."""
        now = self._read()
        yield labelled("mcpgov_info", "The version that runs.", "version", {now.version: 1.0})
        yield labelled("mcpgov_generation_info", "The files in force, by digest.", "stamp", {now.generation: 1.0})
        yield GaugeMetricFamily("mcpgov_connections", "Connections in force.", value=now.connections)
        yield GaugeMetricFamily("mcpgov_calls_under_way", "Calls that have not ended.", value=now.under_way)
        yield GaugeMetricFamily("mcpgov_audit_ready", "Whether records can be written: 1, or 0.", value=int(now.ready))
        yield GaugeMetricFamily("mcpgov_audit_records_waiting", "Records on their way to the store.", value=now.waiting)
        yield GaugeMetricFamily("mcpgov_audit_outcomes_owed", "Ends that the store has yet to take.", value=now.owed)
        refused = "Calls refused since the store failed; 0 when it works."
        yield GaugeMetricFamily("mcpgov_audit_records_refused", refused, value=now.refused)
        lag = "Age of the oldest checkpoint that a place lacks."
        yield labelled("mcpgov_checkpoint_lag_seconds", lag, "place", now.lag)
        behind = "Age of the oldest record that an export lacks; 0 where it lacks none."
        yield labelled("mcpgov_export_lag_seconds", behind, "export", now.behind)
        ready = "Whether a store of the ledger took what it was given last: 1, or 0."
        yield labelled("mcpgov_sink_ready", ready, "sink", now.sinks)
        there = "Whether the server of a connection can be used: 1, or 0; none where that is not known."
        yield labelled("mcpgov_connection_available", there, "connection", now.available)
        wait = "Tools that wait for a person, of servers that have any."
        yield labelled("mcpgov_tools_waiting", wait, "server", now.tools_waiting)
        reloads = CounterMetricFamily("mcpgov_reloads", "Changes of files, by what came of them.", labels=["result"])
        reloads.add_metric(["in-force"], now.reloads)
        reloads.add_metric(["refused"], now.reloads_refused)
        yield reloads


def labelled(name: str, help_text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    """A gauge with one label."""
    family = GaugeMetricFamily(name, help_text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
