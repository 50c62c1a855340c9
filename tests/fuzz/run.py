"""Fuzzes the targets, each in its own process, as many at a time as there are processors, and prints what came of it.

What breaks a promise is kept as a file under tests/fuzz/regressions/TARGET/, from where a test replays it for good.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.engine import ENGINE, is_installed
from tests.fuzz.target import HERE, REGRESSIONS, SEEDS, load, names

ROOT = HERE.parents[1]
FOREIGN = {"strict_json": ROOT.parent / "shared" / "corpora" / "json" / "test_parsing"}  # where somebody put it
MEMORY = 1024  # megabytes: what a target holds at most, the interpreter included
HANG = 20  # seconds after which a case is taken for endless
_FIGURES = {
    "executions": re.compile(r"stat::number_of_executed_units: +(\d+)"),
    "edges": re.compile(r"cov: (\d+)"),
    "memory": re.compile(r"stat::peak_rss_mb: +(\d+)"),
    "slowest": re.compile(r"slowest: ([\d.]+) ms"),
}


@dataclass(frozen=True, slots=True)
class Wish:
    """How long a target is fuzzed: until either is spent; no seconds are no bound. `keep` is where findings go.

    The same `seed` tries the same cases in the same order; 0 others every time.
    """

    executions: int
    seconds: int
    keep: Path = REGRESSIONS
    corpus: Path | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one target. `findings` are the files that were kept, `told` the end of what was said of them."""

    name: str
    figures: dict[str, str]
    findings: tuple[Path, ...]
    failed: bool
    told: str

    @property
    def row(self) -> str:
        """A line of the table."""
        shown = [self.figures.get(figure, "-") for figure in _FIGURES]
        return f"{self.name:<16}{shown[0]:>12}{shown[1]:>8}{len(self.findings):>9}{shown[2]:>8}{shown[3]:>10}"


HEAD = f"{'target':<16}{'executions':>12}{'edges':>8}{'findings':>9}{'MB':>8}{'slowest':>10}"


def inherited() -> int:
    """MiB with which the peak of a program begins that is started here: Linux hands on the peak of who starts it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def fuzz(name: str, wish: Wish) -> Outcome:
    """Fuzz one target."""
    keep = wish.keep / name
    keep.mkdir(parents=True, exist_ok=True)
    before = set(keep.iterdir())
    with TemporaryDirectory() as folder:
        words = Path(folder, "words")
        words.write_text("".join(f"{quoted(word)}\n" for word in load(name).words), "ascii")
        corpus = wish.corpus / name if wish.corpus else Path(folder, "corpus")
        corpus.mkdir(parents=True, exist_ok=True)
        seeds = [SEEDS / name, REGRESSIONS / name, FOREIGN.get(name, SEEDS / name)]
        options = [
            *(f"-runs={wish.executions}", f"-max_total_time={wish.seconds}", f"-max_len={load(name).longest}"),
            *(f"-rss_limit_mb={MEMORY + inherited()}", f"-timeout={HANG}", f"-dict={words}", "-print_final_stats=1"),
            f"-seed={wish.seed}",
            *(f"-artifact_prefix={keep}/", str(corpus), *dict.fromkeys(map(str, filter(Path.is_dir, seeds)))),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.engine", name, *options],
            cwd=ROOT,
            env=os.environ | ({"PYTHONHASHSEED": str(wish.seed)} if wish.seed else {}),
            capture_output=True,
            check=False,
        )
    told = (done.stdout + done.stderr).decode("utf-8", "replace")
    findings = tuple(sorted(set(keep.iterdir()) - before))
    if not any(keep.iterdir()):
        keep.rmdir()
    figures = {figure: found[-1] for figure, pattern in _FIGURES.items() if (found := pattern.findall(told))}
    failed = done.returncode != 0 or bool(findings)
    return Outcome(name, figures, findings, failed, told[-6000:] if failed else "")


def quoted(word: str) -> str:
    """A word as libFuzzer's dictionaries have it."""
    return '"' + "".join(f"\\x{byte:02x}" for byte in word.encode("utf-8", "surrogatepass")) + '"'


def say(text: str) -> None:
    """Tell a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Fuzz what is asked for; 1 where there is a finding."""
    parser = argparse.ArgumentParser("scripts/fuzz", description="Fuzz the targets and keep what they find.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"one of {', '.join(names())}; all unless given")
    parser.add_argument("--executions", type=int, default=1_000_000, help="of each target at most (1000000)")
    parser.add_argument("--seconds", type=int, default=0, help="for each target at most; 0 is no bound")
    parser.add_argument("--corpus", type=Path, help="a folder that keeps what was found interesting for the next time")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same cases in every run; others every time unless given"
    )
    asked = parser.parse_args(arguments)
    if unknown := set(asked.targets) - set(names()):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    if not is_installed():
        say(f"left out: {ENGINE} is made for CPython 3.11 on Linux; the kept cases are replayed by tests/fuzz")
        return 0
    say(HEAD)
    failed: list[Outcome] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        wish = Wish(asked.executions, asked.seconds, corpus=asked.corpus, seed=asked.seed)
        for outcome in pool.map(partial(fuzz, wish=wish), asked.targets or names()):
            say(outcome.row)
            failed += [outcome] if outcome.failed else []
    for outcome in failed:
        say(f"\n--- {outcome.name}: {', '.join(map(str, outcome.findings)) or 'it ended badly'}\n{outcome.told}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
