"""Spans and measurements as a collector gets them: real protobuf over a real socket."""

from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from mcpgov.decision import Metric, Trace
from mcpgov.models import OutcomeStatus
from mcpgov.opentelemetry_export import MOST_EVENTS, MOST_METRICS, OpenTelemetry, instrument_name, open_export
from mcpgov.semantic_conventions import BUCKETS
from tests.audit.calls import CITY, NOW, request
from tests.audit.ended_calls import ABOUT, CORRELATION, PARENT, TRACE, answered, denied
from tests.peers.otlp_collector import Collector, collecting, named

BEGUN = int(NOW.timestamp()) * 1_000_000_000 + NOW.microsecond * 1000


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A collector, and an environment that names it."""
    with collecting() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


def exporting(*, traces: bool = True, metrics: bool = True) -> OpenTelemetry:
    return open_export("1.2.3", lambda: {"city": CITY}, traces=traces, metrics=metrics)


def test_a_call_is_a_span_for_the_leg_in_and_one_below_it_for_the_leg_out(collector: Collector) -> None:
    export = exporting()
    export.ended(answered())
    export.close()
    server, client = collector.spans
    assert (server.name, server.kind, client.name, client.kind) == (
        *("tools/call search", Span.SPAN_KIND_SERVER),
        *("tools/call search", Span.SPAN_KIND_CLIENT),
    )
    assert (server.trace_id.hex(), client.trace_id.hex()) == (TRACE, TRACE)
    assert (server.span_id.hex(), server.parent_span_id.hex()) == (CORRELATION[:16], PARENT)
    assert (client.span_id.hex(), client.parent_span_id.hex()) == (CORRELATION[16:], CORRELATION[:16])
    assert (server.start_time_unix_nano, server.end_time_unix_nano) == (BEGUN, BEGUN + 50_000_000)
    assert (client.start_time_unix_nano, client.end_time_unix_nano) == (BEGUN + 3_000_000, BEGUN + 50_000_000)
    assert named(server.attributes)["gen_ai.tool.name"] == "search"
    assert named(client.attributes)["server.address"] == "city.example"
    assert server.status.code == Status.STATUS_CODE_UNSET
    assert (collector.resource["service.name"], collector.resource["service.version"]) == ("mcpgov", "1.2.3")


def test_a_refused_call_is_one_span_that_says_why_and_begins_a_trace_of_its_own(collector: Collector) -> None:
    export = exporting(metrics=False)
    export.ended(denied())
    export.close()
    (span,) = collector.spans
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id) == (CORRELATION, CORRELATION[:16], b"")
    assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "tool-denied")
    assert collector.metrics == {}


def test_a_trace_that_its_beginner_does_not_keep_is_not_sent(collector: Collector) -> None:
    export = exporting()
    export.tell(trace(CORRELATION))
    unsampled = f"00-{TRACE}-{PARENT}-00"
    export.ended(answered(asked=replace(request(about=ABOUT), traceparent=unsampled)))
    export.ended(replace(answered(), status=OutcomeStatus.CLIENT_GONE))
    export.close()
    assert [list(span.events) for span in collector.spans] == [[], []]


def trace(call: str, message: str = "m") -> Trace:
    named_call = (("correlation-id", call),) if call else ()
    return Trace("company#1 trace", "owners", "error", message, (*named_call, ("tool", "search")))


def test_what_policies_trace_of_a_call_are_events_of_its_span(collector: Collector) -> None:
    export = exporting(metrics=False)
    export.tell(trace(""))
    export.tell(Metric("r", "m", 1))
    for number in range(MOST_EVENTS + 5):
        export.tell(trace(CORRELATION, f"m{number}"))
    export.ended(answered())
    export.close()
    server, client = collector.spans
    assert (len(server.events), len(client.events)) == (MOST_EVENTS, 0)
    assert server.events[0].name == "policy-trace"
    assert named(server.events[0].attributes) == {
        "mcpgov.decision.rule": "company#1 trace",
        "mcpgov.trace.source": "owners",
        "mcpgov.trace.severity": "error",
        "mcpgov.trace.message": "m0",
        "mcpgov.trace.tool": "search",
    }


def test_events_of_calls_that_never_end_are_bounded(collector: Collector) -> None:
    export = exporting(metrics=False)
    for number in range(10_001):
        export.tell(trace(f"{number:032x}"))
    export.tell(trace(f"{0:032x}"))
    export.ended(answered(asked=replace(request(about=replace(ABOUT, correlation_id=f"{10_000:032x}")))))
    export.close()
    assert [list(span.events) for span in collector.spans] == [[], []]


def test_calls_are_timed_in_seconds_with_the_advised_buckets(collector: Collector) -> None:
    export = exporting(traces=False)
    export.ended(answered())
    export.ended(denied())
    export.tell(trace(CORRELATION))
    export.close()
    assert collector.spans == []
    server, client = (collector.metrics[f"mcp.{side}.operation.duration"] for side in ("server", "client"))
    assert (server.unit, client.unit) == ("s", "s")
    points = {point.sum: named(point.attributes) for point in server.histogram.data_points}
    assert set(points) == {0.05, 0.0009}
    assert points[0.0009]["error.type"] == "tool-denied"
    (out,) = client.histogram.data_points
    assert (out.sum, tuple(out.explicit_bounds)) == (0.047, BUCKETS)


def test_what_policies_measure_becomes_histograms_of_a_bounded_number(collector: Collector) -> None:
    export = exporting(traces=False)
    export.tell(Metric("r", "tool-calls", 2.5, "mcp", (("API ID", "city"),)))
    export.tell(Metric("r", "tool-calls", -1, "mcp"))
    for number in range(MOST_METRICS):
        export.tell(Metric("r", f"m{number}", 1))
    export.close()
    (point,) = collector.metrics["mcp.tool-calls"].histogram.data_points
    assert (point.sum, point.count, named(point.attributes)) == (2.5, 1, {"API ID": "city"})
    assert len(collector.metrics) == MOST_METRICS


@pytest.mark.parametrize(
    ("namespace", "name", "made"),
    [("mcp", "a b/ü", "mcp.a_b/_"), ("", "7", "m_7"), ("", "x" * 300, "x" * 255), ("", "", "m_")],
)
def test_a_name_becomes_one_that_an_instrument_can_have(namespace: str, name: str, made: str) -> None:
    assert instrument_name(Metric("r", name, 1, namespace)) == made


def test_the_name_of_the_service_is_the_operators_where_there_is_one(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "front-door")
    export = exporting(metrics=False)
    export.ended(answered())
    export.close()
    assert collector.resource["service.name"] == "front-door"
