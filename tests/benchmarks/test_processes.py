"""CPU and memory of a whole tree of processes, of those that ended too, and that nothing is left behind."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.placement import here
from benchmarks.processes import DidNotStartError, Start, cpu_used, free_port, memory_of, running, tree, until_listening

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
ENDED = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {BURN!r}]); print(1); time.sleep(60)"
GRANDCHILD = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"


def start(folder: Path, program: str) -> Start:
    return Start((sys.executable, "-u", "-c", program), here().proxy, folder / "log")


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_cpu_of_a_child_that_burned_and_ended_is_counted(tmp_path: Path) -> None:
    with running(start(tmp_path, ENDED)) as pid:
        eventually(lambda: (tmp_path / "log").read_text() == "1\n")
        assert cpu_used(pid).total >= 0.3


def test_a_grandchild_belongs_to_the_tree_and_ends_with_it(tmp_path: Path) -> None:
    with running(start(tmp_path, GRANDCHILD + "time.sleep(60)")) as pid:
        eventually(lambda: len(tree(pid)) == 2)
        (other,) = tree(pid).keys() - {pid}
        both = memory_of(pid)
        assert both.rss >= both.pss > 0
    eventually(lambda: not Path(f"/proc/{other}").exists())
    assert not Path(f"/proc/{pid}").exists()


def test_an_orphan_of_the_same_session_is_counted_and_ends_too(tmp_path: Path) -> None:
    parent = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', {GRANDCHILD!r}]); time.sleep(60)"
    with running(start(tmp_path, parent)) as pid:
        eventually(lambda: len(tree(pid)) == 2 and all(fields[0] != str(pid) for fields in tree(pid).values()))
        (orphan,) = tree(pid).keys() - {pid}
    eventually(lambda: not Path(f"/proc/{orphan}").exists())


def test_a_child_runs_on_the_cores_it_was_given(tmp_path: Path) -> None:
    with running(start(tmp_path, "import os, time; print(sorted(os.sched_getaffinity(0))); time.sleep(60)")):
        eventually(lambda: (tmp_path / "log").read_text() == f"{sorted(here().proxy)}\n")


def test_what_ends_before_it_listens_is_told_with_its_last_words(tmp_path: Path) -> None:
    dies = start(tmp_path, "raise SystemExit('no such setting')")
    with running(dies) as pid, pytest.raises(DidNotStartError, match="no such setting"):
        until_listening(pid, free_port(), dies.log, 30)


def test_a_child_is_ended_when_the_block_is_broken_off(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), running(start(tmp_path, "import time; time.sleep(60)")) as pid:
        raise KeyboardInterrupt
    assert subprocess.run(("ps", "-p", str(pid)), check=False, capture_output=True).returncode == 1
