"""Nothing is taken out of an archive that is not, byte for byte, what was put into it."""

import gzip
import shutil
import stat
import tarfile
from pathlib import Path

import pytest

from mcpgov.backup.archive import extract, read_archive, settle, settle_folder, write_archive
from mcpgov.backup.manifest import MANIFEST, BadArchive, Manifest, Member, parse_manifest
from mcpgov.backup.saving import restore_folder
from mcpgov.store.database import SCHEMA_VERSION
from tests.backup.saved import furnished, members, plain, rewritten, saved_to, write


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    saved_to(folder / "gateway.tar", furnished(folder / "gateway"), with_secrets=True)
    return folder / "gateway.tar"


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path / "gateway.tar"))


def refused(archive: Path, match: str) -> None:
    """It is refused before anything is written."""
    before = sorted(archive.parent.iterdir())
    with pytest.raises(BadArchive, match=match):
        read_archive(archive)
    with pytest.raises(BadArchive, match=match):
        restore_folder(archive, archive.parent / "restored", SCHEMA_VERSION)
    assert sorted(archive.parent.iterdir()) == before


def test_an_archive_is_for_its_owner_alone_in_one_order_and_begins_with_its_manifest(archive: Path) -> None:
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    first, *others = [header.name for header, _ in members(archive)]
    assert first == MANIFEST
    assert others == sorted(others)
    assert sorted(read_archive(archive).members) == others


def test_the_same_files_make_the_same_archive(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_text("a")
    manifest = Manifest(1, "0", "now", members={"a": Member(1, "0" * 64), "b": Member(1, "0" * 64)})
    digests = {
        write_archive(tmp_path / str(names), dict.fromkeys(names, source), manifest, 7) for names in ("ab", "ba")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("at", range(1, 9))
def test_one_changed_byte_of_any_member_is_found(archive: Path, at: int) -> None:
    found = members(archive)
    header, content = found[at]
    found[at] = header, bytes([content[0] ^ 1]) + content[1:]
    write(archive, found)
    refused(archive, f"{header.name} is not what it was")


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "catalog/../../evil", "a//b", "./evil", "C:/evil", "a\\..\\evil", "a\nb", "evil ", ""],
)
def test_a_name_that_leads_elsewhere_is_refused(archive: Path, name: str) -> None:
    rewritten(archive, lambda _: None, plain(name))
    refused(archive, "which no archive of mcpgov has")


@pytest.mark.parametrize(
    ("kind", "link"),
    [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "catalog/city.yaml"), (tarfile.DIRTYPE, ""),
     (tarfile.FIFOTYPE, ""), (tarfile.CHRTYPE, ""), (tarfile.CONTTYPE, ""), (tarfile.GNUTYPE_SPARSE, "")],
)  # fmt: skip
def test_what_is_no_plain_file_is_refused(archive: Path, kind: bytes, link: str) -> None:
    rewritten(archive, lambda _: None, plain("evil", b"", type=kind, linkname=link))
    refused(archive, "is not the file|cannot be read")


def test_a_member_that_comes_twice_is_refused(archive: Path) -> None:
    found = members(archive)
    write(archive, [*found, found[2]])
    refused(archive, "is in it twice")


def test_a_member_that_the_manifest_does_not_name_is_refused(archive: Path) -> None:
    write(archive, [*members(archive), plain("evil")])
    refused(archive, "'evil' is in it, and not in manifest.json")


def test_a_member_that_is_missing_is_refused(archive: Path) -> None:
    write(archive, members(archive)[:-1])
    refused(archive, "is missing")


def test_an_archive_with_another_beginning_is_refused(archive: Path) -> None:
    write(archive, members(archive)[1:])
    refused(archive, "its first member is not manifest.json")


def test_two_manifests_are_refused(archive: Path) -> None:
    found = members(archive)
    write(archive, [*found, found[0]])
    refused(archive, "twice")


@pytest.mark.parametrize("part", [0, 100, 600, 0.5, 0.9])
def test_an_archive_that_was_cut_off_is_refused(archive: Path, part: float) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[: int(part if part >= 1 else len(content) * part)])
    refused(archive, "cannot be read|first member|is missing|is not what it was")


def test_what_is_no_tar_is_refused(archive: Path) -> None:
    archive.write_bytes(gzip.compress(archive.read_bytes()))
    refused(archive, "cannot be read as a tar")


def test_an_archive_that_changes_between_the_two_readings_leaves_nothing(archive: Path, tmp_path: Path) -> None:
    manifest = read_archive(archive)
    (tmp_path / "out").mkdir()
    rewritten(archive, lambda written: written.update(made_at="later"))
    with pytest.raises(BadArchive, match="changed while it was read"):
        extract(archive, manifest, {})
    saved_to(tmp_path / "again.tar", furnished(tmp_path / "again"))
    with pytest.raises(BadArchive, match="changed while it was read"):
        extract(tmp_path / "again.tar", read_archive(tmp_path / "again.tar"), {"gone": tmp_path / "out" / "gone"})
    found = members(archive)
    altered = [(header, content.swapcase()) if header.name.endswith("city.yaml") else (header, content)
               for header, content in found]  # fmt: skip
    write(archive, altered)
    with pytest.raises(BadArchive, match="changed while it was read"):
        extract(archive, parse_manifest(members(archive)[0][1]), {"catalog/city.yaml": tmp_path / "out" / "city.yaml"})


def test_nothing_that_is_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "draft").write_text("new")
    (tmp_path / "there").write_text("old")
    with pytest.raises(FileExistsError):
        settle(tmp_path / "draft", tmp_path / "there")
    (tmp_path / "folder").mkdir()
    (tmp_path / "other").mkdir()
    with pytest.raises(FileExistsError):
        settle_folder(tmp_path / "folder", tmp_path / "other")
    assert (tmp_path / "there").read_text() == "old"


def test_a_name_that_not_every_system_can_have_is_refused_before_it_is_written(tmp_path: Path) -> None:
    source = tmp_path / "a"
    source.write_text("a")
    with pytest.raises(BadArchive, match="rename it"):
        write_archive(tmp_path / "x.tar", {"a\\b": source}, Manifest(1, "0", "now"), 0)
    assert not (tmp_path / "x.tar").exists()
