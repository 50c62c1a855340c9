"""A disk that says, when it is told to, that a file could not be flushed; a real error of a real system call."""

import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

APT_SECONDS: Final = 300
COMPILE_SECONDS: Final = 60
LEFT_OUT: Final = "left out: a disk that cannot flush; there is no C compiler here, and it cannot be installed"
# Stands before the C library: a flush of a file whose name holds FAILING fails while the file FAILS_WHILE is there.
SOURCE: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fails(int descriptor) {
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    return strstr(name, getenv("FAILING")) && access(getenv("FAILS_WHILE"), F_OK) == 0;
}

int fsync(int descriptor) {
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, "fsync");
    if (fails(descriptor)) { errno = EIO; return -1; }
    return real(descriptor);
}

int fdatasync(int descriptor) {
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, "fdatasync");
    if (fails(descriptor)) { errno = EIO; return -1; }
    return real(descriptor);
}
"""


def has_compiler() -> bool:
    """Whether there is a C compiler, after trying to install it where that is allowed (root on Debian)."""
    if shutil.which("cc") is None and shutil.which("apt-get") is not None and os.geteuid() == 0:
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "gcc", "libc6-dev"]):
            subprocess.run(["apt-get", "-qq", *words], check=False, capture_output=True, timeout=APT_SECONDS)
    return shutil.which("cc") is not None


@dataclass(frozen=True, slots=True)
class FailingDisk:
    """The library in a folder. A process with its `environment` cannot flush the file `failing` while it fails."""

    folder: Path
    failing: str

    @property
    def library(self) -> Path:
        """What is loaded before the C library."""
        return self.folder / "failing_disk.so"

    @property
    def environment(self) -> dict[str, str]:
        """What a process that has such a disk is started with."""
        told = {"FAILING": self.failing, "FAILS_WHILE": str(self.folder / "fails")}
        return {"LD_PRELOAD": str(self.library), **told}

    def make(self) -> None:
        """Compile it."""
        source = self.folder / "failing_disk.c"
        source.write_text(SOURCE)
        command = ["cc", "-shared", "-fPIC", "-o", str(self.library), str(source), "-ldl"]
        subprocess.run(command, check=True, capture_output=True, timeout=COMPILE_SECONDS)

    @contextmanager
    def fails(self) -> Generator[None]:
        """While the block runs."""
        (self.folder / "fails").touch()
        try:
            yield
        finally:
            (self.folder / "fails").unlink()
