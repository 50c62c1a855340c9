"""scripts/tools brings what is missing where it may, says what it is where it may not, and touches nothing else."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.supply.locks import ROOT

SYSTEM = ("bash", "env", "printf", "sort", "true")


def run(folder: Path, *tools: str, user: int, programs: tuple[str, ...] = ()) -> tuple[int, str, list[str]]:
    """The script on a machine with these programs, as this user: its status, what it says, what apt-get was asked."""
    asked = folder / "asked"
    for name in SYSTEM:
        (folder / name).symlink_to(shutil.which(name) or name)
    own = dict.fromkeys(programs, "exit 0") | {"id": f"echo {user}", "apt-get": f'echo "$@" >> {asked}'}
    for name, line in own.items():
        (folder / name).write_text(f"#!{shutil.which('bash')}\n{line}\n")
        (folder / name).chmod(0o755)
    command = [str(folder / "bash"), str(ROOT / "scripts" / "tools"), *tools]
    done = subprocess.run(command, env={"PATH": str(folder)}, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stderr + done.stdout, asked.read_text().splitlines() if asked.exists() else []


def test_what_is_there_is_neither_asked_for_nor_spoken_of(tmp_path: Path) -> None:
    assert run(tmp_path, "redis-server", "cc", user=0, programs=("redis-server", "cc")) == (0, "", [])


def test_who_may_not_install_is_told_what_is_missing_and_goes_on(tmp_path: Path) -> None:
    code, said, asked = run(tmp_path, "redis-server", "wrk-less", user=1000)
    assert (code, "wrk-less is none of" in said, asked) == (2, True, [])
    for number, tools in enumerate((("redis-server", "cc"), ())):
        folder = tmp_path / str(number)
        folder.mkdir()
        code, said, asked = run(folder, *tools, user=1000, programs=("cc", "git"))
        assert (code, asked) == (0, [])
        assert "tools: not here: redis-server (apt-get install redis-server)\n" in said
        assert "cc (" not in said


def test_each_missing_one_is_installed_for_itself(tmp_path: Path) -> None:
    code, said, asked = run(tmp_path, "redis-server", "cc", user=0, programs=("strace",))
    assert code == 0
    assert asked[0] == "-qq update"
    assert [line.split("--no-install-recommends ")[1] for line in asked[1:]] == ["redis-server", "gcc libc6-dev"]
    assert said.count("not here") == 2  # this apt-get brings nothing


@pytest.mark.parametrize("script", ["test", "tools"])
def test_scripts_are_programs(script: str) -> None:
    assert os.access(ROOT / "scripts" / script, os.X_OK)
