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

from tests.mutation.bench import KILLED, SURVIVED, TIMED_OUT, Module, judged

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


Plan = tuple[Module, list[int], Path]


def drawn(modules: Sequence[Module], sample: int | None, seed: int) -> tuple[int, dict[Path, list[int]]]:
    """How many mutants there are, and the numbers of those to ask: all, or a sample drawn from all of the room."""
    every = [(module.path, number) for module in modules for number in range(len(module.mutants()[1]))]
    chosen = every if sample is None or sample >= len(every) else random.Random(seed).sample(every, sample)
    numbers: dict[Path, list[int]] = {}
    for path, number in sorted(chosen):
        numbers.setdefault(path, []).append(number)
    return len(every), numbers


def asked(plan: Plan) -> tuple[Module, dict[int, str]]:
    """Judge the mutants of one module, in a process of its own."""
    module, numbers, scratch = plan
    return module, judged(module, numbers, scratch)


def survived_before(file: Path, room: str) -> dict[Path, list[int]]:
    """The survivors of a room in what an earlier run told as JSON; the modules must be as they were."""
    numbers: dict[Path, list[int]] = {}
    for figures in json.loads(file.read_text("utf-8")):
        for survivor in figures["survivors"] if figures["room"] == room else ():
            numbers.setdefault(ROOT / survivor["path"], []).append(survivor["number"])
    return numbers


def figures_of(room: str, wanted: argparse.Namespace) -> Figures:
    """Judge a room."""
    began = time.perf_counter()
    modules = [module_of(path) for path in files_of(room)]
    mutants, numbers = drawn(modules, wanted.sample, wanted.seed)
    if wanted.again:
        numbers = survived_before(wanted.again, room)
    survivors: list[Survivor] = []
    counted: Counter[str] = Counter()
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as scratch, context.Pool(wanted.jobs, maxtasksperchild=1) as pool:
        plans = [
            (module, numbers[module.path], Path(scratch) / module.name) for module in modules if module.path in numbers
        ]
        for module, verdicts in pool.imap_unordered(asked, plans):
            counted.update(verdicts.values())
            every = module.mutants()[1]
            for number in (number for number, verdict in verdicts.items() if verdict == SURVIVED):
                mutant = every[number]
                function = mutant.owner[0] if mutant.owner else ""
                it = Survivor(
                    str(module.path.relative_to(ROOT)),
                    number,
                    mutant.line,
                    function,
                    mutant.operator,
                    mutant.was,
                    mutant.becomes,
                )
                survivors.append(it)
                sys.stderr.write(f"{it}\n")
            sys.stderr.write(
                f"{module.name}: {dict(Counter(verdicts.values()))}, {time.perf_counter() - began:.0f} s\n"
            )
    ordered = tuple(sorted(survivors, key=lambda it: (it.path, it.number)))
    return Figures(
        room,
        mutants,
        sum(counted.values()),
        counted[KILLED],
        counted[TIMED_OUT],
        counted[SURVIVED],
        time.perf_counter() - began,
        ordered,
    )


def main() -> int:
    """Judge those rooms that are wanted, and tell."""
    parser = argparse.ArgumentParser(prog="scripts/mutants")
    parser.add_argument("--sample", type=int, help="of each room, so many mutants, drawn by chance; otherwise all")
    parser.add_argument("--seed", type=int, default=1, help="of the chance")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="modules at a time")
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
