"""Makes a release: what is on the commit that is tagged, built twice, alike to the byte.

python -m tests.supply.release [--dry-run | --publish]

Rules: nothing is made where the tree has changes, the tag is not the version, CHANGELOG.md has no section for it,
dist/ is there, or the bill of materials is old. Each build is made from a clone of its own, at a place of its own, at
the time of the commit (https://reproducible-builds.org/specs/source-date-epoch/). Files that differ by one byte are no
release. dist/ is made last. Nothing is published without --publish. With --dry-run what stands in the way is said, and
no more.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from tests.supply import sbom
from tests.supply.locks import ROOT

SUMS: Final = "SHA256SUMS"
UMASKS: Final = (0o022, 0o077)  # a build must not depend on it; each has another
Publish = Callable[[list[Path]], None]


def git(root: Path, *words: str) -> str:
    """What git says, without the end of its last line."""
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.rstrip("\n")


def version_of(root: Path) -> str:
    """The version that the package says it has."""
    found = re.search(r'^__version__ = "(.+)"$', (root / "mcpgov" / "__init__.py").read_text("utf-8"), re.MULTILINE)
    return found[1] if found else ""


def notes(changelog: str, version: str) -> str:
    """The section of a version in a changelog, without its heading; empty where there is none with a date."""
    heading = rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n"
    found = re.search(rf"{heading}(.*?)(?=^## |\Z)", changelog, re.DOTALL | re.MULTILINE)
    return found[1].strip() + "\n" if found and found[1].strip() else ""


def in_the_way(root: Path) -> Iterator[str]:
    """Why what is checked out at `root` is no release."""
    version = version_of(root)
    if changes := git(root, "status", "--porcelain").splitlines():
        yield f"the tree has changes: {len(changes)} files, the first is {changes[0][3:]}"
    try:
        if Version(version).is_devrelease:
            yield f"{version} is a version of development: change mcpgov/__init__.py"
    except InvalidVersion:
        yield f"mcpgov/__init__.py has no version that installers know: {version!r}"
    if f"v{version}" not in git(root, "tag", "--points-at", "HEAD").splitlines():
        yield f"the commit has no tag v{version}"
    if not notes((root / "CHANGELOG.md").read_text("utf-8"), version):
        yield f"CHANGELOG.md has no section [{version}] with a date"
    if (root / "dist").exists():
        yield "dist/ is there already: another release is not mixed with this one"


def built(root: Path, folder: Path, umask: int) -> dict[str, bytes]:
    """The files made of the commit that is checked out at `root`, from a clone in `folder`."""
    source, made = folder / "source", folder / "made"
    git(root, "clone", "--quiet", "--no-hardlinks", "--no-tags", str(root), str(source))
    git(source, "checkout", "--quiet", "--detach", git(root, "rev-parse", "HEAD"))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(made)],
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": git(source, "log", "-1", "--format=%ct")},
        umask=umask,
        check=True,
        capture_output=True,
    )
    return {file.name: file.read_bytes() for file in sorted(made.iterdir())}


def differing(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """The names of the files that two builds do not have alike."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def sums(files: Mapping[str, bytes]) -> str:
    """The checksums as sha256sum writes and checks them."""
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))


def publish(files: list[Path]) -> None:
    """Hand the files to the package index, as whom and to which one the environment says."""
    subprocess.run([sys.executable, "-m", "uv", "publish", *map(str, files)], check=True)


def release(root: Path, words: list[str], hand_over: Publish) -> tuple[str, int]:
    """Make a release of what is checked out at `root`: what is printed, and the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/release")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--dry-run", action="store_true", help="say what stands in the way; leave nothing behind")
    which.add_argument("--publish", action="store_true", help="hand the files to the package index")
    wanted = parser.parse_args(words)
    hindered = list(in_the_way(root))
    if sbom.build() != sbom.FILE.read_text("utf-8"):
        hindered.append("sbom.cdx.json is not that of the locks: run scripts/sbom")
    if hindered and not wanted.dry_run:
        return "\n".join([*hindered, "release: nothing was made"]), 1
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory(prefix="another-place-") as other:
        files, again = (built(root, Path(place), umask) for place, umask in zip((one, other), UMASKS, strict=True))
    if different := differing(files, again):
        return f"two builds of one commit differ: {', '.join(different)}\nrelease: nothing was made", 1
    packages = list(files)
    version = version_of(root)
    files[sbom.FILE.name] = sbom.FILE.read_bytes()
    files["NOTES.md"] = notes((root / "CHANGELOG.md").read_text("utf-8"), version).encode()
    checksums = sums(files)
    if wanted.dry_run:
        return "\n".join([*hindered, checksums + f"release: {len(hindered)} things in the way; nothing was kept"]), 0
    dist = written(root / "dist", {**files, SUMS: checksums.encode()})
    if not wanted.publish:
        return f"{checksums}release: {version} is in dist/; nothing was published (--publish does it)", 0
    hand_over([dist / name for name in packages])
    return f"{checksums}release: {version} was published", 0


def written(dist: Path, files: Mapping[str, bytes]) -> Path:
    """A new folder with these files."""
    dist.mkdir()
    for name, content in files.items():
        (dist / name).write_bytes(content)
    return dist


def main() -> int:
    """Release and print; gives back the exit code."""
    said, code = release(ROOT, sys.argv[1:], publish)
    sys.stdout.write(said + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
