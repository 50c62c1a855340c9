"""One module on the bench: its tests are run once as it is, then once for each of its mutants.

The tests are those of the file that mirrors the module, and of the files of that room which import it. A mutant in a
function is put into a child of a process that has collected them all, by exchanging the code of that function, and is
shown only the tests that enter it, the quickest first. What is read at import is planted before anything of ours is
imported, and is shown all of them, the mirror first. The first test that fails, or that never ends, kills.
"""

import ast
import gc
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
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
QUIET: Final = ("-x", "-q", "-s", "--tb=short", "-p", "no:cacheprovider")
# Without looking for plugins in every installed distribution, which takes longer than most tests here.
PLUGINS: Final = ("-p", "pytest_asyncio.plugin", "-p", "_hypothesis_pytestplugin")
WHOLE_RUN: Final = Patience(7200, 7200)
FLOOR: Final = Patience(60, 20)  # what every mutant has, beside a multiple of what its tests take


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


@dataclass(slots=True)
class Entered:
    """Notes which functions of a file are entered, in every thread, until it is stopped."""

    path: str
    names: set[Owner] = field(default_factory=set[Owner])

    def __enter__(self) -> None:
        threading.setprofile(self.see)
        sys.setprofile(self.see)

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """See no more."""
        sys.setprofile(None)
        threading.setprofile(None)

    def see(self, frame: FrameType, event: str, _: object) -> None:
        """One event of the interpreter."""
        if event == "call" and frame.f_code.co_filename == self.path:
            self.names.add((frame.f_code.co_qualname, frame.f_code.co_firstlineno))


@dataclass(slots=True)
class Noted:
    """What the last part of a test that failed says."""

    said: str = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One part: its set-up, the test itself, its end."""
        if report.failed:
            self.said = f"{report.nodeid}\n{report.longreprtext}"


def judged(module: Module, numbers: Sequence[int], scratch: Path, floor: Patience = FLOOR) -> dict[int, str]:
    """What became of the mutants with these numbers. To be called before anything of ours is imported.

    Raises NotGreen.
    """
    found = in_child(partial(_on_bench, module, numbers, floor), WHOLE_RUN, scratch / "bench")
    for said in found["failures"].values():
        sys.stderr.write(f"not asked, for it fails as it is: {said}\n")
    if not found["green"]:
        raise NotGreen(str(module.path))
    verdicts: dict[int, str] = {int(number): verdict for number, verdict in found["verdicts"].items()}
    patience = Patience(4 * floor.clock, 4 * floor.processor)
    for number, verdict in verdicts.items():
        if verdict == TO_PLANT:
            work = partial(_planted, module, number, list(found["failures"]))
            verdicts[number] = _verdict(work, patience, scratch / "planted")
    return verdicts


def _run(files: Sequence[Path], folder: Path, *more: str, plugins: Sequence[object] = ()) -> int:
    """The exit code of pytest."""
    words = [*QUIET, *PLUGINS, f"--basetemp={folder / 'tmp'}", *more, *map(str, files)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytest.main(words, plugins=plugins)


# -- what is exchanged -------------------------------------------------------------------------------------------------


def _on_bench(module: Module, numbers: Sequence[int], floor: Patience, folder: Path) -> dict[str, object]:
    """The verdicts on what can be exchanged, TO_PLANT on the rest; what fails as it is, and whether not all does."""
    bench = Bench(module, numbers, floor, folder)
    with bench.at_import:
        _run(module.tests, folder, plugins=[bench])
    return {"green": bench.green, "failures": bench.failures, "verdicts": bench.verdicts}


@dataclass(slots=True)
class Bench:
    """In place of running the tests once, pytest lets each mutant be shown its own."""

    module: Module
    numbers: Sequence[int]
    floor: Patience
    folder: Path
    at_import: Entered = field(init=False)
    green: bool = False
    failures: dict[str, str] = field(default_factory=dict[str, str])
    verdicts: dict[int, str] = field(default_factory=dict[int, str])

    def __post_init__(self) -> None:
        self.at_import = Entered(str(self.module.path))

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """The whole of it; True tells pytest that all was run."""
        self.at_import.stop()
        as_is = in_child(partial(_as_is, self.module, session.items), WHOLE_RUN, self.folder / "asis")
        tried = [
            (item, took, names) for item, (took, said, names) in zip(session.items, as_is, strict=True) if not said
        ]
        self.failures = {item.nodeid: said for item, (_, said, _) in zip(session.items, as_is, strict=True) if said}
        self.green = bool(tried)
        self.judge(tried)
        return True

    def judge(self, tried: list[tuple[pytest.Item, float, list[list[str | int]]]]) -> None:
        """Each mutant in turn."""
        functions = _functions_of(self.module)
        gc.freeze()  # what all children share is not copied into each by looking at it
        tree, mutants = self.module.mutants()
        for number in self.numbers:
            owner = mutants[number].owner
            entering = [(took, item) for item, took, names in tried if list(owner or ()) in names]
            shown = sorted(entering, key=lambda pair: pair[0])
            if owner is None or owner in self.at_import.names:
                self.verdicts[number] = TO_PLANT
            elif not shown:
                self.verdicts[number] = SURVIVED
            else:
                seconds = sum(took for took, _ in shown)
                patience = Patience(self.floor.clock + 20 * seconds, self.floor.processor + 5 * seconds)
                code = partial(_code_with, self.module, tree, mutants[number])
                work = partial(_exchanged, owner, code, functions, [item for _, item in shown])
                self.verdicts[number] = _verdict(work, patience, self.folder / "mutant")


def _as_is(module: Module, items: list[pytest.Item], _: Path) -> list[tuple[float, str, list[Owner]]]:
    """Of each test its seconds, what it says if it fails, and the functions of the module that it enters."""
    tests: list[tuple[float, str, list[Owner]]] = []
    for item, following in itertools.zip_longest(items, items[1:]):
        entered, began = Entered(str(module.path)), time.perf_counter()
        with entered:
            said = _failure(item, following)
        tests.append((time.perf_counter() - began, said, sorted(entered.names)))
    return tests


def _exchanged(
    owner: Owner,
    code: partial[CodeType],
    functions: dict[Owner, list[FunctionType]],
    items: list[pytest.Item],
    _: Path,
) -> str:
    new = next((inner for inner in _codes(code()) if (inner.co_qualname, inner.co_firstlineno) == owner), None)
    if new is None or owner not in functions:
        return TO_PLANT
    for function in functions[owner]:
        if len(new.co_freevars) != len(function.__code__.co_freevars):
            return TO_PLANT
        function.__code__ = new
    pairs = itertools.zip_longest(items, items[1:])
    return KILLED if any(_failure(item, following) for item, following in pairs) else SURVIVED


def _failure(item: pytest.Item, following: pytest.Item | None) -> str:
    """Run one test, and what has to end before the following one; what it says if it fails."""
    noted = Noted()
    item.config.pluginmanager.register(noted)
    try:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    finally:
        item.config.pluginmanager.unregister(noted)
    return noted.said


def _code_with(module: Module, tree: ast.Module, mutant: Mutant) -> CodeType:
    """The code of the whole module with one change: for a child, since the tree stays changed."""
    mutant.apply()
    return compile(tree, str(module.path), "exec", dont_inherit=True)


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
        return (
            importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None
        )

    def get_code(self, fullname: str) -> CodeType:
        """The mutated code."""
        return self.code


def _planted(module: Module, number: int, left_out: list[str], folder: Path) -> str:
    tree, mutants = module.mutants()
    sys.meta_path.insert(0, Planted(module, _code_with(module, tree, mutants[number])))
    mirror, *others = module.tests
    for files in filter(None, ([mirror], others)):
        code = _run(files, folder, *(f"--deselect={test}" for test in left_out))
        if code == pytest.ExitCode.NO_TESTS_COLLECTED:
            raise NotGreen("there are no tests")
        if code:
            return KILLED
    return SURVIVED


def _verdict(work: partial[str], patience: Patience, folder: Path) -> str:
    """The verdict of a child. One that crashes is killed."""
    try:
        return in_child(work, patience, folder)
    except TimedOut:
        return TIMED_OUT
    except Crashed:
        return KILLED
