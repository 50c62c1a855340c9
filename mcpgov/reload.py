"""Reads the files, and puts a new generation in force whole or not at all.

Decides when files are read, and what happens when they are bad: the last good generation stays in force, and a report
says why. Every file is read once, so that what was checked, what is stamped and what is served are the same bytes.
A settings file that was there once has to stay: without it the global policies would silently be none. What the files
name on this machine (a folder, a program) is looked for before they are put in force, not when it is first needed.
What a change of files cannot change (where we listen, the ledger) is named in the report: it waits for a restart.

Files are looked at when the system says that they changed, every few seconds for what it does not say (a network file
system, a symlink that was swapped above the folder), and on request (SIGHUP), when references are resolved anew too. A
Key Vault that cannot be asked is a problem like any other.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import threading
from dataclasses import field, replace
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

import structlog
from watchfiles import watch

from mcpgov.accounts import owners_of
from mcpgov.aggregate_settings import unfit_aggregate
from mcpgov.catalog.needs import unmet
from mcpgov.certificates import present
from mcpgov.entry_files import parse_file
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.frozen import frozen
from mcpgov.missing import away, missing
from mcpgov.policy_files import PolicyReferences, load_policies
from mcpgov.registry.pages import Shelf
from mcpgov.settings import Settings, parse_settings
from mcpgov.settings_file import DEFAULT_FILE, lookup_for, no_vaults, read_text
from mcpgov.snapshot import Snapshot, assemble, clashes, unknown_policies
from mcpgov.text_files import BEGINNING, Folder, read_file
from mcpgov.worker import unshared
from mcpgov.yaml_source import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from mcpgov.catalog.entries import Entry
    from mcpgov.entry_files import EntryFile
    from mcpgov.settings_file import Vaults
    from mcpgov.text_files import TextFile
    from mcpgov.yaml_source import Source

    Report = Callable[["ReloadResult"], Awaitable[None]]

QUIET: Final = 100  # milliseconds without a change before files are read: an editor is done writing by then
LOOK_EVERY: Final = 2_000  # milliseconds between looks of our own
ENDINGS: Final = frozenset({".yaml", ".yml"})
TESTS: Final = (".test.yaml", ".test.yml")  # beside policies, and never one
# Settings that need no restart.
RELOADED: Final = frozenset({"aggregate", "catalog", "policies", "global_policies", "log", "named_values", "registry"})
T = TypeVar("T")


@frozen
class ReloadResult:
    """What came of a reload. `old` and `new` are the stamps in force before and after; with `problems` they are equal.

    `restart` names the settings that were changed since the start and wait for the next one. `trigger` says what asked
    for it (`files` that changed, a `signal`), `owner` whose the files are.
    """

    old: str
    new: str
    problems: tuple[Problem, ...] = ()
    restart: tuple[str, ...] = ()
    trigger: str = ""
    owner: str = ""


@frozen
class Reading:
    """Every file as it was when it was read. `settings` is None where there is no mcpgov.yaml."""

    place: Path
    settings: str | None
    catalog: Mapping[Path, str]
    policies: Mapping[Path, str]
    problems: tuple[Problem, ...]
    files: Mapping[Path, TextFile] = field(default_factory=dict[Path, "TextFile"], repr=False)  # of both folders
    partial: bool = False  # whether files were left out, and what they hold is not known

    @property
    def settings_text(self) -> str:
        """What mcpgov.yaml says; nothing at all where there is none."""
        return "{}" if self.settings is None else self.settings

    @property
    def stamp(self) -> str:
        """SHA-256 over the names and the bytes of all files, and over what could not be read."""
        digest = hashlib.sha256(json.dumps(self.settings).encode())
        for folder in (self.catalog, self.policies):
            digest.update(b"[")
            for place, text in sorted(folder.items(), key=_name):  # one by one: calls go on beside it
                digest.update(json.dumps([place.name, text]).encode())
        digest.update(json.dumps(list(map(str, self.problems))).encode())
        return digest.hexdigest()


def _name(file: tuple[Path, str]) -> str:
    return file[0].name


class Findings:
    """Collects the problems of many files, so that one bad file does not hide the next."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def take(self, parse: Callable[[], T]) -> T | None:
        """What `parse` returns; None, its problems kept, when it raises InvalidConfiguration."""
        try:
            return parse()
        except InvalidConfiguration as invalid:
            self.problems.extend(invalid.problems)
            return None


def load_generation(
    path: Path | None,
    variables: Mapping[str, str] = os.environ,
    vaults: Vaults = no_vaults,
    workers: int = 1,
    *,
    thorough: bool = False,
) -> Snapshot:
    """What mcpgov.yaml and its folders say. Raises as generation_of() does."""
    return generation_of(read_files(path), variables, vaults, workers, thorough=thorough)


def read_files(
    path: Path | None, *, known: bool = False, before: Mapping[Path, TextFile] = MappingProxyType({})
) -> Reading:
    """Read mcpgov.yaml and the folders it names; of these, what is like `before` is not read again. What cannot be read
    is noted, not raised.

    `known`: mcpgov.yaml was there before. That it is not there now is a problem, and never a return to the defaults.
    """
    place, found = path or Path(DEFAULT_FILE), Findings()
    if known and not os.path.lexists(place):
        gone = Problem(str(place), 0, 0, f"{place.name} is gone", "put it back, or restart")
        return Reading(place, None, {}, {}, (gone,))
    settings = found.take(lambda: read_text(place)) if path or os.path.lexists(place) else None
    catalog, policies = folders_of(place, settings)
    files: dict[Path, TextFile] = {}
    texts: list[dict[Path, str]] = []
    for folder in (catalog, policies):
        texts.append({})
        for at, file in (found.take(partial(_texts, folder, found, before)) or {}).items():
            texts[-1][at], files[at] = file.text, file
    entries, documents = texts
    return Reading(place, settings, entries, documents, tuple(found.problems), files)


def folders_of(place: Path, settings: str | None) -> tuple[Folder, Folder]:
    """Where catalog and policies are, as far as the settings can be read: their errors must not hide those below."""
    source = Findings().take(lambda: parse_yaml(settings or "", str(place)))
    return _folder("catalog", place.parent, source), _folder("policies", place.parent, source)


def _folder(key: str, home: Path, source: Source | None) -> Folder:
    named = source.value.get(key) if source and isinstance(source.value, dict) else None
    if isinstance(named, str) and named:
        return Folder(home / named, key, source)
    return Folder(home / key, key, None)


def _texts(folder: Folder, found: Findings, before: Mapping[Path, TextFile]) -> dict[Path, TextFile]:
    """The YAML files of a folder; hidden files and what editors leave behind are passed over."""
    try:
        places = sorted(folder.path.iterdir())
    except OSError as error:
        if isinstance(error, FileNotFoundError) and folder.key == "policies" and folder.source is None:
            return {}
        raise InvalidConfiguration((folder.problem(error),)) from None
    endings = ENDINGS | {".xml"} if folder.key == "policies" else ENDINGS
    wanted = [
        place
        for place in places
        if place.suffix in endings and not place.name.startswith(".") and not place.name.endswith(TESTS)
    ]
    files = {place: found.take(partial(read_file, place, before.get(place))) for place in wanted}
    return {place: file for place, file in files.items() if file is not None}


def generation_of(
    reading: Reading,
    variables: Mapping[str, str],
    vaults: Vaults = no_vaults,
    workers: int = 1,
    *,
    before: Mapping[Path, EntryFile] = MappingProxyType({}),
    thorough: bool = False,
) -> Snapshot:
    """What a reading says, for so many workers; what is like `before` is taken from there. Raises InvalidConfiguration
    with every problem of every file; if `thorough`, also with those that stop no start.
    """
    found = Findings()
    found.problems.extend(reading.problems)
    lookup = lookup_for(reading.settings_text, reading.place, variables, vaults)
    settings = found.take(lambda: parse_settings(reading.settings_text, str(reading.place), lookup))
    files: dict[Path, EntryFile] = {}
    for place, text in reading.catalog.items():
        written = reading.files[place].written if place in reading.files else BEGINNING
        if parsed := found.take(partial(parse_file, place, text, written, lookup, before.get(place))):
            files[place] = parsed
    entries = [file.entry for file in files.values()]
    references = PolicyReferences(settings.named_values if settings else {}, lookup)
    policies = load_policies(reading.policies, references)
    found.problems.extend(policies.problems)
    found.problems.extend(_across_files(reading, settings, entries, policies.fragments))
    source = parse_yaml(reading.settings_text, str(reading.place)) if settings else None
    named = source if reading.settings is not None else None
    found.problems.extend(missing(named, settings, entries, variables.get("PATH")))
    if settings and source:
        found.problems.extend(unshared(workers, settings, source, entries))
        if thorough:
            found.problems.extend(away(source, settings))
            found.take(partial(present, settings, source, partial(datetime.now, UTC)))
        if (
            len(files) == len(reading.catalog) and not reading.partial
        ):  # else a name may be in a file that cannot be read
            found.problems.extend(_unfit(settings, source, entries, workers))
    if found.problems:
        raise InvalidConfiguration(
            tuple(sorted(set(found.problems), key=attrgetter("file", "line", "column", "message")))
        )
    snapshot = assemble(reading.stamp, settings or Settings(), entries, policies.documents)
    shelf = Shelf(file.listed for file in files.values())
    return replace(snapshot, secrets=tuple(references.drawn), registry=shelf, files=files)


def _unfit(settings: Settings, source: Source, entries: Sequence[Entry], workers: int) -> Iterator[Problem]:
    """What the aggregate names and cannot have."""
    if settings.aggregate:
        names = [served.connection.name for entry in entries for served in entry.connections]
        yield from unfit_aggregate(settings.aggregate, source, names, workers)


def _across_files(
    reading: Reading, settings: Settings | None, entries: Sequence[Entry], fragments: frozenset[str]
) -> Iterator[Problem]:
    """What is wrong between files. Policies that could not be parsed exist all the same; a fragment is no policy."""
    first: dict[str, Path] = {}
    for place in reading.policies:
        if first.setdefault(place.stem, place) != place:
            yield Problem(
                str(place), 0, 0, f"the policy {place.stem} is also in {first[place.stem]}", "keep one of the two"
            )
    folder = folders_of(reading.place, reading.settings)[1].path
    policies = first.keys() - fragments
    if settings and settings.global_policies:
        source = parse_yaml(reading.settings_text, str(reading.place))
        yield from unknown_policies(source, ("global_policies",), settings.global_policies, policies, folder)
    yield from clashes(entries, policies, folder)
    if settings:
        yield from unmet(entries, settings)


class Generations:
    """Holds what is in force. `report` hears of every reload, those that were refused too."""

    def __init__(
        self,
        path: Path | None,
        report: Report,
        variables: Mapping[str, str] = os.environ,
        vaults: Vaults = no_vaults,
        workers: int = 1,
    ) -> None:
        """Read the first generation. Raises InvalidConfiguration: there is no last good one to keep yet."""
        self._path, self._report, self._variables, self._vaults = path, report, variables, vaults
        self._workers = workers
        reading = read_files(path)
        self._seen, self._files = reading.stamp, reading.files
        self._current = generation_of(reading, variables, vaults, workers)
        self._has_settings = reading.settings is not None
        self._started_with = self._current.settings
        self._wanted = asyncio.Event()
        self._requested = False

    def current(self) -> Snapshot:
        """The generation in force."""
        return self._current

    def request_reload(self) -> None:
        """Ask watch() to read everything anew, references too; for a signal handler of the event loop."""
        self._requested = True
        self._wanted.set()

    def try_reload(self) -> ReloadResult:
        """Read everything anew now. Blocks on files; what is in force changes whole or not at all."""
        return self._reload(self._read())

    async def watch(self) -> None:
        """Reload whenever files change or a reload is requested, until cancelled."""
        gc.freeze()  # each collection of the oldest would stop every call to walk a catalog that is still in use
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._notice_changes())
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                requested, self._requested = self._requested, False
                look = asyncio.create_task(asyncio.to_thread(self._look, requested=requested))
                await asyncio.wait({look})  # which raises nothing: a fault in one reload must not end all of them
                result = self._failed(look) if look.exception() else look.result()
                if result is not None:
                    await self._report(result)

    def _failed(self, look: asyncio.Task[ReloadResult | None]) -> ReloadResult:
        """A reload that fell over, as one that was refused."""
        place, stamp = self._path or Path(DEFAULT_FILE), self._current.stamp
        structlog.get_logger().error("reload-failed", exc_info=look.exception())
        what = f"the files cannot be loaded: {type(look.exception()).__name__}, see the log"
        return ReloadResult(stamp, stamp, (Problem(str(place), 0, 0, what, "undo the last change, and report this"),))

    def _look(self, *, requested: bool) -> ReloadResult | None:
        """Reload if the files are not those seen last; a bad file is reported once, not at every look. Who requests it
        has every file read, whatever the system says of it.
        """
        reading = self._read() if requested else self._read(self._files)
        self._files = reading.files
        if not requested and reading.stamp == self._seen:
            return None
        owner = owners_of((reading.place, *reading.catalog, *reading.policies))
        return replace(self._reload(reading), trigger="signal" if requested else "files", owner=owner)

    def _read(self, before: Mapping[Path, TextFile] = MappingProxyType({})) -> Reading:
        return read_files(self._path, known=self._has_settings, before=before)

    def _reload(self, reading: Reading) -> ReloadResult:
        old, self._seen = self._current.stamp, reading.stamp
        try:
            known = self._variables, self._vaults, self._workers
            self._current = generation_of(reading, *known, before=self._current.files)
        except InvalidConfiguration as invalid:
            return ReloadResult(old, old, invalid.problems)
        self._has_settings = reading.settings is not None
        return ReloadResult(old, self._current.stamp, restart=self._waiting_for_restart())

    def _waiting_for_restart(self) -> tuple[str, ...]:
        now, then = self._current.settings, self._started_with
        names = (name for name in Settings.model_fields if name not in RELOADED)
        return tuple(name for name in names if getattr(now, name) != getattr(then, name))

    async def _notice_changes(self) -> None:
        """Set `_wanted` when something may have changed. What was replaced is watched anew."""
        tell = partial(asyncio.get_running_loop().call_soon_threadsafe, self._wanted.set)
        stop = threading.Event()
        try:
            while True:
                await asyncio.to_thread(self._wait_for_changes, tell, stop)
        finally:
            stop.set()

    def _wait_for_changes(self, tell: Callable[[], object], stop: threading.Event) -> None:
        """Tell of changes until `stop`, or until what is watched was replaced: a watch stays with the old one."""
        watched = self._watched()
        look = partial(watch, step=QUIET, rust_timeout=LOOK_EVERY, yield_on_timeout=True, recursive=False)
        try:
            for _ in look(*watched, stop_event=stop):
                tell()
                if self._watched() != watched:
                    return
        except (OSError, RuntimeError):  # gone between two lines, or the system has no more watches to give
            stop.wait(LOOK_EVERY / 1000)
            tell()

    def _watched(self) -> dict[Path, tuple[int, int]]:
        """The files and folders to watch, each with what tells it from another of the same name."""
        place = self._path or Path(DEFAULT_FILE)
        settings = self._current.settings
        return {
            path: identity for path in (place, settings.catalog, settings.policies) if (identity := _identity(path))
        }


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
