"""The store that the settings name, a file or a PostgreSQL, and everything that is kept in it or beside it.

A room of the composition root: app.py hands it the settings and the loader of optional parts. Nobody else imports it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mcpgov.audit.checkpoints import FolderTarget, HttpTarget, Shipping
from mcpgov.audit.note import Signer
from mcpgov.audit.retention import Retention, Wanted
from mcpgov.errors import StoreUnavailable
from mcpgov.models import Secret
from mcpgov.store.database import digest_key, place_bytes, signing_key, signing_key_file, sqlite_path
from mcpgov.store.sqlite_keys import SqliteKeyStore
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from mcpgov.store.sqlite_vault import SqliteTokenVault
from mcpgov.web import GuardedWeb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from datetime import datetime

    from mcpgov.audit.checkpoints import KeptCheckpoints
    from mcpgov.audit.note import VerifierKey
    from mcpgov.audit.reader import AuditReader
    from mcpgov.audit.retention import Purge, PurgingLedger, PurgingStore
    from mcpgov.audit.writer import LedgerStore
    from mcpgov.identities import Keys, Rows
    from mcpgov.settings import Settings
    from mcpgov.store.evidence import SqlEvidence
    from mcpgov.store.oldest_records import SqlOldestRecords

    Load = Callable[[str], Any]

KEY_LENGTH = 32  # bytes
PURGING = 86_400.0  # seconds between two purges
BREATHER = 0.05  # seconds between two batches of one
RETENTION = "mcpgov:retention"  # who purges once a day
SHIPPING = 1.0  # seconds between two looks for checkpoints to send
LAST_CHECKPOINT = 5.0  # seconds that the last one may take to leave


@dataclass(frozen=True, slots=True)
class Opened:
    """Where records, keys and consents are kept, each connected to when it is first needed."""

    ledger: LedgerStore
    keys: Keys
    vault: Rows


@dataclass(frozen=True, slots=True)
class Storage:
    """The store of these settings. `load` loads a module of ours when it is first asked for."""

    settings: Settings
    load: Load

    @property
    def file(self) -> Path | None:
        """The file of the store, there or not; None where that is a server."""
        store = self.settings.audit.store
        return None if isinstance(store, Secret) else sqlite_path(store, Path.cwd())

    @property
    def server(self) -> Secret:
        """The URL of the server."""
        store = self.settings.audit.store
        return store if isinstance(store, Secret) else Secret("")

    def open(self) -> Opened:
        """Everything that a gateway writes to."""
        if path := self.file:
            return Opened(SqliteLedgerStore(path), SqliteKeyStore(path), SqliteTokenVault(path))
        pool = self.load("mcpgov.store.postgres_pool").PostgresPool(self.server)
        return Opened(
            self.load("mcpgov.store.postgres_ledger").PostgresLedgerStore(self.server),
            self.load("mcpgov.store.postgres_keys").PostgresKeyStore(pool),
            self.load("mcpgov.store.postgres_vault").PostgresTokenVault(pool),
        )

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

    def purge(self, wanted: Wanted, now: datetime) -> Purge:
        """Remove what is too old. Blocks, for as long as it takes. Raises StoreUnavailable."""
        with self.oldest() as oldest:
            return Retention(oldest, self.purging, self.signer().checkpoint, left_alone).purge(wanted, now)

    def checkpoints(self) -> KeptCheckpoints:
        """The checkpoints in the store, to be sent elsewhere."""
        kept: KeptCheckpoints = (
            self.load("mcpgov.store.checkpoint_log").open_sqlite_checkpoints(self.file)
            if self.file
            else self.load("mcpgov.store.postgres_reader").open_postgres_checkpoints(self.server)
        )
        return kept

    @property
    def seal_key(self) -> bytes:
        """Seals session ids: `secrets.key`, which all replicas share, or a key that ends with the process."""
        return self.settings.secrets.material or secrets.token_bytes(KEY_LENGTH)

    @property
    def argument_key(self) -> bytes:
        """The key that argument digests are made with; without `secrets.key` it lies in a file beside the store."""
        material = self.settings.secrets.material
        return derived(material, b"mcpgov argument digest") if material else self.material

    @property
    def material(self) -> bytes:
        """What tokens and tickets are sealed under; it outlives the process. A server never goes without one."""
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


def derived(material: bytes, label: bytes) -> bytes:
    """A key for one use alone (RFC 5869)."""
    return HKDF(SHA256(), KEY_LENGTH, None, label).derive(material)


@dataclass(frozen=True, slots=True)
class Purging:
    """The ledger, for whoever purges it by hand."""

    storage: Storage
    now: Callable[[], datetime]

    @property
    def days(self) -> int | None:
        """For how many days records are kept; None is for ever."""
        return self.storage.settings.audit.keep_days

    @property
    def exported(self) -> int | None:
        """The first record that an export has not taken; None where there is no export."""
        return None

    def purge(self, wanted: Wanted) -> Purge:
        """Remove what is too old, or count it. Raises StoreUnavailable."""
        return self.storage.purge(wanted, self.now())


def left_alone() -> None:
    """Leave the store to the gateway for a moment."""
    time.sleep(BREATHER)


async def purge_pause() -> None:
    """Wait until it is looked again for what is too old."""
    await asyncio.sleep(PURGING)


@asynccontextmanager
async def purging_daily(storage: Storage, now: Callable[[], datetime]) -> AsyncGenerator[None]:
    """Remove what is older than the settings say, once at the start and then once a day, beside the gateway."""
    days = storage.settings.audit.keep_days
    if days is None:
        yield
        return

    async def run() -> None:
        while True:
            await purge_once(storage, Wanted(days, RETENTION), now())
            await purge_pause()

    purging = asyncio.create_task(run())
    try:
        yield
    finally:
        purging.cancel()
        with suppress(asyncio.CancelledError):
            await purging


async def purge_once(storage: Storage, wanted: Wanted, now: datetime) -> None:
    """Remove what is too old; what prevents it is logged, and tried again."""
    try:
        done = await asyncio.to_thread(storage.purge, wanted, now)
    except StoreUnavailable as error:
        structlog.get_logger().warning("audit-not-purged", error=str(error))
        return
    if done.records:
        structlog.get_logger().info("audit-purged", records=done.records, writers=len(done.writers))


async def checkpoint_pause() -> None:
    """Wait until checkpoints are looked for again."""
    await asyncio.sleep(SHIPPING)


@asynccontextmanager
async def sending_checkpoints(storage: Storage, now: Callable[[], datetime]) -> AsyncGenerator[None]:
    """Send checkpoints to every place that is named, the last one when the ledger has closed."""
    places = storage.settings.audit.checkpoints
    if not places:
        yield
        return
    targets = [target_of(place.reveal()) for place in places]
    shipping = Shipping(storage.checkpoints(), targets, now, checkpoint_pause)
    sending = asyncio.create_task(shipping.run())
    sending.add_done_callback(told_if_it_fails)
    try:
        yield
    finally:
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
        with suppress(TimeoutError):
            await asyncio.wait_for(shipping.look(), LAST_CHECKPOINT)


def told_if_it_fails(task: asyncio.Task[None]) -> None:
    """Say so when checkpoints are no longer sent."""
    if not task.cancelled() and (failure := task.exception()):
        structlog.get_logger().error("checkpoints-no-longer-sent", exc_info=failure)


def target_of(place: str) -> FolderTarget | HttpTarget:
    """The folder or the URL that checkpoints are sent to."""
    if place.startswith("file:"):
        return FolderTarget(Path(unquote(urlsplit(place).path)), place_bytes)
    return HttpTarget(place, GuardedWeb())
