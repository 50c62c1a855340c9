"""The files of the catalog as entries; a file whose bytes are still those of the last good generation is not parsed
again.

Rules: what is kept is a value of that generation and of nobody else, and only of files without a problem. What a
reference stood for is never kept: an entry that asked for anything outside of its file is made anew each time, so that
a secret that was rotated is taken. A file is the same by the SHA-256 of its text and not by its date. Pure but for what
the references ask for. Refuses to know: what entries say against each other.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mcpgov.catalog.entries import read_entry
from mcpgov.catalog.server_json import listed
from mcpgov.frozen import frozen
from mcpgov.yaml_source import parse_yaml

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from mcpgov.catalog.entries import Entry
    from mcpgov.catalog.listed import Listed
    from mcpgov.credential.references import Lookup


@frozen
class EntryFile:
    """A file that was read without a problem: its entry, and that entry as the registry keeps it.

    `digest` is the SHA-256 of the text; `alone` says that nothing outside of the text went into the entry.
    """

    digest: bytes
    entry: Entry
    listed: Listed
    alone: bool


def parse_file(place: Path, text: str, written: datetime, lookup: Lookup, before: EntryFile | None) -> EntryFile:
    """The file that says `text` and was written then; `before` is what was kept of it, if anything was.

    Raises InvalidConfiguration with every problem.
    """
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    same = before if before and before.digest == digest else None
    at = written.replace(microsecond=0)
    if same and same.alone and same.listed.updated == at:
        return same
    asked = Asked(lookup)
    if same and same.alone:
        entry = same.entry
    else:
        entry = read_entry(same.entry.source if same else parse_yaml(text, str(place)), asked)
    shown = same.listed if same and same.listed.updated == at else listed(entry, at)
    return EntryFile(digest, entry, shown, alone=not asked.anything)


class Asked:
    """A Lookup that notes whether it was asked for anything."""

    def __init__(self, inner: Lookup) -> None:
        self.anything = False
        self._inner = inner

    @property
    def folder(self) -> str:
        """The folder of mcpgov.yaml."""
        return self._inner.folder

    def environment(self, name: str) -> str:
        """The value of an environment variable. Raises Unfit when it is not set."""
        self.anything = True
        return self._inner.environment(name)

    def file(self, path: str) -> str:
        """The text of a file. Raises Unfit when it cannot be had."""
        self.anything = True
        return self._inner.file(path)

    def secret(self, url: str) -> str:
        """The value of a secret of Azure Key Vault. Raises Unfit when it cannot be had."""
        self.anything = True
        return self._inner.secret(url)
