"""The modules of a room on the bench: its tests are run once as they are, then once for each mutant.

A mutant in a function is put into a child of a process that has collected all tests of the room, by exchanging the code
of that function, and is shown only the tests that enter it: those of the file that mirrors the module, then the others,
the quickest first, as long as they do not take too long together. What is read or run at import is planted before
anything of ours is imported, and is shown the files of these tests; where it is in no function, those of the mirror, of
what imports the module, and of the tests that enter it anywhere. The first test that fails, or that never ends, kills.
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
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Final

import pytest

from tests.mutation.forks import Broken, Crashed, Patience, TimedOut, in_child
from tests.mutation.operators import Mutant, mutants_of

Function = tuple[str, str, int]  # a file, a qualified name, the first line: what a code object says of itself
Functions = dict[Function, list[FunctionType]]

KILLED: Final = "killed"
SURVIVED: Final = "survived"
TIMED_OUT: Final = "timed out"
TO_PLANT: Final = "to plant"
QUIET: Final = ("-x", "-q", "-s", "--tb=short", "-p", "no:cacheprovider")
# Without looking for plugins in every installed distribution, which takes longer than most tests here.
PLUGINS: Final = ("-p", "pytest_asyncio.plugin", "-p", "_hypothesis_pytestplugin")
WHOLE_RUN: Final = Patience(7200, 7200)
FLOOR: Final = Patience(60, 20)  # what every mutant has, beside a multiple of what its tests take


SHOWN_SECONDS: Final = 10  # of the processor, on tests for one mutant


class NotGreen(Exception):
    """The tests fail on the modules as they are: they say nothing about mutants."""


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


Asked = tuple[Module, int]  # one mutant: its module, and its number there


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdicts, in the order asked; by its place there, the tests of a mutant that is to be planted; and what the
    tests say that fail as it is, which are shown to no mutant.
    """

    verdicts: list[str]
    to_plant: dict[int, list[str]]
    failures: dict[str, str]


@dataclass(slots=True)
class Entered:
    """Notes which functions of some files are entered, in every thread, until it is stopped."""

    paths: frozenset[str]
    names: set[Function] = field(default_factory=set[Function])

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
        if event == "call" and frame.f_code.co_filename in self.paths:
            self.names.add(_function(frame.f_code))


@dataclass(eq=False, slots=True)  # a plugin is kept in sets
class Noted:
    """What the last part of a test that failed says."""

    said: str = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One part: its set-up, the test itself, its end."""
        if report.failed:
            self.said = f"{report.nodeid}\n{report.longreprtext}"


def exchanged(asked: Sequence[Asked], tests: Sequence[Path], scratch: Path, floor: Patience = FLOOR) -> Judged:
    """What became of these mutants, but for those TO_PLANT. To be called before anything of ours is imported.

    Raises NotGreen.
    """
    found = in_child(partial(_on_bench, asked, tests, floor), WHOLE_RUN, scratch)
    if not found["green"] or len(found["verdicts"]) != len(asked):
        said = (scratch / "said").read_text("utf-8", "replace")[-3000:]
        raise NotGreen(f"of {len(tests)} files: {found['failures']} {said}")
    to_plant: dict[int, list[str]] = {int(place): files for place, files in found["to_plant"].items()}
    return Judged(found["verdicts"], to_plant, found["failures"])


def planted(
    asked: Asked, files: Sequence[str], left_out: Collection[str], scratch: Path, floor: Patience = FLOOR
) -> str:
    """What became of one mutant that is read at import. To be called before anything of ours is imported."""
    patience = Patience(4 * floor.clock, 4 * floor.processor)
    return _verdict(partial(_planted, asked, files, left_out), patience, scratch)


def _run(files: Sequence[Path | str], folder: Path, *more: str, plugins: Sequence[object] = ()) -> int:
    """The exit code of pytest."""
    words = [*QUIET, *PLUGINS, f"--basetemp={folder / 'tmp'}", *more, *map(str, files)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytest.main(words, plugins=plugins)


# -- what is exchanged -------------------------------------------------------------------------------------------------


def _on_bench(asked: Sequence[Asked], tests: Sequence[Path], floor: Patience, folder: Path) -> dict[str, object]:
    bench = Bench(asked, floor, folder)
    with bench.at_import:
        _run(tests, folder, plugins=[bench])
    found = {"verdicts": bench.verdicts, "to_plant": bench.to_plant, "failures": bench.failures}
    return {"green": bench.green, **found}


@dataclass(frozen=True, slots=True)
class Tried:
    """A test that passes as it is: its seconds of the processor, and which functions it enters."""

    item: pytest.Item
    took: float
    functions: set[Function]


@dataclass(eq=False, slots=True)  # a plugin is kept in sets
class Bench:
    """In place of running the tests once, pytest lets each mutant be shown its own."""

    asked: Sequence[Asked]
    floor: Patience
    folder: Path
    at_import: Entered = field(init=False)
    green: bool = False
    failures: dict[str, str] = field(default_factory=dict[str, str])
    verdicts: list[str] = field(default_factory=list[str])
    to_plant: dict[int, list[str]] = field(default_factory=dict[int, list[str]])

    def __post_init__(self) -> None:
        self.at_import = Entered(frozenset(str(module.path) for module, _ in self.asked))

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """The whole of it; True tells pytest that all was run."""
        self.at_import.stop()
        as_is = in_child(partial(_as_is, self.at_import.paths, session.items), WHOLE_RUN, self.folder / "asis")
        tried: list[Tried] = []
        for item, (took, said, names) in zip(session.items, as_is, strict=True):
            if said:
                self.failures[item.nodeid] = said
            else:
                tried.append(Tried(item, took, {(path, owner, line) for path, owner, line in names}))
        self.green = bool(tried)
        functions = _functions_in(self.at_import.paths)
        gc.freeze()  # what all children share is not copied into each by looking at it
        for place, (module, number) in enumerate(self.asked):
            self.verdicts.append(self.judge(module, number, tried, functions))
            if self.verdicts[-1] == TO_PLANT:
                self.to_plant[place] = _files(module, number, tried)
            sys.stderr.write(f"{module.name} {number} {self.verdicts[-1]}\n")
        return True

    def judge(self, module: Module, number: int, tried: list[Tried], functions: Functions) -> str:
        """The verdict on one mutant."""
        tree, mutants = module.mutants()
        mutant = mutants[number]
        function = mutant.owner and (str(module.path), *mutant.owner)
        if function is None or function in self.at_import.names or function not in functions:
            return TO_PLANT
        entering = [one for one in tried if function in one.functions]
        entering.sort(key=lambda one: (one.item.path != module.tests[0], one.took))
        before = itertools.accumulate((one.took for one in entering), initial=0.0)
        shown = [one for one, so_far in zip(entering, before, strict=False) if so_far < SHOWN_SECONDS]
        if not shown:
            return SURVIVED
        seconds = sum(one.took for one in shown)
        patience = Patience(self.floor.clock + 20 * seconds, self.floor.processor + 5 * seconds)
        code = partial(_code_with, module, tree, mutant)
        work = partial(_exchanged, function, code, functions[function], [one.item for one in shown])
        return _verdict(work, patience, self.folder / "mutant")


def _files(module: Module, number: int, tried: list[Tried]) -> list[str]:
    """The files of the tests for a mutant that is to be planted, the mirror first, as long as they do not take long."""
    owner = module.mutants()[1][number].owner
    sums: dict[str, float] = dict.fromkeys(map(str, module.tests), 0.0)
    for one in tried:
        path = str(one.item.path)
        entered = {(name, line) for file, name, line in one.functions if file == str(module.path)}
        if path in sums or (owner in entered if owner else entered):
            sums[path] = sums.get(path, 0.0) + one.took
    ordered = sorted(sums, key=lambda path: (path not in map(str, module.tests), sums[path]))
    ordered.sort(key=lambda path: path != str(module.tests[0]))
    before = itertools.accumulate((sums[path] for path in ordered), initial=0.0)
    return [path for path, so_far in zip(ordered, before, strict=False) if so_far < 2 * SHOWN_SECONDS]


def _as_is(paths: frozenset[str], items: list[pytest.Item], _: Path) -> list[tuple[float, str, list[Function]]]:
    """Of each test its seconds, what it says if it fails, and the functions that it enters."""
    tests: list[tuple[float, str, list[Function]]] = []
    for item, following in itertools.zip_longest(items, items[1:]):
        entered, began = Entered(paths), time.process_time()
        with entered:
            said = _failure(item, following)
        tests.append((time.process_time() - began, said, sorted(entered.names)))
    return tests


def _exchanged(
    function: Function, code: partial[CodeType], living: list[FunctionType], items: list[pytest.Item], _: Path
) -> str:
    new = next((inner for inner in _codes(code()) if _function(inner) == function), None)
    for it in living:
        if new is None or len(new.co_freevars) != len(it.__code__.co_freevars):
            return TO_PLANT
        it.__code__ = new
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


def _function(code: CodeType) -> Function:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _functions_in(paths: Collection[str]) -> Functions:
    """The functions that live in this process and were written in these files."""
    found: Functions = {}
    for thing in gc.get_objects():
        if type(thing) is FunctionType and thing.__code__.co_filename in paths:
            found.setdefault(_function(thing.__code__), []).append(thing)
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


def _planted(asked: Asked, tests: Sequence[str], left_out: Collection[str], folder: Path) -> str:
    module, number = asked
    tree, mutants = module.mutants()
    sys.meta_path.insert(0, Planted(module, _code_with(module, tree, mutants[number])))
    for files in filter(None, (tests[:1], tests[1:])):
        code = _run(files, folder, *(f"--deselect={test}" for test in left_out))
        if code == pytest.ExitCode.NO_TESTS_COLLECTED:
            raise NotGreen("there are no tests")
        if code:
            return KILLED
    return SURVIVED


def _verdict(work: partial[str], patience: Patience, folder: Path) -> str:
    """The verdict of a child. One that crashes, or in which pytest breaks, is killed: as it is, it does neither."""
    try:
        return in_child(work, patience, folder)
    except TimedOut:
        return TIMED_OUT
    except (Crashed, Broken) as end:
        sys.stderr.write(f"broke down: {str(end)[-300:]}\n")
        return KILLED
