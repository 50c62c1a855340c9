"""Finds out about a gateway what the doctor judges: asks its store, its servers, its files and this machine.

A room of the composition root. It reads, and changes nothing but for a small file that it makes beside the store and
takes away again. It sends no credential anywhere but to the store and the Redis. `offline` connects to nothing that is
not this machine's own file system, also to no Key Vault: what a secret is does not matter to any check.
"""

from __future__ import annotations

import asyncio
import platform
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mcpgov import __version__
from mcpgov.audit.redact import key_id
from mcpgov.backup.contents import Stored, contents_of
from mcpgov.certificates import Unsuitable, good_until, named_pairs
from mcpgov.counting import redis_counters
from mcpgov.doctor.disk import file_facts, folder_facts
from mcpgov.doctor.facts import At, CertificateFacts, Condition, Facts, KeyFacts, Kind, Machine, ServerFacts, StoreFacts
from mcpgov.doctor.visit import Visit, Visitor
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.models import RemoteUpstream
from mcpgov.reload import load_generation
from mcpgov.server_urls import shown
from mcpgov.settings_file import DEFAULT_FILE, read_text, stand_ins
from mcpgov.stage_settings import oidc_issuer
from mcpgov.storage import Storage
from mcpgov.yaml_source import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from mcpgov.database_tokens import DatabaseTokens
    from mcpgov.replicas import Serving
    from mcpgov.settings import Settings
    from mcpgov.settings_file import Vaults
    from mcpgov.snapshot import Snapshot
    from mcpgov.yaml_source import Source

    Load = Callable[[str], Any]

AT_ONCE: Final = 16  # servers that are looked at together
WITH_STORE: Final = "", "-wal", "-shm"


def without_tokens(_settings: Settings) -> None:
    """The tokens of those who were given none."""


@frozen
class Examination:
    """What is examined, and with what. `workers` is how many are to be served with."""

    config: Path | None
    load: Load
    vaults: Vaults
    now: Callable[[], datetime]
    visitor: Visitor
    workers: int = 1
    offline: bool = False
    tokens: Callable[[Settings], DatabaseTokens | None] = without_tokens

    def facts(self) -> Facts:
        """Everything that can be found out. Raises InvalidConfiguration with every problem of every file."""
        vaults = stand_ins if self.offline else self.vaults
        snapshot = load_generation(self.config, vaults=vaults, workers=self.workers, thorough=True)
        return asyncio.run(self._of(snapshot))

    async def _of(self, snapshot: Snapshot) -> Facts:
        place, settings = self.config or Path(DEFAULT_FILE), snapshot.settings
        source = parse_yaml(read_text(place) if place.exists() else "{}", str(place))
        storage = Storage(settings, self.load, self.tokens(settings))
        stores = [self._store(one, At(source, path)) for one, path in stores_of(storage)]
        asked = [] if self.offline else list(named_servers(snapshot, source))
        here = self.load("mcpgov.store.condition").sqlite_here()
        usable = stores[0].found == stores[0].wanted and not stores[0].fault
        return Facts(
            source=source,
            settings=settings,
            now=self.now(),
            machine=machine(fts5=here.fts5),
            files=tuple(file_facts(files_of(place, storage))),
            stores=tuple(stores),
            gateways=self._gateways(storage) if usable else (),
            servers=tuple(await self._servers(asked)),
            certificates=tuple(presented(settings, source, self.now())),
            redis="" if self.offline else await self._redis(settings),
            keys=await self._keys(storage) if usable else None,
            key_ids=tuple(map(key_id, storage.digest_keys)),
            versions=versions(stores, here.version),
        )

    def _store(self, storage: Storage, at: At) -> StoreFacts:
        """One store; of one that is a server nothing while offline."""
        folder = folder_facts(storage.file.parent) if storage.file else None
        found = StoreFacts(at, str(storage.file or "PostgreSQL"), 0, 0, folder=folder)
        if self.offline and storage.file is None:
            return found
        try:
            version = storage.migration().version()
            condition = storage.condition() if version.found else Condition()
        except StoreUnavailable as error:
            return StoreFacts(at, found.place, 0, 0, str(error), folder)
        except InvalidConfiguration as invalid:
            return StoreFacts(at, found.place, 0, 0, "; ".join(one.message for one in invalid.problems), folder)
        missing = storage.missing_keys() if condition.proved else ()
        return StoreFacts(at, version.place, version.found, version.wanted, "", folder, condition, missing)

    def _gateways(self, storage: Storage) -> tuple[Serving, ...]:
        """Those that write to a store now; of one that is a server none while offline."""
        try:
            return () if self.offline and storage.file is None else storage.gateways()
        except StoreUnavailable:  # it was there a moment ago: what is wrong with it is told by the next run
            return ()

    async def _servers(self, asked: Sequence[tuple[ServerFacts, RemoteUpstream]]) -> Iterator[ServerFacts]:
        """Those servers as they were met."""
        places = asyncio.Semaphore(AT_ONCE)

        async def visited(upstream: RemoteUpstream) -> Visit:
            async with places:
                return await self.visitor.visit(upstream)

        met = await asyncio.gather(*(visited(upstream) for _, upstream in asked))
        pairs = zip(asked, met, strict=True)
        return (
            ServerFacts(facts.at, facts.what, facts.url, one.fault, one.skew, one.expires) for (facts, _), one in pairs
        )

    async def _redis(self, settings: Settings) -> str:
        """Why Redis does not count; empty where it does, or there is none."""
        if settings.counters.url is None:
            return ""
        wanted = settings.counters
        async with redis_counters(wanted, settings.counters.url, self.load, self.tokens(settings)) as counters:
            try:
                await counters.ping()
            except StoreUnavailable as error:
                return str(error)
        return ""

    async def _keys(self, storage: Storage) -> KeyFacts | None:
        """The keys of callers and of operators; None where the store does not say."""
        keys = storage.open().keys
        try:
            with storage.admin_keys() as admins:
                in_force = sum(one.is_in_force(self.now()) for one in await admins.list())
            return KeyFacts(tuple(await keys.list()), in_force)
        except StoreUnavailable:
            return None
        finally:
            keys.close()


def stores_of(storage: Storage) -> Iterator[tuple[Storage, tuple[str | int, ...]]]:
    """Each store of the ledger, and where it is named."""
    yield storage, ("audit", "store")
    yield from ((sink, ("audit", "sinks", number)) for number, sink in enumerate(storage.sinks()))


def files_of(place: Path, storage: Storage) -> Iterator[tuple[Path, Kind]]:
    """Every file of a gateway whose permissions matter."""
    contents = contents_of(place, Stored(storage.file), with_secrets=False)
    yield from ((file, Kind.CONFIGURATION) for file in contents.files.values())
    yield from ((file, Kind.NAMED) for file in contents.secrets)
    for tls in named_pairs(storage.settings).values():
        yield from ((tls.key, Kind.NAMED), (tls.certificate, Kind.CONFIGURATION))
    for one, _ in stores_of(storage):
        if file := one.file:
            yield from ((file.with_name(file.name + ending), Kind.STORE) for ending in WITH_STORE)
            yield from ((key, Kind.KEY) for key in one.key_files())


def presented(settings: Settings, source: Source, now: datetime) -> Iterator[CertificateFacts]:
    """The certificates of our own listeners. Those that are unfit were told of when the files were read."""
    for keys, tls in named_pairs(settings).items():
        with suppress(Unsuitable):
            yield CertificateFacts(At(source, (*keys, "certificate")), str(tls.certificate), good_until(tls, now))


def named_servers(snapshot: Snapshot, source: Source) -> Iterator[tuple[ServerFacts, RemoteUpstream]]:
    """Every server that the files name, once, and how it is reached."""
    seen = set[str]()
    for facts, upstream in (*upstreams(snapshot), *issuers(snapshot.settings, source)):
        if facts.url not in seen:
            seen.add(facts.url)
            yield facts, upstream


def upstreams(snapshot: Snapshot) -> Iterator[tuple[ServerFacts, RemoteUpstream]]:
    """The servers that calls go to."""
    for file in snapshot.files.values():
        for served in file.entry.connections:
            upstream = served.connection.upstream
            if isinstance(upstream, RemoteUpstream):
                yield server(At(file.entry.source, ("upstream",)), "the server", upstream)
                for url in upstream.backends:
                    at = At(file.entry.source, ("connections", served.connection.name, "backends"))
                    yield server(at, "the backend", RemoteUpstream(url, upstream.private, resolve=upstream.resolve))


def issuers(settings: Settings, source: Source) -> Iterator[tuple[ServerFacts, RemoteUpstream]]:
    """Who issues the tokens of callers, and our own."""
    identity = settings.identity
    if entra := identity.entra:
        yield server(At(source, ("identity", "entra")), "the issuer", RemoteUpstream(entra.authority, entra.private))
    for number, one in enumerate(identity.oidc):
        at, url = At(source, ("identity", "oidc", number, "issuer")), oidc_issuer(one).configuration_url
        yield server(at, "the issuer", RemoteUpstream(url, one.private))
    if azure := settings.azure:
        yield server(At(source, ("azure",)), "the issuer", RemoteUpstream(azure.authority, azure.private))


def server(at: At, what: str, upstream: RemoteUpstream) -> tuple[ServerFacts, RemoteUpstream]:
    """A server before it was met; a query of its URL may hold a key."""
    return ServerFacts(at, what, shown(upstream.url)), upstream


def machine(*, fts5: bool) -> Machine:
    """What a gateway would find here."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    descriptors = sys.maxsize if most == resource.RLIM_INFINITY else most
    return Machine(sys.version_info[:2], fts5, descriptors)


def versions(stores: Sequence[StoreFacts], sqlite: str) -> dict[str, str]:
    """What runs here, for people."""
    return {
        "mcpgov": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite,
        "system": f"{platform.system()} {platform.release()}",
        "schema": str(stores[0].found or "none yet"),
    }
