"""The composition root: the one file that names concrete classes and puts them together, and the console script.

Everything else receives what it needs. Parts that a plain start does not need are loaded when they are asked for.
Nobody imports this file.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
import ssl
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer
import uvloop

from mcpgov import __version__
from mcpgov.aggregate.call import serve as serve_aggregate
from mcpgov.aggregate.sessions import KnownNames, Sessions
from mcpgov.aggregate.visit import Shared
from mcpgov.audit.ledger import AuditLedger
from mcpgov.audit.redact import Digester
from mcpgov.azure_clients import arm_caller, key_vault
from mcpgov.buffers import Buffers
from mcpgov.certificates import Certificates, present
from mcpgov.cli.admin_keys import add_admin
from mcpgov.cli.approval import add_approval
from mcpgov.cli.audit import build_audit_app
from mcpgov.cli.care import add_care
from mcpgov.cli.catalog import build_catalog
from mcpgov.cli.catalog_add import add_adding
from mcpgov.cli.connect import add_connect
from mcpgov.cli.connections import build_connections
from mcpgov.cli.digests import add_digests
from mcpgov.cli.exports import add_exports
from mcpgov.cli.foundry import build_foundry
from mcpgov.cli.init import add_init
from mcpgov.cli.keys import build_keys
from mcpgov.cli.policy import build_policy_app
from mcpgov.cli.printable import plural
from mcpgov.cli.proof import Opening, add_proof
from mcpgov.cli.publish import add_publish
from mcpgov.cli.purge import add_purge
from mcpgov.cli.serve import LogFormat, add_demo, add_serve, in_json, listener
from mcpgov.cli.usage import add_usage
from mcpgov.cli.verify_connection import Verifying, add_verify
from mcpgov.counting import counting
from mcpgov.database_tokens import database_tokens
from mcpgov.effects import Effects
from mcpgov.endpoint.asgi import Gateway
from mcpgov.endpoint.server import GatewayServer, noted_signals
from mcpgov.errors import InvalidConfiguration, Problem, StoreUnavailable
from mcpgov.event_hubs import sending
from mcpgov.exports import export_states, exporting
from mcpgov.extras import bringing
from mcpgov.forwarding import build_upstreams
from mcpgov.frozen import frozen
from mcpgov.handles.handles import Handles
from mcpgov.handles.seal import Seal
from mcpgov.health import PATIENCE, Health, asking, every
from mcpgov.identities import IdentityParts, identities
from mcpgov.limiter import Limiter
from mcpgov.observing import Watched, observing
from mcpgov.openers import Openers
from mcpgov.pinning.keeping import keep_current, pinning
from mcpgov.pipeline import Stages
from mcpgov.probe import PROBE, Probe
from mcpgov.registry.asgi import Registry
from mcpgov.reload import Generations, load_generation
from mcpgov.replicas import counted, join
from mcpgov.reporter import Reporter
from mcpgov.settings import Settings
from mcpgov.settings_file import settings_source
from mcpgov.stage_settings import (
    connection_limits,
    endpoint_settings,
    event_hubs,
    other_urls,
    places,
    registry_settings,
)
from mcpgov.storage import Storage
from mcpgov.telemetry import Loudness, PolicyLog, configure_logging
from mcpgov.upkeep import end_watch, purging_daily, sending_checkpoints, watched_files
from mcpgov.web import GuardedWeb
from mcpgov.worker import ALONE, Worker, inherited, settle, supervised

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from mcpgov.credential.references import Fetch
    from mcpgov.credential.tokens import AzureIdentity, HostIdentity
    from mcpgov.endpoint.asgi import Pages
    from mcpgov.identity_settings import Azure
    from mcpgov.log_settings import LogLevel
    from mcpgov.observing import Telemetry
    from mcpgov.snapshot import Snapshot


OPERATORS_DRAIN = 2  # seconds, after those that calls had


def utc_now() -> datetime:
    """The time, for records and expiry."""
    return datetime.now(UTC)


def load(module: str) -> Any:
    """Load an optional part of mcpgov when it is first asked for. Raises InvalidConfiguration for want of an extra."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if extra := bringing(error.name):
            raise InvalidConfiguration((Problem("mcpgov", 0, 0, extra.message, extra.mend),)) from None
        raise


@frozen
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
    health: Health
    buffers: Buffers
    certificates: Certificates
    report: Reporter

    def speak(self, loudness: Loudness) -> None:
        """Log as much as the settings say, as they say it."""
        loudness.follow(self.generations.current().settings.log.level)
        self.report.follow = loudness.follow

    def request_reload(self) -> None:
        """Ask for every file to be read anew."""
        self.generations.request_reload()
        self.certificates.request_look()


@asynccontextmanager
async def running(config: Path | None, principal: str = "", worker: Worker = ALONE) -> AsyncGenerator[Running]:
    """Wire everything together, and take it apart again. Raises InvalidConfiguration, StoreUnavailable.

    `principal` is who runs it, where that is not to serve: the records of its start and stop say so, and which worker
    it is, and what is done beside the calls (purging, exports, checkpoints, health) is left to one that does.
    """
    report = Reporter()
    generations = Generations(config, report, vaults=vaults, workers=worker.count)
    settings = generations.current().settings
    storage = Storage(settings, load, database_tokens(settings.azure, azure_host, utc_now))
    served, tended = (Settings(), storage.untended()) if principal else (settings, storage)
    certificates = Certificates(served, settings_source(config), report.renewed, utc_now)
    buffers, log = Buffers(settings.limits.buffered_bytes), PolicyLog(lambda: generations.current().secrets)
    upstreams = build_upstreams(settings, buffers, load)
    stores = storage.open(company=worker.count > 1)
    digester, sign = Digester(storage.argument_key), storage.signer().checkpoint
    ledger = AuditLedger(stores.ledgers, digester, utc_now, stores.tuning, sign, settings.audit.levels())
    health = Health(lambda: generations.current().connections, ledger.control, utc_now)
    watched = generations.current, ledger, report
    parts = IdentityParts(generations.current, stores.keys, stores.vault, storage.material, utc_now)
    async with (
        sending_checkpoints(tended, utc_now, first=worker.first) as lag,
        exporting(tended, ledger.control, utc_now, azure_host, first=worker.first) as behind,
        pinning(storage, ledger.control, utc_now) as pins,
        observing(Watched(*watched, lag, behind, health.available, pins.waiting), load) as telemetry,
        counting(settings.counters, load, storage.tokens) as counters,
        identities(parts, azure_host, ledger.control) as who,
        sending(event_hubs(settings, who.tokens), utc_now, log.conceal) as loggers,
    ):
        ledger.observers = telemetry.observers
        log.also = telemetry.tellers
        stages = Stages(
            snapshot=generations.current,
            identity=who.authentication,
            effects=Effects(Limiter(counters, time.monotonic, time.time), log, who.tokens, loggers),
            credentials=who.sources,
            ledger=ledger,
            upstream=upstreams,
            pins=pins,
            places=places(settings.limits),
            handles=Handles(Seal(storage.material)),
        )
        await ledger.start(principal, worker.place, **said(generations.current(), digester))
        report.to(ledger, upstreams, generations.current)
        watching = watched_files(generations.watch(), certificates.watch())
        try:
            await join(storage, settings_source(config), stores.ledgers[0].writer, serves=not principal)
            gateway = front_door(stages, settings, buffers, lambda: ledger.ready, who.pages)
            pause = every(settings.health.every) if worker.first and not principal else None
            async with (
                purging_daily(tended, utc_now, first=worker.first),
                keep_current(pins, stages, listing=worker.first and not principal, trusted=pause is not None),
                asking(health, Probe(stages, time.monotonic, PATIENCE), pause),
            ):
                rest = ledger, parts, worker, telemetry, health, buffers, certificates, report
                yield Running(gateway, generations, storage, stages, *rest)
        finally:
            await end_watch(watching)
            await upstreams.close()
            await ledger.close()


def said(snapshot: Snapshot, digester: Digester) -> Mapping[str, str]:
    """What a gateway writes down of itself at its start."""
    key, counters = digester.key_id, counted(snapshot.settings.counters)
    return {"version": __version__, "stamp": snapshot.stamp, "digest_key": key, "counters": counters}


def front_door(
    stages: Stages, settings: Settings, buffers: Buffers, ready: Callable[[], bool], pages: Pages | None
) -> Gateway:
    """What callers reach: the connections, the aggregate, the registry, and the pages of people if there are any."""
    endpoint = endpoint_settings(settings, buffers)
    shared = Shared(stages, endpoint.limits, Sessions(time.monotonic), KnownNames(time.monotonic))
    registry = Registry(stages, registry_settings(settings))
    return Gateway(stages, endpoint, ready, pages, partial(serve_aggregate, shared), registry)


def azure_host(azure: AzureIdentity, tls: ssl.SSLContext) -> HostIdentity:
    """The identity that Azure gives to what runs here."""
    host: HostIdentity = load("mcpgov.credential.azure_tokens").AzureHost(azure, tls, utc_now)
    return host


def vaults(azure: Azure) -> Fetch:
    """How secrets are fetched from Key Vault, for one load of the files."""
    return key_vault(azure, azure_host)


def openers() -> Openers:
    """What the verbs open."""
    return Openers(load, vaults, utc_now, azure_host)


@asynccontextmanager
async def open_probe(config: Path | None) -> AsyncGenerator[Probe]:
    """What proves connections, in a gateway of its own that serves nobody. Its report is alone on the screen."""
    configure_logging(json=False, level="error")
    async with running(config, PROBE.id) as gateway:
        yield Probe(gateway.stages, time.monotonic)


def serve(config: Path | None, worker: Worker, *, log_format: LogFormat, log_level: LogLevel | None) -> None:
    """Run the gateway until SIGTERM or Ctrl-C."""
    loudness = Loudness(log_level)
    configure_logging(json=in_json(log_format), level=loudness.level, always=worker.place)
    uvloop.run(serve_until_told(config, worker, loudness))


def supervise(config: Path | None, workers: int, *, log_format: LogFormat, log_level: LogLevel | None) -> None:
    """Check the files, bind the address, and become the supervisor of so many workers."""
    settings = load_generation(config, vaults=vaults, workers=workers).settings
    present(settings, settings_source(config), utc_now)
    listen = settings.listen
    with listener(listen.host, listen.port) as sock:
        levels = log_level or settings.log.level, log_level
        load("mcpgov.supervisor").become(sock, workers, config, json=in_json(log_format), levels=levels)


async def serve_until_told(config: Path | None, worker: Worker, loudness: Loudness) -> None:
    """Serve the data plane on its listener, and operators on theirs."""
    noted = noted_signals()
    async with running(config, worker=worker) as gateway, operators(gateway, config):
        gateway.speak(loudness)
        listen = gateway.storage.settings.listen
        with inherited(worker.listener) if worker.supervised else listener(listen.host, listen.port) as sock:
            limits = connection_limits(gateway.storage.settings)
            encrypt, ending = gateway.certificates.of("tls"), gateway.gateway.drain
            server = GatewayServer(gateway.gateway, ending=ending, limits=limits, present=encrypt)
            server.end_on_signals(noted)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, gateway.request_reload)
            url = gateway.storage.settings.public_url or server.url_on(sock)
            current = gateway.generations.current()
            named, others = [f"{url}/mcp/{name}" for name in current.connections], other_urls(current.settings, url)
            structlog.get_logger().info("serving", connections=named, **others)
            settle()
            with supervised(worker, server.handle_exit):
                await server.serve_on(sock)
    if tokens := gateway.storage.tokens:
        tokens.close()
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
        *(utc_now, gateway.telemetry.prometheus, lambda: export_states(gateway.storage), gateway.health.of),
    )
    async with room.operating(looked_after) as operating:
        with listener(admin.listen.host, admin.listen.port) as sock:
            limits = connection_limits(gateway.storage.settings)
            encrypt = gateway.certificates.of("admin", "tls")
            server = GatewayServer(operating.listener, OPERATORS_DRAIN, limits=limits, present=encrypt)
            serving = asyncio.create_task(server.serve_on(sock))
            url = operating.link or admin.public_url or f"{server.url_on(sock)}/console"
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
    add_connect(cli)
    opens = openers()
    add_care(cli, opens)
    keys = build_keys(opens.keys, opens.find_store, opens.admin_keys)
    add_admin(keys, opens.admin_keys, opens.find_store)
    cli.add_typer(keys, name="keys")
    connections = build_connections(open_probe, opens.consents)
    add_verify(connections, Verifying(open_probe, opens.review, GuardedWeb))
    cli.add_typer(connections, name="connections")
    catalog = build_catalog(opens.pins)
    add_adding(catalog, opens.registry)
    add_publish(catalog, lambda azure: arm_caller(azure, azure_host, utc_now), opens.notes)
    add_approval(catalog, opens.pins)
    cli.add_typer(catalog, name="catalog")
    cli.add_typer(build_foundry(open_probe), name="foundry")
    cli.add_typer(build_policy_app(), name="policy")
    audit = build_audit_app(opens.reader, time.sleep)
    proof = Opening(
        opens.evidence, opens.find_verifier_key, opens.note_verified, opens.written, opens.received, opens.places
    )
    add_proof(audit, proof)
    add_purge(audit, opens.purging)
    add_digests(audit, opens.digest_keys, opens.rotate_digest_key)
    add_exports(audit, opens.export_states)
    add_usage(audit, opens.review)
    cli.add_typer(audit, name="audit")
    return cli


def main() -> None:
    """The console script. What a verb has to say beside its answer goes to stderr."""
    configure_logging(json=False, level="warning")
    try:
        build_cli()()
    except InvalidConfiguration as invalid:
        typer.echo(f"{invalid}\n{plural(len(invalid.problems), 'problem')}; nothing was started.", err=True)
        raise SystemExit(1) from None
    except StoreUnavailable as error:
        typer.echo(f"The store cannot be used: {error}", err=True)
        raise SystemExit(1) from None
