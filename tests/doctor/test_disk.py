"""What the file system says is told as it is, and looking leaves nothing behind."""

from pathlib import Path

import pytest

from mcpgov.doctor import disk
from mcpgov.doctor.disk import file_facts, file_system, folder_facts, unescaped
from mcpgov.doctor.facts import Kind

MOUNTS = """\
22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/sda rw
30 22 0:30 / /mnt rw - tmpfs tmpfs rw
31 30 0:31 / /mnt/a\\040share rw shared:2 master:1 - nfs4 server:/x rw
32 22 0:32 / /mnt rw - xfs /dev/sdb rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"), [("/var", "ext4"), ("/mnt", "xfs"), ("/mnt/a share/b", "nfs4"), ("/mntx", "ext4")]
)
def test_a_folder_is_on_the_nearest_mount_that_came_last(tmp_path: Path, folder: str, kind: str) -> None:
    (tmp_path / "mounts").write_text(MOUNTS)
    assert file_system(Path(folder), str(tmp_path / "mounts")) == kind


def test_a_system_that_does_not_say_is_not_guessed_at(tmp_path: Path) -> None:
    assert file_system(tmp_path, str(tmp_path / "none")) == ""
    assert unescaped("/a\\040b\\134c") == "/a b\\c"


def test_a_folder_is_written_to_and_left_as_it_was(tmp_path: Path) -> None:
    found = folder_facts(tmp_path)
    assert (found.place, found.fault, list(tmp_path.iterdir())) == (str(tmp_path), "", [])
    assert found.free > 0
    assert found.flush > 0


def test_a_folder_that_is_not_there_or_does_not_flush_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_facts(tmp_path / "none").fault == "No such file or directory"

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(disk.os, "fsync", broken)
    assert folder_facts(tmp_path).fault == "Input/output error"
    assert list(tmp_path.iterdir()) == []


def test_permissions_are_those_of_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").touch(0o640)
    (tmp_path / "a").chmod(0o640)
    found = file_facts([(tmp_path / "a", Kind.KEY), (tmp_path / "none", Kind.KEY), (tmp_path, Kind.STORE)])
    assert [(one.place, one.mode) for one in found] == [(str(tmp_path / "a"), 0o640)]
