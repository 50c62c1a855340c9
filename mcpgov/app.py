"""The composition root: the one file that names concrete classes and puts them together, and the console script.

Everything else receives what it needs. Parts that a plain start does not need are loaded when they are asked for.
Nobody imports this file.
"""

from __future__ import annotations

import asyncio
import importlib
import secrets
import signal
import socket
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
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
from mcpgov.audit.record import ControlEvent
from mcpgov.audit.redact import Digester
from mcpgov.cli.audit import build_audit_app
from mcpgov.cli.check import add_check
from mcpgov.cli.init import add_init
from mcpgov.cli.keys import build_keys
from mcpgov.cli.policy import build_policy_app
from mcpgov.cli.serve import LogFormat, LogLevel, add_demo, add_serve
from mcpgov.credential.keys import ConnectionKeys
from mcpgov.effects import Effects
from mcpgov.endpoint.asgi import EndpointSettings, Gateway
from mcpgov.endpoint.limits import Sites
from mcpgov.endpoint.server import GatewayServer
from mcpgov.endpoint.sessions import SessionSeal
from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.identity.api_key import ApiKeyAuthenticator
from mcpgov.identity.authenticator import Authentication
from mcpgov.limiter import Limiter
from mcpgov.pipeline import Stages
from mcpgov.reload import Generations, ReloadResult
from mcpgov.settings import load_settings
from mcpgov.store.database import digest_key, sqlite_path
from mcpgov.store.fallback_counters import FallbackCounters
from mcpgov.store.memory_counters import MemoryCounters
from mcpgov.store.recorded_keys import RecordedKeys
from mcpgov.store.sqlite_keys import SqliteKeyStore
from mcpgov.store.sqlite_ledger import SqliteLedgerStore
from mcpgov.strict_json import JsonLimits
from mcpgov.telemetry import PolicyLog, configure_logging
from mcpgov.upstream.forward import RemoteForwarder
from mcpgov.upstream.local import LocalForwarder
from mcpgov.upstream.switch import Upstreams

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from mcpgov.audit.reader import AuditReader
    from mcpgov.limiter import Counters
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


@asynccontextmanager
async def running(config: Path | None) -> AsyncGenerator[Running]:
    """Wire everything together, and take it apart again. Raises InvalidConfiguration, StoreUnavailable."""
    report = Reporter()
    generations = Generations(config, report)
    settings = generations.current().settings
    store = store_path(settings)
    seal_key, argument_key = keys_of(settings, store)
    ledger = AuditLedger(SqliteLedgerStore(store), Digester(argument_key), utc_now)
    log = PolicyLog(lambda: generations.current().secrets)
    upstreams = Upstreams(RemoteForwarder(), LocalForwarder())
    keys = SqliteKeyStore(store)
    authenticator = ApiKeyAuthenticator(keys, settings.identity.key_headers, utc_now)
    async with counting(settings.counters) as counters:
        stages = Stages(
            snapshot=generations.current,
            identity=Authentication((authenticator,), settings.identity.key_headers, settings.identity.allow_anonymous),
            effects=Effects(Limiter(counters, time.monotonic, time.time), log),
            credentials=ConnectionKeys(),
            ledger=ledger,
            upstream=upstreams,
        )
        limits = settings.limits
        endpoint = EndpointSettings(
            limits=JsonLimits(body=limits.body_bytes, depth=limits.depth, keys=limits.keys, string=limits.string_bytes),
            seal=SessionSeal(seal_key),
            sites=Sites.of(settings.listen.host, settings.public_url or ""),
            trusted_proxies=settings.trusted_proxies,
        )
        await ledger.start(version=__version__, stamp=generations.current().stamp)
        report.to(ledger, upstreams, generations)
        watching = asyncio.create_task(generations.watch())
        watching.add_done_callback(log_failure)
        try:
            yield Running(Gateway(stages, endpoint, lambda: ledger.ready), generations, settings)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await upstreams.close()
            await ledger.close()
            keys.close()


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


class Reporter:
    """Tells of every reload: in the log, in the ledger, and to the upstreams that are no longer used."""

    def __init__(self) -> None:
        self._heard: tuple[AuditLedger, Upstreams, Generations] | None = None

    def to(self, ledger: AuditLedger, upstreams: Upstreams, generations: Generations) -> None:
        """Who is to hear of it, once they are there."""
        self._heard = ledger, upstreams, generations

    async def __call__(self, result: ReloadResult) -> None:
        """Pass a result on. A ledger that cannot be written does not stop a good generation."""
        if self._heard is None:
            return
        ledger, upstreams, generations = self._heard
        log = structlog.get_logger()
        try:
            if result.problems:
                log.error("reload-refused", problems=[str(problem) for problem in result.problems])
                first = str(result.problems[0])
                await ledger.control(ControlEvent.RELOAD_REFUSED, problems=len(result.problems), first=first)
            else:
                log.info("reloaded", old=result.old, new=result.new, waiting_for_restart=result.restart)
                await upstreams.update(generations.current().connections.values())
                await ledger.control(ControlEvent.RELOAD, old=result.old, new=result.new)
        except StoreUnavailable as error:
            log.exception("reload-not-recorded", error=str(error))


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


def find_store(config: Path | None) -> Path:
    """The file that a settings file names as the store, there or not."""
    return store_path(load_settings(config))


@asynccontextmanager
async def open_keys(config: Path | None) -> AsyncGenerator[RecordedKeys]:
    """The gateway keys, every change of which is recorded."""
    path = find_store(config)
    keys, ledger = SqliteKeyStore(path), SqliteLedgerStore(path)
    ledger.open()
    try:
        yield RecordedKeys(keys, ledger)
    finally:
        ledger.close(finished=True)
        keys.close()


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


@contextmanager
def listener(host: str, port: int) -> Generator[socket.socket]:
    """A listening socket. Ends the command with a clear message when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        message = f"mcpgov cannot listen on {host}:{port}: {error.strerror}. Change `listen` in mcpgov.yaml."
        typer.echo(message, err=True)
        raise SystemExit(1) from None
    with sock:
        yield sock


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
