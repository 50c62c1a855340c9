"""The SQLite file: where it lies, who may read it, how it is opened, and the key that lies beside it.

Write-ahead log, so that readers and the writer never wait for each other; full synchronous, so that a commit is on
the disk when it returns. Only the owner may read the file. `PRAGMA user_version` is the version of the schema: an older
file is brought up to date when it is opened for writing, each step in a transaction, and keeps all that it holds; a
file that a newer mcpgov wrote is refused, because guessing at a ledger would be worse than not starting. A gateway of
the release before, which runs at that moment, goes on writing: every step only adds (decision 0039).

The file is made by whoever opens the ledger, at a start, and by nobody after that: one that was moved away is missed,
and never made again in its place. A new one there would be given all that the log beside it holds of the other.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mcpgov.errors import InvalidConfiguration, Problem, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

SCHEMA_VERSION = 6
PREFIX = "sqlite:///"
KEY_LENGTH = 32  # bytes
BUSY = 0.9  # seconds to wait for a lock that another process holds; twice that is still within a caller's patience

# What schema.py defines, as SQLite reads it, and the index of words, which is SQLite's own; written out so that the
# gateway starts without loading SQLAlchemy.
SIGN_IN_TABLES: Final = """
CREATE TABLE vault (
    principal VARCHAR NOT NULL, connection VARCHAR NOT NULL, client VARCHAR NOT NULL, sealed BLOB NOT NULL,
    updated_at BIGINT NOT NULL, PRIMARY KEY (principal, connection, client)
);
CREATE TABLE spent_tickets (
    id VARCHAR NOT NULL, expires_at BIGINT NOT NULL, PRIMARY KEY (id)
)
"""
PROOF_TABLES: Final = """
CREATE TABLE checkpoints (
    writer VARCHAR NOT NULL, size BIGINT NOT NULL, at BIGINT NOT NULL, note TEXT NOT NULL, PRIMARY KEY (writer, size)
);
CREATE INDEX checkpoints_at ON checkpoints (at)
"""
WORDS_TABLE: Final = "CREATE VIRTUAL TABLE IF NOT EXISTS records_text USING fts5 (text, content='')"
REVIEW_TABLES: Final = f"""
CREATE TABLE rollups (
    minute BIGINT NOT NULL, connection VARCHAR NOT NULL, effect VARCHAR NOT NULL, reason VARCHAR NOT NULL,
    tool VARCHAR NOT NULL, principal VARCHAR NOT NULL, status VARCHAR NOT NULL, calls BIGINT NOT NULL,
    PRIMARY KEY (minute, connection, effect, reason, tool, principal, status)
);
CREATE TABLE latencies (
    minute BIGINT NOT NULL, connection VARCHAR NOT NULL, bucket INTEGER NOT NULL, calls BIGINT NOT NULL,
    PRIMARY KEY (minute, connection, bucket)
);
CREATE TABLE cursors (
    name VARCHAR NOT NULL, position BIGINT NOT NULL, PRIMARY KEY (name)
);
{WORDS_TABLE}"""
CONSOLE_TABLES: Final = """
CREATE TABLE calls (
    id INTEGER NOT NULL, ended BIGINT, at BIGINT NOT NULL, connection VARCHAR NOT NULL, method VARCHAR NOT NULL,
    tool VARCHAR NOT NULL, principal VARCHAR NOT NULL, agent VARCHAR NOT NULL, blueprint VARCHAR NOT NULL,
    project VARCHAR NOT NULL, source VARCHAR NOT NULL, effect VARCHAR NOT NULL, reason VARCHAR NOT NULL,
    status VARCHAR NOT NULL, total BIGINT, PRIMARY KEY (id)
);
CREATE INDEX calls_at ON calls (at);
CREATE INDEX calls_connection ON calls (connection, at);
CREATE INDEX calls_method ON calls (method, at);
CREATE INDEX calls_tool ON calls (tool, at);
CREATE INDEX calls_principal ON calls (principal, at);
CREATE INDEX calls_agent ON calls (agent, at);
CREATE INDEX calls_blueprint ON calls (blueprint, at);
CREATE INDEX calls_project ON calls (project, at);
CREATE INDEX calls_source ON calls (source, at);
CREATE INDEX calls_effect ON calls (effect, at);
CREATE INDEX calls_reason ON calls (reason, at);
CREATE INDEX calls_status ON calls (status, at);
CREATE TABLE callers (
    principal VARCHAR NOT NULL, name VARCHAR NOT NULL, PRIMARY KEY (principal)
);
CREATE INDEX callers_name ON callers (name);
CREATE TABLE hourly_rollups (
    hour BIGINT NOT NULL, connection VARCHAR NOT NULL, effect VARCHAR NOT NULL, reason VARCHAR NOT NULL,
    tool VARCHAR NOT NULL, principal VARCHAR NOT NULL, status VARCHAR NOT NULL, calls BIGINT NOT NULL,
    PRIMARY KEY (hour, connection, effect, reason, tool, principal, status)
);
CREATE TABLE hourly_latencies (
    hour BIGINT NOT NULL, connection VARCHAR NOT NULL, bucket INTEGER NOT NULL, calls BIGINT NOT NULL,
    PRIMARY KEY (hour, connection, bucket)
);
CREATE TABLE admin_keys (
    id VARCHAR NOT NULL, digest VARCHAR NOT NULL, name VARCHAR NOT NULL, role VARCHAR NOT NULL,
    created_at BIGINT NOT NULL, expires_at BIGINT, revoked_at BIGINT, PRIMARY KEY (id)
)
"""
PIN_TABLES: Final = """
CREATE TABLE pins (
    server VARCHAR NOT NULL, tool VARCHAR NOT NULL, digest VARCHAR NOT NULL, approved VARCHAR NOT NULL,
    rejected VARCHAR NOT NULL, fault VARCHAR NOT NULL, seen_at BIGINT NOT NULL, decided_at BIGINT,
    decided_by VARCHAR NOT NULL, PRIMARY KEY (server, tool)
);
CREATE TABLE definitions (
    server VARCHAR NOT NULL, digest VARCHAR NOT NULL, definition TEXT NOT NULL, PRIMARY KEY (server, digest)
);
CREATE TABLE pinned_servers (
    server VARCHAR NOT NULL, seen_at BIGINT NOT NULL, listed_at BIGINT, kept BIGINT NOT NULL, revision BIGINT NOT NULL,
    PRIMARY KEY (server)
);
CREATE INDEX pinned_servers_revision ON pinned_servers (revision)
"""
SCHEMA: Final = f"""
CREATE TABLE keys (
    id VARCHAR NOT NULL, digest VARCHAR NOT NULL, name VARCHAR NOT NULL, project VARCHAR NOT NULL,
    created_at BIGINT NOT NULL, expires_at BIGINT, revoked_at BIGINT, connections VARCHAR, tools VARCHAR,
    last_used_at BIGINT, replaced_by VARCHAR, PRIMARY KEY (id)
);
CREATE TABLE records (
    id INTEGER NOT NULL, writer VARCHAR NOT NULL, seq BIGINT NOT NULL, call_id VARCHAR, final SMALLINT NOT NULL,
    event VARCHAR NOT NULL, at BIGINT NOT NULL, connection VARCHAR, method VARCHAR, tool VARCHAR, principal VARCHAR,
    principal_name VARCHAR, project VARCHAR, reason VARCHAR, status VARCHAR, source VARCHAR, correlation_id VARCHAR,
    trace_id VARCHAR, record TEXT NOT NULL, hash BLOB DEFAULT (x'') NOT NULL, PRIMARY KEY (id), UNIQUE (writer, seq),
    UNIQUE (call_id, final)
);
CREATE INDEX records_at ON records (at);
CREATE INDEX records_correlation_id ON records (correlation_id);
CREATE INDEX records_trace_id ON records (trace_id);
CREATE TABLE writers (
    id VARCHAR NOT NULL, seq BIGINT, hash BLOB, PRIMARY KEY (id)
);
{SIGN_IN_TABLES};{PROOF_TABLES};{REVIEW_TABLES};{CONSOLE_TABLES};{PIN_TABLES}"""
# What brings a file to the next version, by the version that it has; 0 is an empty file.
STEPS: Final = {
    0: (SCHEMA, SCHEMA_VERSION),
    1: (
        f"""
ALTER TABLE keys ADD COLUMN connections VARCHAR;
ALTER TABLE keys ADD COLUMN tools VARCHAR;
ALTER TABLE keys ADD COLUMN last_used_at BIGINT;
ALTER TABLE keys ADD COLUMN replaced_by VARCHAR;
{SIGN_IN_TABLES}""",
        2,
    ),
    2: (
        f"""
ALTER TABLE records ADD COLUMN hash BLOB DEFAULT (x'') NOT NULL;
ALTER TABLE writers ADD COLUMN seq BIGINT;
ALTER TABLE writers ADD COLUMN hash BLOB;
{PROOF_TABLES};{REVIEW_TABLES}""",
        3,
    ),
    3: (CONSOLE_TABLES, 4),
    4: (WORDS_TABLE, 5),  # only in PostgreSQL was there none yet
    5: (PIN_TABLES, 6),
}


def sqlite_path(url: str, folder: Path) -> Path:
    """The file that `sqlite:///relative` or `sqlite:////absolute` names; relative to `folder`. Raises ValueError."""
    if not url.startswith(PREFIX) or len(url) == len(PREFIX) or "?" in url:
        raise ValueError(f"{url!r} is not a SQLite store; write {PREFIX}mcpgov.db")
    return folder.absolute() / url.removeprefix(PREFIX)


def create_database(path: Path) -> None:
    """Make the file and its tables unless they are there, and bring an older file up to date.

    Raises StoreUnavailable, also where only its log is there, and InvalidConfiguration (newer).
    """
    log = path.with_name(f"{path.name}-wal")
    with unavailable(path):
        if log.exists() and not path.exists():  # in this order: another process may be making both
            raise StoreUnavailable(
                f"{path} is gone, and {log.name}, which is still there, holds its last records: put {path.name} back."
                f" If it is lost for good, move {log.name} away too"
            )
        if not path.exists():
            with placed(path) as draft, contextlib.closing(connect(draft)) as database:
                bring_up_to_date(database, draft)
        with contextlib.closing(connect(path)) as database:
            if schema_version(database, path) < SCHEMA_VERSION:
                bring_up_to_date(database, path)


def bring_up_to_date(database: sqlite3.Connection, path: Path, steps: Mapping[int, tuple[str, int]] = STEPS) -> None:
    """Take the steps from the file's version to the newest, each in one transaction that stamps its version; what
    another process did meanwhile is not done again. Raises sqlite3.Error, InvalidConfiguration (newer).
    """
    newest = max(version for _, version in steps.values())
    version = -1
    while version < newest:
        database.execute("BEGIN IMMEDIATE")
        try:
            version = schema_version(database, path, newest)
            if version < newest:
                statements, version = steps[version]
                for statement in statements.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {version:d}")
            database.execute("COMMIT")
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")


def schema_version(database: sqlite3.Connection, path: Path, newest: int = SCHEMA_VERSION) -> int:
    """The version of the schema, 0 for an empty file. Raises InvalidConfiguration when it is newer than this one."""
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > newest:
        raise too_new(str(path), version, newest, "file")
    return version


def too_new(place: str, version: int, newest: int, kind: str) -> InvalidConfiguration:
    """The refusal of a store that a newer release brought up to date. `kind` is what a store is there."""
    says = f"the store has schema {version}, which a newer mcpgov wrote; this one reads {newest}"
    mend = f"run the version that wrote it, or name another {kind} under audit.store; mcpgov store migrate --check"
    return InvalidConfiguration((Problem(place, 0, 0, says, f"{mend} tells them apart"),))


def connect(path: Path, *, busy: float = BUSY, flushed: bool = True) -> sqlite3.Connection:
    """Open the file, which must be there, for reading and writing. `busy` is in seconds. Raises sqlite3.Error.

    `flushed`: a commit is on the disk when it returns; otherwise the system has it, and an end of the process alone
    does not lose it (SQLite's manual, `synchronous` FULL and NORMAL).
    """
    database = sqlite3.connect(
        f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False, timeout=busy
    )
    database.text_factory = readable
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(f"PRAGMA synchronous = {'FULL' if flushed else 'NORMAL'}")
        database.execute("PRAGMA fullfsync = 1")  # where fsync does not reach the disk (macOS); nothing elsewhere
    except sqlite3.Error:
        database.close()
        raise
    return database


def connect_to_read(path: Path, newest: int = SCHEMA_VERSION) -> sqlite3.Connection:
    """Open the file for reading alone. Raises StoreUnavailable when it is not there, InvalidConfiguration if newer."""
    if not path.exists():
        raise StoreUnavailable(f"{path} does not exist; the gateway makes it when it starts (mcpgov serve)")
    with unavailable(path):
        database = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
        database.text_factory = readable
        try:
            schema_version(database, path, newest)
        except (sqlite3.Error, InvalidConfiguration):
            database.close()
            raise
        return database


def readable(raw: bytes) -> str:
    """Text of a column. What is no UTF-8 was written by somebody else; it must not keep the rest from being read."""
    return raw.decode(errors="replace")


def text_or_bytes(text: bytes) -> str | bytes:
    """A text from the file; its bytes where somebody put there what is no UTF-8."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text


def digest_key(path: Path) -> bytes:
    """The first key that argument digests were made with, kept beside the store and not in it; made at first use.
    Consents are sealed under it, so it stays when digests get another.

    Raises StoreUnavailable.
    """
    return _kept_key(_digest_key_file(path, 0))


def kept_digest_keys(path: Path) -> tuple[bytes, ...]:
    """Every key that argument digests were made with, the present one first; none where there is none yet.

    The first one made lies in `NAME.key`, those that came after it in `NAME.key.1` and so on. Raises StoreUnavailable.
    """
    files = (_digest_key_file(path, turn) for turn in itertools.count())
    with unavailable(path):
        return tuple(_kept_key(file) for file in itertools.takewhile(Path.exists, files))[::-1]


def keep_digest_key(path: Path, key: bytes) -> None:
    """Make digests with this key from the next start on. Raises StoreUnavailable, also when another key came first."""
    beside = _digest_key_file(path, len(kept_digest_keys(path)))
    with unavailable(beside), placed(beside) as draft:
        draft.write_bytes(key)
    if _kept_key(beside) != key:
        raise StoreUnavailable(f"{beside} was made by somebody else at this moment; look before you rotate again")


def _digest_key_file(path: Path, turn: int) -> Path:
    return path.with_name(f"{path.name}.key.{turn}" if turn else f"{path.name}.key")


def signing_key_file(path: Path) -> Path:
    """Where the key lies that checkpoints of this store are signed with, if no other was configured."""
    return path.with_name(path.name + ".signing-key")


def key_files(path: Path) -> tuple[Path, ...]:
    """The files beside a store that hold a key, of those that are there."""
    digests = itertools.takewhile(Path.exists, (_digest_key_file(path, turn) for turn in itertools.count()))
    return (*digests, *filter(Path.exists, (signing_key_file(path),)))


def signing_key(path: Path) -> bytes:
    """The key that checkpoints are signed with, kept beside the store and not in it; made at first use.

    Raises StoreUnavailable.
    """
    return _kept_key(signing_key_file(path))


def _kept_key(beside: Path) -> bytes:
    with unavailable(beside):
        if not beside.exists():
            with placed(beside) as draft:
                draft.write_bytes(secrets.token_bytes(KEY_LENGTH))
        key = beside.read_bytes()
    if len(key) != KEY_LENGTH:
        raise StoreUnavailable(f"{beside} does not hold a key of {KEY_LENGTH} bytes; restore it or move it away")
    return key


@contextlib.contextmanager
def placed(path: Path) -> Generator[Path]:
    """A new file that only its owner may read, to be filled under another name; it takes its own name when it is whole
    and on the disk, unless another process was faster.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield draft
        synced(draft)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # unlike a rename, this never replaces a file
            synced(path.parent)
    finally:
        draft.unlink()


def place_bytes(path: Path, content: bytes) -> None:
    """Make a file with this content, and its folders, unless there is one of that name. Raises OSError."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with placed(path) as draft:
            draft.write_bytes(content)


def synced(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def unavailable(path: Path) -> Generator[None]:
    """Turn what SQLite and the system say into StoreUnavailable."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"{path}: {error}") from error
