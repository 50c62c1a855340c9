"""A gateway saved in one archive while it runs, and restored from one.

Rules: everything that goes into an archive is copied first, so that what the manifest says of it stays true. Whatever
ends this early, by a fault or by Ctrl-C, leaves nothing behind. A restore replaces nothing: it makes a new folder, or
puts a store where there is none.

What a restored store means for the ledger: a gateway that starts with it begins a chain of its own, and ends those of
the writers that are in the copy as if they had died at that moment. No chain has two ends under one name for that; but
records that the gateway which was saved wrote since are not in the copy, and checkpoints that left show the gap.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mcpgov import __version__
from mcpgov.audit.record import timestamp
from mcpgov.backup.archive import (
    BESIDE,
    extract,
    member_of,
    private_folder,
    read_archive,
    settle,
    settle_folder,
    write_archive,
)
from mcpgov.backup.contents import contents_of
from mcpgov.backup.manifest import FORMAT, BadArchive, Manifest
from mcpgov.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mcpgov.backup.contents import Stored
    from mcpgov.backup.manifest import StoreCopy

    CopyStore = Callable[[Path, Path], StoreCopy]  # from the file of a store to one that is not there yet

STORE: Final = "store"


@frozen
class Saved:
    """An archive that was written: what it says of itself, and its own SHA-256."""

    manifest: Manifest
    sha256: str


@frozen
class Gateway:
    """What is to be saved: the settings file, the store, and how that is copied while it is written to."""

    place: Path
    stored: Stored
    copy: CopyStore


def save(gateway: Gateway, target: Path, now: datetime, *, with_secrets: bool) -> Saved:
    """Write the archive. Raises BadArchive, OSError (FileExistsError where it is there), StoreUnavailable."""
    if os.path.lexists(target):
        raise FileExistsError(f"{target} is there already")
    contents = contents_of(gateway.place, gateway.stored, with_secrets=with_secrets)
    with private_folder(target.absolute().parent, target.name) as folder:
        files = {name: folder / str(number) for number, name in enumerate(contents.files)}
        for name, file in contents.files.items():
            shutil.copyfile(file, files[name])
        copied: StoreCopy | None = None
        if gateway.stored.file and gateway.stored.file.exists():
            if contents.store in files:
                raise BadArchive(f"the store and {contents.files[contents.store]} would both be {contents.store}")
            files[contents.store] = folder / STORE
            copied = gateway.copy(gateway.stored.file, files[contents.store])
        manifest = Manifest(
            format=FORMAT,
            mcpgov=__version__,
            made_at=timestamp(now),
            settings=contents.settings,
            store=contents.store if copied else "",
            copy=copied,
            secrets=with_secrets,
            needs=contents.needs,
            elsewhere=contents.elsewhere,
            members={name: member_of(file) for name, file in files.items()},
        )
        return Saved(manifest, write_archive(target.absolute(), files, manifest, int(now.timestamp())))


def restore_folder(archive: Path, folder: Path, newest: int) -> Manifest:
    """Make a new folder of everything in an archive. Raises BadArchive, OSError (FileExistsError where it is there)."""
    folder = folder.absolute()
    if os.path.lexists(folder):
        raise FileExistsError(f"{folder} is there already; name one that is not")
    manifest = _readable(archive, newest)
    with private_folder(folder.parent, folder.name) as drafts:
        draft = drafts / "whole"
        draft.mkdir(mode=0o700)
        files = {name: draft / name for name in manifest.members}
        for file in files.values():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        extract(archive, manifest, files)
        settle_folder(draft, folder)
    return manifest


def restore_store(archive: Path, store: Path, newest: int) -> Manifest:
    """Put the store of an archive, and the keys that are in it, where there is none. Raises as restore_folder()."""
    manifest = _readable(archive, newest)
    if not manifest.store:
        raise BadArchive("there is no store in it")
    targets = {name: store.with_name(store.name + name.removeprefix(manifest.store)) for name in manifest.of_store}
    beside = [store.with_name(store.name + ending) for ending in BESIDE]  # the log of another store would be read in
    if there := [path for path in (*targets.values(), *beside) if os.path.lexists(path)]:
        raise FileExistsError(f"{there[0]} is there already; move it away, with what lies beside it")
    with private_folder(store.parent, store.name) as drafts, ExitStack() as undo:
        extract(archive, manifest, {name: drafts / target.name for name, target in targets.items()})
        for name in sorted(targets, reverse=True):  # the store last: with it a gateway can start
            undo.callback(_unlink_ours, targets[name], drafts / targets[name].name)
            settle(drafts / targets[name].name, targets[name])
        undo.pop_all()
    return manifest


def _readable(archive: Path, newest: int) -> Manifest:
    """The manifest of an archive that is whole and whose store this release can read."""
    manifest = read_archive(archive)
    if manifest.copy and manifest.copy.schema > newest:
        says = f"the store in it has schema {manifest.copy.schema}, and this mcpgov reads {newest}"
        raise BadArchive(f"{says}: restore it with mcpgov {manifest.mcpgov} or a newer one")
    return manifest


def _unlink_ours(placed: Path, draft: Path) -> None:
    """Take back a file that we placed, and none that was somebody else's."""
    with suppress(FileNotFoundError):
        if placed.samefile(draft):
            placed.unlink()
