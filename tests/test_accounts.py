"""Records name the account of this machine that did something, also where it has no name."""

import os
import pwd
from pathlib import Path

import pytest

from mcpgov.accounts import local_user, owners_of


def test_the_owners_of_files_are_named_where_they_have_a_name(tmp_path: Path) -> None:
    (mine := tmp_path / "mine.yaml").touch()
    assert owners_of((mine, mine, tmp_path / "gone.yaml")) == mine.owner()
    (theirs := tmp_path / "theirs.yaml").touch()
    if os.getuid() == 0:
        os.chown(theirs, 54_321, -1)
        assert owners_of((mine, theirs)) == f"54321 {mine.owner()}"


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: int) -> pwd.struct_passwd:
        raise KeyError("no such account")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert local_user() == f"local:{os.getuid()}"
