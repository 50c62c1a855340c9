"""What an experiment needs of the system: programs, and the right to use them. What is not there is said in a line."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

APT_SECONDS = 300
NOTED = re.compile(r"^(?:left out|measured): .*$", re.MULTILINE)  # what is said at the end, of tests that passed


def installed(program: str, package: str) -> str | None:
    """A program, after trying to install it where that is allowed (root on Debian)."""
    if shutil.which(program) is None and shutil.which("apt-get") is not None and os.geteuid() == 0:
        for words in (["update"], ["install", "--yes", "--no-install-recommends", package]):
            subprocess.run(["apt-get", "-qq", *words], check=False, capture_output=True, timeout=APT_SECONDS)
    return shutil.which(program)


async def can_trace() -> bool:
    """Whether system calls can be watched and failed; says so if not."""
    strace = await asyncio.to_thread(installed, "strace", "strace")
    if strace is None:
        return left_out("strace is not there, and cannot be installed")
    tried = await asyncio.create_subprocess_exec(
        strace, "-D", "-f", "--seccomp-bpf", "-e", "trace=fsync", "true", stderr=asyncio.subprocess.PIPE
    )
    _, told = await tried.communicate()
    if tried.returncode != 0 or b"+++ exited" not in told:
        return left_out(f"strace cannot attach: {told.decode(errors='replace').strip()[:200]}")
    return True


def left_out(why: str) -> bool:
    """Say what is not tested; gives back False."""
    note(f"left out: {why}")
    return False


def note(line: str) -> None:
    """Say something that is to be read also when all is well."""
    sys.stderr.write(f"\n{line}\n")


def faketime() -> str | None:
    """The library that turns a program's clock; says so where there is none."""
    installed("faketime", "faketime")  # also brings the library
    found = sorted(str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        left_out("libfaketime is not there, and cannot be installed")
    return found[0] if found else None
