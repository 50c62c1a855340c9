"""One module on the bench: its tests are run once as it is, then once for each of its mutants.

The tests are those of the file that mirrors the module, and of the files of that room which import it. A mutant in a
function is put into a child of a process that has imported everything, by exchanging the code of that function, and is
shown only the tests that enter it, the quickest first. What is read at import is planted before anything of ours is
imported, and is shown all of them, the mirror first. The first test that fails, or that never ends, kills.
"""

import ast
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Final

import pytest

from tests.mutation.forks import Crashed, Patience, TimedOut, in_child
from tests.mutation.operators import Mutant, Owner, mutants_of

KILLED: Final = "killed"
SURVIVED: Final = "survived"
TIMED_OUT: Final = "timed out"
TO_PLANT: Final = "to plant"
QUIET: Final = ("-x", "-q", "-s", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
WHOLE_RUN: Final = Patience(3600, 3600)


class NotGreen(Exception):
    """The tests fail on the module as it is: they say nothing about its mutants."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module under mutation: where it stands, its dotted name, and the files of its tests, the mirror first."""

    path: Path
    name: str
    tests: tuple[Path, ...]

    def mutants(self) -> tuple[ast.Module, list[Mutant]]:
        """Its syntax tree, and every mutant of it."""
        tree = ast.parse(self.path.read_bytes())
        return tree, mutants_of(tree)

    def mutated(self, number: int) -> tuple[Mutant, CodeType]:
        """One of its mutants, and the code of the whole module with it."""
        tree, mutants = self.mutants()
        mutants[number].apply()
        return mutants[number], compile(tree, str(self.path), "exec", dont_inherit=True)


def judged(module: Module, numbers: Sequence[int], scratch: Path) -> dict[int, str]:
    """What became of the mutants with these numbers. To be called before anything of ours is imported.

    Raises NotGreen.
    """
    found: dict[str, str] = in_child(partial(_on_bench, module, numbers), WHOLE_RUN, scratch / "bench")
    if not found:
        raise NotGreen(f"{module.path}: {(scratch / 'bench' / 'asis' / 'said').read_text('utf-8')[-3000:]}")
    verdicts = {int(number): verdict for number, verdict in found.items()}
    patience = Patience(300, 120)
    for number, verdict in verdicts.items():
        if verdict == TO_PLANT:
            verdicts[number] = _verdict(partial(_planted, module, number), patience, scratch / "planted")
    return verdicts


# -- what is exchanged -------------------------------------------------------------------------------------------------


def _on_bench(module: Module, numbers: Sequence[int], folder: Path) -> dict[int, str]:
    """The verdicts on what can be exchanged; TO_PLANT on the rest. Empty where the tests are not green."""
    entered = Entered(str(module.path))
    with entered:
        pytest.main([*QUIET, "--collect-only", *map(str, module.tests)])
    at_import = entered.names
    as_is = in_child(partial(_as_is, module), WHOLE_RUN, folder / "asis")
    if not as_is:
        return {}
    functions = _functions_of(module)
    gc.freeze()
    _, mutants = module.mutants()
    verdicts: dict[int, str] = {}
    for number in numbers:
        owner = mutants[number].owner
        if owner is None or owner in at_import:
            verdicts[number] = TO_PLANT
            continue
        shown = sorted((seconds, test) for test, seconds, names in as_is if list(owner) in names)
        if not shown:
            verdicts[number] = SURVIVED
            continue
        seconds = sum(seconds for seconds, _ in shown)
        work = partial(_exchanged, module, number, functions, [test for _, test in shown])
        verdicts[number] = _verdict(work, Patience(60 + 20 * seconds, 20 + 5 * seconds), folder / "mutant")
    return verdicts


def _as_is(module: Module, folder: Path) -> list[tuple[str, float, list[Owner]]]:
    """Each test, its seconds, and the functions of the module that it enters. Empty where one fails."""
    measured = Measured(str(module.path))
    failed = pytest.main([*QUIET, f"--basetemp={folder / 'tmp'}", *map(str, module.tests)], plugins=[measured])
    return [] if failed else measured.tests


def _exchanged(
    module: Module, number: int, functions: dict[Owner, list[FunctionType]], tests: list[str], folder: Path
) -> str:
    mutant, code = module.mutated(number)
    owner = mutant.owner
    new = next((inner for inner in _codes(code) if (inner.co_qualname, inner.co_firstlineno) == owner), None)
    if owner is None or new is None or owner not in functions:
        return TO_PLANT
    for function in functions[owner]:
        if len(new.co_freevars) != len(function.__code__.co_freevars):
            return TO_PLANT
        function.__code__ = new
    files = sorted({test.partition("::")[0] for test in tests})
    failed = pytest.main([*QUIET, f"--basetemp={folder / 'tmp'}", *files], plugins=[Chosen(tests)])
    return KILLED if failed else SURVIVED


def _functions_of(module: Module) -> dict[Owner, list[FunctionType]]:
    """The functions that live in this process and were written in the module."""
    found: dict[Owner, list[FunctionType]] = {}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename == str(module.path):
            found.setdefault((thing.__code__.co_qualname, thing.__code__.co_firstlineno), []).append(thing)
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


# -- what is planted ---------------------------------------------------------------------------------------------------


class Planted(importlib.machinery.SourceFileLoader, importlib.abc.MetaPathFinder):
    """Finds one module, and loads other code for it than stands in its file."""

    def __init__(self, module: Module, code: CodeType) -> None:
        super().__init__(module.name, str(module.path))
        self.code = code

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module, if it is ours."""
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        """The mutated code."""
        return self.code


def _planted(module: Module, number: int, folder: Path) -> str:
    sys.meta_path.insert(0, Planted(module, module.mutated(number)[1]))
    mirror, *others = map(str, module.tests)
    for files in filter(None, ([mirror], others)):
        if pytest.main([*QUIET, f"--basetemp={folder / 'tmp'}", *files]):
            return KILLED
    return SURVIVED


def _verdict(work: partial[str], patience: Patience, folder: Path) -> str:
    """The verdict of a child. One that crashes, as by a stack too deep, is killed."""
    try:
        return in_child(work, patience, folder)
    except TimedOut:
        return TIMED_OUT
    except Crashed:
        return KILLED


# -- plugins of pytest -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Entered:
    """Notes which functions of a file are entered, in every thread, for as long as it is open."""

    path: str
    names: set[Owner] = field(default_factory=set[Owner])

    def __enter__(self) -> None:
        threading.setprofile(self.see)
        sys.setprofile(self.see)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def see(self, frame: FrameType, event: str, _: object) -> None:
        """One event of the interpreter."""
        if event == "call" and frame.f_code.co_filename == self.path:
            self.names.add((frame.f_code.co_qualname, frame.f_code.co_firstlineno))


@dataclass(slots=True)
class Measured:
    """Notes of each test how long it takes, and what it enters."""

    path: str
    tests: list[tuple[str, float, list[Owner]]] = field(default_factory=list[tuple[str, float, list[Owner]]])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Around one test with its fixtures."""
        entered, began = Entered(self.path), time.perf_counter()
        with entered:
            result = yield
        self.tests.append((item.nodeid, time.perf_counter() - began, sorted(entered.names)))
        return result


@dataclass(frozen=True, slots=True)
class Chosen:
    """Of what is collected, runs these tests, in this order."""

    tests: list[str]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Take out the others."""
        found = {item.nodeid: item for item in items}
        items[:] = [found[test] for test in self.tests]
