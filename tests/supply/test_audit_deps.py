"""The audit of what is locked finds nothing here, and finds what is planted."""

import json

import pytest
from packaging.version import Version

from tests.supply.audit_deps import Advice, below, floors, judge, of_wheel, offline, read_advice, runs_unasked
from tests.supply.locks import Pin

OLD = Pin("starlette", "1.3.0", "", ("00",))
HOLE = "x 1 has a known hole: GHSA-1 (mended in 2)"
FOUND = (
    '{"dependencies": [{"name": "x", "version": "1", "vulns": [{"id": "GHSA-1", "fix_versions": ["2"]}]}], "fixes": []}'
)


def asked() -> Advice:
    """A service that answers, and knows nothing bad."""
    return Advice()


def cut_off() -> Advice:
    """A service that cannot be reached."""
    return Advice(silent="no route")


def test_nothing_is_wrong_with_what_is_locked_installed_and_built() -> None:
    assert list(offline()) == []


def test_a_lock_below_a_floor_is_refused_with_the_advisory() -> None:
    (complaint,) = below([OLD], floors())
    assert complaint.startswith("starlette 1.3.0 has a known hole: 1.3.1 mends GHSA-jp82-jpqv-5vv3")
    assert list(below([Pin("starlette", "1.3.1", "", ()), Pin("starlette", "1.10.0", "", ())], floors())) == []


def test_every_floor_is_a_version_with_an_advisory_and_a_reason() -> None:
    for floor in floors():
        assert Version(floor.at_least)
        assert floor.advisory.startswith(("CVE-", "GHSA-"))
        assert floor.because


@pytest.mark.parametrize(
    ("name", "unasked"),
    [
        ("litellm_init.pth", True),
        ("setup.py", True),
        ("sitecustomize.py", True),
        ("package/setup.py", False),
        ("package/data/x.pth", False),
        ("package/__init__.py", False),
    ],
)
def test_what_python_would_run_by_itself_is_found(*, name: str, unasked: bool) -> None:
    assert list(runs_unasked([name])) == ([name] if unasked else [])


def test_a_wheel_with_anything_but_our_package_is_refused() -> None:
    assert list(of_wheel(["mcpgov/app.py", "mcpgov-1.dist-info/METADATA"])) == []
    assert len(list(of_wheel(["tests/x.py"]))) == 1
    assert len(list(of_wheel(["x.pth"]))) == 2


def test_a_service_that_knows_no_package_has_not_judged_it() -> None:
    skipped = '{"dependencies": [{"name": "x", "skip_reason": "not found"}], "fixes": []}'
    assert read_advice(skipped, "No known vulnerabilities found") == Advice(
        silent="its service knows nothing of 1 packages"
    )


def test_the_answer_of_pip_audit_is_read() -> None:
    assert read_advice(FOUND, "Found 1 known vulnerability") == Advice((HOLE,))
    assert read_advice('{"dependencies": [{"name": "x", "version": "1", "vulns": []}]}', "") == Advice()
    assert read_advice("", "WARNING: x\nERROR: no route\n") == Advice(silent="ERROR: no route")
    assert read_advice("", "") == Advice(silent="it said nothing")


@pytest.mark.parametrize(
    ("words", "known", "advice", "code"),
    [
        ([], [], Advice(), 0),
        ([], ["bad"], Advice(), 1),
        ([], [], Advice((HOLE,)), 1),
        ([], [], Advice(silent="no route"), 0),
        (["--online"], [], Advice(silent="no route"), 2),
        (["--online"], ["bad"], Advice(silent="no route"), 1),
        (["--online"], [], Advice(), 0),
        (["--offline"], [], Advice((HOLE,)), 0),
    ],
)
def test_the_exit_code_says_what_came_of_it(words: list[str], known: list[str], advice: Advice, code: int) -> None:
    assert judge(words, known, lambda: advice)[1] == code


def test_what_was_left_out_is_said_in_one_line() -> None:
    assert judge([], [], cut_off)[0] == "audit-deps: 0 findings; pip-audit was left out: no route"
    assert judge([], ["bad"], asked)[0] == "bad\naudit-deps: 1 findings; pip-audit was asked"


def test_a_pipeline_reads_json() -> None:
    said, _ = judge(["--json"], ["bad"], cut_off)
    assert json.loads(said) == {"findings": ["bad"], "advisories": "no route"}
