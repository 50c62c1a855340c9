"""A release is the tagged commit, the same bytes wherever it is built, and goes nowhere by itself."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.supply.locks import ROOT
from tests.supply.release import differing, git, in_the_way, notes, release, sums, version_of

CHANGELOG = """\
# Changelog

## [Unreleased]

- Not yet.

## [1.2.3] - 2026-11-30

### Added

- A door.

## [1.2.2] - 2026-11-01

## [1.2.1]

- Undated.
"""
IDENTITY = {
    f"GIT_{role}_{what}": "release@contoso.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


def commit(root: Path, words: str) -> None:
    """Commit everything that changed."""
    git(root, "add", "--all")
    subprocess.run(["git", "commit", "--quiet", "-m", words], cwd=root, check=True, env={**os.environ, **IDENTITY})


def repository(root: Path, version: str = "1.2.3") -> Path:
    """A commit that is a release, but for its tag."""
    (root / "mcpgov").mkdir()
    (root / "mcpgov" / "__init__.py").write_text(f'__version__ = "{version}"\n', "utf-8")
    (root / "CHANGELOG.md").write_text(CHANGELOG, "utf-8")
    git(root, "init", "--quiet")
    commit(root, "Begin")
    return root


def clone(folder: Path) -> Path:
    """The tree here as the commit of a repository whose version is a release."""
    root = folder / "clone"
    shutil.copytree(ROOT, root, symlinks=True, ignore=shutil.ignore_patterns(".*", "__pycache__", "node_modules"))
    shutil.copy(ROOT / ".gitignore", root)
    git(root, "init", "--quiet")
    init = root / "mcpgov" / "__init__.py"
    init.write_text(init.read_text("utf-8").replace(f'"{version_of(root)}"', '"1.2.3"'), "utf-8")
    (root / "CHANGELOG.md").write_text(CHANGELOG, "utf-8")
    commit(root, "Release")
    git(root, "tag", "v1.2.3")
    return root


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """scripts/release in a clone, without the set-up."""
    command = [sys.executable, "-m", "tests.supply.release", *words]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(command, cwd=root, env=environment, check=False, capture_output=True, text=True)


def test_a_tagged_commit_with_its_notes_is_a_release(tmp_path: Path) -> None:
    root = repository(tmp_path)
    git(root, "tag", "v1.2.3")
    assert list(in_the_way(root)) == []


def test_what_is_no_release_is_said_each(tmp_path: Path) -> None:
    root = repository(tmp_path, "1.3.0.dev0")
    (root / "new.txt").touch()
    assert list(in_the_way(root)) == [
        "the tree has changes: 1 files, the first is new.txt",
        "1.3.0.dev0 is a version of development: change mcpgov/__init__.py",
        "the commit has no tag v1.3.0.dev0",
        "CHANGELOG.md has no section [1.3.0.dev0] with a date",
    ]
    git(root, "tag", "v9")
    (root / "mcpgov" / "__init__.py").write_text("nothing", "utf-8")
    assert "mcpgov/__init__.py has no version that installers know: ''" in list(in_the_way(root))


def test_the_notes_are_the_section_of_the_version() -> None:
    assert notes(CHANGELOG, "1.2.3") == "### Added\n\n- A door.\n"
    assert [notes(CHANGELOG, version) for version in ("1.2.2", "1.2.1", "1.2", "Unreleased", "1x2x3")] == [""] * 5


def test_a_file_that_differs_or_is_missing_is_named() -> None:
    one = {"a": b"1", "b": b"2", "c": b"3"}
    assert differing(one, dict(one)) == []
    assert differing(one, {"a": b"1", "b": b"x", "d": b"4"}) == ["b", "c", "d"]


def test_nothing_is_made_while_something_is_in_the_way(tmp_path: Path) -> None:
    def hand_over(files: list[Path]) -> None:
        raise AssertionError(files)

    root = repository(tmp_path)
    for words in ([], ["--publish"]):
        said, code = release(root, words, hand_over)
        assert (said, code) == ("the commit has no tag v1.2.3\nrelease: nothing was made", 1)
    assert not (root / "dist").exists()


def test_a_release_is_built_twice_alike_and_a_rehearsal_leaves_nothing(tmp_path: Path) -> None:
    root = clone(tmp_path)
    rehearsed = run(root, "--dry-run")
    assert (rehearsed.returncode, rehearsed.stderr) == (0, "")
    assert rehearsed.stdout.endswith("release: 0 things in the way; nothing was kept\n")
    assert not (root / "dist").exists()
    made = run(root)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1] == "release: 1.2.3 is in dist/; nothing was published (--publish does it)"
    assert made.stdout.splitlines()[:-1] == rehearsed.stdout.splitlines()[:-1]
    dist = root / "dist"
    assert sorted(file.name for file in dist.iterdir()) == [
        *("NOTES.md", "SHA256SUMS", "mcpgov-1.2.3-py3-none-any.whl", "mcpgov-1.2.3.tar.gz", "sbom.cdx.json"),
    ]
    assert (dist / "NOTES.md").read_text("utf-8") == "### Added\n\n- A door.\n"
    files = {file.name: file.read_bytes() for file in dist.iterdir() if file.name != "SHA256SUMS"}
    assert (dist / "SHA256SUMS").read_text("utf-8") == sums(files)
    assert run(root).stdout.startswith("dist/ is there already")
    made_of_source(dist, tmp_path / "unpacked")


def made_of_source(dist: Path, folder: Path) -> None:
    """The wheel that is built from the source distribution is the wheel."""
    archive = dist / "mcpgov-1.2.3.tar.gz"
    folder.mkdir()
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", folder], check=True)
    with tarfile.open(archive) as source:
        times = {member.mtime for member in source.getmembers()}
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(*times)}
    subprocess.run(command, cwd=folder / "mcpgov-1.2.3", env=environment, check=True, capture_output=True)
    wheel = "mcpgov-1.2.3-py3-none-any.whl"
    assert (folder / wheel).read_bytes() == (dist / wheel).read_bytes()
    assert "mcpgov/py.typed" in zipfile.ZipFile(folder / wheel).namelist()
