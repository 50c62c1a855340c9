"""Every room that keeps somebody out, mutated: how many changes its tests notice, and which they do not.

python -m tests.mutation.run [--sample N] [--seed S] [--jobs J] [--again FILE] [--json] [ROOM ...]
"""

import argparse
import ast
import importlib
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.mutation.bench import KILLED, SURVIVED, TIMED_OUT, Asked, Module, exchanged, planted

ROOT: Final = Path(__file__).parents[2]
ROOMS: Final = {
    "gate": ("mcpgov/endpoint/inbound.py", "mcpgov/endpoint/limits.py", "mcpgov/strict_json.py"),
    "client-ip": ("mcpgov/identity/client_ip.py",),
    "credential": ("mcpgov/credential",),
    "policy": ("mcpgov/policy",),
    "audit": ("mcpgov/audit",),
}
SPILLED: Final = {  # of a mirror that has its 400 lines
    "endpoint/inbound.py": ("contract/test_tables_of_the_gate.py", "contract/test_what_looks_alike.py"),
    "audit/ledger.py": ("faults/test_outcome_first.py",),
    "strict_json.py": ("contract/test_tables_of_the_gate.py",),
}
SOURCE, TESTS = "mcpgov", "tests"


@dataclass(frozen=True, slots=True)
class Survivor:
    """A change that no test noticed."""

    path: str
    number: int  # among the mutants of its module
    line: int
    function: str
    operator: str
    was: str
    becomes: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a room."""

    room: str
    mutants: int  # that there are
    asked: int
    killed: int
    timed_out: int
    survived: int
    seconds: float
    survivors: tuple[Survivor, ...]

    @property
    def percent(self) -> float:
        """Of those asked, how many did not live."""
        return 100 * (self.killed + self.timed_out) / self.asked if self.asked else 100.0


def files_of(room: str, root: Path = ROOT) -> list[Path]:
    """The modules of a room; an `__init__` holds no rule."""
    named = [root / item for item in ROOMS.get(room, (room,))]
    found = [file for item in named for file in ([item] if item.is_file() else sorted(item.rglob("*.py")))]
    return [file for file in found if file.name != "__init__.py"]


def module_of(path: Path, root: Path = ROOT) -> Module:
    """A module with the files of its tests: the mirror, then those of the same room that import it."""
    place = path.relative_to(root / SOURCE)
    name = ".".join((SOURCE, *place.with_suffix("").parts))
    mirror = root / TESTS / place.with_name(f"test_{place.name}")
    room = sorted(
        (root / TESTS / place.parts[0]).rglob("test_*.py") if len(place.parts) > 1 else (root / TESTS).glob("test_*.py")
    )
    spilled = [root / TESTS / file for file in SPILLED.get(place.as_posix(), ())]
    others = [*spilled, *(file for file in room if file != mirror and name in set(imported(file)))]
    return Module(path, name, tuple(file for file in (mirror, *others) if file.exists()))


def imported(file: Path) -> Iterator[str]:
    """The dotted names that a file imports, or imports from."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def warm_up(root: Path = ROOT) -> None:
    """Import what others wrote, once for all children; nothing of ours."""
    names = {name for file in (root / SOURCE).rglob("*.py") for name in imported(file)}
    for name in sorted(names):
        if name.partition(".")[0] not in {SOURCE, TESTS} | sys.stdlib_module_names:
            with suppress(ImportError):
                importlib.import_module(name)


def files_shown(room: str, modules: Sequence[Module], root: Path = ROOT) -> list[Path]:
    """The tests of a room: all that mirror a package, or else those of its modules."""
    folders = [root / TESTS / Path(item).relative_to(SOURCE) for item in ROOMS.get(room, ())]
    packages = [file for folder in folders if folder.is_dir() for file in sorted(folder.rglob("test_*.py"))]
    return list(dict.fromkeys([*packages, *(file for module in modules for file in module.tests)]))


def drawn(every: Sequence[Asked], sample: int | None, seed: int) -> list[Asked]:
    """All, or a sample drawn from all of the room, in their order."""
    if sample is None or sample >= len(every):
        return list(every)
    return [every[index] for index in sorted(random.Random(seed).sample(range(len(every)), sample))]


def survived_before(file: Path, room: str) -> set[tuple[str, int]]:
    """The survivors of a room in what an earlier run told as JSON; the modules must be as they were."""
    rooms = [figures for figures in json.loads(file.read_text("utf-8")) if figures["room"] == room]
    return {(survivor["path"], survivor["number"]) for figures in rooms for survivor in figures["survivors"]}


def verdicts_on(asked: Sequence[Asked], tests: Sequence[Path], jobs: int) -> list[str]:
    """What became of each mutant."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        judged = exchanged(asked, tests, scratch / "bench")
        for said in judged.failures.values():
            sys.stderr.write(f"not asked, for it fails as it is: {said}\n")
        plans = [
            (asked[place], files, list(judged.failures), scratch / f"planted{place}")
            for place, files in judged.to_plant.items()
        ]
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            for place, verdict in zip(judged.to_plant, pool.starmap(planted, plans, chunksize=1), strict=True):
                judged.verdicts[place] = verdict
        return judged.verdicts


def figures_of(room: str, wanted: argparse.Namespace) -> Figures:
    """Judge a room."""
    began = time.perf_counter()
    modules = [module_of(path) for path in files_of(room)]
    every = [(module, number) for module in modules for number in range(len(module.mutants()[1]))]
    if wanted.again:
        before = survived_before(wanted.again, room)
        asked = [it for it in every if (str(it[0].path.relative_to(ROOT)), it[1]) in before]
    else:
        asked = drawn(every, wanted.sample, wanted.seed)
    verdicts = verdicts_on(asked, files_shown(room, modules), wanted.jobs)
    counted = Counter(verdicts)
    survivors = [survivor(*it) for it, verdict in zip(asked, verdicts, strict=True) if verdict == SURVIVED]
    counts = (counted[KILLED], counted[TIMED_OUT], counted[SURVIVED])
    return Figures(room, len(every), len(asked), *counts, time.perf_counter() - began, tuple(survivors))


def survivor(module: Module, number: int) -> Survivor:
    """A mutant that lives, for people."""
    it = module.mutants()[1][number]
    path = str(module.path.relative_to(ROOT))
    return Survivor(path, number, it.line, it.owner[0] if it.owner else "", it.operator, it.was, it.becomes)


def main() -> int:
    """Judge those rooms that are wanted, and tell."""
    parser = argparse.ArgumentParser(prog="scripts/mutants")
    parser.add_argument("--sample", type=int, help="of each room, so many mutants, drawn by chance; otherwise all")
    parser.add_argument("--seed", type=int, default=1, help="of the chance")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time, of those that are planted"
    )
    parser.add_argument("--again", type=Path, metavar="FILE", help="only what survived in the JSON of an earlier run")
    parser.add_argument("--json", action="store_true", help="for programs, with every survivor")
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"{', '.join(ROOMS)}, or a path below mcpgov/")
    wanted = parser.parse_args()
    warm_up()
    every = [figures_of(room, wanted) for room in wanted.rooms or ROOMS]
    if wanted.json:
        sys.stdout.write(
            json.dumps([asdict(figures) | {"percent": figures.percent} for figures in every], indent=1) + "\n"
        )
        return 0
    for figures in every:
        for it in figures.survivors:
            sys.stdout.write(f"{it.path}:{it.line} {it.function} [{it.operator}] {it.was} -> {it.becomes}\n")
    for it in every:
        counts = f"{it.mutants:>6} mutants{it.asked:>6} asked{it.killed:>6} killed{it.timed_out:>5} timed out"
        sys.stdout.write(f"{it.room:<12}{counts}{it.survived:>5} survived{it.percent:>7.1f} %{it.seconds:>8.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
