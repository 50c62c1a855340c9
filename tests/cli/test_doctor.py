"""`mcpgov doctor` prints each finding on one line with its mend, and its exit code says whether anything is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from mcpgov.app import build_cli
from mcpgov.cli.doctor import Examined, add_doctor
from mcpgov.doctor.facts import Facts, KeyFacts
from mcpgov.errors import InvalidConfiguration, Problem
from tests.doctor.planted import healthy


class Found:
    """A gateway of which this was found out."""

    def __init__(self, facts: Facts | None = None) -> None:
        self.found = facts

    def facts(self) -> Facts:
        if self.found is None:
            raise InvalidConfiguration(
                (Problem("mcpgov.yaml", 1, 1, "there is no key lisen here", "did you mean it?"),)
            )
        return self.found


def doctor(facts: Facts | None, *words: str) -> Result:
    asked: list[Any] = []

    def examine(config: Path | None, workers: int, *, offline: bool) -> Examined:
        asked.append((config, workers, offline))
        return Found(facts)

    app = typer.Typer()
    add_doctor(app, examine)
    result = CliRunner().invoke(app, words)
    assert len(asked) == 1
    return result


def test_a_healthy_gateway_is_said_to_be_one() -> None:
    done = doctor(healthy(versions={"mcpgov": "1", "python": "3"}), "--strict")
    assert (done.exit_code, done.stdout) == (0, "mcpgov 1, python 3\nNothing is wrong.\n")


def test_what_is_wrong_is_one_line_with_its_mend_and_exits_with_1() -> None:
    done = doctor(healthy("listen: 0.0.0.0:8080\n", keys=KeyFacts()))
    assert done.exit_code == 1
    wrong, warning, count = done.stdout.splitlines()
    assert wrong == (
        "wrong    mcpgov.yaml:1:1: nobody can call: there is no gateway key (make one with: mcpgov keys create NAME)"
    )
    assert warning.startswith("warning  mcpgov.yaml:1:9: callers come from elsewhere")
    assert count == "1 thing wrong, 1 warning."


@pytest.mark.parametrize(("words", "code"), [((), 0), (("--strict",), 1)])
def test_warnings_fail_only_where_that_was_asked_for(words: tuple[str, ...], code: int) -> None:
    assert doctor(healthy("listen: 0.0.0.0:8080\n"), *words).exit_code == code


def test_the_same_is_printed_as_json() -> None:
    done = doctor(healthy(keys=KeyFacts(), versions={"mcpgov": "1"}), "--json")
    shown = json.loads(done.stdout)
    assert (done.exit_code, shown["ok"], shown["versions"]) == (1, False, {"mcpgov": "1"})
    (found,) = shown["findings"]
    assert (found["level"], found["check"], found["line"]) == ("wrong", "nobody-can-call", 1)
    assert "mcpgov keys create" in found["mend"]


def test_files_that_cannot_be_put_in_force_are_told_as_check_tells_them() -> None:
    done = doctor(None, "--offline", "--workers", "4")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "wrong    mcpgov.yaml:1:1: there is no key lisen here (did you mean it?)",
        "1 thing wrong, 0 warnings.",
    ]


def test_the_verb_looks_at_the_gateway_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "mcpgov.yaml").write_text("identity: { allow_anonymous: true }\nlisten: 0.0.0.0:8080\n")
    done = CliRunner().invoke(build_cli(), ["doctor", "--offline", "--config", str(tmp_path / "mcpgov.yaml")])
    assert done.exit_code == 1
    assert "mcpgov.yaml:1:30: strangers can reach 0.0.0.0:8080" in done.stdout
