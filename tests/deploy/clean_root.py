"""The steps of a Dockerfile, run without a container engine: each stage in an overlay over what it is built from.

Needs root on Linux, and mounts of its own (`unshare --mount`), which end with the process. An image of the outside is
this machine with a Python that is called `python`; PATH has that and the system's own programs.
Refuses to know: what the image is for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.deploy.dockerfile import Stage, Step, environment, lineage

SYSTEM: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BASE: Final = "/usr/local/base-image"  # the Python of what an image of the outside would bring
OUTSIDE: Final = ("/etc/resolv.conf", "/etc/hosts")
CACHES: Final = shutil.ignore_patterns("__pycache__")
HANDED_ON: Final = ("PIP_", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


def do(*words: str | Path) -> None:
    """Run a program of this machine. Raises CalledProcessError."""
    subprocess.run([str(word) for word in words], check=True)


@dataclass(frozen=True, slots=True)
class Root:
    """A file system that is put together: `layers` are the folders with what each stage changed, the newest first."""

    folder: Path
    layers: tuple[Path, ...]
    env: Mapping[str, str]
    cwd: str = "/"
    user: str = "0:0"

    def run(self, line: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program in it, as its user, in its folder. Raises CalledProcessError."""
        return subprocess.run(self.command(line), check=check, text=True, stdout=subprocess.PIPE)

    def command(self, line: Sequence[str]) -> list[str]:
        """How one runs a program in it."""
        variables = [f"{name}={value}" for name, value in self.env.items()]
        entered = ["sh", "-c", 'cd "$0" && exec "$@"', self.cwd]
        return ["chroot", f"--userspec={self.user}", str(self.folder), "env", "-i", *variables, *entered, *line]


class Builder:
    """Builds stages of one Dockerfile below `work`, a folder in memory. `context` is where COPY finds files."""

    def __init__(self, stages: list[Stage], context: Path, work: Path) -> None:
        self._stages = stages
        self._context = context
        self._work = work
        self._done: dict[str, Root] = {}

    def build(self, name: str) -> Root:
        """The root of a stage, and of all that it needs."""
        if name not in self._done:
            stage = next(stage for stage in self._stages if stage.name == name)
            inside = any(other.name == stage.base for other in self._stages)
            root = self._layer(name, self.build(stage.base) if inside else self._outside())
            for step in stage.steps:
                root = self._after(step, root)
            env = environment(lineage(self._stages, name), self._outside().env)
            self._done[name] = Root(root.folder, root.layers, env, root.cwd, root.user)
        return self._done[name]

    def _outside(self) -> Root:
        """The machine we are on, with a Python that is called `python`."""
        if BASE not in self._done:
            handed = {name: value for name, value in os.environ.items() if name.upper().startswith(HANDED_ON)}
            bare = Root(Path("/"), (), {"PATH": SYSTEM, "HOME": "/root", **handed})
            root = self._layer("base", bare)
            # One that everybody may run: a Python of root's own would be of no use to the image's user.
            root.run([shutil.which("python3", path=SYSTEM) or sys.executable, "-m", "venv", BASE])
            self._done[BASE] = Root(root.folder, root.layers, {**root.env, "PATH": f"{BASE}/bin:{SYSTEM}"})
        return self._done[BASE]

    def _layer(self, name: str, below: Root) -> Root:
        """A new root over another, which is not changed."""
        upper, scratch, folder = (self._work / name / part for part in ("upper", "scratch", "root"))
        for place in (upper, scratch, folder):
            place.mkdir(parents=True)
        lower = ":".join(map(str, (*below.layers, "/")))
        do("mount", "-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={scratch}", "overlay", folder)
        for tree in ("dev", "proc"):
            do("mount", "--rbind", f"/{tree}", folder / tree)
        for file in OUTSIDE:
            (folder / file[1:]).write_bytes(Path(file).read_bytes())
        do("mount", "-t", "tmpfs", "nothing", folder / str(self._context)[1:])
        return Root(folder, (upper, *below.layers), below.env, below.cwd, below.user)

    def _after(self, step: Step, root: Root) -> Root:
        """The root after one instruction; those that only say how it is run are read elsewhere."""
        if step.name == "WORKDIR":
            (root.folder / step.text[1:]).mkdir(parents=True, exist_ok=True)
            return Root(root.folder, root.layers, root.env, step.text, root.user)
        if step.name == "USER":
            return Root(root.folder, root.layers, root.env, root.cwd, {"root": "0:0"}.get(step.text, step.text))
        if step.name == "RUN":
            root.run(["sh", "-c", step.text])
        elif step.name == "COPY":
            self._copy(step.words(), root)
        return root

    def _copy(self, words: list[str], root: Root) -> None:
        """COPY [--from=STAGE] SOURCE… DESTINATION."""
        source = self._context
        if words[0].startswith("--from="):
            source = self.build(words.pop(0).removeprefix("--from=")).folder
        *names, to = words
        target = root.folder / str(Path(root.cwd, to))[1:]
        for name in names:
            what = source / name.lstrip("/")
            if what.is_dir():
                shutil.copytree(what, target, symlinks=True, dirs_exist_ok=True, ignore=CACHES)
            else:
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy2(what, target)
