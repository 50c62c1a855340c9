"""The store that the settings name, a file or a PostgreSQL, and everything that is kept in it or beside it.

A room of the composition root: app.py hands it the settings and the loader of optional parts. Nobody else imports it.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mcpgov.audit.checkpoints import FolderTarget, HttpTarget, Shipping
from mcpgov.audit.note import Signer
from mcpgov.models import Secret
from mcpgov.store.database import digest_key, place_bytes, signing_key, signing_key_file, sqlite_path
from mcpgov.store.sqlite_keys import SqliteKeyStore
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from mcpgov.store.sqlite_vault import SqliteTokenVault
from mcpgov.web import GuardedWeb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from datetime import datetime

    from mcpgov.audit.checkpoints import KeptCheckpoints
    from mcpgov.audit.note import VerifierKey
    from mcpgov.audit.reader import AuditReader
    from mcpgov.audit.writer import LedgerStore
    from mcpgov.identities import Keys, Rows
    from mcpgov.settings import Settings
    from mcpgov.store.evidence import SqlEvidence
    from mcpgov.store.export_log import SqlExports

    Load = Callable[[str], Any]

KEY_LENGTH = 32  # bytes
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

    def checkpoints(self) -> KeptCheckpoints:
        """The checkpoints in the store, to be sent elsewhere."""
        kept: KeptCheckpoints = (
            self.load("mcpgov.store.checkpoint_log").open_sqlite_checkpoints(self.file)
            if self.file
            else self.load("mcpgov.store.postgres_reader").open_postgres_checkpoints(self.server)
        )
        return kept

    def exports(self) -> SqlExports:
        """The records in the store, to be exported, and how far each export has come."""
        log = self.signer().key.name.rpartition("/")[2]
        exports: SqlExports = (
            self.load("mcpgov.store.export_log").open_sqlite_exports(self.file, log)
            if self.file
            else self.load("mcpgov.store.postgres_reader").open_postgres_exports(self.server, log)
        )
        return exports

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
