"""Two runs of the suite differ exactly when a verdict differs; a comparison that misses one would be a false claim."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conformance.compare import (
    Comparison,
    Difference,
    Known,
    compare,
    load_run,
    passed_and_failed,
    surprises,
)
from tests.conformance.known import THROUGH, THROUGH_AGGREGATE


def write_checks(folder: Path, scenario: str, *verdicts: tuple[str, str]) -> None:
    results = folder / f"server-{scenario}-2026-11-20T10-11-12-345Z"
    results.mkdir(parents=True)
    checks = [{"id": check, "status": status, "timestamp": "x"} for check, status in verdicts]
    (results / "checks.json").write_text(json.dumps(checks))


def test_run_is_read_by_scenario_without_observations(tmp_path: Path) -> None:
    write_checks(tmp_path, "tools-list", ("tools-list", "SUCCESS"), ("outgoing-request", "INFO"))
    write_checks(tmp_path, "ping", ("ping", "SUCCESS"), ("ping", "SUCCESS"))
    assert load_run(tmp_path) == {
        "ping": Counter({("ping", "SUCCESS"): 2}),
        "tools-list": Counter({("tools-list", "SUCCESS"): 1}),
    }


def test_folder_that_is_no_result_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "checks.json").write_text("[]")
    assert load_run(tmp_path) == {}


def test_passed_and_failed_are_counted_over_all_scenarios() -> None:
    run = {
        "a": Counter({("x", "SUCCESS"): 2, ("y", "FAILURE"): 1}),
        "b": Counter({("z", "SUCCESS"): 1, ("w", "SKIPPED"): 1}),
    }
    assert passed_and_failed(run) == (3, 1)


def test_equal_runs_have_no_difference_and_say_so() -> None:
    run = {"a": Counter({("x", "SUCCESS"): 2}), "b": Counter({("y", "FAILURE"): 1})}
    assert str(compare(run, run)) == "2 vs 2 scenarios, 3 vs 3 checks, 0 scenario(s) differ"


def test_changed_verdict_is_a_difference_of_its_scenario() -> None:
    first = {"a": Counter({("x", "SUCCESS"): 1}), "b": Counter({("y", "SUCCESS"): 1})}
    second = {"a": Counter({("x", "FAILURE"): 1}), "b": Counter({("y", "SUCCESS"): 1})}
    assert compare(first, second).differences == (Difference("a", frozenset("x"), "-x=SUCCESS +x=FAILURE"),)


def test_check_made_less_often_is_a_difference() -> None:
    first, second = {"a": Counter({("x", "SUCCESS"): 2})}, {"a": Counter({("x", "SUCCESS"): 1})}
    assert lines(compare(first, second)) == ["a: -x=SUCCESS"]


def test_scenario_of_one_run_alone_is_a_difference() -> None:
    run = {"a": Counter({("x", "SUCCESS"): 1})}
    assert lines(compare(run, {})) == ["a: only in the first run"]
    assert lines(compare({}, run)) == ["a: only in the second run"]


def lines(comparison: Comparison) -> list[str]:
    return [str(difference) for difference in comparison.differences]


@pytest.mark.parametrize(
    ("known", "surprising"),
    [
        ({}, ["a: -x=SUCCESS +x=FAILURE +y=FAILURE"]),
        ({"a": "xy"}, []),
        ({"a": "x"}, ["a: -x=SUCCESS +x=FAILURE +y=FAILURE"]),
        ({"a": "xy", "b": "z"}, ["b: differs no more"]),
    ],
)
def test_what_differs_must_be_known_and_what_is_known_must_differ(
    known: Mapping[str, str], surprising: list[str]
) -> None:
    first = {"a": Counter({("x", "SUCCESS"): 1}), "b": Counter({("z", "SUCCESS"): 1})}
    second = {"a": Counter({("x", "FAILURE"): 1, ("y", "FAILURE"): 1}), "b": Counter({("z", "SUCCESS"): 1})}
    table = {scenario: Known(frozenset(checks), "") for scenario, checks in known.items()}
    assert surprises(compare(first, second), table) == surprising


def test_the_page_of_peers_tells_of_every_known_difference() -> None:
    page = (Path(__file__).parents[2] / "docs" / "peers.md").read_text()
    told = re.findall(r"^\| `([a-z-]+)` \| (20\d\d-\d\d-\d\d) \|", page, re.MULTILINE)
    known = [(name, at) for ways in (THROUGH, THROUGH_AGGREGATE) for at, table in ways.items() for name in table]
    assert sorted(told) == sorted(known)
