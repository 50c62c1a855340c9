"""What the verbs open: the store that a settings file names, beside a gateway that may be running.

A room of the composition root: app.py says how optional parts are loaded and secrets fetched. Nobody else imports it.
"""

from __future__ import annotations

import os
import ssl
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote, urlsplit

from mcpgov.accounts import local_user
from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.audit_settings import SQLITE, Audit
from mcpgov.backup.contents import Stored
from mcpgov.backup.saving import Gateway
from mcpgov.catalog_files import load_catalog
from mcpgov.database_tokens import database_tokens
from mcpgov.decision import Reason
from mcpgov.doctor.visit import Visitor
from mcpgov.errors import Refusal
from mcpgov.examining import Examination
from mcpgov.exports import export_states, written
from mcpgov.frozen import frozen
from mcpgov.host_tokens import HostTokens
from mcpgov.identities import IdentityParts, kept_consents
from mcpgov.registry_client import SCOPE, RegistryClient
from mcpgov.reload import load_generation
from mcpgov.server_urls import check_postgres_url, dump_command
from mcpgov.settings import Settings
from mcpgov.settings_file import DEFAULT_FILE, load_settings, named_store, stood_in
from mcpgov.stage_settings import azure_identity
from mcpgov.storage import Storage, received_checkpoints, writing
from mcpgov.store.database import SCHEMA_VERSION
from mcpgov.store.recorded_keys import RecordedKeys
from mcpgov.store.recorded_pins import RecordedPins
from mcpgov.store.sqlite_pins import require_pins
from mcpgov.trust import system_trust
from mcpgov.upkeep import Purging
from mcpgov.web import GuardedWeb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
    from datetime import datetime

    from mcpgov.audit.exported import ExportState
    from mcpgov.audit.note import VerifierKey
    from mcpgov.audit.reader import AuditReader
    from mcpgov.audit.review import ReviewReader
    from mcpgov.catalog.importers import Fetch
    from mcpgov.credential.tokens import AzureIdentity, HostIdentity
    from mcpgov.database_tokens import DatabaseTokens
    from mcpgov.identities import RecordedConsents
    from mcpgov.operating import RecordedAdminKeys
    from mcpgov.settings_file import Vaults
    from mcpgov.store.evidence import SqlEvidence
    from mcpgov.store.migration import SqliteMigration
    from mcpgov.store.postgres_migration import PostgresMigration

    Load = Callable[[str], Any]
    Write = Callable[[ControlRecord], Awaitable[None]]
    Host = Callable[[AzureIdentity, ssl.SSLContext], HostIdentity]


def no_host(azure: AzureIdentity, tls: ssl.SSLContext) -> NoReturn:
    """The Host of those who were given none."""
    del azure, tls
    raise Refusal(Reason.CREDENTIAL_UNAVAILABLE, "No token is to be had.", detail="nobody is asked here")


@frozen
class Openers:
    """Opens things by the path of a settings file. `load` loads a module of ours when it is first asked for."""

    load: Load
    vaults: Vaults
    now: Callable[[], datetime]
    host: Host = no_host

    @property
    def newest(self) -> int:
        """The schema of stores that this release reads and makes."""
        return SCHEMA_VERSION

    def storage(self, config: Path | None) -> Storage:
        """The store that a settings file names."""
        return self._storage(load_settings(config))

    def _storage(self, settings: Settings) -> Storage:
        return Storage(settings, self.load, self.tokens(settings))

    def tokens(self, settings: Settings) -> DatabaseTokens | None:
        """What databases are signed in to with, where they are by tokens."""
        return database_tokens(settings.azure, self.host, self.now)

    def storage_named(self, source: str | None, config: Path | None) -> Storage:
        """The store at a path, a `sqlite:///` or a `postgresql://` URL; the configured one where none is named.

        Raises InvalidConfiguration.
        """
        if source is None:
            return self.storage(config)
        audit = Audit().model_copy(update={"store": named_store(source)})
        return self._storage(Settings(audit=audit))

    def find_store(self, config: Path | None) -> Path | None:
        """The file that a settings file names as the store, there or not; None where that is a server."""
        return self.storage(config).file

    def find_verifier_key(self, source: str | None, config: Path | None) -> VerifierKey | None:
        """The public half of the key that signs a store, where that lies here; the configured one if none is named."""
        if source:
            return self.storage_named(source, None).verifier_key()
        return self._storage(load_generation(config, vaults=self.vaults).settings).verifier_key()

    def evidence(self, source: str | None, config: Path | None) -> SqlEvidence:
        """A store as evidence; the configured one if none is named."""
        return self.storage_named(source, config).evidence()

    def received(self, place: str) -> Iterator[str]:
        """The checkpoints in the database at this URL. Raises StoreUnavailable, ValueError where it is no such URL."""
        if not place.startswith(SQLITE):
            check_postgres_url(place)
        return received_checkpoints(place, self.load).notes()

    def places(self, config: Path | None) -> Sequence[str]:
        """The folders and the databases that the settings have checkpoints sent to. A URL only takes them."""
        named = (place.reveal() for place in self.storage(config).settings.audit.checkpoints)
        readable = (place for place in named if not place.startswith("https:"))
        return [unquote(urlsplit(place).path) if place.startswith("file:") else place for place in readable]

    def migrations(self, config: Path | None) -> Sequence[SqliteMigration | PostgresMigration]:
        """The schema of each store of the ledger, the one that is read first."""
        storage = self.storage(config)
        return [one.migration() for one in (storage, *storage.sinks())]

    def to_save(self, config: Path | None) -> Gateway:
        """The gateway of a settings file, to be saved: its store only where that is a file."""
        storage = self.storage(config)
        stored = Stored(storage.file, storage.key_files())
        return Gateway(config or Path(DEFAULT_FILE), stored, self.load("mcpgov.store.sqlite_copy").copy_sqlite)

    def examination(self, config: Path | None, workers: int, *, offline: bool) -> Examination:
        """What the doctor looks at."""
        return Examination(config, self.load, self.vaults, self.now, Visitor(self.now), workers, offline, self.tokens)

    def dump(self, config: Path | None) -> str:
        """The command that saves a store which is a server; empty where it is a file."""
        return dump_command(self.storage(config).server.reveal(), "mcpgov.dump") if not self.find_store(config) else ""

    def reader(self, config: Path | None) -> AuditReader:
        """The ledger, for reading."""
        return self.storage(config).reader()

    @contextmanager
    def review(self, config: Path | None, tell: Callable[[int], None]) -> Generator[ReviewReader]:
        """The ledger through its index, which is first brought up to date; `tell` is told how many records are left."""
        storage = self.storage(config)
        with storage.review() as review:
            records = review.state().records
            for left in self.load("mcpgov.store.audit_index").catch_up(storage.index_place(), records, time.sleep):
                tell(left)
            yield review

    def written(
        self, config: Path | None, name: str, since: int | None, until: int | None
    ) -> Iterator[tuple[bytes, int]]:
        """The records of the configured store, or those of a span of time, as a file in a format."""
        return written(self.storage(config), name, since, until)

    def export_states(self, config: Path | None) -> Sequence[ExportState]:
        """How far each export is."""
        return export_states(self.storage(config))

    def purging(self, config: Path | None) -> Purging:
        """The ledger, to be purged."""
        return Purging(self.storage(config), self.now)

    def digest_keys(self, config: Path | None) -> tuple[bytes, ...]:
        """The keys that digests were made with, the newest first."""
        return self.storage(config).digest_keys

    async def rotate_digest_key(self, config: Path | None) -> tuple[str, str]:
        """Give digests another key, and say so in the ledger. The ids of the former and of the new key."""
        storage = self.storage(config)
        async with writing(storage.open(), self.now) as write:
            return await storage.rotate_digest_key(by_local_user(write), self.now())

    async def note_verified(self, config: Path | None, details: Mapping[str, str | int]) -> None:
        """Write down that the configured store was verified. Raises StoreUnavailable."""
        async with writing(self.storage(config).open(), self.now) as write:
            await by_local_user(write)(ControlRecord(ControlEvent.VERIFIED, self.now(), details))

    @asynccontextmanager
    async def notes(self, config: Path | None) -> AsyncGenerator[Write]:
        """Writes into the ledger what whoever runs a verb does elsewhere."""
        async with writing(self.storage(config).open(), self.now) as write:
            yield by_local_user(write)

    def registry(self, config: Path | None, *, private: bool) -> Fetch:
        """What asks registries; an API Center as mcpgov's own identity, where the settings name one."""
        azure, tls = load_catalog(config).with_texts({}).settings.azure, system_trust()
        if azure is None:
            return RegistryClient(GuardedWeb(tls), private=private).fetch
        identity = azure_identity(azure)
        tokens = HostTokens(self.host(identity, tls), SCOPE, identity.managed_identity, self.now)
        return RegistryClient(GuardedWeb(tls), tokens.token, private).fetch

    @asynccontextmanager
    async def keys(self, config: Path | None) -> AsyncGenerator[RecordedKeys]:
        """The gateway keys, every change of which is recorded."""
        stores = self.storage(config).open()
        async with writing(stores, self.now) as write:
            try:
                yield RecordedKeys(stores.keys, by_local_user(write), stores.vault)
            finally:
                stores.vault.close()
                stores.keys.close()

    @asynccontextmanager
    async def admin_keys(self, config: Path | None) -> AsyncGenerator[RecordedAdminKeys]:
        """The admin keys, every change of which is recorded."""
        storage = self.storage(config)
        async with writing(storage.open(), self.now) as write:
            with storage.admin_keys() as keys:
                yield self.load("mcpgov.operating").RecordedAdminKeys(keys, by_local_user(write))

    @asynccontextmanager
    async def pins(self, config: Path | None) -> AsyncGenerator[RecordedPins]:
        """What is known of the tools of servers, every decision about which is recorded.

        Raises InvalidConfiguration where no gateway has started with this store yet.
        """
        storage = self.storage(config)
        if storage.file:
            require_pins(storage.file)
        with storage.pins() as pins:
            yield RecordedPins(pins, lambda: writing(storage.open(), self.now))

    @asynccontextmanager
    async def consents(self, config: Path | None) -> AsyncGenerator[RecordedConsents]:
        """The consents in the store."""
        snapshot = load_generation(config, stood_in(os.environ), self.vaults)
        storage = self._storage(snapshot.settings)
        stores = storage.open()
        parts = IdentityParts(lambda: snapshot, stores.keys, stores.vault, storage.material, self.now)
        async with writing(stores, self.now) as write:

            async def note(event: ControlEvent, **details: str | int) -> None:
                await write(ControlRecord(event, self.now(), details))

            async with kept_consents(parts, note) as consents:
                yield consents


def by_local_user(write: Write) -> Write:
    """Writes records down that say who runs the verb."""

    async def signed(record: ControlRecord) -> None:
        await write(replace(record, details={"principal": local_user(), **record.details}))

    return signed
