"""Folders of files, and their text, which is read again only where the system says that it may have changed.

Rules: a file is taken for unchanged by what the system knows of it (which file it is, its size, when it was written and
when it was changed), never by its name alone, and only if it had been left alone for a while when it was read: two
changes in one tick of the file system's clock look like one. What is known of a file is asked before it is read, so
that what is written meanwhile is seen the next time. Refuses to know: what the files say.
"""

from __future__ import annotations

import time
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mcpgov.errors import Problem
from mcpgov.frozen import frozen
from mcpgov.settings_file import read_text

if TYPE_CHECKING:
    from pathlib import Path

    from mcpgov.yaml_source import Source

SETTLED: Final = 10_000_000_000  # nanoseconds; the clocks of some file systems tick every two seconds
BEGINNING: Final = datetime.fromtimestamp(0, UTC)  # when a file was written of which nobody knows

Status = tuple[int, int, int, int, int]


@frozen
class TextFile:
    """A file as it was read. `status` tells it from every other and from what it was before; None where it is not
    known, or may come to be the same for another text.
    """

    text: str = field(repr=False)
    written: datetime
    status: Status | None


def read_file(place: Path, before: TextFile | None = None) -> TextFile:
    """The file that is there now; `before` where it is still the same. Raises InvalidConfiguration."""
    try:
        found = place.stat()
    except OSError:
        return TextFile(read_text(place), BEGINNING, None)  # which says what is wrong with it
    status = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if before and before.status == status:
        return before
    settled = time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > SETTLED
    text = read_text(place)
    return TextFile(text, datetime.fromtimestamp(found.st_mtime, UTC), status if settled else None)


@frozen
class Folder:
    """A folder of files. `source` is the settings file that names it; None where it has its default name."""

    path: Path
    key: str
    source: Source | None

    def problem(self, error: OSError) -> Problem:
        """That it cannot be read: said where it is named, or else of the folder itself."""
        if self.source is None:
            mend = "mcpgov init makes a folder to start from"
            return Problem(str(self.path), 0, 0, f"cannot be read: {error.strerror}", mend)
        what, mend = f"cannot be read: {error.strerror}", "name another"
        if isinstance(error, FileNotFoundError):
            what, mend = "is not there", "make it, or name another"
        return self.source.problem((self.key,), f"the folder {self.path} {what}", mend)
