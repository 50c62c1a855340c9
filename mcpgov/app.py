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
import sys
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
from mcpgov.cli.exports import add_exports
from mcpgov.cli.init import add_init
from mcpgov.cli.keys import build_keys
from mcpgov.cli.policy import build_policy_app
from mcpgov.cli.proof import add_proof
from mcpgov.cli.serve import LogFormat, LogLevel, add_demo, add_serve, listener
from mcpgov.credential.key_vault import KeyVault
from mcpgov.effects import Effects
from mcpgov.endpoint.asgi import Gateway
from mcpgov.endpoint.server import GatewayServer
from mcpgov.errors import InvalidConfiguration, Problem, StoreUnavailable
from mcpgov.event_hubs import sending
from mcpgov.exports import export_states, exporting, written
from mcpgov.identities import IdentityParts, identities, kept_consents
from mcpgov.limiter import Limiter
from mcpgov.models import Secret
from mcpgov.pipeline import Stages
from mcpgov.probe import PROBE, Probe
from mcpgov.reload import Generations, load_generation
from mcpgov.reporter import Reporter
from mcpgov.settings import Settings
from mcpgov.settings_file import DEFAULT_FILE, load_settings, stood_in
from mcpgov.stage_settings import azure_identity, endpoint_settings, event_hubs
from mcpgov.storage import Storage, sending_checkpoints
from mcpgov.store.database import sqlite_path
from mcpgov.store.fallback_counters import FallbackCounters
from mcpgov.store.memory_counters import MemoryCounters
from mcpgov.store.recorded_keys import RecordedKeys
from mcpgov.telemetry import PolicyLog, configure_logging
from mcpgov.upstream.forward import RemoteForwarder
from mcpgov.upstream.local import LocalForwarder
from mcpgov.upstream.switch import Upstreams
from mcpgov.web import GuardedWeb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from mcpgov.audit.note import VerifierKey
    from mcpgov.audit.reader import AuditReader
    from mcpgov.audit.writer import LedgerStore
    from mcpgov.credential.references import Fetch
    from mcpgov.credential.tokens import AzureIdentity, HostIdentity
    from mcpgov.identities import RecordedConsents
    from mcpgov.identity_settings import Azure
    from mcpgov.limiter import Counters
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


@asynccontextmanager
async def running(config: Path | None, principal: str = "") -> AsyncGenerator[Running]:
    """Wire everything together, and take it apart again. Raises InvalidConfiguration, StoreUnavailable.

    `principal` is who runs it, where that is not to serve: the records of its start and stop say so.
    """
    report = Reporter()
    generations = Generations(config, report, vaults=vaults)
    settings = generations.current().settings
    storage = Storage(settings, load)
    log = PolicyLog(lambda: generations.current().secrets)
    upstreams = Upstreams(RemoteForwarder(), LocalForwarder())
    stores = storage.open()
    ledger = AuditLedger(stores.ledger, Digester(storage.argument_key), utc_now, sign=storage.signer().checkpoint)
    parts = IdentityParts(generations.current, stores.keys, stores.vault, storage.material, utc_now)
    async with (
        sending_checkpoints(storage, utc_now),
        exporting(storage, ledger.control, utc_now, azure_host),
        counting(settings.counters) as counters,
        identities(parts, azure_host, ledger.control) as who,
        sending(event_hubs(settings, who.tokens), utc_now, log.conceal) as loggers,
    ):
        stages = Stages(
            snapshot=generations.current,
            identity=who.authentication,
            effects=Effects(Limiter(counters, time.monotonic, time.time), log, who.tokens, loggers),
            credentials=who.sources,
            ledger=ledger,
            upstream=upstreams,
        )
        endpoint = endpoint_settings(settings, storage.seal_key)
        await ledger.start(principal, version=__version__, stamp=generations.current().stamp)
        report.to(ledger, upstreams, generations.current)
        watching = asyncio.create_task(generations.watch())
        watching.add_done_callback(log_failure)
        try:
            gateway = Gateway(stages, endpoint, lambda: ledger.ready, who.pages)
            yield Running(gateway, generations, storage, stages, ledger, parts)
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


def write_out(config: Path | None, name: str, since: int | None, until: int | None) -> Iterator[tuple[bytes, int]]:
    """The records of the configured store, or those of a span of time, as a file in a format."""
    return written(storage_of(config), name, since, until)


def find_store(config: Path | None) -> Path | None:
    """The file that a settings file names as the store, there or not; None where that is a server."""
    return storage_of(config).file


@asynccontextmanager
async def open_keys(config: Path | None) -> AsyncGenerator[RecordedKeys]:
    """The gateway keys, every change of which is recorded."""
    stores = storage_of(config).open()
    async with writing(stores.ledger) as write:
        try:
            yield RecordedKeys(stores.keys, write, stores.vault)
        finally:
            stores.vault.close()
            stores.keys.close()


@asynccontextmanager
async def open_admin_keys(config: Path | None) -> AsyncGenerator[RecordedAdminKeys]:
    """The admin keys, every change of which is recorded. Raises InvalidConfiguration where the store is no file."""
    storage, room = storage_of(config), load("mcpgov.operating")
    if storage.file is None:
        what, mend = "admin keys are kept in a file, and audit.store is a server", "not supported yet"
        raise InvalidConfiguration((Problem(str(config or DEFAULT_FILE), 0, 0, what, mend),))
    async with writing(storage.open().ledger) as write:
        yield room.RecordedAdminKeys(room.SqliteAdminKeys(storage.file), write)


@asynccontextmanager
async def writing(ledger: LedgerStore) -> AsyncGenerator[Callable[[ControlRecord], Awaitable[None]]]:
    """Write control events down beside a gateway that may be running."""
    await asyncio.to_thread(ledger.open)

    async def write(record: ControlRecord) -> None:
        await asyncio.to_thread(ledger.append, [record.row()])

    try:
        yield write
    finally:
        await asyncio.to_thread(ledger.close, finished=True)


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
    async with writing(stores.ledger) as write:

        async def note(event: ControlEvent, **details: str | int) -> None:
            await write(ControlRecord(event, utc_now(), details))

        async with kept_consents(parts, note) as consents:
            yield consents


def open_reader(config: Path | None) -> AuditReader:
    """The ledger, for reading."""
    return storage_of(config).reader()


def serve(config: Path | None, *, log_format: LogFormat, log_level: LogLevel) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    configure_logging(json=log_format == "json" or (log_format == "auto" and not sys.stderr.isatty()), level=log_level)
    uvloop.run(serve_until_told(config))


async def serve_until_told(config: Path | None) -> None:
    """Serve the data plane on its listener, and operators on theirs."""
    async with running(config) as gateway, operators(gateway, config):
        listen = gateway.storage.settings.listen
        with listener(listen.host, listen.port) as sock:
            server = GatewayServer(gateway.gateway)
            server.end_on_signals()
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, gateway.generations.request_reload)
            url = gateway.storage.settings.public_url or "http://{}:{}".format(*sock.getsockname()[:2])
            connections = gateway.generations.current().connections
            structlog.get_logger().info("serving", connections=[f"{url}/mcp/{name}" for name in connections])
            await server.serve_on(sock)
    structlog.get_logger().info("stopped")


@asynccontextmanager
async def operators(gateway: Running, config: Path | None) -> AsyncGenerator[None]:
    """Serve the console and the admin API, where there is an `admin:`."""
    admin, file = gateway.storage.settings.admin, gateway.storage.file
    if admin is None or file is None:
        yield
        return
    room, parts = load("mcpgov.operating"), gateway.parts
    looked_after = room.Operated(
        admin,
        file,
        config,
        gateway.generations.current,
        gateway.ledger,
        parts.keys,
        parts.rows,
        utc_now,
        lambda: export_states(gateway.storage),
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
    add_serve(cli, serve)
    add_check(cli)
    keys = build_keys(open_keys, find_store)
    add_admin(keys, open_admin_keys)
    cli.add_typer(keys, name="keys")
    cli.add_typer(build_connections(open_probe, open_consents), name="connections")
    cli.add_typer(build_policy_app(), name="policy")
    audit = build_audit_app(open_reader, time.sleep)
    add_proof(audit, open_evidence, find_verifier_key, write_out)
    add_exports(audit, lambda config: export_states(storage_of(config)))
    cli.add_typer(audit, name="audit")
    return cli


def main() -> None:
    """The console script."""
    try:
        build_cli()()
    except InvalidConfiguration as invalid:
        typer.echo(f"{invalid}\n{len(invalid.problems)} problem(s); nothing was started.", err=True)
        raise SystemExit(1) from None
    except StoreUnavailable as error:
        typer.echo(f"The store cannot be used: {error}", err=True)
        raise SystemExit(1) from None
