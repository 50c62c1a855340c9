"""What watches a gateway: nothing unless it is asked for, and an error at once where it cannot be had."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from mcpgov import app
from mcpgov.errors import InvalidConfiguration
from mcpgov.extras import OTEL
from mcpgov.observing import Signals, Watched, observing, signals_of
from mcpgov.reporter import Reporter
from tests.flows.house import house
from tests.peers.otlp_collector import collecting

GENERAL, TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
BOTH, NEITHER = Signals(traces=True, metrics=True), Signals(traces=False, metrics=False)
AT = "http://127.0.0.1:4318"


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, NEITHER),
        ({GENERAL: ""}, NEITHER),
        ({GENERAL: AT}, BOTH),
        ({TRACES: f"{AT}/v1/traces"}, Signals(traces=True, metrics=False)),
        ({GENERAL: AT, "OTEL_TRACES_EXPORTER": "none"}, Signals(traces=False, metrics=True)),
        ({GENERAL: AT, "OTEL_SDK_DISABLED": "True"}, NEITHER),
        ({GENERAL: AT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, BOTH),
    ],
)
def test_the_environment_says_what_is_exported(environ: dict[str, str], wanted: Signals) -> None:
    assert signals_of(environ) == wanted


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL"])
def test_a_protocol_that_is_not_spoken_is_named_with_its_mend(variable: str) -> None:
    with pytest.raises(InvalidConfiguration) as wrong:
        signals_of({GENERAL: AT, variable: "grpc"})
    assert variable in str(wrong.value)
    assert "set it to http/protobuf" in str(wrong.value)


def nothing(module: str) -> Any:
    raise AssertionError(module)


async def test_a_plain_start_loads_no_telemetry(tmp_path: Path) -> None:
    async with house(tmp_path) as plain:
        assert plain.running is not None
        watched = Watched(plain.running.generations.current, plain.running.ledger, Reporter(), dict)
        async with observing(watched, nothing, {}) as telemetry:
            assert (telemetry.observers, telemetry.tellers, telemetry.prometheus) == ((), (), None)


async def test_a_collector_without_the_extra_is_an_error_with_its_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, OTEL.module, None)
    async with house(tmp_path) as plain:
        assert plain.running is not None
        watched = Watched(plain.running.generations.current, plain.running.ledger, Reporter(), dict)
        with pytest.raises(InvalidConfiguration, match=r"not installed \(pip install 'mcpgov\[otel\]'"):
            async with observing(watched, nothing, {GENERAL: AT}):
                pass


async def test_with_an_admin_listener_there_are_counters_and_they_hear_of_calls(tmp_path: Path) -> None:
    async with house(tmp_path, "admin: { listen: 127.0.0.1:0 }\n") as gateway:
        assert gateway.running is not None
        await (await gateway.client("nowhere", key="")).call("get_city")
        prometheus = gateway.running.telemetry.prometheus
        assert prometheus is not None
        said = prometheus.text().decode()
        refused = 'connection="unknown",decision="deny",reason="credential-missing",status="denied"'
        assert f"mcpgov_calls_total{{{refused}}} 1.0" in said
        assert "mcpgov_calls_under_way 0.0" in said
        assert "mcpgov_audit_ready 1.0" in said
        assert re.search(r'mcpgov_sink_ready\{sink=".*audit.db"\} 1.0', said)
        assert f'mcpgov_generation_info{{stamp="{gateway.running.generations.current().stamp}"}} 1.0' in said


async def test_counters_and_a_collector_hear_of_the_same_calls(tmp_path: Path) -> None:
    async with house(tmp_path, "admin: { listen: 127.0.0.1:0 }\n") as gateway:
        running = gateway.running
        assert running is not None
        watched = Watched(running.generations.current, running.ledger, Reporter(), dict)
        with collecting() as collector, pytest.MonkeyPatch.context() as patch:
            patch.setenv(GENERAL, collector.url)
            async with observing(watched, app.load, {GENERAL: collector.url}) as telemetry:
                running.ledger.observers = telemetry.observers
                await (await gateway.client("nowhere", key="")).call("get_city")
        assert telemetry.prometheus is not None
        assert b'reason="credential-missing"' in telemetry.prometheus.text()
        assert [span.status.message for span in collector.spans] == ["credential-missing"]
