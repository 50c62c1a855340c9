"""Sends spans and measurements of calls to an OpenTelemetry collector over OTLP/HTTP; set up by OTEL_* variables.

A call's spans are made when it has ended, from what the ledger's recording knows, in one place: one for the leg in,
under the id that stands in the record and that the upstream was told, and one below it for the leg out. Whether a trace
is kept, its beginner decides (the sampled flag). What policies trace becomes events of the span, what they measure
becomes histograms. Nothing here waits or fails a call: a queue that is full, or a collector that is down, loses spans.

The one module that knows the SDK. It is loaded only where a collector is named, and needs the extra `otel`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from mcpgov.audit.record import microseconds
from mcpgov.decision import Metric
from mcpgov.frozen import frozen
from mcpgov.models import OutcomeStatus
from mcpgov.semantic_conventions import (
    BUCKETS,
    CLIENT_DURATION,
    SERVER_DURATION,
    client_attributes,
    client_dimensions,
    client_seconds,
    client_start,
    error_type,
    seconds,
    server_attributes,
    server_dimensions,
    span_name,
)
from mcpgov.trace_context import context_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from opentelemetry.metrics import Histogram

    from mcpgov.audit.ended import EndedCall
    from mcpgov.decision import Trace
    from mcpgov.trace_context import TraceContext

NAME: Final = "mcpgov"
CORRELATION: Final = "correlation-id"  # among what a trace of a policy says: the call that it belongs to
MOST_CALLS: Final = 10_000  # calls under way whose events are kept
MOST_EVENTS: Final = 64  # of one call
MOST_METRICS: Final = 200  # that policies name
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_./-]")
_MEASURED: Final = re.compile(r"[A-Za-z]")


class Spans:
    """Makes the spans of a call when it has ended; keeps what policies trace until then."""

    def __init__(self, resource: Resource, version: str) -> None:
        self._resource = resource
        self._scope = InstrumentationScope(NAME, version)
        self._processor = BatchSpanProcessor(OTLPSpanExporter())
        self._events: dict[str, list[Event]] = {}

    def note(self, trace: Trace) -> None:
        """Keep what a policy traces, where it says of which call."""
        call = next((value for name, value in trace.metadata if name == CORRELATION), "")
        if not call or (call not in self._events and len(self._events) >= MOST_CALLS):
            return
        events = self._events.setdefault(call, [])
        if len(events) < MOST_EVENTS:
            metadata = {f"mcpgov.trace.{name}": value for name, value in trace.metadata if name != CORRELATION}
            said = {"mcpgov.decision.rule": trace.rule, "mcpgov.trace.source": trace.source}
            told = {"mcpgov.trace.severity": trace.severity, "mcpgov.trace.message": trace.message}
            events.append(Event("policy-trace", {**metadata, **said, **told}))

    def end(self, call: EndedCall) -> None:
        """Hand over the spans of a call."""
        events = self._events.pop(call.head.correlation_id, [])
        trace = context_of(call.head, call.request)
        if not trace.sampled:
            return
        begun = microseconds(call.head.received_at)
        ended = begun + (call.latency.total or 0)
        whole = context(trace, trace.span_id)
        parent = context(trace, trace.parent_span_id, remote=True) if trace.parent_span_id else None
        failed = self._status(call)
        self._processor.on_end(
            ReadableSpan(
                span_name(call),
                whole,
                parent,
                self._resource,
                server_attributes(call),
                events=events,
                kind=SpanKind.SERVER,
                status=failed,
                start_time=begun * 1000,
                end_time=ended * 1000,
                instrumentation_scope=self._scope,
            )
        )
        if call.forwarded:
            self._processor.on_end(
                ReadableSpan(
                    span_name(call),
                    context(trace, call.head.correlation_id[len(trace.span_id) :]),
                    whole,
                    self._resource,
                    client_attributes(call),
                    kind=SpanKind.CLIENT,
                    status=failed,
                    start_time=(begun + client_start(call)) * 1000,
                    end_time=ended * 1000,
                    instrumentation_scope=self._scope,
                )
            )

    def close(self) -> None:
        """Send what is left; waits."""
        self._processor.shutdown()

    def _status(self, call: EndedCall) -> Status:
        if call.status in {OutcomeStatus.OK, OutcomeStatus.CANCELLED, OutcomeStatus.CLIENT_GONE}:
            return Status(StatusCode.UNSET)
        return Status(StatusCode.ERROR, error_type(call))


class Measurements:
    """Times calls, and keeps what policies measure. `connections` are those of the catalog."""

    def __init__(self, resource: Resource, version: str, connections: Callable[[], Container[str]]) -> None:
        self._connections = connections
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        self._provider = MeterProvider([reader], resource, shutdown_on_exit=False)
        self._meter = self._provider.get_meter(NAME, version)
        self._server = self._timer(SERVER_DURATION, "An MCP request or notification, from its arrival to its answer.")
        self._client = self._timer(CLIENT_DURATION, "An MCP request or notification, from its sending to its answer.")
        self._of_policies: dict[str, Histogram] = {}

    def _timer(self, name: str, description: str) -> Histogram:
        return self._meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=BUCKETS)

    def end(self, call: EndedCall) -> None:
        """Time a call."""
        connections = self._connections()
        self._server.record(seconds(call.latency.total), server_dimensions(call, connections))
        if call.forwarded:
            self._client.record(client_seconds(call), client_dimensions(call, connections))

    def note(self, metric: Metric) -> None:
        """Take in what a policy measures. A name becomes one that OpenTelemetry takes; a negative value is left out."""
        name = instrument_name(metric)
        if name not in self._of_policies and len(self._of_policies) >= MOST_METRICS:
            return
        if name not in self._of_policies:
            self._of_policies[name] = self._meter.create_histogram(name, description=f"emit-metric {metric.name}")
        if metric.value >= 0:
            self._of_policies[name].record(metric.value, dict(metric.dimensions))

    def close(self) -> None:
        """Send what is left; waits."""
        self._provider.shutdown()


@frozen
class OpenTelemetry:
    """Implements audit.ended.Observer and effects.Teller; either part may be missing."""

    spans: Spans | None
    measurements: Measurements | None

    def ended(self, call: EndedCall) -> None:
        """Hand over the spans of a call, and time it."""
        if self.spans is not None:
            self.spans.end(call)
        if self.measurements is not None:
            self.measurements.end(call)

    def tell(self, effect: Trace | Metric) -> None:
        """Take in what a policy says; secrets are out of it."""
        if isinstance(effect, Metric):
            if self.measurements is not None:
                self.measurements.note(effect)
        elif self.spans is not None:
            self.spans.note(effect)

    def close(self) -> None:
        """Send what is left; waits."""
        for part in (self.spans, self.measurements):
            if part is not None:
                part.close()


def open_export(
    version: str, connections: Callable[[], Container[str]], *, traces: bool, metrics: bool
) -> OpenTelemetry:
    """What exports, as OTEL_* variables say where to and how."""
    named = Resource.create({"service.version": version})
    resource = named.merge(Resource({"service.name": NAME})) if unnamed(named.attributes) else named
    return OpenTelemetry(
        Spans(resource, version) if traces else None,
        Measurements(resource, version, connections) if metrics else None,
    )


def unnamed(attributes: Mapping[str, object]) -> bool:
    """Whether a resource has only the name that the SDK gives to what has none."""
    return str(attributes.get("service.name", "")).startswith("unknown_service")


def context(trace: TraceContext, span_id: str, *, remote: bool = False) -> SpanContext:
    """A span's place, as the SDK has it."""
    return SpanContext(int(trace.trace_id, 16), int(span_id, 16), remote, TraceFlags(trace.flags))


def instrument_name(metric: Metric) -> str:
    """`namespace.name`, in the characters that an instrument's name may have (at most 255, a letter first)."""
    name = _UNFIT.sub("_", f"{metric.namespace}.{metric.name}" if metric.namespace else metric.name)
    return (name if _MEASURED.match(name) else f"m_{name}")[:255]
