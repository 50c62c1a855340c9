"""The store that the settings name, a file or a PostgreSQL, and everything that is kept in it or beside it.

A room of the composition root: app.py hands it the settings and the loader of optional parts. Nobody else imports it.
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mcpgov.audit.note import Signer
from mcpgov.audit.record import ControlEvent, ControlRecord, Durability
from mcpgov.audit.redact import key_id
from mcpgov.audit.sinks import Sinks
from mcpgov.audit.writer import Tuning
from mcpgov.audit_settings import SQLITE
from mcpgov.database_tokens import POSTGRES
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.frozen import frozen
from mcpgov.models import Secret
from mcpgov.store.database import (
    digest_key,
    keep_digest_key,
    kept_digest_keys,
    key_files,
    signing_key,
    signing_key_file,
    sqlite_path,
)
from mcpgov.store.signed_url import SignedUrl
from mcpgov.store.sqlite_keys import SqliteKeyStore
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from mcpgov.store.sqlite_pins import SqlitePins
from mcpgov.store.sqlite_vault import SqliteTokenVault

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
    from datetime import datetime

    from mcpgov.admin.access import AdminKeyStore
    from mcpgov.audit.checkpoints import KeptCheckpoints
    from mcpgov.audit.ledger_store import LedgerStore
    from mcpgov.audit.note import VerifierKey
    from mcpgov.audit.reader import AuditReader
    from mcpgov.audit.record import ControlRecord
    from mcpgov.audit.retention import PurgingLedger, PurgingStore
    from mcpgov.database_tokens import DatabaseTokens
    from mcpgov.doctor.facts import Condition
    from mcpgov.identities import Keys, Rows
    from mcpgov.replicas import Serving
    from mcpgov.settings import Settings
    from mcpgov.store.audit_index import IndexPlace
    from mcpgov.store.audit_query import SqlReviewReader
    from mcpgov.store.evidence import SqlEvidence
    from mcpgov.store.export_log import SqlExports
    from mcpgov.store.migration import SqliteMigration
    from mcpgov.store.oldest_records import SqlOldestRecords
    from mcpgov.store.postgres_admin_keys import PostgresAdminKeys
    from mcpgov.store.postgres_migration import PostgresMigration
    from mcpgov.store.postgres_pins import PostgresPins
    from mcpgov.store.sent_checkpoints import SqlSentCheckpoints
    from mcpgov.store.sqlite_admin_keys import SqliteAdminKeys

    Load = Callable[[str], Any]

KEY_LENGTH = 32  # bytes
ADMIN_CONNECTIONS = 2  # operators are few
PIN_CONNECTIONS = 2
PINS_TIMEOUT = 5.0  # seconds: a list can have thousands of tools


@frozen
class Opened:
    """Where records, keys and consents are kept, each connected to when it is first needed.

    `ledgers` are the places of records, the first of which is read; `tuning` is how they are written.
    """

    ledgers: tuple[LedgerStore, ...]
    tuning: Tuning
    keys: Keys
    vault: Rows


@frozen
class Storage:
    """The store of these settings. `load` loads a module of ours when it is first asked for; `tokens` are of our own
    identity, with which servers are signed in to if the settings say so.
    """

    settings: Settings
    load: Load
    tokens: DatabaseTokens | None = None

    @property
    def file(self) -> Path | None:
        """The file of the store, there or not; None where that is a server."""
        store = self.settings.audit.store
        return None if isinstance(store, Secret) else sqlite_path(store, Path.cwd())

    @property
    def server(self) -> Secret:
        """The URL of the server."""
        store = self.settings.audit.store
        return self._signed(store) if isinstance(store, Secret) else Secret("")

    def _signed(self, url: Secret) -> Secret:
        """A server's URL, with a token in the place of a password where that is how we sign in."""
        by_token = self.settings.audit.sign_in == "entra" and self.tokens is not None
        return SignedUrl(url.reveal(), self.tokens.of(POSTGRES)) if by_token and self.tokens else url

    def sinks(self) -> tuple[Storage, ...]:
        """Each further store of the ledger, as if it were the only one. Its checkpoints are signed with our key."""
        audit = self.settings.audit
        alone = (audit.model_copy(update={"store": sink, "sinks": ()}) for sink in audit.sinks)
        return tuple(replace(self, settings=self.settings.model_copy(update={"audit": one})) for one in alone)

    def untended(self) -> Storage:
        """The same store for one who only visits: what is done with it by the way is left to a gateway that serves."""
        audit = self.settings.audit.model_copy(update={"keep_days": None, "checkpoints": (), "exports": ()})
        return replace(self, settings=self.settings.model_copy(update={"audit": audit}))

    def open(self, *, company: bool = False) -> Opened:
        """Everything that a gateway writes to; `company`: other workers write to it all the time."""
        audit = self.settings.audit
        ledgers = tuple(self._ledger(store, company=company) for store in (audit.store, *audit.sinks))
        tuning = Tuning(every_store=audit.require == "all", outcome_first=audit.outcome == "before-reply")
        if path := self.file:
            return Opened(ledgers, tuning, SqliteKeyStore(path), SqliteTokenVault(path))
        pool = self.load("mcpgov.store.postgres_pool").PostgresPool(self.server)
        return Opened(
            ledgers,
            tuning,
            self.load("mcpgov.store.postgres_keys").PostgresKeyStore(pool),
            self.load("mcpgov.store.postgres_vault").PostgresTokenVault(pool),
        )

    def _ledger(self, store: str | Secret, *, company: bool) -> LedgerStore:
        durability = Durability(self.settings.audit.durability)
        if not isinstance(store, Secret):
            return SqliteLedgerStore(sqlite_path(store, Path.cwd()), durability, company=company)
        ledger: LedgerStore = self.load("mcpgov.store.postgres_ledger").PostgresLedgerStore(
            self._signed(store), durability
        )
        return ledger

    def reader(self) -> AuditReader:
        """The ledger, for reading."""
        reader: AuditReader = (
            self.load("mcpgov.store.audit_reader").open_sqlite_reader(self.file)
            if self.file
            else self.load("mcpgov.store.postgres_reader").open_postgres_reader(self.server)
        )
        return reader

    def evidence(self) -> SqlEvidence:
        """The ledger, to be verified."""
        evidence: SqlEvidence = (
            self.load("mcpgov.store.evidence").open_sqlite_evidence(self.file)
            if self.file
            else self.load("mcpgov.store.postgres_reader").open_postgres_evidence(self.server)
        )
        return evidence

    def oldest(self) -> SqlOldestRecords:
        """The oldest records, to be purged."""
        oldest: SqlOldestRecords = (
            self.load("mcpgov.store.oldest_records").open_sqlite_oldest(self.file)
            if self.file
            else self.load("mcpgov.store.postgres_reader").open_postgres_oldest(self.server)
        )
        return oldest

    @contextmanager
    def purging(self) -> Generator[PurgingLedger]:
        """A writer that can purge, beside those that there are."""
        if path := self.file:
            store: PurgingStore = SqliteLedgerStore(path)
        else:
            store = self.load("mcpgov.store.postgres_ledger").PostgresLedgerStore(self.server)
        store.open()
        try:
            yield store
        finally:
            store.close(finished=True)

    def checkpoints(self) -> KeptCheckpoints:
        """The checkpoints in the store, to be sent elsewhere."""
        kept: KeptCheckpoints = (
            self.load("mcpgov.store.checkpoint_log").open_sqlite_checkpoints(self.file)
            if self.file
            else self.load("mcpgov.store.postgres_reader").open_postgres_checkpoints(self.server)
        )
        return kept

    def review(self) -> SqlReviewReader:
        """The ledger through its index, for the console and the admin API."""
        review: SqlReviewReader = (
            self.load("mcpgov.store.audit_query").open_sqlite_review(self.file)
            if self.file
            else self.load("mcpgov.store.postgres_review").open_postgres_review(self.server)
        )
        return review

    def index_place(self) -> IndexPlace:
        """Where that index is made."""
        place: IndexPlace = (
            self.load("mcpgov.store.audit_index").sqlite_place(self.file)
            if self.file
            else self.load("mcpgov.store.postgres_review").postgres_place(self.server)
        )
        return place

    @contextmanager
    def admin_keys(self) -> Generator[AdminKeyStore]:
        """The keys of operators."""
        keys: SqliteAdminKeys | PostgresAdminKeys
        if path := self.file:
            keys = self.load("mcpgov.store.sqlite_admin_keys").SqliteAdminKeys(path)
        else:
            pool = self.load("mcpgov.store.postgres_pool").PostgresPool(self.server, connections=ADMIN_CONNECTIONS)
            keys = self.load("mcpgov.store.postgres_admin_keys").PostgresAdminKeys(pool)
        try:
            yield keys
        finally:
            keys.close()

    @contextmanager
    def pins(self) -> Generator[SqlitePins | PostgresPins]:
        """What is approved of the tools of servers."""
        pins: SqlitePins | PostgresPins
        if path := self.file:
            pins = SqlitePins(path)
        else:
            pool = self.load("mcpgov.store.postgres_pool").PostgresPool(
                self.server, timeout=PINS_TIMEOUT, connections=PIN_CONNECTIONS
            )
            pins = self.load("mcpgov.store.postgres_pins").PostgresPins(pool)
        try:
            yield pins
        finally:
            pins.close()

    def exports(self) -> SqlExports:
        """The records in the store, to be exported, and how far each export has come."""
        log = self.signer().key.name.rpartition("/")[2]
        exports: SqlExports = (
            self.load("mcpgov.store.export_log").open_sqlite_exports(self.file, log)
            if self.file
            else self.load("mcpgov.store.postgres_reader").open_postgres_exports(self.server, log)
        )
        return exports

    def migration(self) -> SqliteMigration | PostgresMigration:
        """The version of its schema, and the steps to the one that is wanted."""
        migration: SqliteMigration | PostgresMigration = (
            self.load("mcpgov.store.migration").SqliteMigration(self.file)
            if self.file
            else self.load("mcpgov.store.postgres_migration").PostgresMigration(self.server)
        )
        return migration

    def condition(self) -> Condition:
        """How it is from inside. Raises StoreUnavailable, InvalidConfiguration (newer)."""
        condition: Condition = (
            self.load("mcpgov.store.condition").sqlite_condition(self.file)
            if self.file
            else self.load("mcpgov.store.postgres_condition").postgres_condition(self.server)
        )
        return condition

    def gateways(self, before: str = "") -> tuple[Serving, ...]:
        """Those that write to it now and started before a writer; all of them for none. Raises StoreUnavailable."""
        found: tuple[Serving, ...] = (
            self.load("mcpgov.store.condition").sqlite_gateways(self.file, before)
            if self.file
            else self.load("mcpgov.store.postgres_condition").postgres_gateways(self.server, before)
        )
        return found

    def key_files(self) -> tuple[Path, ...]:
        """The files of keys that lie beside the store."""
        return key_files(self.file) if self.file else ()

    def missing_keys(self) -> tuple[str, ...]:
        """The names of those that should, and do not, because no `secrets.key` stands in for them."""
        if not self.file or self.settings.secrets.material:
            return ()
        wanted = (self.file.with_name(f"{self.file.name}.key"), signing_key_file(self.file))
        return tuple(str(key) for key in wanted if not key.exists())

    @property
    def argument_key(self) -> bytes:
        """The key that digests are made with; without `secrets.key` it lies in a file beside the store."""
        return next(iter(self.digest_keys), None) or self.material

    @property
    def digest_keys(self) -> tuple[bytes, ...]:
        """Every key that digests here were made with, the present one first; none where there is none yet.

        A store that had a file beside it before it had `secrets.key` has digests under both.
        """
        secret = self.settings.secrets
        materials = (secret.material, *secret.former_materials)
        given = (derived(material, b"mcpgov argument digest") for material in materials if material)
        return (*given, *(kept_digest_keys(self.file) if self.file else ()))

    async def rotate_digest_key(
        self, write: Callable[[ControlRecord], Awaitable[None]], now: datetime
    ) -> tuple[str, str]:
        """Make a new key in a file beside the store, after this was written down. Gives back the ids of the former and
        of the new key. Raises StoreUnavailable, and InvalidConfiguration where the key comes from the settings.
        """
        if self.settings.secrets.material or not self.file:
            mend = "put the present secrets.key first in secrets.former_keys, and a new one in its place"
            raise InvalidConfiguration((Problem("mcpgov.yaml", 0, 0, "digests are keyed by secrets.key", mend),))
        former, new = self.argument_key, secrets.token_bytes(KEY_LENGTH)
        details = {"former_key": key_id(former), "key": key_id(new)}
        await write(ControlRecord(ControlEvent.DIGEST_KEY_ROTATED, now, details))
        keep_digest_key(self.file, new)
        return key_id(former), key_id(new)

    @property
    def material(self) -> bytes:
        """What session ids, tokens and tickets are sealed under, each by a key derived from it; all gateways of a store
        have the same, and it outlives them. A server never goes without one.
        """
        return self.settings.secrets.material or digest_key(sqlite_path(str(self.settings.audit.store), Path.cwd()))

    def signer(self) -> Signer:
        """What signs checkpoints: a key derived from `secrets.key`, or the one in a file beside the store."""
        material = self.settings.secrets.material
        if material is None:
            return Signer(signing_key(sqlite_path(str(self.settings.audit.store), Path.cwd())))
        return Signer(derived(material, b"mcpgov checkpoints"))

    def verifier_key(self) -> VerifierKey | None:
        """The public half of it; None where there is none yet."""
        absent = self.settings.secrets.material is None and not (self.file and signing_key_file(self.file).exists())
        return None if absent else self.signer().key


def sent_checkpoints(place: str, load: Load) -> SqlSentCheckpoints:
    """The database at this URL, for checkpoints to be sent to."""
    sent: SqlSentCheckpoints = (
        load("mcpgov.store.sent_checkpoints").open_sqlite_sent(sqlite_path(place, Path.cwd()))
        if place.startswith(SQLITE)
        else load("mcpgov.store.postgres_reader").open_postgres_sent(Secret(place))
    )
    return sent


def received_checkpoints(place: str, load: Load) -> SqlSentCheckpoints:
    """The same, for them to be read there."""
    received: SqlSentCheckpoints = (
        load("mcpgov.store.sent_checkpoints").open_sqlite_received(sqlite_path(place, Path.cwd()))
        if place.startswith(SQLITE)
        else load("mcpgov.store.postgres_reader").open_postgres_received(Secret(place))
    )
    return received


def derived(material: bytes, label: bytes) -> bytes:
    """A key for one use alone (RFC 5869)."""
    return HKDF(SHA256(), KEY_LENGTH, None, label).derive(material)


@asynccontextmanager
async def writing(
    stores: Opened, now: Callable[[], datetime]
) -> AsyncGenerator[Callable[[ControlRecord], Awaitable[None]]]:
    """Write control events down beside a gateway that may be running, in every store that it writes to."""
    sinks = Sinks(stores.ledgers, now, stores.tuning)
    await sinks.start()

    async def write(record: ControlRecord) -> None:
        row = replace(record, durability=stores.ledgers[0].durability).row()
        await sinks.durable(sinks.post(row, wait=True))

    try:
        yield write
    finally:
        await sinks.close(finished=True)
