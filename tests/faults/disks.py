"""A disk of four megabytes: a real file system in a file, or one in memory where that cannot be mounted."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.faults.tools import left_out

SIZE: Final = 4 << 20  # bytes
PIECES: Final = (1 << 16, 1 << 10, 1)  # in which it is filled, to the last byte


class SmallDisk:
    """A mounted file system. `real`: it has blocks, a page cache that is written back, and can become read-only."""

    def __init__(self, path: Path, *, real: bool) -> None:
        self.path = path
        self.real = real
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leave no room."""
        with self._ballast.open("ab", buffering=0) as file:
            for piece in PIECES:
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(piece))

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink()

    def break_down(self) -> None:
        """Make it read-only under whoever writes, as the system does with one that it finds broken."""
        run("mount", "-o", "remount,abort", str(self.path))


def run(*words: str) -> bool:
    """Whether a program of the system did what it was told."""
    return (
        shutil.which(words[0]) is not None and subprocess.run(words, check=False, capture_output=True).returncode == 0
    )


def mounted(folder: Path) -> SmallDisk | None:
    """The disk, mounted in this folder; None, and a line that says so, where nothing can be mounted."""
    image, path = folder / "disk.img", folder / "disk"
    path.mkdir()
    with image.open("wb") as file:
        file.truncate(SIZE)
    if run("mkfs.ext4", "-q", "-m", "0", "-F", str(image)) and run("mount", "-o", "loop", str(image), str(path)):
        return SmallDisk(path, real=True)
    if run("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(path)):
        left_out("a disk with blocks cannot be mounted; one in memory takes its place")
        return SmallDisk(path, real=False)
    left_out(f"no file system can be mounted (user {os.geteuid()}): a full disk and a broken one")
    return None


@contextmanager
def small_disk(folder: Path) -> Generator[SmallDisk | None]:
    """A disk for as long as the block runs."""
    disk = mounted(folder)
    try:
        yield disk
    finally:
        if disk is not None and not run("umount", str(disk.path)):
            run("umount", "--lazy", str(disk.path))


def mount_again(folder: Path) -> None:
    """What an operator does with a disk that broke down: unmount it, check it, mount it."""
    image, path = str(folder / "disk.img"), str(folder / "disk")
    run("umount", path)
    run("e2fsck", "-fy", image)
    assert run("mount", "-o", "loop", image, path)
