"""Alerts, dashboard and runbooks speak of what there is: metrics, labels, reasons, events, commands, anchors."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from typer.main import get_command

from mcpgov.app import build_cli
from mcpgov.audit.record import ControlEvent
from mcpgov.decision import Reason
from mcpgov.prometheus import Prometheus
from tests.audit.calls import CITY
from tests.audit.ended_calls import answered
from tests.test_docs import blocks, logged, verbs
from tests.test_prometheus import READINGS

ROOT = Path(__file__).parents[2]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
BOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text("utf-8"))
PAGE = ROOT / "docs" / "runbooks.md"
TEXT = PAGE.read_text("utf-8")
QUERIES = [rule["expr"] for rule in RULES] + [one["expr"] for panel in BOARD["panels"] for one in panel["targets"]]
OF_PROMETHEUS = {"instance", "le"}


def exported() -> dict[str, set[str]]:
    """The labels of every metric that a gateway exports, by its name."""
    gateway = Prometheus(lambda: READINGS, lambda: {"city": CITY})
    gateway.ended(answered())
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(gateway.text().decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


METRICS = exported()


def asked_labels(query: str) -> set[str]:
    """The labels that a query selects and groups by."""
    grouped = [name for names in re.findall(r"\bby \(([^)]*)\)", query) for name in names.split(",")]
    return {name.strip() for name in grouped} | set(re.findall(r"[{,]\s*(\w+)(?:=~|=)", query))


@pytest.mark.parametrize("query", sorted(set(QUERIES)))
def test_a_query_asks_for_metrics_labels_and_values_that_there_are(query: str) -> None:
    names = set(re.findall(r"\bmcpgov_\w+", query))
    assert names
    assert names - METRICS.keys() == set()
    labels = {label for name in names for label in METRICS[name]}
    assert asked_labels(query) - labels - OF_PROMETHEUS == set()
    for pattern in re.findall(r'reason=~?"([^"]+)"', query):
        for one in re.split(r"\|(?![^(]*\))", pattern):
            assert any(re.fullmatch(one, reason) for reason in Reason), one


def test_every_alert_leads_to_a_runbook_that_names_it() -> None:
    heads = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}
    assert len(anchors) == 10
    for rule in RULES:
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert (page, anchor in anchors) == ("docs/runbooks.md", True), rule["alert"]
    assert set(re.findall(r"`(Mcpgov\w+)`", TEXT)) == {rule["alert"] for rule in RULES}


def test_a_legend_shows_labels_that_its_metric_has() -> None:
    for panel in BOARD["panels"]:
        for one in panel["targets"]:
            metrics = re.findall(r"\bmcpgov_\w+", one["expr"])
            labels = {label for name in metrics for label in METRICS[name]} | OF_PROMETHEUS
            assert set(re.findall(r"\{\{(\w+)\}\}", one["legendFormat"])) <= labels, panel["title"]


def test_every_metric_is_shown_or_alerted_on() -> None:
    timed = {re.sub(r"_(?:bucket|sum|count|created)$", "", name) for name in METRICS}
    asked = {re.sub(r"_bucket$", "", name) for query in QUERIES for name in re.findall(r"\bmcpgov_\w+", query)}
    assert {re.sub(r"_total$", "", name) for name in timed} - {re.sub(r"_total$", "", name) for name in asked} == set()


def test_a_runbook_names_events_reasons_and_metrics_that_there_are() -> None:
    sources = [module.read_text("utf-8") for module in (ROOT / "mcpgov").rglob("*.py")]
    chosen = {word for source in sources for word in re.findall(r'"(audit-[a-z-]+)"', source)}  # by a condition
    of_sinks = {f"audit-{event}" for event in (ControlEvent.SINK_FAILED, ControlEvent.SINK_RECOVERED)}
    known = {event for source in sources for event in logged(source)} | chosen | of_sinks
    known |= set(Reason) | set(ControlEvent)
    dashed = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", TEXT))
    assert len(dashed) > 30
    assert dashed - known == set()
    families = {re.sub(r"_(?:bucket|sum|count|created)$", "", name) for name in METRICS}
    assert set(re.findall(r"`(mcpgov_\w+)`", TEXT)) - families == set()


def typed() -> list[list[str]]:
    """Every `mcpgov …` of the page, as words."""
    lines = [line.removeprefix("$ ") for block in blocks(PAGE, "console") for line in block.splitlines()]
    lines += re.findall(r"`(mcpgov [a-z]+ [^`]+)`", TEXT)
    return [shlex.split(line) for line in lines if line.startswith("mcpgov ")]


@pytest.mark.parametrize("words", typed(), ids=" ".join)
def test_a_command_is_one_that_can_be_typed(words: list[str]) -> None:
    command: Any = get_command(build_cli())
    rest = words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    assert not hasattr(command, "commands"), words
    command.make_context(words[-1], rest).close()


def test_there_is_a_command_for_each_runbook() -> None:
    assert len(typed()) > 20
    assert {" ".join(words[:2]) for words in typed()} <= {
        " ".join(verb.split()[:2]) for verb in verbs(get_command(build_cli()))
    }
