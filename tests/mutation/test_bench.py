"""A planted module, of whose mutants it is known which live."""

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.mutation.bench import KILLED, SURVIVED, TIMED_OUT, Module, NotGreen, exchanged, planted
from tests.mutation.forks import Patience

PLANTED = """\
MOST = 3


def passes(count):
    if count > MOST:
        return False
    return True


def ends(count):
    while count > 0:
        count -= 1
    return count


def untried(count):
    return count
"""
TRIED = """\
from planted import ends, passes


def test_few_pass_and_many_do_not():
    assert passes(2)
    assert not passes(4)


def test_it_ends():
    assert ends(2) == 0
"""


def judged(module: Module, numbers: Iterable[int], scratch: Path) -> dict[int, str]:
    """The verdict on each of these mutants."""
    asked = [(module, number) for number in numbers]
    found = exchanged(asked, module.tests, scratch, Patience(20, 1))
    verdicts = dict(zip((number for _, number in asked), found.verdicts, strict=True))
    for place, files in found.to_plant.items():
        verdicts[asked[place][1]] = planted(asked[place], files, found.failures, scratch)
    return verdicts


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    (tmp_path / "planted.py").write_text(PLANTED, "utf-8")
    (tmp_path / "test_planted.py").write_text(TRIED, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return Module(tmp_path / "planted.py", "planted", (tmp_path / "test_planted.py",))


def test_what_a_test_holds_is_killed_and_what_none_holds_lives(module: Module, tmp_path: Path) -> None:
    mutants = module.mutants()[1]
    verdicts = judged(module, range(len(mutants)), tmp_path / "scratch")
    told = {f"{mutants[number].was} -> {mutants[number].becomes}": verdict for number, verdict in verdicts.items()}
    assert told == {
        "3 -> 4": KILLED,  # read at import
        "3 -> 2": SURVIVED,  # nothing is tried at the limit
        "count > MOST -> True": KILLED,
        "count > MOST -> False": KILLED,
        "count > MOST -> count >= MOST": SURVIVED,
        "False -> True": KILLED,
        "True -> False": KILLED,
        "count > 0 -> False": KILLED,
        "count > 0 -> count >= 0": KILLED,
        "0 -> 1": KILLED,
        "0 -> -1": KILLED,
        "count -= 1 -> count += 1": TIMED_OUT,
        "1 -> 2": SURVIVED,
        "1 -> 0": TIMED_OUT,
        "return count -> return None": SURVIVED,  # of what no test enters; the same of ends() is told before it
    }


def test_a_test_that_fails_as_it_is_is_not_asked(module: Module, tmp_path: Path) -> None:
    with module.tests[0].open("a", encoding="utf-8") as file:
        file.write("\n\ndef test_it():\n    assert passes(3) is None\n")
    numbers = {mutant.becomes: number for number, mutant in enumerate(module.mutants()[1]) if mutant.line in {1, 5}}
    verdicts = judged(module, [numbers["2"], numbers["count >= MOST"], numbers["True"]], tmp_path / "scratch")
    assert list(verdicts.values()) == [SURVIVED, SURVIVED, KILLED]


def test_where_all_fail_nothing_is_said(module: Module, tmp_path: Path) -> None:
    module.tests[0].write_text("def test_it():\n    assert False\n", "utf-8")
    with pytest.raises(NotGreen):
        judged(module, [0], tmp_path / "scratch")
