"""The ten dearest lines of mcpgov under load: where the CPU of a call goes.

python -m benchmarks.profile [--seconds 10] [--json]. py-spy, in an environment of its own, samples the gateway at 16
calls at a time; time in C counts for the line that called it. The lines are kept in benchmarks/results/profile.json,
where each may have a `note` (what was mended, or why it stays), which a later run keeps while the line stays the same.
"""

from __future__ import annotations

import argparse
import json
import linecache
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.compare import interruptible
from benchmarks.figures import table
from benchmarks.gateway import Shape, gateway
from benchmarks.load import loaded
from benchmarks.machine import missing
from benchmarks.placement import here
from benchmarks.targets import Ground, up, warmed
from benchmarks.upstream import upstream
from benchmarks.venvs import environment_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

KEPT: Final = Path(__file__).parent / "results" / "profile.json"
DEAREST: Final = 10
RATE: Final = 200  # samples a second
AT_ONCE: Final = 16
FRAME: Final = re.compile(r"(?P<function>.+) \((?P<file>.+):(?P<line>\d+)\)")
# Lines on which threads wait for work: a sampler that does not stop the process may take them for busy.
WAITS: Final = ("get(block=True)", "_queue.get(", ".wait(", "self._ready.", ".watch(", "RustNotify")


@dataclass(frozen=True, slots=True)
class Line:
    """One line, its part of all samples, and what was made of it."""

    share: float
    function: str
    file: str
    line: int
    source: str
    note: str = ""


def counted(raw: str) -> Counter[tuple[str, str, int]]:
    """Samples by the line that was running: function, file, number; from py-spy's raw form, a stack on each line."""
    found: Counter[tuple[str, str, int]] = Counter()
    for stack in raw.splitlines():
        frames, _, samples = stack.rpartition(" ")
        if match := FRAME.fullmatch(frames.rpartition(";")[2]):
            found[match["function"], match["file"], int(match["line"])] += int(samples)
    return found


def dearest(counts: Mapping[tuple[str, str, int], int], root: Path) -> list[Line]:
    """The lines with the most samples, those left out on which a thread only waits."""
    lines: list[tuple[int, Line]] = []
    for (function, file, number), samples in counts.items():
        source = linecache.getline(str(root / file), number).strip()
        if not any(wait in source for wait in WAITS):
            lines.append((samples, Line(0.0, function, file, number, source)))
    total = sum(samples for samples, _ in lines) or 1
    lines.sort(key=lambda each: -each[0])
    return [replace(line, share=round(samples / total, 4)) for samples, line in lines[:DEAREST]]


def annotated(lines: Iterable[Line], before: Iterable[Line]) -> list[Line]:
    """The lines with the notes that the same ones had before."""
    notes = {(line.file, line.function, line.source): line.note for line in before}
    return [replace(line, note=notes.get((line.file, line.function, line.source), "")) for line in lines]


def kept() -> list[Line]:
    """The lines of the last run."""
    return [Line(**one) for one in json.loads(KEPT.read_text("utf-8"))] if KEPT.exists() else []


def sampled(seconds: float) -> str:
    """What py-spy saw of a gateway under load."""
    program, placed = environment_of("py-spy") / "bin" / "py-spy", here()
    with tempfile.TemporaryDirectory(prefix="mcpgov-bench-") as name:
        folder = Path(name)
        out = folder / "profile.raw"
        with (
            upstream(placed.load, folder) as served,
            up(gateway("mcpgov", Shape()), Ground(folder, served, placed)) as one,
        ):
            warmed(one)
            sampler = ("record", "--nonblocking", "--full-filenames", "-f", "raw", "-r", str(RATE))
            command = (str(program), *sampler, "-d", str(round(seconds)), "-o", str(out), "--pid", str(one.pid))
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as spy:
                loaded(one.plan.call(), AT_ONCE, seconds + 1, placed.load)
                spy.wait()
        return out.read_text("utf-8", errors="replace")  # py-spy may read a name while it moves


def relative(raw: str) -> str:
    """The same with paths from the project's folder, or from that of the library that a file is of."""
    raw = raw.replace(f"{Path(__file__).parents[1]}/", "")
    return re.sub(r"\(/\S*/(?:site-packages|lib/python3\.\d+)/", "(", raw)


def rows(lines: Sequence[Line]) -> list[list[str]]:
    """The table."""
    told = [[f"{one.file}:{one.line}", f"{one.share:.1%}", one.function, one.source, one.note] for one in lines]
    return [["line", "share", "function", "source", "mended, or why it stays"], *told]


def main() -> None:
    """Sample, keep, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if lacking := missing():
        raise SystemExit(f"{', '.join(lacking)} is needed, and could not be installed here")
    counts = counted(interruptible(lambda: sampled(options.seconds)))
    lines = annotated(
        [replace(line, file=relative(f"({line.file}")[1:]) for line in dearest(counts, Path("/"))], kept()
    )
    KEPT.parent.mkdir(exist_ok=True)
    KEPT.write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    print(json.dumps([asdict(line) for line in lines], indent=1) if options.json else table(rows(lines)))


if __name__ == "__main__":
    main()
