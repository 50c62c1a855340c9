"""What Prometheus scrapes: calls counted under labels that have a bound, and how the gateway is when it is asked."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from mcpgov.decision import Reason
from mcpgov.models import OutcomeStatus
from mcpgov.prometheus import Prometheus, Readings
from tests.audit.calls import CITY
from tests.audit.ended_calls import answered, denied, unread

SINKS = {"a.db": True, "b.db": False}
LAGS = ({"file:///p": 9.5}, {"siem": 10.5})
READINGS = Readings("1.0", "a" * 64, 2, 3, True, 4, 5, 6, 7, 8, *LAGS, SINKS, {"city": False}, {"dev.mcpgov/city": 11})


def scraped(prometheus: Prometheus) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and the values of its labels."""
    families = text_string_to_metric_families(prometheus.text().decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def made() -> Prometheus:
    return Prometheus(lambda: READINGS, lambda: {"city": CITY})


def test_a_call_is_counted_and_timed() -> None:
    prometheus = made()
    prometheus.ended(answered())
    prometheus.ended(answered())
    found = scraped(prometheus)
    assert found["mcpgov_calls_total", "city", "allow", "allowed", "ok"] == 2
    assert found["mcpgov_call_duration_seconds_sum", "city"] == 0.1
    assert found["mcpgov_call_duration_seconds_bucket", "city", "0.05"] == 2
    assert found["mcpgov_upstream_duration_seconds_sum", "city"] == 0.08
    assert found["mcpgov_decision_duration_seconds_sum", "city"] == 0.002
    assert found["mcpgov_audit_duration_seconds_sum",] == 0.004


def test_a_refused_call_has_its_reason_and_no_time_upstream() -> None:
    prometheus = made()
    prometheus.ended(denied())
    prometheus.ended(replace(answered(), status=OutcomeStatus.FAILED, reason=Reason.UPSTREAM_RESET))
    found = scraped(prometheus)
    assert found["mcpgov_calls_total", "city", "deny", "tool-denied", "denied"] == 1
    assert found["mcpgov_calls_total", "city", "allow", "upstream-reset", "failed"] == 1
    assert found["mcpgov_upstream_duration_seconds_count", "city"] == 1


def test_a_connection_that_the_catalog_does_not_have_is_unknown_however_it_is_called() -> None:
    prometheus = made()
    for name in ("city", *(f"made-up-{number}" for number in range(100)), ""):
        prometheus.ended(unread(name))
    prometheus.ended(replace(unread(), reason=None))
    found = scraped(prometheus)
    assert found["mcpgov_calls_total", "unknown", "deny", "credential-missing", "denied"] == 101
    assert found["mcpgov_calls_total", "city", "deny", "credential-missing", "denied"] == 1
    assert found["mcpgov_calls_total", "city", "deny", "", "denied"] == 1
    assert not any("made-up" in part for key in found for part in key)


def test_how_the_gateway_is_is_read_when_it_is_asked_for() -> None:
    found = scraped(made())
    timed = "mcpgov_audit_duration"
    gauges = {name: value for (name, *labels), value in found.items() if not labels and not name.startswith(timed)}
    assert gauges == {
        "mcpgov_connections": 2,
        "mcpgov_calls_under_way": 3,
        "mcpgov_audit_ready": 1,
        "mcpgov_audit_records_waiting": 4,
        "mcpgov_audit_outcomes_owed": 5,
        "mcpgov_audit_records_refused": 6,
    }
    assert found["mcpgov_info", "1.0"] == found["mcpgov_generation_info", "a" * 64] == 1
    assert found["mcpgov_checkpoint_lag_seconds", "file:///p"] == 9.5
    assert found["mcpgov_export_lag_seconds", "siem"] == 10.5
    assert (found["mcpgov_sink_ready", "a.db"], found["mcpgov_sink_ready", "b.db"]) == (1, 0)
    assert found["mcpgov_connection_available", "city"] == 0
    assert found["mcpgov_tools_waiting", "dev.mcpgov/city"] == 11
    assert (found["mcpgov_reloads_total", "in-force"], found["mcpgov_reloads_total", "refused"]) == (7, 8)


def test_two_gateways_in_one_process_do_not_count_each_others_calls() -> None:
    one, other = made(), made()
    one.ended(answered())
    assert not any(key[0] == "mcpgov_calls_total" for key in scraped(other))
