"""Which files of a gateway go into an archive, under which names, and what it needs besides.

Rules: the files that a gateway reads, and the cases beside them; hidden files and other endings stay out. A secret goes
in only when that is said: the keys beside the store, and files in the settings' own folder that `${file:…}` names.
What comes from the environment or a Key Vault never does. Settings that are wrong can be saved all the same.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from mcpgov.backup.manifest import BadArchive
from mcpgov.credential.references import referenced
from mcpgov.frozen import frozen
from mcpgov.reload import folders_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ENDINGS: Final = frozenset({".yaml", ".yml", ".xml"})
_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)


@frozen
class Contents:
    """The files by the names of their members, without the store itself, whose name is `store` (empty for none).

    `secrets` are the files that `${file:…}` names, in the archive or not.
    """

    settings: str
    store: str
    files: Mapping[str, Path]
    needs: tuple[str, ...]
    elsewhere: dict[str, str]
    secrets: tuple[Path, ...]


@frozen
class Stored:
    """The file of the store, None where that is a server, and the files of keys that lie beside it."""

    file: Path | None
    keys: Sequence[Path] = ()


def contents_of(place: Path, stored: Stored, *, with_secrets: bool) -> Contents:
    """What an archive of the gateway of this settings file holds. Raises OSError, BadArchive (two of one name)."""
    names, text = _Names(place), place.read_text("utf-8") if place.exists() else ""
    settings = names.add(place, "", place.name) if text else ""
    texts = [text]
    for folder in folders_of(place, text or None):
        for file in _read_by_gateways(folder.path):
            names.add(file, folder.key, f"{folder.key}/{file.name}", of=folder.path)
            texts.append(file.read_text("utf-8", "replace"))
    store = names.reserve(stored.file, "audit.store") if stored.file else ""
    needs: list[str] = []
    for key in stored.keys:
        name = f"{store}{key.name.removeprefix(stored.file.name if stored.file else '')}"
        if with_secrets:
            names.put(name, key)
        else:
            needs.append(f"the file {name}")
    secrets: list[Path] = []
    for kind, argument in sorted(set(_references(texts))):
        file = names.home / argument
        secrets += [file] if kind == "file" else []
        if kind == "file" and with_secrets and file.is_file() and names.inside(file):
            names.put(names.inside(file), file)
        else:
            needs.append(f"${{{kind}:{argument}}}")
    return Contents(settings, store, names.files, tuple(needs), names.elsewhere, tuple(secrets))


class _Names:
    """Gives files names: theirs below the settings' folder, or one that stands for a path that leads elsewhere."""

    def __init__(self, place: Path) -> None:
        self.home = place.parent.absolute()
        self.files: dict[str, Path] = {}
        self.elsewhere: dict[str, str] = {}

    def inside(self, file: Path) -> str:
        """The name below the settings' folder; empty for what lies elsewhere."""
        relative = os.path.relpath(os.path.normpath(file), self.home)
        return "" if relative.startswith("..") or relative == "." else relative.replace(os.sep, "/")

    def reserve(self, file: Path, key: str) -> str:
        """The name of a file that is added by somebody else."""
        if name := self.inside(file):
            return name
        self.elsewhere[key] = str(file)
        return file.name

    def add(self, file: Path, key: str, instead: str, of: Path | None = None) -> str:
        """Take a file, under `instead` where it lies elsewhere; `of` is the path that `key` names then."""
        name = self.inside(file)
        if not name:
            self.elsewhere[key] = str(of)
        return self.put(name or instead, file)

    def put(self, name: str, file: Path) -> str:
        """Take a file under this name. Raises BadArchive where another has it."""
        if os.path.normpath(self.files.setdefault(name, file)) != os.path.normpath(file):
            raise BadArchive(f"{file} and {self.files[name]} would both be {name} in the archive; rename one")
        return name


def _read_by_gateways(folder: Path) -> Iterator[Path]:
    """The files of a folder that a gateway reads, and the cases beside them; none where there is no folder."""
    if folder.is_dir():
        found = (file for file in sorted(folder.iterdir()) if file.suffix in ENDINGS and not file.name.startswith("."))
        yield from (file for file in found if file.is_file())


def _references(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        yield from referenced(_COMMENT.sub("", text))
