"""Files of the catalog are read without a secret, added without touching another, and changed in one line."""

import errno
import stat
from pathlib import Path

import pytest

from mcpgov.catalog.listing import Status
from mcpgov.catalog_files import fitting, load_catalog, with_status, write_again, write_new
from mcpgov.errors import InvalidConfiguration
from tests.cli.folder import furnish

NEW = "name: com.contoso/new\nupstream: https://new.contoso.com\nconnections: { new: {} }\n"


def test_entries_are_read_also_where_another_file_is_wrong_and_no_secret_is_set(tmp_path: Path) -> None:
    secret = NEW.replace("{}", "{ authType: CustomKeys, keys: { X-Key: '${env:NOT_SET_ANYWHERE}' } }")
    files = {"catalog/bad.yaml": "name: [", "catalog/new.yaml": secret}
    catalog = load_catalog(furnish(tmp_path, files))
    assert [entry.name for entry in catalog.entries] == ["com.contoso/github", "com.contoso/new", "com.contoso/time"]
    assert [Path(problem.file).name for problem in catalog.problems] == ["bad.yaml"]
    assert catalog.connections == {"github", "new", "time"}
    assert catalog.folder == tmp_path / "catalog"


def test_what_the_entries_say_against_each_other_is_told(tmp_path: Path) -> None:
    catalog = load_catalog(furnish(tmp_path, {"catalog/a.yaml": NEW, "catalog/b.yaml": NEW}))
    assert [problem.message.partition(" is also")[0] for problem in catalog.problems] == [
        "the server com.contoso/new 0.0.0",
        "the connection new",
    ]


def test_a_file_that_does_not_fit_is_refused_and_hides_no_other(tmp_path: Path) -> None:
    catalog = load_catalog(furnish(tmp_path))
    good, clash, bad = (tmp_path / "catalog" / name for name in ("good.yaml", "clash.yaml", "bad.yaml"))
    texts = {good: NEW, clash: NEW.replace("{ new:", "{ github:").replace("/new", "/other"), bad: "name: a\n"}
    fit, problems = fitting(catalog, texts)
    assert fit == {good: NEW}
    assert problems.keys() == {clash, bad}
    assert fitting(catalog, {bad: "name: a\n"})[0] == {}
    assert not good.exists()


def test_what_shows_in_another_file_is_told_of_the_new_one(tmp_path: Path) -> None:
    catalog = load_catalog(furnish(tmp_path))
    good, elsewhere = (tmp_path / "catalog" / name for name in ("good.yaml", "elsewhere.yaml"))
    texts = {good: NEW, elsewhere: NEW.replace("new", "else").replace("{}", "{ policies: [company] }")}
    fit, problems = fitting(catalog, texts)
    assert fit == {good: NEW}
    (problem,) = problems[elsewhere]
    assert problem.message == "set-backend-service chooses a host that the connection else does not name"


def test_files_that_were_wrong_before_are_not_blamed_on_the_new_one(tmp_path: Path) -> None:
    catalog = load_catalog(furnish(tmp_path, {"catalog/old.yaml": "name: a\n"}))
    with pytest.raises(InvalidConfiguration, match=r"old\.yaml"):
        fitting(catalog, {tmp_path / "catalog" / "new.yaml": NEW})


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    catalog = load_catalog(furnish(tmp_path))
    place = catalog.free_place("github")
    assert place.name == "github-2.yaml"
    assert catalog.free_place("github", [place]).name == "github-3.yaml"
    write_new(place, NEW)
    assert catalog.free_place("github").name == "github-3.yaml"  # it is there by now
    with pytest.raises(FileExistsError):
        write_new(place, "other")
    assert place.read_text() == NEW
    assert [path.name for path in (tmp_path / "catalog").iterdir() if path.name.startswith(".")] == []


def test_where_there_are_no_hard_links_a_new_file_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    write_new(tmp_path / "a.yaml", NEW)
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a.yaml", "other")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.yaml", NEW)]


def test_a_file_that_is_written_again_keeps_its_mode(tmp_path: Path) -> None:
    place = tmp_path / "a.yaml"
    place.write_text("one")
    place.chmod(0o640)
    write_again(place, "two\r\n")
    assert (place.read_bytes(), stat.S_IMODE(place.stat().st_mode)) == (b"two\r\n", 0o640)
    with pytest.raises(FileNotFoundError):
        write_again(tmp_path / "gone.yaml", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# a\nname: a/b   # the name\nx: 1\n", "# a\nname: a/b   # the name\nstatus: deprecated\nx: 1\n"),
        ("name: a/b", "name: a/b\nstatus: deprecated\n"),
        ("name: a/b\r\nx: 1\r\n", "name: a/b\r\nstatus: deprecated\r\nx: 1\r\n"),
        ("name: a/b\nstatus:   active  # yes, active\n", "name: a/b\nstatus:   deprecated  # yes, active\n"),
        ("status: 'active'\nname: a/b\n", "status: deprecated\nname: a/b\n"),
        ("{ name: a/b, status: active }\n", "{ name: a/b, status: deprecated }\n"),
        ("name: a/b\nstatus:\n  active\n", "name: a/b\nstatus:\n  deprecated\n"),
    ],
)
def test_the_status_is_changed_in_one_line_and_every_other_byte_stays(before: str, after: str) -> None:
    assert with_status(before, "a.yaml", Status.DEPRECATED) == after
    assert with_status(after, "a.yaml", Status.DEPRECATED) == after


@pytest.mark.parametrize("text", ["{ name: a/b }\n", "name: |\n  a/b\nx: 1\n"])
def test_where_that_takes_more_than_a_line_nothing_is_changed(text: str) -> None:
    with pytest.raises(InvalidConfiguration, match="write it yourself"):
        with_status(text, "a.yaml", Status.DEPRECATED)
