"""What the figures were taken with and on: the machine, its programs, and what had to be installed first."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES: Final = {"wrk": "wrk", "nginx": "nginx-light", "cc": "gcc libc6-dev"}
PATH: Final = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
QUIET: Final = 0.3  # runnable processes, on the average of a minute, beyond which a machine is busy with something else

LOOK: Final = 5.0  # seconds between two looks whether it is quiet
LOOKS: Final = 36


def have(program: str) -> bool:
    """Whether a program is there, installed now if it can be: as root, with apt-get."""
    if shutil.which(program, path=PATH):
        return True
    if os.geteuid() or shutil.which("apt-get") is None:
        return False
    sys.stderr.write(f"installing {PACKAGES[program]}\n")
    for verb in (("update",), ("install", "-y", "--no-install-recommends", *PACKAGES[program].split())):
        quiet = ("apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", *verb)
        if subprocess.run(quiet, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            return False
    return shutil.which(program, path=PATH) is not None


def missing() -> list[str]:
    """What of the programs that every run needs could not be had."""
    return [program for program in ("wrk", "cc") if not have(program)]


def said(*command: str) -> str:
    """The first line that a program says, on either stream; empty where it is not there."""
    if (program := shutil.which(command[0], path=PATH)) is None:
        return ""
    made = subprocess.run((program, *command[1:]), check=False, capture_output=True, text=True)
    return next(iter((made.stdout + made.stderr).splitlines()), "")


def cpu_model() -> str:
    """As the kernel names it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def commit() -> str:
    """Which commit is measured, `+` after it where files were changed."""
    revision = said("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD")
    return revision + ("+" if said("git", "-C", str(Path(__file__).parent), "status", "--porcelain") else "")


def average() -> float:
    """Runnable processes, on the average of a minute."""
    return os.getloadavg()[0]


def machine() -> dict[str, str | int | float | bool]:
    """The machine, as it was when the run began. `busy`: something else was running, and the figures are worth less."""
    load = average()
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(gib),
        "kernel": platform.release(),
        "load_average": round(load, 2),
        "busy": load > QUIET,
    }


def until_quiet(load: Callable[[], float] = average, pause: Callable[[float], None] = time.sleep) -> None:
    """Wait until the average has forgotten what ran before; not for ever, as something else may go on."""
    for look in range(LOOKS):
        if load() <= QUIET:
            return
        if look == 0:
            sys.stderr.write("waiting until the machine is quiet, three minutes at most\n")
        pause(LOOK)


def versions() -> dict[str, str]:
    """The programs that take part in every run."""
    wrk = said("wrk", "-v").split()
    return {
        "mcpgov": commit(),
        "python": platform.python_version(),
        "wrk": wrk[1] if len(wrk) > 1 else "",
        "cc": said("cc", "--version"),
        **{name: version(name) for name in ("uvicorn", "uvloop", "httptools", "aiohttp")},
    }
