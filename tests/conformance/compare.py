"""Compare two runs of the conformance suite: the second server must answer every check as the first did.

A run is a folder of `server-<scenario>-<time>/checks.json`. Two runs agree on a scenario when they made the same checks
with the same verdicts, each as often. Order, time and wording do not count, nor do the suite's mere observations. A
scenario that is known to differ must differ, in exactly the checks that are known.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

OBSERVATION: Final = "INFO"
RESULT_FOLDER: Final = re.compile(r"server-(?P<scenario>.+)-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d+Z")

Verdicts: TypeAlias = Counter[tuple[str, str]]
Run: TypeAlias = Mapping[str, Verdicts]


@dataclass(frozen=True, slots=True)
class Known:
    """Why a scenario differs, and in which checks."""

    checks: frozenset[str]
    reason: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What one scenario's verdicts differ by: the checks, and a line that says how."""

    scenario: str
    checks: frozenset[str]
    how: str

    def __str__(self) -> str:
        """The line."""
        return f"{self.scenario}: {self.how}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many scenarios and checks each run had, and the scenarios on which they differ."""

    scenarios: tuple[int, int]
    checks: tuple[int, int]
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        """One line with the counts."""
        return (
            f"{self.scenarios[0]} vs {self.scenarios[1]} scenarios, {self.checks[0]} vs {self.checks[1]} checks, "
            f"{len(self.differences)} scenario(s) differ"
        )


def load_run(folder: Path) -> Run:
    """Read a folder of results: for each scenario, how often each check had each status."""
    run: dict[str, Verdicts] = {}
    for path in sorted(folder.glob("*/checks.json")):
        named = RESULT_FOLDER.fullmatch(path.parent.name)
        if named is None:
            continue
        checks = json.loads(path.read_text(encoding="utf-8"))
        verdicts = ((str(check["id"]), str(check["status"])) for check in checks)
        run[named["scenario"]] = Counter(verdict for verdict in verdicts if verdict[1] != OBSERVATION)
    return run


def passed_and_failed(run: Run) -> tuple[int, int]:
    """How many checks of the run passed, and how many failed."""
    statuses = Counter[str]()
    for verdicts in run.values():
        for (_, status), count in verdicts.items():
            statuses[status] += count
    return statuses["SUCCESS"], statuses["FAILURE"]


def compare(first: Run, second: Run) -> Comparison:
    """Hold the two runs against each other, scenario by scenario."""
    scenarios = sorted(first.keys() | second.keys())
    differences = [difference_of(scenario, first.get(scenario), second.get(scenario)) for scenario in scenarios]
    return Comparison(
        (len(first), len(second)),
        (sum(verdicts.total() for verdicts in first.values()), sum(verdicts.total() for verdicts in second.values())),
        tuple(difference for difference in differences if difference),
    )


def difference_of(scenario: str, first: Verdicts | None, second: Verdicts | None) -> Difference | None:
    """What one scenario's verdicts differ by, None when they agree."""
    if first is None:
        return Difference(scenario, frozenset(), "only in the second run")
    if second is None:
        return Difference(scenario, frozenset(), "only in the first run")
    gone, come = sorted((first - second).elements()), sorted((second - first).elements())
    if not gone and not come:
        return None
    how = [f"-{check}={status}" for check, status in gone] + [f"+{check}={status}" for check, status in come]
    return Difference(scenario, frozenset(check for check, _ in [*gone, *come]), " ".join(how))


def surprises(comparison: Comparison, known: Mapping[str, Known]) -> list[str]:
    """A line for each scenario that differs otherwise than is known, by scenario, or that differs no more."""
    differing = {difference.scenario: difference for difference in comparison.differences}
    lines = [
        str(difference)
        for scenario, difference in differing.items()
        if scenario not in known or known[scenario].checks != difference.checks
    ]
    return [*lines, *(f"{scenario}: differs no more" for scenario in sorted(known.keys() - differing.keys()))]
