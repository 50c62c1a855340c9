"""Classes that a suite of tests holds already: it is run here too, and each of its tests counts as one case."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.hostile.score import Score

ROOT: Final = Path(__file__).resolve().parents[2]
# The suites of a class, and whether they are quick enough for the short form.
SUITES: Final[Mapping[str, tuple[str, ...]]] = {
    "S4": ("tests/credential/test_cache.py",),
    "S8": ("tests/contract/test_authorization_matrix.py",),
    "S9": ("tests/upstream/test_stdio_process.py",),
    "P4": ("tests/test_pipeline.py", "tests/policy/test_evaluate.py"),
    "P5": ("tests/flows/test_replay.py", "tests/policy/test_replay.py"),
    "T1": ("tests/flows/test_pinning.py",),
    "T4": ("tests/flows/test_hostile_lists.py",),
    "L1": ("tests/flows/test_canaries.py",),
}
QUICK: Final = ("S4", "S8", "P4", "P5")
RESULT: Final = re.compile(r"^(tests/\S+\.py)::(\S.*?) (PASSED|FAILED|ERROR)", re.MULTILINE)


def run(scores: Mapping[str, Score], *, every: bool) -> None:
    """Run the suites, and put what came of them into the scores."""
    wanted = {id_: files for id_, files in SUITES.items() if (every or id_ in QUICK) and id_ in scores}
    files = sorted({file for some in wanted.values() for file in some})
    if not files:
        return  # without a name, all tests there are would be run
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--no-header", *files]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    for file, name, result in RESULT.findall(ran.stdout):
        for id_, some in wanted.items():
            if file in some:
                scores[id_].count(f"{file}::{name}", refused=result == "PASSED", why=result.lower())
    for id_, some in wanted.items():
        scores[id_].note = ", ".join(Path(file).name for file in some)
        if not scores[id_].cases:
            scores[id_].leaks.append(f"its suite did not run: {ran.stdout[-300:]}{ran.stderr[-300:]}")
    for id_ in SUITES.keys() - wanted.keys() & scores.keys():
        scores[id_].note = "a suite of its own, in the long form"
