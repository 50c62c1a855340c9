"""The engine finds what is planted and keeps it; a clean target ends well. Where there is no engine, that is said."""

from pathlib import Path

import pytest

from tests.fuzz import run
from tests.fuzz.engine import ENGINE, is_installed
from tests.fuzz.target import load, names

FEW = 20_000  # executions


@pytest.fixture
def engines(capsys: pytest.CaptureFixture[str]) -> tuple[str, ...]:
    """The engine, if there is one here."""
    if is_installed():
        return (ENGINE,)
    with capsys.disabled():
        run.say(f"left out: {ENGINE} is made for CPython 3.11 on Linux")
    return ()


def test_a_planted_fault_is_found_kept_and_told(tmp_path: Path, engines: tuple[str, ...]) -> None:
    for _ in engines:
        outcome = run.fuzz("planted", run.Wish(50 * FEW, 60, tmp_path))
        (case,) = outcome.findings
        assert outcome.failed
        assert "AssertionError: planted" in outcome.told
        with pytest.raises(AssertionError, match="planted"):
            load("planted").judge(case.read_bytes())


def test_a_target_without_a_fault_ends_well_and_is_measured(tmp_path: Path, engines: tuple[str, ...]) -> None:
    for _ in engines:
        outcome = run.fuzz("client_ip", run.Wish(FEW, 20, tmp_path))
        assert not outcome.failed, outcome.told
        assert int(outcome.figures["executions"]) > 0
        assert int(outcome.figures["edges"]) > 0
        assert not (tmp_path / "client_ip").exists()


def test_a_target_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["nothing"])
    assert "there is no target nothing" in capsys.readouterr().err
    assert "gate" in names()
