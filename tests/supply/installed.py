"""The wheel, built and installed as a user has it: in an environment of its own, with nothing but what the lock names.

No package index is asked: what is locked is linked from the environment that runs the tests, at the locked version and
file by file, so that nothing comes along that the lock does not name. `scripts/wheel-check` installs it from an index.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from packaging.markers import Marker

from tests.supply.locks import lock, pins

EPOCH: Final = "1780000000"  # any second will do, as long as it is the same


def build(root: Path, folder: Path) -> tuple[Path, Path]:
    """The source distribution and the wheel of the tree at `root`, made in `folder`."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    (source,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return source, wheel


def install(wheel: Path, folder: Path, name: str = "runtime") -> Path:
    """A new environment in `folder` with the wheel and what the lock of this name pins; the folder of its programs."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for locked in distributions(name):
        link(locked, site)
    python = folder / "bin" / "python"
    offline = ["--offline", "--no-index", "--no-deps", "--quiet", "--no-cache"]
    subprocess.run([sys.executable, "-m", "uv", "pip", "install", *offline, "--python", python, wheel], check=True)
    return folder / "bin"


def distributions(name: str) -> Iterator[Distribution]:
    """What a lock pins for this machine, as it is installed here, at that very version or not at all."""
    for pin in pins(lock(name)):
        if pin.marker and not Marker(pin.marker).evaluate():
            continue
        found = distribution(pin.name)
        assert found.version == pin.version, f"{pin.name} is {found.version} here, and {pin.version} in the lock"
        yield found


def link(installed: Distribution, site: Path) -> None:
    """Have the files of a package in `site`, but for its programs."""
    for file in installed.files or ():
        if file.parts[0] != ".." and file.suffix != ".pyc":
            place = site / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(Path(str(installed.locate_file(file))).resolve())
