"""`audit exports` tells a person how far each export is, and a machine everything."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.audit.exported import ExportState
from mcpgov.audit.record import EPOCH
from mcpgov.cli.exports import add_exports, age
from mcpgov.errors import StoreUnavailable
from tests.audit.calls import NOW

WELL = ExportState("lake", "file:///var/out", "parquet", 42, 0, None, None, "")
ILL = ExportState("siem", "https://siem.example", "otlp", 40, 2, EPOCH, NOW, "answered 503 \u202e")


def run(states: Sequence[ExportState], *arguments: str) -> Result:
    def found(config: Path | None) -> Sequence[ExportState]:
        if config:
            raise StoreUnavailable("disk full")
        return states

    audit = typer.Typer()
    audit.callback()(lambda: None)
    add_exports(audit, found)
    return CliRunner(env={"COLUMNS": "120"}).invoke(audit, ["exports", *arguments])


def test_a_person_sees_what_waits_and_why() -> None:
    title, lake, siem, why = run([WELL, ILL]).stdout.splitlines()
    assert title.split("  ")[0] == "name"
    assert lake.split() == ["lake", "file:///var/out", "parquet", "42", "0", "ok"]
    assert siem.split()[:5] == ["siem", "https://siem.example", "otlp", "40", "2"]
    assert siem.split()[-1] == "failing"
    assert why == "siem: failing since 2026-11-20T12:00:00Z: answered 503 \\u202e"


def test_a_machine_gets_a_line_for_each() -> None:
    lines = run([WELL, ILL], "--json").stdout.splitlines()
    lake, siem = map(json.loads, lines)
    assert (lake["behind"], lake["oldest"], lake["failing"]) == (0, None, None)
    assert siem["behind"] == 2
    assert (siem["oldest"], siem["failing"]) == ("1970-01-01T00:00:00.000000Z", "2026-11-20T12:00:00.123456Z")


def test_without_exports_it_says_so() -> None:
    assert "audit.exports" in run([]).stderr


def test_a_store_that_is_down_is_told() -> None:
    shown = run([], "--config", "x.yaml")
    assert (shown.exit_code, shown.stderr.strip()) == (4, "disk full")


@pytest.mark.parametrize(("seconds", "said"), [(5, "5s"), (61, "1m"), (7_300, "2h"), (200_000, "2d")])
def test_how_long_ago_is_said_in_one_unit(seconds: int, said: str) -> None:
    assert age(datetime.now(UTC) - timedelta(seconds=seconds)) == said
