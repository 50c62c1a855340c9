"""The files of the catalog folder, as the verbs read and change them.

Rules: a change is checked with all other files before it is written, as a start would check them, so that a running
gateway never meets a file that does not fit. A file that is there is never overwritten by a new one; what is written is
there whole or not at all. No secret is needed for any of it: one that is not set has a stand-in. Refuses to know: where
entries come from.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcpgov.catalog.entries import Entry, parse_entry
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.frozen import frozen
from mcpgov.reload import Findings, folders_of, generation_of, read_files
from mcpgov.settings_file import lookup_for, stand_ins, stood_in
from mcpgov.snapshot import clashes
from mcpgov.yaml_source import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mcpgov.catalog.listing import Status
    from mcpgov.reload import Reading
    from mcpgov.snapshot import Snapshot

_STATUS: Final = re.compile(r"\"[a-z]+\"|'[a-z]+'|[a-z]+")


@frozen
class Catalog:
    """The entries that can be read, and what is wrong with the files that hold the others."""

    folder: Path
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    reading: Reading = field(repr=False)

    @property
    def connections(self) -> frozenset[str]:
        """The names of connections that are in use."""
        return frozenset(one.connection.name for entry in self.entries for one in entry.connections)

    def with_texts(self, texts: Mapping[Path, str]) -> Snapshot:
        """The generation that there would be with these files too. Raises InvalidConfiguration."""
        reading = replace(self.reading, catalog={**self.reading.catalog, **texts})
        return generation_of(reading, stood_in(os.environ), stand_ins)

    def free_place(self, stem: str, taken: Iterable[Path] = ()) -> Path:
        """A file that is not there yet, called after `stem`."""
        known = {place.name for place in (*self.reading.catalog, *taken)}
        names = (f"{stem}{suffix}.yaml" for suffix in ("", *(f"-{number}" for number in range(2, 10_000))))
        places = (self.folder / name for name in names if name not in known)
        return next(place for place in places if not os.path.lexists(place))


def load_catalog(config: Path | None) -> Catalog:
    """The catalog that a settings file names, or else ./mcpgov.yaml. What cannot be read is noted, not raised."""
    found, reading = Findings(), read_files(config)
    found.problems.extend(reading.problems)
    lookup = lookup_for(reading.settings_text, reading.place, stood_in(os.environ), stand_ins)
    parsed = [found.take(partial(parse_entry, text, str(place), lookup)) for place, text in reading.catalog.items()]
    entries = tuple(entry for entry in parsed if entry is not None)
    folder = folders_of(reading.place, reading.settings)[0].path
    policies = {name for entry in entries for name in _policies(entry)}
    found.problems.extend(clashes(entries, policies, folder))  # what policies there are is not asked here
    return Catalog(folder, entries, tuple(found.problems), reading)


def _policies(entry: Entry) -> Iterable[str]:
    yield from entry.policies
    for served in entry.connections:
        yield from served.policies
        for names in served.tools.values():
            yield from names


def fitting(catalog: Catalog, texts: Mapping[Path, str]) -> tuple[dict[Path, str], dict[Path, tuple[Problem, ...]]]:
    """Of new files those that fit with all others, and what is wrong with each of the rest.

    Raises InvalidConfiguration where it is the files that are there already that are wrong.
    """
    left, refused = dict(texts), dict[Path, tuple[Problem, ...]]()
    while wrong := _wrong(catalog, left):
        named = {place: tuple(one for one in wrong if one.file == str(place)) for place in left}
        named = {place: problems for place, problems in named.items() if problems}
        if not named:  # it shows in another file, such as a policy that now meets one more connection
            catalog.with_texts({})
            named = {place: problems for place in left if (problems := _wrong(catalog, {place: left[place]}))}
        refused |= named or dict.fromkeys(left, wrong)
        left = {place: text for place, text in left.items() if place not in refused}
    return left, refused


def _wrong(catalog: Catalog, texts: Mapping[Path, str]) -> tuple[Problem, ...]:
    """What would be wrong with the catalog if these files were there too; nothing without any."""
    try:
        if texts:
            catalog.with_texts(texts)
    except InvalidConfiguration as invalid:
        return invalid.problems
    return ()


def write_new(place: Path, text: str) -> None:
    """Write a file that is not there yet. Raises OSError; FileExistsError where it is."""
    draft = _drafted(place, text)
    try:
        os.link(draft, place)  # which fails, as a rename does not, where there is such a file
    except PermissionError:  # a file system without hard links
        with place.open("x", encoding="utf-8", newline="") as opened:
            opened.write(text)
    finally:
        draft.unlink()


def write_again(place: Path, text: str) -> None:
    """Put another text into a file that is there, which keeps its mode. Raises OSError."""
    draft = _drafted(place, text)
    try:
        shutil.copymode(place, draft)
        draft.replace(place)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


def _drafted(place: Path, text: str) -> Path:
    """The text in a hidden file beside `place`, which nobody takes for an entry."""
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    with draft.open("x", encoding="utf-8", newline="") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    return draft


def with_status(text: str, file: str, status: Status) -> str:
    """An entry's text that says `status`; every other byte stays.

    Raises InvalidConfiguration where that takes more than a line.
    """
    source = parse_yaml(text, file)
    value: Any = source.value
    lines = text.splitlines(keepends=True)
    if "status" in value:
        line, column = source.values["status",]
        before, after = lines[line - 1][: column - 1], lines[line - 1][column - 1 :]
        lines[line - 1] = before + _STATUS.sub(status, after, count=1)
    else:
        line, _ = source.values["name",]
        ending = "\r\n" if lines[line - 1].endswith("\r\n") else "\n"
        lines[line - 1] = f"{lines[line - 1].rstrip()}{ending}status: {status}{ending}"
    made = "".join(lines)
    if Findings().take(lambda: parse_yaml(made, file).value) != {**value, "status": str(status)}:
        problem = source.problem((), f"status: {status} cannot be put in as a line of its own", "write it yourself")
        raise InvalidConfiguration((problem,))
    return made
