"""The tamper suite: whatever is done to a ledger before the last checkpoint that left it is found, and nothing else is.

Each kind of forgery is made in many places, led by a seed; both verifiers have to see it, and to call it the same.
MCPGOV_TAMPERING says how often (50).
"""

import functools
import os
import random
import re
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from mcpgov.audit.checkpoints import KeptCheckpoint
from mcpgov.audit.export import ExportEvidence, export_lines
from mcpgov.audit.ledger_store import LedgerStore
from mcpgov.audit.record import Row, canonical
from mcpgov.audit.verify import Kind, verify
from mcpgov.store.evidence import open_sqlite_evidence
from mcpgov.store.memory_ledger import MemoryDisk, MemoryLedgerStore
from mcpgov.store.oldest_records import open_sqlite_oldest
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from tests import independent_verifier
from tests.audit.calls import NOW
from tests.contract.forgeries import AROUND_THE_HOLE, FORGERIES, Forger, Forgery
from tests.contract.ledgers import SIGNER, VKEY, Gateways, MemoryEvidence, MemoryOldest, verdict_on

TIMES = int(os.environ.get("MCPGOV_TAMPERING", "50"))
CLEAN = 10 * TIMES
PEAKS = ",".join(["0" * 64] * int("9" * 99).bit_count())
ENDLESS = canonical({"mcpgov.control.event": "purged", "mcpgov.control.purged": [f"x:{'9' * 99}:{'0' * 64}:{PEAKS}"]})
NO_LINES = (b"{}\n", b'{"entry":1,"hash":""}\n', b"null\n", b"\xff\n", b"[" * 9999 + b"\n", b"\n")


@dataclass(frozen=True)
class Site:
    """A store as it was left, what left it, an older copy of it, and another gateway's store."""

    store: Path
    folder: Path
    older: Path
    another: Path


def leave(store: Path, folder: Path) -> None:
    """Send every checkpoint away."""
    with closing(sqlite3.connect(store)) as database:
        for row in database.execute("SELECT writer, size, at, note FROM checkpoints"):
            kept = KeptCheckpoint(*row)
            (folder / kept.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / kept.name).write_text(kept.note, "utf-8")


def gateways(path: Path, seed: int) -> Gateways:
    """Gateways over a SQLite store."""
    new, oldest = functools.partial(SqliteLedgerStore, path), functools.partial(open_sqlite_oldest, path)
    return Gateways(random.Random(seed), new, lambda store: store.close(finished=False), oldest=oldest)


def copied(source: Path, target: Path) -> Path:
    """A store as one file, without the log beside it."""
    with closing(sqlite3.connect(source)) as database:
        database.execute("VACUUM INTO ?", (str(target),))
    return target


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Four gateways: one stopped, one crashed, one that recovered its calls and runs on, one more."""
    folder = tmp_path_factory.mktemp("site")
    for name, seed in (("another", 7), ("left", 8)):
        running = gateways(folder / f"{name}.db", seed)
        first = running.start()
        running.work(first, 5)
        first.checkpoint(SIGNER.checkpoint, running.now)
        copied(folder / f"{name}.db", folder / f"older {name}.db")
        running.work(first, 5)
        running.stop(first)
        running.crash(running.start())
        last = running.start()
        running.work(last, 8)
        last.checkpoint(SIGNER.checkpoint, running.now)
        leave(folder / f"{name}.db", folder / f"{name} notes")
        running.work(last, 2)
        copied(folder / f"{name}.db", folder / f"{name} as it was.db")
        running.stop(last)
    return Site(
        folder / "left as it was.db", folder / "left notes", folder / "older left.db", folder / "another as it was.db"
    )


@pytest.fixture(autouse=True)
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The curve is slow without a library; the same signature need not be computed a thousand times."""
    monkeypatch.setattr(independent_verifier, "is_signed", SIGNED)


SIGNED = functools.lru_cache(maxsize=4096)(independent_verifier.is_signed)


def covered(store: Path) -> list[tuple[int, str, int]]:
    """The records that a checkpoint in the store vouches for, itself or through the writer that names theirs."""
    query = """
    SELECT id, writer, seq FROM records WHERE seq <= (SELECT max(size) FROM checkpoints
    WHERE checkpoints.writer = records.writer) ORDER BY id
    """
    with closing(sqlite3.connect(store)) as database:
        return database.execute(query).fetchall()


def test_the_other_verifier_is_short_and_uses_nothing_of_ours() -> None:
    text = Path(independent_verifier.__file__).read_text("utf-8")
    imported = set(re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE))
    assert len(text.splitlines()) <= 150
    assert imported <= sys.stdlib_module_names


def test_what_nobody_touched_is_found_right(site: Site) -> None:
    verdict = verdict_on(site.store, site.folder)
    assert (verdict.code, verdict.findings, verdict.writers) == (0, (), 3)
    assert verdict.checkpoints > 4
    assert 0 < verdict.uncovered < verdict.records


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_every_forgery_is_found_in_a_store(tmp_path: Path, site: Site, forgery: Forgery) -> None:
    seen = covered(site.store)
    original = site.store.read_bytes()
    for seed in range(TIMES):
        path = tmp_path / "forged.db"
        path.write_bytes(original)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("ATTACH ? AS another", (str(site.another),))
            forgery(Forger(path, database, random.Random(seed), seen))
        verdict = verdict_on(path, site.folder)
        assert verdict.code in {1, 2}, f"{forgery.__name__} {seed}"
        assert verdict.found


def test_a_store_put_back_to_an_older_copy_is_found_by_what_left(site: Site) -> None:
    assert verdict_on(site.older).code == 0
    assert verdict_on(site.older, site.folder).code == 2
    assert verdict_on(site.another, site.folder).code == 2


def test_a_writer_that_vanished_with_all_that_tells_of_it_is_named_by_another(tmp_path: Path, site: Site) -> None:
    with closing(sqlite3.connect(site.store)) as database:
        writers = [row[0] for row in database.execute("SELECT DISTINCT writer FROM records ORDER BY writer")]
    for writer in writers[:-1]:
        path = tmp_path / f"{writer}.db"
        path.write_bytes(site.store.read_bytes())
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DELETE FROM records WHERE writer = ?", (writer,))
            database.execute("DELETE FROM checkpoints WHERE writer = ?", (writer,))
        found = verdict_on(path)
        assert any(finding.writer == writer and finding.kind is Kind.GAP for finding in found.findings)


@pytest.mark.parametrize("column", [*Row._fields[:-1]])
def test_a_column_that_does_not_say_what_the_record_says_is_found(tmp_path: Path, site: Site, column: str) -> None:
    path = tmp_path / "forged.db"
    path.write_bytes(site.store.read_bytes())
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE records SET {column} = 7 WHERE id = 3")
    with open_sqlite_evidence(path) as evidence:
        verdict = verify(evidence, SIGNER.key, {})
    assert verdict.code == 1
    assert "filed" in verdict.findings[0].what


AS_PURGE = "records SET record = ?, event = 'control', reason = 'purged'"
NO_RECORDS = {
    "record": ("records SET record = X'ff' WHERE id = 3", ()),
    "a record in bytes": ("records SET record = CAST(record AS BLOB) WHERE id = 3", ()),
    "a record in no UTF-8": ("records SET record = CAST(X'ff' AS TEXT) WHERE id = 3", ()),
    "nesting": ("records SET record = ? WHERE id = 3", ("[" * 100_000,)),
    "nesting in a purge": (
        f"{AS_PURGE} WHERE id = 3",
        ("[" * 100_000,),
    ),
    "number": ("records SET record = ? WHERE id = 3", (f'{{"a":{"9" * 5000}}}',)),
    "call in a list": ("records SET record = json_set(record, '$.call_id', json('[1]')) WHERE id = 3", ()),
    "call in an object": ("records SET record = json_set(record, '$.call_id', json('{}')) WHERE id = 3", ()),
    "call in a number": ("records SET record = json_set(record, '$.call_id', 1) WHERE id = 3", ()),
    "hash": ("records SET hash = 'zz' WHERE id = 3", ()),
    "hash of very many bytes": ("records SET hash = 1000000000000 WHERE id = 3", ()),
    "seq": ("records SET seq = 'zz' WHERE id = 3", ()),
    "writer": ("records SET writer = X'ff' WHERE id = 3", ()),
    "note": ("checkpoints SET note = X'ff'", ()),
    "writers": ("writers SET seq = 'x', hash = 5", ()),
    "more than there can be": (f"{AS_PURGE} WHERE id = 3", (ENDLESS,)),
}


@pytest.mark.parametrize(("change", "values"), NO_RECORDS.values(), ids=NO_RECORDS)
def test_what_no_gateway_keeps_is_found_and_breaks_no_verifier(
    tmp_path: Path, site: Site, change: str, values: tuple[str, ...]
) -> None:
    path, export = tmp_path / "forged.db", tmp_path / "ledger.jsonl"
    path.write_bytes(site.store.read_bytes())
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE {change}", values)
    assert verdict_on(path, site.folder).code == 1
    with open_sqlite_evidence(path) as evidence:
        export.write_text("".join(export_lines(evidence)), "utf-8")
    assert verdict_on(export, site.folder).code in {0, 1, 2}


def lines_of(site: Site) -> list[bytes]:
    """The export of the store."""
    with open_sqlite_evidence(site.store) as evidence:
        return [line.encode() for line in export_lines(evidence)]


def test_an_export_says_what_its_store_says(tmp_path: Path, site: Site) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"".join(lines_of(site)))
    of_store, of_export = verdict_on(site.store, site.folder), verdict_on(path, site.folder)
    assert of_export == of_store


@pytest.mark.parametrize("kind", ["alter", "drop", "swap", "duplicate", "insert", "end"])
def test_every_forgery_is_found_in_an_export(tmp_path: Path, site: Site, kind: str) -> None:
    lines, path = lines_of(site), tmp_path / "ledger.jsonl"
    last = max(number for number, line in enumerate(lines) if b'"checkpoint"' in line)
    for seed in range(TIMES):
        chance, forged = random.Random(seed), lines.copy()
        at = chance.randrange(last)
        other = chance.choice([number for number in range(last) if number != at])
        match kind:
            case "alter":
                place = chance.choice([place for place, byte in enumerate(forged[at]) if chr(byte).isalnum()])
                forged[at] = forged[at][:place] + bytes([forged[at][place] ^ 1]) + forged[at][place + 1 :]
            case "drop":
                del forged[at]
            case "swap":
                forged[at], forged[other] = forged[other], forged[at]
            case "duplicate":
                forged.insert(other, forged[at])
            case "insert":
                forged.insert(at, chance.choice(NO_LINES))
            case _:
                forged.append(forged[at])
        path.write_bytes(b"".join(forged))
        assert verdict_on(path, site.folder).code in {1, 2}, seed


def test_not_even_the_bits_of_a_signature_that_say_nothing_can_be_changed(tmp_path: Path, site: Site) -> None:
    path = tmp_path / "ledger.jsonl"
    lines = lines_of(site)
    (at, *_) = [number for number, line in enumerate(lines) if b'"checkpoint"' in line]
    end = lines[at].index(b'=\\n","entry"') - 1
    lines[at] = lines[at][:end] + bytes([lines[at][end] ^ 1]) + lines[at][end + 1 :]
    path.write_bytes(b"".join(lines))
    assert verdict_on(path).code == 1


def test_an_export_that_was_cut_off_anywhere_is_torn_and_no_more(tmp_path: Path, site: Site) -> None:
    whole, path = b"".join(lines_of(site)), tmp_path / "ledger.jsonl"
    for seed in range(TIMES):
        path.write_bytes(whole[: random.Random(seed).randrange(len(whole))])
        assert verdict_on(path).code == 3


def test_no_clean_ledger_raises_an_alarm(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for seed in range(CLEAN):
        disk = MemoryDisk()
        running = Gateways(random.Random(seed), lambda disk=disk: MemoryLedgerStore(disk), forgotten)
        running.run(4)
        evidence = MemoryEvidence(disk)
        verdict = verify(evidence, SIGNER.key, {})
        assert verdict.findings == (), seed
        path.write_text("".join(export_lines(evidence)), "utf-8")
        with path.open("rb") as file:
            assert verify(ExportEvidence(file), SIGNER.key, {}) == verdict, seed
        # its curve is slow: it looks at the signatures of one in ten
        assert independent_verifier.main(str(path), "" if seed % 10 else VKEY) == 0, seed


def test_no_clean_store_raises_an_alarm_while_gateways_crash_and_recover(tmp_path: Path) -> None:
    for seed in range(TIMES // 10):
        path, folder = tmp_path / f"{seed}.db", tmp_path / str(seed)
        folder.mkdir()
        running = gateways(path, seed)
        for _ in range(4):
            running.run(2)
            leave(path, folder)
            assert verdict_on(path, folder).findings == (), seed
        for store in running.alive:
            store.close(finished=False)


def test_no_clean_ledger_raises_an_alarm_whatever_was_purged(tmp_path: Path) -> None:
    path, purged = tmp_path / "ledger.jsonl", 0
    for seed in range(CLEAN):
        disk = MemoryDisk()
        new, oldest = functools.partial(MemoryLedgerStore, disk), functools.partial(MemoryOldest, disk)
        running = Gateways(random.Random(seed), new, forgotten, oldest=oldest)
        running.run(8)
        evidence = MemoryEvidence(disk)
        verdict = verify(evidence, SIGNER.key, {})
        assert verdict.findings == (), seed
        purged += verdict.purged
        path.write_text("".join(export_lines(evidence)), "utf-8")
        with path.open("rb") as file:
            assert verify(ExportEvidence(file), SIGNER.key, {}) == verdict, seed
        assert independent_verifier.main(str(path), "" if seed % 10 else VKEY) == 0, seed
    assert purged > CLEAN


def test_no_clean_store_raises_an_alarm_while_it_is_purged(tmp_path: Path) -> None:
    for seed in range(TIMES // 10):
        path, folder = tmp_path / f"{seed}.db", tmp_path / str(seed)
        folder.mkdir()
        running = gateways(path, seed)
        for _ in range(4):
            running.run(3)
            leave(path, folder)
            running.purge()
            verdict = verdict_on(path, folder)
            assert verdict.findings == (), seed
            with open_sqlite_evidence(path) as evidence:
                (tmp_path / "left.jsonl").write_text("".join(export_lines(evidence)), "utf-8")
            assert verdict_on(tmp_path / "left.jsonl", folder) == verdict
            assert verdict.purged
        for store in running.alive:
            store.close(finished=False)


@pytest.fixture(scope="module")
def purged(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site whose oldest records were purged twice. `older` is from before."""
    folder = tmp_path_factory.mktemp("purged")
    running = gateways(folder / "one.db", 9)
    for older in ("first", "second"):
        while running.alive:
            running.stop(running.alive[0])
        store = running.start()
        running.work(store, 8)
        store.checkpoint(SIGNER.checkpoint, running.now)
        leave(folder / "one.db", folder / "notes")
        copied(folder / "one.db", folder / f"{older}.db")
        running.work(store, 2)
        assert running.purge(NOW + (running.now - NOW) / 2).records
        store.checkpoint(SIGNER.checkpoint, running.now)
    leave(folder / "one.db", folder / "notes")
    copied(folder / "one.db", folder / "left.db")
    return Site(folder / "left.db", folder / "notes", folder / "second.db", folder / "first.db")


@pytest.mark.parametrize("forgery", AROUND_THE_HOLE.values(), ids=AROUND_THE_HOLE)
def test_every_forgery_around_what_was_purged_is_found(tmp_path: Path, purged: Site, forgery: Forgery) -> None:
    assert verdict_on(purged.store, purged.folder).findings == ()
    seen, original = covered(purged.store), purged.store.read_bytes()
    for seed in range(TIMES):
        path = tmp_path / "forged.db"
        path.write_bytes(original)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("ATTACH ? AS another", (str(purged.older),))
            forgery(Forger(path, database, random.Random(seed), seen))
        for folder in (purged.folder, None):
            assert verdict_on(path, folder).code in {1, 2}, f"{forgery.__name__} {seed} {folder}"


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_every_other_forgery_is_found_where_records_were_purged(tmp_path: Path, purged: Site, forgery: Forgery) -> None:
    seen, original = covered(purged.store), purged.store.read_bytes()
    for seed in range(TIMES):
        path = tmp_path / "forged.db"
        path.write_bytes(original)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("ATTACH ? AS another", (str(purged.older),))
            forgery(Forger(path, database, random.Random(seed), seen))
        assert verdict_on(path, purged.folder).code in {1, 2}, f"{forgery.__name__} {seed}"


def test_an_export_of_what_was_purged_can_be_cut_off_and_not_be_changed(tmp_path: Path, purged: Site) -> None:
    lines, path = lines_of(purged), tmp_path / "ledger.jsonl"
    whole = b"".join(lines)
    for seed in range(TIMES):
        chance = random.Random(seed)
        path.write_bytes(whole[: chance.randrange(len(whole))])
        assert verdict_on(path).code == 3
        place = chance.choice([place for place, byte in enumerate(lines[0]) if chr(byte).isalnum()])
        path.write_bytes(b"".join([lines[0][:place], bytes([lines[0][place] ^ 1]), lines[0][place + 1 :], *lines[1:]]))
        assert verdict_on(path).code in {1, 2}, seed


def forgotten(store: LedgerStore) -> None:
    """The crash of a writer in memory."""
    assert isinstance(store, MemoryLedgerStore)
    store.forget()
