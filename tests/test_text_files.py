"""A file is read again when the system says that it may have changed, and whenever the system cannot know."""

import os
from pathlib import Path

import pytest

from mcpgov.errors import InvalidConfiguration
from mcpgov.text_files import TextFile, read_file

LONG_AGO = 1_700_000_000


class Settled:
    """A file that was left alone for a while, as far as the system says: its real status is seconds old."""

    def __init__(self, place: Path, text: str) -> None:
        self.place = place
        place.write_text(text)
        os.utime(place, (LONG_AGO, LONG_AGO))

    def read(self) -> TextFile:
        """What is read of it, with the status that it would have if it had been there for long."""
        found, known = read_file(self.place), self.place.stat()
        status = (known.st_dev, known.st_ino, known.st_size, known.st_mtime_ns, known.st_ctime_ns)
        return TextFile(found.text, found.written, status)


def test_a_file_that_nobody_touched_is_not_read_again(tmp_path: Path) -> None:
    before = Settled(tmp_path / "a.yaml", "one").read()
    assert read_file(tmp_path / "a.yaml", before) is before
    assert before.written.timestamp() == LONG_AGO


def test_a_file_that_was_written_just_now_is_read_every_time(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("one")
    assert read_file(tmp_path / "a.yaml").status is None


def test_a_text_of_the_same_size_with_the_date_set_back_is_seen(tmp_path: Path) -> None:
    before = Settled(tmp_path / "a.yaml", "one").read()
    Settled(tmp_path / "b.yaml", "two").place.replace(tmp_path / "a.yaml")
    assert read_file(tmp_path / "a.yaml", before).text == "two"


def test_another_file_behind_a_symlink_is_seen(tmp_path: Path) -> None:
    one, two = Settled(tmp_path / "1.yaml", "one"), Settled(tmp_path / "2.yaml", "two")
    link = Settled(tmp_path / "v", "")
    link.place.unlink()
    link.place.symlink_to(one.place)
    before = link.read()
    link.place.unlink()
    link.place.symlink_to(two.place)
    assert (before.text, read_file(link.place, before).text) == ("one", "two")


def test_a_file_that_is_gone_or_a_symlink_that_leads_to_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    for name in ("gone.yaml", "loop.yaml"):
        with pytest.raises(InvalidConfiguration, match=f"{name}: cannot be read"):
            read_file(tmp_path / name)
