"""What the files of a configuration name and this machine does not have: folders, programs, extras of mcpgov.

Looks and makes nothing. What a start needs is told to everybody. What is tried again while it is away (further stores,
the folders of checkpoints and exports) stops no start: `away` is for who asks beforehand whether it can be there.
"""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mcpgov.extras import AZURE, PARQUET, POSTGRES, REDIS
from mcpgov.models import LocalUpstream, Secret
from mcpgov.server_urls import is_postgres
from mcpgov.settings import SQLITE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mcpgov.catalog.entries import Entry
    from mcpgov.errors import Problem
    from mcpgov.extras import Extra
    from mcpgov.settings import Settings
    from mcpgov.yaml_source import Path as Keys
    from mcpgov.yaml_source import Source

FOLDER = "file:///"


def missing(
    source: Source | None, settings: Settings | None, entries: Sequence[Entry], search: str | None
) -> Iterator[Problem]:
    """What keeps a start from succeeding. `source` is mcpgov.yaml, where there is one; `search` is PATH, None for that
    of the process.
    """
    if source and settings:
        yield from _wrong_with_store(source, ("audit", "store"), settings.audit.store)
        for keys, extra in _needed(settings):
            if not extra.installed:
                yield source.problem(keys, extra.message, extra.mend)
    for entry in entries:
        for served in entry.connections[:1]:  # all of them have one server; one that is deleted has none
            if isinstance(upstream := served.connection.upstream, LocalUpstream):
                yield from _wrong_with_command(entry.source, upstream, search)


def away(source: Source, settings: Settings) -> Iterator[Problem]:
    """What a gateway would try again and again: further stores, and folders that it can neither write to nor make."""
    for at, sink in enumerate(settings.audit.sinks):
        yield from _wrong_with_store(source, ("audit", "sinks", at), sink)
    named: list[tuple[Keys, Secret]] = [
        *((("audit", "checkpoints", at), place) for at, place in enumerate(settings.audit.checkpoints)),
        *((("audit", "exports", at, "to"), export.to) for at, export in enumerate(settings.audit.exports)),
    ]
    for keys, place in named:
        url = place.reveal()
        folder = Path(unquote(urlsplit(url).path)) if url.startswith(FOLDER) else None
        if url.startswith(SQLITE):
            folder = Path(url.removeprefix(SQLITE)).parent
        if folder and (wrong := _wrong_with_making(folder)):
            yield source.problem(keys, *wrong)


def _needed(settings: Settings) -> Iterator[tuple[Keys, Extra]]:
    """What is named that a plain installation does without, and where. A package that is not there will not come by
    itself, so this stops a start also where the store would be tried again.
    """
    audit = settings.audit
    stores: list[tuple[Keys, str | Secret]] = [
        (("audit", "store"), audit.store),
        *((("audit", "sinks", at), sink) for at, sink in enumerate(audit.sinks)),
        *((("audit", "checkpoints", at), place) for at, place in enumerate(audit.checkpoints)),
    ]
    if settings.azure is not None:
        yield ("azure",), AZURE
    if settings.counters.url is not None:
        yield ("counters",), REDIS
    for keys, store in stores:
        if isinstance(store, Secret) and is_postgres(store.reveal()):
            yield keys, POSTGRES
    for at, export in enumerate(audit.exports):
        if export.written_as == "parquet":
            yield ("audit", "exports", at), PARQUET


def _wrong_with_store(source: Source, keys: Keys, store: str | Secret) -> Iterator[Problem]:
    if isinstance(store, Secret):
        return
    file = Path(store.removeprefix(SQLITE))
    if wrong := _wrong_with_folder(file.parent):
        yield source.problem(keys, *wrong)
    elif os.access(file, os.F_OK) and file.is_dir():
        yield source.problem(keys, f"{file} is a folder", f"name a file in it: {file}/mcpgov.db")


def _wrong_with_folder(place: Path) -> tuple[str, str] | None:
    """Why a folder cannot be used, and the mend."""
    if os.access(place, os.X_OK) and place.is_dir():
        return None
    if os.path.lexists(place):
        return f"{place} is not a folder that mcpgov may enter", "name another"
    return f"the folder {place} is not there", f"mkdir -p {shlex.quote(str(place))}"


def _wrong_with_making(folder: Path) -> tuple[str, str] | None:
    """Why a folder that is made when it is needed can be neither written to nor made, and the mend."""
    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return None
    what = f"{nearest} is not a folder that mcpgov may write to"
    return what, "name another" if nearest == folder else f"make {folder} for mcpgov's user, or name another"


def _wrong_with_command(source: Source, upstream: LocalUpstream, search: str | None) -> Iterator[Problem]:
    """What would keep a local server from being started: where it is to run, and its program, as exec finds it."""
    program, folder = upstream.command[0], upstream.working_directory
    if wrong := _wrong_with_folder(Path(folder)) if folder else None:
        yield source.problem(("cwd",), *wrong)
    elif "/" in program:
        place = Path(folder, program)
        if not (os.access(place, os.X_OK) and place.is_file()):
            yield source.problem(("command", 0), f"there is no program {place} that mcpgov may run", "correct the path")
    else:
        own = dict(upstream.environment).get("PATH")
        if not shutil.which(program, path=own.reveal() if own else search):
            mend = "install it, or write its whole path"
            yield source.problem(("command", 0), f"there is no program {program} on PATH", mend)
