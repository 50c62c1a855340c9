"""A gateway is saved while it runs and restored whole or not at all; its proof holds, and a gateway goes on from it."""

import stat
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mcpgov.audit.record import DeniedRecord
from mcpgov.audit.verify import verify
from mcpgov.backup import saving
from mcpgov.backup.manifest import BadArchive, StoreCopy
from mcpgov.backup.saving import restore_folder, restore_store
from mcpgov.decision import Reason
from mcpgov.store.database import SCHEMA_VERSION, connect
from mcpgov.store.evidence import open_sqlite_evidence
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests.audit.calls import NOW, facts
from tests.backup.saved import furnished, saved_to, without_store
from tests.contract.ledgers import SIGNER


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.tar"
    saved_to(file, furnished(tmp_path / "old"), with_secrets=True)
    return file


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def proved(store: Path) -> int:
    with open_sqlite_evidence(store) as evidence:
        verdict = verify(evidence, SIGNER.key, {})
    assert (verdict.code, verdict.findings) == (0, ())
    return verdict.records


def test_what_was_saved_is_what_is_restored_and_is_for_its_owner_alone(archive: Path, tmp_path: Path) -> None:
    restored = tmp_path / "new"
    manifest = restore_folder(archive, restored, SCHEMA_VERSION)
    found, was = tree(restored), tree(tmp_path / "old")
    assert found.keys() == manifest.members.keys()
    assert all(found[name] == was[name] for name in found if name != "mcpgov.db")
    assert all(stat.S_IMODE(path.stat().st_mode) in (0o600, 0o700) for path in (restored, *restored.rglob("*")))
    assert proved(restored / "mcpgov.db") == 21
    assert sorted(tmp_path.iterdir()) == [archive, restored, tmp_path / "old"]
    assert manifest.copy is not None
    assert "\n\u2014 " in manifest.copy.checkpoint


def test_a_writer_that_goes_on_from_it_ends_what_was_under_way_and_the_proof_holds(
    archive: Path, tmp_path: Path
) -> None:
    restore_folder(archive, tmp_path / "new", SCHEMA_VERSION)
    store = SqliteLedgerStore(tmp_path / "new" / "mcpgov.db")
    store.open()
    store.recover(lambda call: DeniedRecord(facts(call.call_id, NOW), Reason.TOOL_DENIED).row())
    store.append([DeniedRecord(facts("after", NOW), Reason.TOOL_DENIED).row()])
    store.checkpoint(SIGNER.checkpoint, NOW)
    store.close(finished=True)
    assert proved(tmp_path / "new" / "mcpgov.db") > 21
    with closing(connect(tmp_path / "new" / "mcpgov.db")) as database:
        writers = database.execute("SELECT count(DISTINCT writer) FROM records").fetchone()
    assert writers == (2,)


def test_a_store_that_is_written_to_meanwhile_is_saved_as_it_was_at_one_moment(tmp_path: Path) -> None:
    gateway = furnished(tmp_path / "old")
    assert gateway.stored.file
    store, stop = SqliteLedgerStore(gateway.stored.file), threading.Event()
    store.open()
    wrote, began = list[int](), threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            store.append([DeniedRecord(facts(f"more-{number}-{each}", NOW), Reason.TOOL_DENIED).row() for each in "ab"])
            store.checkpoint(SIGNER.checkpoint, NOW)
            wrote.append(number)
            began.set()

    writing = threading.Thread(target=write)
    writing.start()
    assert began.wait(30)
    try:
        for each in range(5):
            before = len(wrote)
            saved_to(tmp_path / f"{each}.tar", gateway)
            restore_folder(tmp_path / f"{each}.tar", tmp_path / f"new-{each}", SCHEMA_VERSION)
            assert proved(tmp_path / f"new-{each}" / "mcpgov.db") >= 21 + 2 * before
    finally:
        stop.set()
        writing.join()
        store.close(finished=True)


def test_without_secrets_no_key_is_in_it_and_it_says_which_are_needed(tmp_path: Path) -> None:
    gateway = furnished(tmp_path / "old")
    saved = saved_to(tmp_path / "gateway.tar", gateway)
    assert "the file mcpgov.db.key" in saved.manifest.needs
    content = (tmp_path / "gateway.tar").read_bytes()
    assert not any(key.read_bytes() in content for key in gateway.stored.keys)
    assert b"hunter2" not in content


@pytest.mark.parametrize("there", ["folder", "file", "link"])
def test_a_place_that_is_taken_is_refused(archive: Path, tmp_path: Path, there: str) -> None:
    place = tmp_path / "new"
    make: dict[str, Callable[[], object]] = {
        "folder": place.mkdir,
        "file": place.touch,
        "link": lambda: place.symlink_to(tmp_path / "nowhere"),
    }
    make[there]()
    with pytest.raises(FileExistsError, match="is there already"):
        restore_folder(archive, place, SCHEMA_VERSION)
    with pytest.raises(FileExistsError, match="is there already"):
        saved_to(place, furnished(tmp_path / "other"))


def test_a_store_goes_where_other_settings_name_it_with_its_keys(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    restore_store(archive, tmp_path / "data" / "ledger.db", SCHEMA_VERSION)
    assert sorted(tree(tmp_path / "data")) == ["ledger.db", "ledger.db.key", "ledger.db.signing-key"]
    assert proved(tmp_path / "data" / "ledger.db") == 21


@pytest.mark.parametrize("there", ["ledger.db", "ledger.db-wal", "ledger.db.signing-key"])
def test_a_store_is_not_put_where_anything_of_another_lies(archive: Path, tmp_path: Path, there: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / there).write_text("of another")
    with pytest.raises(FileExistsError, match=there):
        restore_store(archive, tmp_path / "data" / "ledger.db", SCHEMA_VERSION)
    assert tree(tmp_path / "data") == {there: b"of another"}


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_restore_that_is_broken_off_takes_back_what_it_had_placed(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    (tmp_path / "data").mkdir()
    done: list[Path] = []
    settle = saving.settle

    def interrupted(draft: Path, place: Path) -> None:
        if len(done) == after:
            raise KeyboardInterrupt
        settle(draft, place)
        done.append(place)

    monkeypatch.setattr(saving, "settle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        restore_store(archive, tmp_path / "data" / "ledger.db", SCHEMA_VERSION)
    assert tree(tmp_path / "data") == {}


def interrupt(*_: object) -> StoreCopy:
    raise KeyboardInterrupt


def test_ctrl_c_leaves_nothing_half_written(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = furnished(tmp_path / "again")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        saved_to(tmp_path / "x.tar", replace(gateway, copy=interrupt))
    for name in ("extract", "settle_folder"):
        with monkeypatch.context() as patched:
            patched.setattr(saving, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                restore_folder(archive, tmp_path / "new", SCHEMA_VERSION)
    assert sorted(tmp_path.iterdir()) == before


def test_a_store_of_a_newer_release_is_not_restored(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(BadArchive, match=f"schema {SCHEMA_VERSION}, and this mcpgov reads 5: restore it with mcpgov"):
        restore_folder(archive, tmp_path / "new", 5)
    assert not (tmp_path / "new").exists()


def test_a_gateway_without_a_file_of_a_store_is_saved_without(tmp_path: Path) -> None:
    gateway = furnished(tmp_path / "old")
    saved = saved_to(tmp_path / "a.tar", without_store(gateway))
    assert (saved.manifest.store, saved.manifest.copy) == ("", None)
    with pytest.raises(BadArchive, match="there is no store in it"):
        restore_store(tmp_path / "a.tar", tmp_path / "x.db", SCHEMA_VERSION)
    (tmp_path / "old" / "mcpgov.db").unlink()
    assert saved_to(tmp_path / "b.tar", gateway).manifest.store == ""


def test_a_file_with_the_name_of_the_store_is_refused(tmp_path: Path) -> None:
    gateway = furnished(tmp_path / "old")
    assert gateway.stored.file
    elsewhere = tmp_path / "old" / "policies" / "default.yaml"
    gateway.stored.file.replace(tmp_path / "default.yaml")
    (tmp_path / "old" / "mcpgov.yaml").rename(tmp_path / "old" / "policies" / "mcpgov.yaml")
    there = replace(gateway.stored, file=tmp_path / "default.yaml", keys=())
    with pytest.raises(BadArchive, match=r"would both be default\.yaml"):
        saved_to(tmp_path / "a.tar", replace(gateway, place=elsewhere, stored=there))
    assert not (tmp_path / "a.tar").exists()
