"""The store is made once, whole and private, and a file that cannot be understood is refused."""

import errno
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.store.database import (
    bring_up_to_date,
    connect,
    connect_to_read,
    create_database,
    digest_key,
    keep_digest_key,
    kept_digest_keys,
    place_bytes,
    placed,
    signing_key,
    signing_key_file,
    sqlite_path,
    unavailable,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_relative_url_is_relative_to_the_folder_and_an_absolute_one_is_not() -> None:
    assert sqlite_path("sqlite:///mcpgov.db", Path("/etc/mcpgov")) == Path("/etc/mcpgov/mcpgov.db")
    assert sqlite_path("sqlite:///data/a.db", Path("/etc/mcpgov")) == Path("/etc/mcpgov/data/a.db")
    assert sqlite_path("sqlite:////var/lib/a.db", Path("/etc/mcpgov")) == Path("/var/lib/a.db")


@pytest.mark.parametrize(
    "url", ["postgresql://host/x", "sqlite:///", "sqlite://", "mcpgov.db", "sqlite:///a.db?mode=ro"]
)
def test_a_url_that_names_no_sqlite_file_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="SQLite store"):
        sqlite_path(url, Path("/etc"))


def test_a_new_store_is_for_its_owner_alone_in_wal_mode_and_fully_synchronous(tmp_path: Path) -> None:
    path = tmp_path / "a b?#%.db"  # a name that a URI would read otherwise
    create_database(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with closing(connect(path)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)
        beside = path.with_name(path.name + "-wal")
        assert stat.S_IMODE(beside.stat().st_mode) == 0o600


def test_making_a_store_again_changes_nothing(tmp_path: Path) -> None:
    create_database(tmp_path / "a.db")
    with closing(connect(tmp_path / "a.db")) as database:
        database.execute("INSERT INTO writers (id) VALUES ('w')")
    create_database(tmp_path / "a.db")
    with closing(connect(tmp_path / "a.db")) as database:
        assert database.execute("SELECT id FROM writers").fetchall() == [("w",)]


def test_a_store_is_not_made_beside_what_the_log_of_another_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    create_database(path)
    with closing(connect(path)) as database:
        database.execute("INSERT INTO writers (id) VALUES ('w')")
        path.rename(tmp_path / "b.db")
        with pytest.raises(StoreUnavailable, match=r"a\.db is gone, and a\.db-wal.*put a\.db back"):
            create_database(path)
        (tmp_path / "b.db").rename(path)
        create_database(path)
    with closing(connect(path)) as database:
        assert database.execute("SELECT id FROM writers").fetchall() == [("w",)]


def test_many_may_make_the_same_store_at_once(tmp_path: Path) -> None:
    failures: list[BaseException] = []
    gate = threading.Barrier(8)

    def make() -> None:
        gate.wait()
        try:
            create_database(tmp_path / "a.db")
        except StoreUnavailable as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [path.name for path in tmp_path.iterdir()] == ["a.db"]


def test_a_newer_schema_is_refused_with_the_mend(tmp_path: Path) -> None:
    create_database(tmp_path / "a.db")
    with closing(connect(tmp_path / "a.db")) as database:
        database.execute("PRAGMA user_version = 99")
    for opened in (create_database, connect_to_read):
        with pytest.raises(InvalidConfiguration, match=r"schema 99, which a newer mcpgov wrote.*run the version"):
            opened(tmp_path / "a.db")


# The tables of version 1, as they were, and something in each of them.
VERSION_1 = """
CREATE TABLE keys (
    id VARCHAR NOT NULL, digest VARCHAR NOT NULL, name VARCHAR NOT NULL, project VARCHAR NOT NULL,
    created_at BIGINT NOT NULL, expires_at BIGINT, revoked_at BIGINT, PRIMARY KEY (id)
);
CREATE TABLE records (
    id INTEGER NOT NULL, writer VARCHAR NOT NULL, seq BIGINT NOT NULL, call_id VARCHAR, final SMALLINT NOT NULL,
    event VARCHAR NOT NULL, at BIGINT NOT NULL, connection VARCHAR, method VARCHAR, tool VARCHAR, principal VARCHAR,
    principal_name VARCHAR, project VARCHAR, reason VARCHAR, status VARCHAR, source VARCHAR, correlation_id VARCHAR,
    trace_id VARCHAR, record TEXT NOT NULL, PRIMARY KEY (id), UNIQUE (writer, seq), UNIQUE (call_id, final)
);
CREATE INDEX records_at ON records (at);
CREATE INDEX records_correlation_id ON records (correlation_id);
CREATE INDEX records_trace_id ON records (trace_id);
CREATE TABLE writers (
    id VARCHAR NOT NULL, PRIMARY KEY (id)
);
INSERT INTO keys VALUES ('3fGh81Kx', 'ab', 'ci-agent', 'payments', 1, 2, NULL);
INSERT INTO records (writer, seq, final, event, at, record) VALUES ('w', 1, 0, 'control', 1, '{}');
INSERT INTO writers VALUES ('w');
PRAGMA user_version = 1
"""


def version_1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(VERSION_1)


def dump(path: Path) -> list[str]:
    """Every table and index, and everything in them."""
    with closing(connect_to_read(path)) as database:
        version = database.execute("PRAGMA user_version").fetchone()
        return [str(version), *sorted(" ".join(line.split()).replace("( ", "(") for line in database.iterdump())]


def test_a_file_of_version_1_becomes_what_a_new_one_is_and_keeps_what_it_holds(tmp_path: Path) -> None:
    version_1(tmp_path / "old.db")
    create_database(tmp_path / "old.db")
    create_database(tmp_path / "new.db")
    with closing(connect(tmp_path / "new.db")) as database:
        database.execute("INSERT INTO keys VALUES ('3fGh81Kx','ab','ci-agent','payments',1,2,NULL,NULL,NULL,NULL,NULL)")
        database.execute(
            "INSERT INTO records (writer, seq, final, event, at, record) VALUES ('w',1,0,'control',1,'{}')"
        )
        database.execute("INSERT INTO writers (id) VALUES ('w')")
    assert dump(tmp_path / "old.db") == dump(tmp_path / "new.db")
    create_database(tmp_path / "old.db")
    assert dump(tmp_path / "old.db") == dump(tmp_path / "new.db")


def test_a_file_of_version_1_can_be_read_as_it_is(tmp_path: Path) -> None:
    version_1(tmp_path / "old.db")
    with closing(connect_to_read(tmp_path / "old.db")) as database:
        assert database.execute("SELECT record FROM records").fetchall() == [("{}",)]


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    version_1(tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db")) as database:
        database.execute("CREATE TABLE spent_tickets (id VARCHAR)")
    before = dump(tmp_path / "old.db")
    with pytest.raises(StoreUnavailable, match="already exists"):
        create_database(tmp_path / "old.db")
    assert dump(tmp_path / "old.db") == before


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("this is not a database, and it is longer than a header of one hundred bytes " * 4)
    for opened in (create_database, connect_to_read):
        with pytest.raises(StoreUnavailable, match="not a database"):
            opened(tmp_path / "a.db")


def test_a_store_in_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="No such file"):
        create_database(tmp_path / "none" / "a.db")


def test_reading_makes_no_file_and_says_who_does(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist; the gateway makes it"):
        connect_to_read(tmp_path / "a.db")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    create_database(tmp_path / "a.db")
    with (
        closing(connect_to_read(tmp_path / "a.db")) as database,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        database.execute("INSERT INTO writers (id) VALUES ('w')")


def test_the_digest_key_lies_beside_the_store_and_stays(tmp_path: Path) -> None:
    key = digest_key(tmp_path / "a.db")
    assert len(key) == 32
    assert digest_key(tmp_path / "a.db") == key
    assert digest_key(tmp_path / "b.db") != key
    assert stat.S_IMODE((tmp_path / "a.db.key").stat().st_mode) == 0o600


def test_a_digest_key_that_was_cut_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "a.db.key").write_bytes(b"short")
    with pytest.raises(StoreUnavailable, match=r"a\.db\.key does not hold a key"):
        digest_key(tmp_path / "a.db")


def test_former_digest_keys_lie_beside_the_present_one(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    assert kept_digest_keys(path) == ()
    keep_digest_key(path, b"1" * 32)
    keep_digest_key(path, b"2" * 32)
    assert kept_digest_keys(path) == (b"2" * 32, b"1" * 32)
    assert digest_key(path) == b"1" * 32
    assert stat.S_IMODE((tmp_path / "a.db.key.1").stat().st_mode) == 0o600


def test_of_two_who_rotate_at_once_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.db"
    keep_digest_key(path, b"1" * 32)

    def before(_: Path) -> tuple[bytes, ...]:
        return ()

    monkeypatch.setattr("mcpgov.store.database.kept_digest_keys", before)  # it looked before the other was done
    with pytest.raises(StoreUnavailable, match="made by somebody else"):
        keep_digest_key(path, b"2" * 32)
    assert digest_key(path) == b"1" * 32


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with placed(tmp_path / "a") as draft:
        assert stat.S_IMODE(draft.stat().st_mode) == 0o600
        assert not (tmp_path / "a").exists()
        draft.write_bytes(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert names(tmp_path) == ["a"]


def test_a_file_that_another_process_made_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    with placed(tmp_path / "a") as draft:
        draft.write_bytes(b"ours")
        (tmp_path / "a").write_bytes(b"theirs")
    assert (tmp_path / "a").read_bytes() == b"theirs"
    assert names(tmp_path) == ["a"]


def test_a_file_that_could_not_be_filled_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), placed(tmp_path / "a"):
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    create_database(tmp_path / "a.db")
    with closing(connect_to_read(tmp_path / "a.db")) as database:
        assert database.execute("SELECT * FROM records").fetchall() == []


def test_tables_that_another_process_made_meanwhile_are_left_as_they_are(tmp_path: Path) -> None:
    create_database(tmp_path / "a.db")
    with closing(connect(tmp_path / "a.db")) as database:
        database.execute("INSERT INTO writers (id) VALUES ('w')")
        bring_up_to_date(database, tmp_path / "a.db")
        assert database.execute("SELECT id FROM writers").fetchall() == [("w",)]


def test_what_the_system_says_becomes_unavailable_and_names_the_file() -> None:
    with pytest.raises(StoreUnavailable, match=r"/x\.db: .*No space left"), unavailable(Path("/x.db")):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_the_signing_key_lies_beside_the_store_under_a_name_of_its_own(tmp_path: Path) -> None:
    key = signing_key(tmp_path / "a.db")
    assert len(key) == 32
    assert signing_key(tmp_path / "a.db") == key != digest_key(tmp_path / "a.db")
    assert signing_key_file(tmp_path / "a.db").read_bytes() == key
    assert stat.S_IMODE((tmp_path / "a.db.signing-key").stat().st_mode) == 0o600


def test_bytes_are_placed_with_their_folders_and_never_replace_a_file(tmp_path: Path) -> None:
    place_bytes(tmp_path / "a" / "b" / "c", b"first")
    place_bytes(tmp_path / "a" / "b" / "c", b"second")
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"first"
    assert names(tmp_path / "a" / "b") == ["c"]
