"""The environments of peers: each of its own, made when it is first needed from versions that are pinned, then kept."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.processes import DidNotStartError
from benchmarks.upstream import cache

PINNED: Final = Path(__file__).with_name("locks")
PATIENCE: Final = 900.0  # seconds for an installation


def lock_of(peer: str) -> Path:
    """The file that pins all that a peer is made of."""
    return PINNED / f"{peer}.txt"


def pinned(peer: str, package: str) -> str:
    """The version of a package in a peer's lock."""
    found = re.search(
        rf"^{re.escape(package)}(?:\[[\w,-]+\])?==([^\s;]+)", lock_of(peer).read_text("utf-8"), re.MULTILINE
    )
    return found[1] if found else ""


def with_pip() -> str:
    """A Python that has pip, which the environment that this runs in may not have. Raises `DidNotStartError`."""
    for candidate in (sys.executable, "python3.11", "python3", "/usr/bin/python3"):
        python = shutil.which(candidate)
        if python and subprocess.run((python, "-c", "import pip"), check=False, capture_output=True).returncode == 0:
            return python
    raise DidNotStartError("no Python with pip is there")


def environment_of(peer: str) -> Path:
    """The folder of a peer's environment. Raises `DidNotStartError` with pip's last words where it cannot be made."""
    made = hashlib.sha256(lock_of(peer).read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache() / f"{peer}-{made}"
    if (folder / "whole").exists():
        return folder
    sys.stderr.write(f"installing {peer}\n")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", str(folder)), check=True)
    pip = (with_pip(), "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check")
    quiet = ("install", "--quiet", "--root-user-action=ignore", "--require-hashes", "-r", str(lock_of(peer)))
    try:
        subprocess.run((*pip, *quiet), check=True, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired as late:
        raise DidNotStartError(f"its installation took longer than {PATIENCE:.0f} s") from late
    except subprocess.CalledProcessError as failed:
        raise DidNotStartError(f"it could not be installed: {' '.join(failed.stderr.split())[-300:]}") from failed
    (folder / "whole").touch()
    return folder
