"""docs/deploy.md: what can be run here is run, in a copy of deploy/; what cannot names files and verbs that exist."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mcpgov.app import build_cli
from tests.faults.tools import left_out
from tests.test_docs import blocks

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "deploy.md"
TYPED = [line.removeprefix("$ ") for block in blocks(PAGE, "console") for line in block.splitlines()]
SHOWN = [line for block in blocks(PAGE, "sh") for line in block.replace("\\\n", " ").splitlines()]


@pytest.mark.parametrize("line", TYPED)
def test_what_can_be_run_here_runs(line: str, tmp_path: Path) -> None:
    program = shlex.split(line)[0]
    if program == "kubectl" and shutil.which(program) is None:
        left_out("kubectl is not there to run what docs/deploy.md shows")
        return
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets"))
    done = subprocess.run(["bash", "-c", line], check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_something_is_run() -> None:
    assert len(TYPED) == 4


@pytest.mark.parametrize("line", SHOWN)
def test_what_cannot_be_run_here_can_at_least_be_read_by_a_shell(line: str) -> None:
    assert subprocess.run(["bash", "-n", "-c", line], check=False).returncode == 0
    for name in re.findall(r"(?:^|\s)((?:deploy|hooks)/[\w./-]+)", line):
        assert (ROOT / name).exists() or (ROOT / "deploy" / "azure" / name).exists()


def verbs_shown() -> list[list[str]]:
    """Every verb of ours in a line that is run elsewhere, with its options."""
    text = "\n".join(SHOWN)
    found = re.findall(r"(?:mcpgov|mcpgov:[\d.]+|gateway-1)\s+((?:keys|catalog|audit|check) [^\"\n]+)", text)
    return [shlex.split(line) for line in found]


@pytest.mark.parametrize("words", verbs_shown(), ids=" ".join)
def test_a_verb_that_is_run_elsewhere_is_written_rightly(words: list[str]) -> None:
    command: Any = get_command(build_cli())
    rest = list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    command.make_context(words[0], rest).close()


def test_the_verbs_are_found() -> None:
    assert len(verbs_shown()) >= 6
