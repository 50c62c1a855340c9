"""The composition root: the one file that names concrete classes and puts them together, and the console script.

Everything else receives what it needs. Parts that a plain start does not need are loaded when they are asked for.
Nobody imports this file.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import ssl
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer
import uvloop

from mcpgov import __version__
from mcpgov.audit.ledger import AuditLedger
from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.audit.redact import Digester
from mcpgov.audit_settings import SQLITE, Audit
from mcpgov.cli.admin_keys import add_admin
from mcpgov.cli.audit import build_audit_app
from mcpgov.cli.check import add_check
from mcpgov.cli.connections import build_connections
from mcpgov.cli.digests import add_digests
from mcpgov.cli.init import add_init
from mcpgov.cli.keys import build_keys
from mcpgov.cli.policy import build_policy_app
from mcpgov.cli.proof import add_proof
from mcpgov.cli.purge import add_purge
from mcpgov.cli.serve import LogFormat, LogLevel, add_demo, add_serve, in_json, listener
from mcpgov.credential.key_vault import KeyVault
from mcpgov.effects import Effects
from mcpgov.endpoint.asgi import Gateway
from mcpgov.endpoint.server import GatewayServer
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.identities import IdentityParts, identities, kept_consents
from mcpgov.limiter import Limiter
from mcpgov.models import Secret
from mcpgov.observing import Watched, observing
from mcpgov.pipeline import Stages
from mcpgov.probe import PROBE, Probe
from mcpgov.reload import Generations, load_generation
from mcpgov.reporter import Reporter
from mcpgov.settings import Settings
from mcpgov.settings_file import load_settings, stood_in
from mcpgov.stage_settings import azure_identity, endpoint_settings
from mcpgov.storage import Storage, writing
from mcpgov.store.database import sqlite_path
from mcpgov.store.fallback_counters import FallbackCounters
from mcpgov.store.memory_counters import MemoryCounters
from mcpgov.store.recorded_keys import RecordedKeys
from mcpgov.telemetry import PolicyLog, configure_logging
from mcpgov.upkeep import Purging, purging_daily, sending_checkpoints
from mcpgov.upstream.forward import RemoteForwarder
from mcpgov.upstream.local import LocalForwarder
from mcpgov.upstream.switch import Upstreams
from mcpgov.web import GuardedWeb
from mcpgov.worker import ALONE, Worker, inherited, supervised

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from mcpgov.audit.note import VerifierKey
    from mcpgov.audit.reader import AuditReader
    from mcpgov.credential.references import Fetch
    from mcpgov.credential.tokens import AzureIdentity, HostIdentity
    from mcpgov.identities import RecordedConsents
    from mcpgov.identity_settings import Azure
    from mcpgov.limiter import Counters
    from mcpgov.observing import Telemetry
    from mcpgov.operating import RecordedAdminKeys
    from mcpgov.settings import Counters as CountersSettings
    from mcpgov.store.evidence import SqlEvidence
    from mcpgov.store.redis_counters import RedisCounters


def utc_now() -> datetime:
    """The time, for records and expiry."""
    return datetime.now(UTC)


def load(module: str) -> Any:
    """Load an optional part of mcpgov when it is first asked for."""
    return importlib.import_module(module)


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway with its ledger open and its files watched, ready to be served."""

    gateway: Gateway
    generations: Generations
    storage: Storage
    stages: Stages
    ledger: AuditLedger
    parts: IdentityParts
    worker: Worker
    telemetry: Telemetry


@asynccontextmanager
async def running(config: Path | None, principal: str = "", worker: Worker = ALONE) -> AsyncGenerator[Running]:
    """Wire everything together, and take it apart again. Raises InvalidConfiguration, StoreUnavailable.

    `principal` is who runs it, where that is not to serve: the records of its start and stop say so, and which worker
    it is.
    """
    report = Reporter()
    generations = Generations(config, report, vaults=vaults, workers=worker.count)
    settings = generations.current().settings
    storage = Storage(settings, load)
    upstreams = Upstreams(RemoteForwarder(), LocalForwarder())
    stores = storage.open()
    digester, sign = Digester(storage.argument_key), storage.signer().checkpoint
    ledger = AuditLedger(stores.ledgers, digester, utc_now, stores.tuning, sign, settings.audit.levels())
    parts = IdentityParts(generations.current, stores.keys, stores.vault, storage.material, utc_now)
    async with (
        sending_checkpoints(storage, utc_now, first=worker.first) as lag,
        purging_daily(storage, utc_now, first=worker.first),
        observing(Watched(generations.current, ledger, report, lag), load) as telemetry,
        counting(settings.counters) as counters,
        identities(parts, azure_host, ledger.control) as who,
    ):
        ledger.observers = telemetry.observers
        log = PolicyLog(lambda: generations.current().secrets, telemetry.tellers)
        stages = Stages(
            snapshot=generations.current,
            identity=who.authentication,
            effects=Effects(Limiter(counters, time.monotonic, time.time), log, who.tokens),
            credentials=who.sources,
            ledger=ledger,
            upstream=upstreams,
        )
        endpoint = endpoint_settings(settings, storage.material)
        known = {"version": __version__, "stamp": generations.current().stamp, "digest_key": digester.key_id}
        await ledger.start(principal, worker.place, **known)
        report.to(ledger, upstreams, generations.current)
        watching = asyncio.create_task(generations.watch())
        watching.add_done_callback(log_failure)
        try:
            gateway = Gateway(stages, endpoint, lambda: ledger.ready, who.pages)
            yield Running(gateway, generations, storage, stages, ledger, parts, worker, telemetry)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await upstreams.close()
            await ledger.close()


def azure_host(azure: AzureIdentity, tls: ssl.SSLContext) -> HostIdentity:
    """The identity that Azure gives to what runs here."""
    host: HostIdentity = load("mcpgov.credential.azure_tokens").AzureHost(azure, tls, utc_now)
    return host


def vaults(azure: Azure) -> Fetch:
    """How secrets are fetched from Key Vault, for one load of the files."""
    identity, tls = azure_identity(azure), ssl.create_default_context()
    host = azure_host(identity, tls)

    async def token(audience: str) -> Secret:
        return (await host.token(f"{audience}/.default", identity.managed_identity)).secret

    return KeyVault(GuardedWeb(tls), token, private=azure.private).fetch


@asynccontextmanager
async def counting(wanted: CountersSettings) -> AsyncGenerator[Counters]:
    """What counts limits: this process's memory, or the Redis that is named, connected to when it is first needed."""
    if wanted.url is None:
        yield MemoryCounters()
        return
    redis: RedisCounters = load("mcpgov.store.redis_counters").RedisCounters(wanted.url)
    try:
        alone = wanted.when_down == "local"
        yield FallbackCounters(redis, MemoryCounters(), time.monotonic) if alone else redis
    finally:
        await redis.close()


def log_failure(task: asyncio.Task[None]) -> None:
    """Say so when the files are no longer watched, instead of serving on in silence."""
    if not task.cancelled() and (failure := task.exception()):
        structlog.get_logger().error("files-no-longer-watched", exc_info=failure)


def storage_named(source: str | None, config: Path | None) -> Storage:
    """The store at a path or a `sqlite:///` URL; the configured one where none is named."""
    if source is None:
        return storage_of(config)
    path = sqlite_path(source, Path.cwd()) if source.startswith(SQLITE) else Path(source).absolute()
    return Storage(Settings(audit=Audit(store=f"{SQLITE}{path}")), load)


def storage_of(config: Path | None) -> Storage:
    """The store that a settings file names."""
    return Storage(load_settings(config), load)


def find_verifier_key(source: str | None, config: Path | None) -> VerifierKey | None:
    """The public half of the key that signs a store, where that lies here; the configured one if none is named."""
    if source:
        return storage_named(source, None).verifier_key()
    return Storage(load_generation(config, vaults=vaults).settings, load).verifier_key()


def open_evidence(source: str | None, config: Path | None) -> SqlEvidence:
    """A store as evidence; the configured one if none is named."""
    return storage_named(source, config).evidence()


def open_purging(config: Path | None) -> Purging:
    """The ledger that a settings file names, to be purged."""
    return Purging(storage_of(config), utc_now)


async def note_verified(config: Path | None, details: Mapping[str, str | int]) -> None:
    """Write down that the configured store was verified. Raises StoreUnavailable."""
    async with writing(storage_of(config).open(), utc_now) as write:
        await write(ControlRecord(ControlEvent.VERIFIED, utc_now(), details))


def find_store(config: Path | None) -> Path | None:
    """The file that a settings file names as the store, there or not; None where that is a server."""
    return storage_of(config).file


@asynccontextmanager
async def open_keys(config: Path | None) -> AsyncGenerator[RecordedKeys]:
    """The gateway keys, every change of which is recorded."""
    stores = storage_of(config).open()
    async with writing(stores, utc_now) as write:
        try:
            yield RecordedKeys(stores.keys, write, stores.vault)
        finally:
            stores.vault.close()
            stores.keys.close()


@asynccontextmanager
async def open_admin_keys(config: Path | None) -> AsyncGenerator[RecordedAdminKeys]:
    """The admin keys, every change of which is recorded."""
    storage = storage_of(config)
    async with writing(storage.open(), utc_now) as write:
        with storage.admin_keys() as keys:
            yield load("mcpgov.operating").RecordedAdminKeys(keys, write)


@asynccontextmanager
async def open_probe(config: Path | None) -> AsyncGenerator[Probe]:
    """What proves connections, in a gateway of its own that serves nobody. Its report is alone on the screen."""
    configure_logging(json=False, level="error")
    async with running(config, PROBE.id) as gateway:
        yield Probe(gateway.stages, time.monotonic)


@asynccontextmanager
async def open_consents(config: Path | None) -> AsyncGenerator[RecordedConsents]:
    """The consents in the store, beside a gateway that may be running."""
    snapshot = load_generation(config, stood_in(os.environ), vaults)
    storage = Storage(snapshot.settings, load)
    stores = storage.open()
    parts = IdentityParts(lambda: snapshot, stores.keys, stores.vault, storage.material, utc_now)
    async with writing(stores, utc_now) as write:

        async def note(event: ControlEvent, **details: str | int) -> None:
            await write(ControlRecord(event, utc_now(), details))

        async with kept_consents(parts, note) as consents:
            yield consents


async def rotate_digest_key(config: Path | None) -> tuple[str, str]:
    """Give digests another key, and say so in the ledger. The ids of the former and of the new key."""
    storage = storage_of(config)
    async with writing(storage.open().ledger) as write:
        return await storage.rotate_digest_key(write, utc_now())


def open_reader(config: Path | None) -> AuditReader:
    """The ledger, for reading."""
    return storage_of(config).reader()


def serve(config: Path | None, worker: Worker, *, log_format: LogFormat, log_level: LogLevel) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    configure_logging(json=in_json(log_format), level=log_level, always=worker.place)
    uvloop.run(serve_until_told(config, worker))


def supervise(config: Path | None, workers: int, *, log_format: LogFormat, log_level: LogLevel) -> None:
    """Check the files, bind the address, and become the supervisor of so many workers."""
    listen = load_generation(config, vaults=vaults, workers=workers).settings.listen
    with listener(listen.host, listen.port) as sock:
        load("mcpgov.supervisor").become(sock, workers, config, json=in_json(log_format), level=log_level)


async def serve_until_told(config: Path | None, worker: Worker) -> None:
    """Serve the data plane on its listener, and operators on theirs."""
    async with running(config, worker=worker) as gateway, operators(gateway, config):
        listen = gateway.storage.settings.listen
        with inherited(worker.listener) if worker.supervised else listener(listen.host, listen.port) as sock:
            server = GatewayServer(gateway.gateway)
            server.end_on_signals()
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, gateway.generations.request_reload)
            url = gateway.storage.settings.public_url or "http://{}:{}".format(*sock.getsockname()[:2])
            connections = gateway.generations.current().connections
            structlog.get_logger().info("serving", connections=[f"{url}/mcp/{name}" for name in connections])
            with supervised(worker, server.handle_exit):
                await server.serve_on(sock)
    structlog.get_logger().info("stopped")


@asynccontextmanager
async def operators(gateway: Running, config: Path | None) -> AsyncGenerator[None]:
    """Serve the console and the admin API, where there is an `admin:`, and let the first worker alone do it."""
    admin = gateway.storage.settings.admin
    if admin is None or not gateway.worker.first:
        yield
        return
    room, parts = load("mcpgov.operating"), gateway.parts
    looked_after = room.Operated(
        *(admin, gateway.storage, config, gateway.generations.current, gateway.ledger, parts.keys, parts.rows),
        *(utc_now, gateway.telemetry.prometheus),
    )
    async with room.operating(looked_after) as operating:
        with listener(admin.listen.host, admin.listen.port) as sock:
            server = GatewayServer(operating.listener)
            serving = asyncio.create_task(server.serve_on(sock))
            url = operating.link or admin.public_url or "http://{}:{}/console".format(*sock.getsockname()[:2])
            structlog.get_logger().info("console", url=url)
            try:
                yield
            finally:
                server.should_exit = True
                await serving


def demo(*, once: bool) -> None:
    """Show the product."""
    load("mcpgov.demo.run").run_demo(once=once)


def build_cli() -> typer.Typer:
    """The command line: every verb, with what it needs."""
    cli = typer.Typer(
        name="mcpgov",
        help="The governed front door for MCP tools.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @cli.callback(invoke_without_command=True)
    def version(*, show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
        """The governed front door for MCP tools."""
        if show:
            typer.echo(f"mcpgov {__version__}")

    add_demo(cli, demo)
    add_init(cli)
    add_serve(cli, serve, supervise)
    add_check(cli)
    keys = build_keys(open_keys, find_store)
    add_admin(keys, open_admin_keys)
    cli.add_typer(keys, name="keys")
    cli.add_typer(build_connections(open_probe, open_consents), name="connections")
    cli.add_typer(build_policy_app(), name="policy")
    audit = build_audit_app(open_reader, time.sleep)
    add_proof(audit, open_evidence, find_verifier_key, note_verified)
    add_purge(audit, open_purging)
    add_digests(audit, lambda config: storage_of(config).digest_keys, rotate_digest_key)
    cli.add_typer(audit, name="audit")
    return cli


def main() -> None:
    """The console script. What a verb has to say beside its answer goes to stderr."""
    configure_logging(json=False, level="warning")
    try:
        build_cli()()
    except InvalidConfiguration as invalid:
        typer.echo(f"{invalid}\n{len(invalid.problems)} problem(s); nothing was started.", err=True)
        raise SystemExit(1) from None
    except StoreUnavailable as error:
        typer.echo(f"The store cannot be used: {error}", err=True)
        raise SystemExit(1) from None
