"""The composition root: the one file that names concrete classes and puts them together, and the console script.

Everything else receives what it needs. Parts that a plain start does not need are loaded when they are asked for.
Nobody imports this file.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import secrets
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
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mcpgov import __version__
from mcpgov.audit.ledger import AuditLedger
from mcpgov.audit.record import ControlEvent, ControlRecord
from mcpgov.audit.redact import Digester
from mcpgov.cli.audit import build_audit_app
from mcpgov.cli.check import add_check
from mcpgov.cli.connections import build_connections
from mcpgov.cli.init import add_init
from mcpgov.cli.keys import build_keys
from mcpgov.cli.policy import build_policy_app
from mcpgov.cli.serve import LogFormat, LogLevel, add_demo, add_serve, listener
from mcpgov.credential.key_vault import KeyVault
from mcpgov.effects import Effects
from mcpgov.endpoint.asgi import Gateway
from mcpgov.endpoint.server import GatewayServer
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.identities import IdentityParts, identities, kept_consents
from mcpgov.limiter import Limiter
from mcpgov.pipeline import Stages
from mcpgov.probe import PROBE, Probe
from mcpgov.reload import Generations, load_generation
from mcpgov.reporter import Reporter
from mcpgov.settings import load_settings, stood_in
from mcpgov.stage_settings import azure_identity, endpoint_settings
from mcpgov.store.database import digest_key, sqlite_path
from mcpgov.store.fallback_counters import FallbackCounters
from mcpgov.store.memory_counters import MemoryCounters
from mcpgov.store.recorded_keys import RecordedKeys
from mcpgov.store.sqlite_keys import SqliteKeyStore
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from mcpgov.store.sqlite_vault import SqliteTokenVault
from mcpgov.telemetry import PolicyLog, configure_logging
from mcpgov.upstream.forward import RemoteForwarder
from mcpgov.upstream.local import LocalForwarder
from mcpgov.upstream.switch import Upstreams
from mcpgov.web import GuardedWeb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcpgov.audit.reader import AuditReader
    from mcpgov.credential.references import Fetch
    from mcpgov.credential.tokens import AzureIdentity, HostIdentity
    from mcpgov.identities import RecordedConsents
    from mcpgov.identity_settings import Azure
    from mcpgov.limiter import Counters
    from mcpgov.models import Secret
    from mcpgov.settings import Counters as CountersSettings
    from mcpgov.settings import Settings
    from mcpgov.store.redis_counters import RedisCounters

KEY_LENGTH = 32  # bytes


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
    settings: Settings
    stages: Stages


@asynccontextmanager
async def running(config: Path | None, principal: str = "") -> AsyncGenerator[Running]:
    """Wire everything together, and take it apart again. Raises InvalidConfiguration, StoreUnavailable.

    `principal` is who runs it, where that is not to serve: the records of its start and stop say so.
    """
    report = Reporter()
    generations = Generations(config, report, vaults=vaults)
    settings = generations.current().settings
    store = store_path(settings)
    seal_key, argument_key = keys_of(settings, store)
    ledger = AuditLedger(SqliteLedgerStore(store), Digester(argument_key), utc_now)
    log = PolicyLog(lambda: generations.current().secrets)
    upstreams = Upstreams(RemoteForwarder(), LocalForwarder())
    parts = IdentityParts(
        generations.current, SqliteKeyStore(store), SqliteTokenVault(store), material_of(settings, store), utc_now
    )
    async with counting(settings.counters) as counters, identities(parts, azure_host, ledger.control) as who:
        stages = Stages(
            snapshot=generations.current,
            identity=who.authentication,
            effects=Effects(Limiter(counters, time.monotonic, time.time), log, who.tokens),
            credentials=who.sources,
            ledger=ledger,
            upstream=upstreams,
        )
        endpoint = endpoint_settings(settings, seal_key)
        await ledger.start(principal, version=__version__, stamp=generations.current().stamp)
        report.to(ledger, upstreams, generations.current)
        watching = asyncio.create_task(generations.watch())
        watching.add_done_callback(log_failure)
        try:
            gateway = Gateway(stages, endpoint, lambda: ledger.ready, who.pages)
            yield Running(gateway, generations, settings, stages)
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


def store_path(settings: Settings) -> Path:
    """The file of the store."""
    return sqlite_path(settings.audit.store, Path.cwd())


def keys_of(settings: Settings, store: Path) -> tuple[bytes, bytes]:
    """The key that seals session ids and the key that argument digests are made with.

    Both come from `secrets.key`, which all replicas share. Without it the seal ends with the process, and the digest
    key lies in a file beside the store.
    """
    material = settings.secrets.material
    if material is None:
        return secrets.token_bytes(KEY_LENGTH), digest_key(store)
    return material, HKDF(SHA256(), KEY_LENGTH, None, b"mcpgov argument digest").derive(material)


def material_of(settings: Settings, store: Path) -> bytes:
    """The secret that tokens and tickets are sealed under; it outlives the process."""
    return settings.secrets.material or digest_key(store)


def find_store(config: Path | None) -> Path:
    """The file that a settings file names as the store, there or not."""
    return store_path(load_settings(config))


@asynccontextmanager
async def open_keys(config: Path | None) -> AsyncGenerator[RecordedKeys]:
    """The gateway keys, every change of which is recorded."""
    path = find_store(config)
    keys, ledger, rows = SqliteKeyStore(path), SqliteLedgerStore(path), SqliteTokenVault(path)
    ledger.open()
    try:
        yield RecordedKeys(keys, ledger, rows)
    finally:
        ledger.close(finished=True)
        rows.close()
        keys.close()


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
    settings, store = snapshot.settings, store_path(snapshot.settings)
    ledger = SqliteLedgerStore(store)
    ledger.open()
    parts = IdentityParts(
        lambda: snapshot,
        SqliteKeyStore(store),
        SqliteTokenVault(store),
        material_of(settings, store),
        utc_now,
    )

    async def note(event: ControlEvent, **details: str | int) -> None:
        await asyncio.to_thread(ledger.append, [ControlRecord(event, utc_now(), details).row()])

    try:
        async with kept_consents(parts, note) as consents:
            yield consents
    finally:
        ledger.close(finished=True)


def open_reader(config: Path | None) -> AuditReader:
    """The ledger, for reading."""
    reader: AuditReader = load("mcpgov.store.audit_reader").open_sqlite_reader(find_store(config))
    return reader


def serve(config: Path | None, *, log_format: LogFormat, log_level: LogLevel) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    configure_logging(json=log_format == "json" or (log_format == "auto" and not sys.stderr.isatty()), level=log_level)
    uvloop.run(serve_until_told(config))


async def serve_until_told(config: Path | None) -> None:
    """Serve the data plane on its listener."""
    async with running(config) as gateway:
        listen = gateway.settings.listen
        with listener(listen.host, listen.port) as sock:
            server = GatewayServer(gateway.gateway)
            server.end_on_signals()
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, gateway.generations.request_reload)
            url = gateway.settings.public_url or "http://{}:{}".format(*sock.getsockname()[:2])
            connections = gateway.generations.current().connections
            structlog.get_logger().info("serving", connections=[f"{url}/mcp/{name}" for name in connections])
            await server.serve_on(sock)
    structlog.get_logger().info("stopped")


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
    cli.add_typer(build_keys(open_keys, find_store), name="keys")
    cli.add_typer(build_connections(open_probe, open_consents), name="connections")
    cli.add_typer(build_policy_app(), name="policy")
    cli.add_typer(build_audit_app(open_reader, time.sleep), name="audit")
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
