"""The archive: a tar without compression, whose first member says what the others are.

Rules: it has its name when it is whole and on the disk, and replaces nothing; only its owner may read it, because
settings may hold what should not be there. Before anything is taken out, all of it is read and held against the
manifest; and again while it is taken out, because a file can change in between. Only plain files under the names of
the manifest are known, each once: no link, no device, no name that leads elsewhere. What was begun is taken back.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from mcpgov.backup.manifest import MANIFEST, MOST_BYTES, BadArchive, Manifest, Member, is_safe, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

CHUNK: Final = 1 << 20  # bytes
BESIDE: Final = "-wal", "-shm", "-journal"  # what SQLite would read together with a file of this name


@contextlib.contextmanager
def private_folder(parent: Path, name: str) -> Generator[Path]:
    """A folder for drafts beside where they are to be, which nobody else may enter; gone afterwards. Raises OSError."""
    folder = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def member_of(file: Path) -> Member:
    """A file as a manifest has it. Raises OSError."""
    with file.open("rb") as opened:
        return Member(os.fstat(opened.fileno()).st_size, digest_of(opened))


def digest_of(source: IO[bytes]) -> str:
    """The SHA-256 of what is left of a file, in hex."""
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def write_archive(place: Path, files: Mapping[str, Path], manifest: Manifest, at: int) -> str:
    """Write these files, which nobody changes meanwhile, and their manifest at `place`; `at` is the time of all of
    them, in seconds since 1970. Its SHA-256. Raises OSError (FileExistsError where something is there), BadArchive.
    """
    if unfit := [name for name in files if not is_safe(name)]:
        raise BadArchive(f"{files[unfit[0]]} has a name that an archive cannot have everywhere; rename it")
    with private_folder(place.parent, place.name) as folder:
        draft = folder / "archive"
        with draft.open("xb") as target, tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
            content = manifest.written()
            tar.addfile(_header(MANIFEST, len(content), at), io.BytesIO(content))
            for name in sorted(files):
                with files[name].open("rb") as source:
                    tar.addfile(_header(name, manifest.members[name].bytes, at), source)
        draft.chmod(0o600)
        digest = member_of(draft).sha256
        settle(draft, place)
        return digest


def read_archive(place: Path) -> Manifest:
    """The manifest, once everything in the archive was held against it. Raises BadArchive, OSError."""
    with _opened(place) as tar:
        manifest, seen = _manifest(tar), set[str]()
        for name, source in _members(tar, manifest, seen):
            if digest_of(source) != manifest.members[name].sha256:
                raise BadArchive(f"{name} is not what it was when the archive was made")
        if missing := sorted(manifest.members.keys() - seen):
            raise BadArchive(f"{missing[0]} is missing")
    return manifest


def extract(place: Path, manifest: Manifest, files: Mapping[str, Path]) -> None:
    """Take members out of an archive that was read, each to a new file. Raises BadArchive, OSError."""
    left = dict(files)
    with _opened(place) as tar:
        if _manifest(tar) != manifest:
            raise BadArchive("it was changed while it was read")
        for name, source in _members(tar, manifest, set()):
            if target := left.pop(name, None):
                _write(source, target, manifest.members[name])
    if left:
        raise BadArchive("it was changed while it was read")


def settle(draft: Path, place: Path) -> None:
    """Give a file that is whole its name, on the disk. Raises FileExistsError rather than replace anything."""
    synced(draft)
    os.link(draft, place)
    synced(place.parent)


def settle_folder(draft: Path, place: Path) -> None:
    """Give a folder that is whole its name, on the disk; what is there is not replaced. Raises OSError."""
    for folder, _, _ in os.walk(draft):
        synced(Path(folder))
    if os.path.lexists(place):
        raise FileExistsError(f"{place} is there already")
    draft.rename(place)  # what appears at this very moment is replaced only if it is an empty folder
    synced(place.parent)


def synced(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _header(name: str, size: int, at: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = size, at, 0o600
    return header


@contextlib.contextmanager
def _opened(place: Path) -> Generator[tarfile.TarFile]:
    """The archive, for one way through it. Raises BadArchive where it is none, or ends too early."""
    try:
        with tarfile.open(place, "r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError, UnicodeError, ValueError, OverflowError) as error:
        raise BadArchive(f"it cannot be read as a tar ({type(error).__name__})") from None


def _manifest(tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or not _plain(first) or first.size > MOST_BYTES:
        raise BadArchive(f"its first member is not {MANIFEST}")
    return parse_manifest(_content(tar, first).read())


def _members(tar: tarfile.TarFile, manifest: Manifest, seen: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """The members behind the manifest, each as the manifest has it but for its digest; `seen` gets their names."""
    while (found := tar.next()) is not None:
        name = found.name
        if name in seen or name == MANIFEST:
            raise BadArchive(f"{name!r} is in it twice")
        if name not in manifest.members:
            raise BadArchive(f"{name!r} is in it, and not in {MANIFEST}")
        if not _plain(found) or found.size != manifest.members[name].bytes:
            raise BadArchive(f"{name} is not the file that {MANIFEST} says")
        seen.add(name)
        yield name, _content(tar, found)


def _plain(found: tarfile.TarInfo) -> bool:
    """Whether a member is a file and nothing more: no link, no folder, no device, no file with holes."""
    return found.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not found.issparse() and not found.linkname


def _content(tar: tarfile.TarFile, found: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(found)
    if content is None:
        raise BadArchive(f"{found.name} has no content")
    return content


def _write(source: IO[bytes], target: Path, member: Member) -> None:
    """Write one file, for its owner alone, and hold what was written against the manifest."""
    digest = hashlib.sha256()
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            opened.write(chunk)
        opened.flush()
        os.fsync(opened.fileno())
    if digest.hexdigest() != member.sha256:
        raise BadArchive("it was changed while it was read")
