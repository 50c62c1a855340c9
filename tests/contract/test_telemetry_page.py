"""docs/telemetry.md names every metric and label, every attribute, and every dimension that there can be."""

import re
from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from mcpgov.audit.record import AnswerSeen
from mcpgov.models import LocalUpstream, OutcomeStatus
from mcpgov.prometheus import Prometheus, Readings
from mcpgov.semantic_conventions import (
    CLIENT_DURATION,
    SERVER_DURATION,
    client_attributes,
    client_dimensions,
    server_attributes,
    server_dimensions,
)
from tests.audit.calls import CITY, request
from tests.audit.ended_calls import ABOUT, answered, denied, unread

PAGE = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text("utf-8")
NAMED = set(re.findall(r"`([a-z_.]+)`", PAGE))
CALLS = (
    answered(OutcomeStatus.RPC_ERROR, AnswerSeen(200, code=-32602)),
    answered(asked=request("a", "prompts/get", about=ABOUT)),
    answered(asked=request("file:///a", "resources/read", about=ABOUT)),
    replace(answered(), connection=replace(CITY, upstream=LocalUpstream(("a",)))),
    denied(),
    unread(),
)


def test_every_metric_for_prometheus_is_in_the_table_with_its_labels() -> None:
    labelled = ({"file:///p": 1.0}, {"a": 1.0}, {"b": True}, {"city": True}, {"city": 1})
    readings = Readings("1", "a", 1, 1, True, 1, 1, 1, 1, 1, *labelled)
    prometheus = Prometheus(lambda: readings, lambda: {"city": CITY})
    for call in CALLS:
        prometheus.ended(call)
    families = list(text_string_to_metric_families(prometheus.text().decode()))
    rows = re.findall(r"^\| `(mcpgov_\w+)` \| (.*?) ?\|", PAGE, re.MULTILINE)
    found = {
        f"{family.name}_total" if family.type == "counter" else family.name: {
            label for sample in family.samples for label in sample.labels if label != "le"
        }
        for family in families
        if not family.name.endswith("_created")
    }
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == found


def test_every_attribute_and_dimension_is_named() -> None:
    catalog = {"city": CITY}
    said = [make(call) for make in (server_attributes, client_attributes) for call in CALLS]
    told = [make(call, catalog) for make in (server_dimensions, client_dimensions) for call in CALLS]
    assert {name for names in (*said, *told) for name in names} - NAMED == set()
    assert {SERVER_DURATION, CLIENT_DURATION} - NAMED == set()
