"""What the file system says of files and folders, and whether what is written to one gets to the disk."""

from __future__ import annotations

import os
import stat
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mcpgov.doctor.facts import FileFacts, FolderFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcpgov.doctor.facts import Kind

MOUNTS: Final = "/proc/self/mountinfo"
_OCTAL: Final = 8


def file_facts(files: Iterable[tuple[Path, Kind]]) -> Iterator[FileFacts]:
    """The permissions of those files that are there."""
    for place, kind in files:
        try:
            found = place.stat()
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode):
            yield FileFacts(str(place), kind, stat.S_IMODE(found.st_mode))


def folder_facts(folder: Path) -> FolderFacts:
    """A folder that a store is in. A small file is made there, brought to the disk and taken away again."""
    try:
        free = os.statvfs(folder)
        took = _flushed(folder)
    except OSError as error:
        return FolderFacts(str(folder), file_system(folder), fault=str(error.strerror))
    return FolderFacts(str(folder), file_system(folder), free.f_bavail * free.f_frsize, took)


def _flushed(folder: Path) -> float:
    """How many seconds it takes to bring a page to the disk. Raises OSError."""
    with tempfile.NamedTemporaryFile(prefix=".mcpgov-doctor-", dir=folder) as file:
        began = time.monotonic()
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
        return time.monotonic() - began


def file_system(folder: Path, mounts: str = MOUNTS) -> str:
    """The kind of file system that a folder is on, as Linux names it; empty where it does not say."""
    try:
        lines = Path(mounts).read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    here, found = os.path.realpath(folder), ("", "")
    for line in lines:
        own, _, rest = line.partition(" - ")
        point = unescaped(own.split(" ")[4])
        if os.path.commonpath([here, point]) == point and len(point) >= len(found[0]):
            found = point, rest.split(" ")[0]
    return found[1]


def unescaped(point: str) -> str:
    """A mount point as it is called: the kernel writes what would end a word as three octal digits."""
    first, *others = point.split("\\")
    return first + "".join(chr(int(part[:3], _OCTAL)) + part[3:] for part in others)
