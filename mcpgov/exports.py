"""The exports that the settings name, put together: format, place, loop. And how far each is.

A room of the composition root: app.py hands it the store of the settings. pyarrow is loaded where Parquet is asked for.
"""

from __future__ import annotations

import asyncio
import io
import socket
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import structlog

from mcpgov.audit.azure_monitor import MonitorTable
from mcpgov.audit.export_targets import FolderFiles, HttpPost, SyslogStream
from mcpgov.audit.exported import ExportState
from mcpgov.audit.exporting import Export, Exporter
from mcpgov.audit.formats.azure_monitor import AzureMonitor
from mcpgov.audit.formats.batches import LIMIT
from mcpgov.audit.formats.cloudevents import CloudEvents
from mcpgov.audit.formats.columns import NAMES
from mcpgov.audit.formats.csv import Csv, row_of
from mcpgov.audit.formats.jsonl import JsonLines
from mcpgov.audit.formats.ocsf import Ocsf
from mcpgov.audit.formats.otlp import Otlp
from mcpgov.audit.formats.parquet import Parquet, ParquetFile
from mcpgov.audit.formats.syslog import Syslog
from mcpgov.errors import InvalidConfiguration, Problem
from mcpgov.extras import PARQUET
from mcpgov.host_tokens import HostTokens
from mcpgov.stage_settings import azure_identity
from mcpgov.store.database import place_bytes
from mcpgov.store.sqlite_keys import moment
from mcpgov.trust import system_trust
from mcpgov.web import GuardedWeb

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from typing_extensions import Buffer

    from mcpgov.audit.exported import Exported, Format
    from mcpgov.audit.exporting import Note, Target
    from mcpgov.export_settings import ExportSettings
    from mcpgov.identities import AzureHosts
    from mcpgov.identity_settings import Azure
    from mcpgov.storage import Load, Storage
    from mcpgov.store.export_log import Progress

FILE_BATCH: Final = 5_000  # records of one file
FILE_LIMIT: Final = 16_000_000  # bytes of one file
FILE_PATIENCE: Final = 60.0  # seconds that a file which is not full waits for more
ANSWER: Final = 30.0  # seconds that a place may take for a payload
# A payload is one JSON value; in a file, one a line.
ONE_VALUE: Final = frozenset({"otlp", "cloudevents", "azure-monitor"})
LAST: Final = 5.0  # seconds that what is left may take to leave at the end


def export_states(storage: Storage) -> list[ExportState]:
    """How far each export is, as the store has it; also beside a running gateway. Raises StoreUnavailable."""
    exports = storage.settings.audit.exports
    if not exports:
        return []
    kept = storage.exports()
    return [state_of(one, kept.progress(one.name)) for one in exports]


def state_of(settings: ExportSettings, progress: Progress) -> ExportState:
    """One export and its progress."""
    told = settings.name, shown(settings), settings.written_as
    oldest, failing = (moment(at) if at else None for at in (progress.oldest, progress.failing))
    return ExportState(*told, progress.position, progress.behind, oldest, failing, progress.error)


def shown(settings: ExportSettings) -> str:
    """Where an export goes, without what may be secret: a URL has no user, path or query."""
    place = urlsplit(settings.to.reveal())
    if settings.scheme == "file":
        return place.geturl()
    return f"{place.scheme}://{place.netloc.rpartition('@')[2]}" if settings.scheme else "(kept in a Key Vault)"


def new_format(name: str, load: Load, limit: int = LIMIT) -> Format:
    """A format by its name. Raises InvalidConfiguration where it needs what is not installed."""
    if name == "parquet":
        return Parquet(pyarrow(load), limit)
    made: dict[str, Callable[[], Format]] = {
        "jsonl": lambda: JsonLines(limit),
        "csv": lambda: Csv(limit),
        "cloudevents": lambda: CloudEvents(limit),
        "ocsf": lambda: Ocsf(limit),
        "otlp": lambda: Otlp(limit),
        "syslog": lambda: Syslog(socket.gethostname(), limit),
        "azure-monitor": lambda: AzureMonitor(limit),
    }
    return made[name]()


def pyarrow(load: Load) -> Any:
    """The module that makes Parquet. Raises InvalidConfiguration."""
    if not PARQUET.installed:
        raise InvalidConfiguration((Problem("audit export", 0, 0, PARQUET.message, PARQUET.mend),))
    load("pyarrow.parquet")
    return load("pyarrow")


def new_target(settings: ExportSettings) -> Target:
    """The place of an export."""
    place = urlsplit(settings.to.reveal())
    if settings.scheme == "file":
        return FolderFiles(Path(unquote(place.path)), place_bytes)
    if settings.scheme.startswith("syslog"):
        tls = system_trust() if settings.scheme == "syslog+tls" else None
        there = place.hostname or "", place.port or 0
        return SyslogStream(*there, tls, private=settings.private, close_notify=settings.close_notify)
    headers = tuple(settings.headers.items())
    return HttpPost(shown(settings), settings.to, GuardedWeb(deadline=ANSWER), headers, settings.private)


def azure_table(settings: ExportSettings, azure: Azure, hosts: AzureHosts, now: Callable[[], datetime]) -> MonitorTable:
    """The table of an export to Azure Monitor, and whose token it is written with."""
    identity, tls = azure_identity(azure), system_trust()
    tokens = HostTokens(hosts(identity, tls), settings.scope, identity.managed_identity, now)
    web = GuardedWeb(tls, deadline=ANSWER)
    return MonitorTable(shown(settings), settings.to, web, tokens, settings.private)


def configured(storage: Storage, hosts: AzureHosts, now: Callable[[], datetime]) -> Iterator[Export]:
    """The exports of the settings."""
    azure = storage.settings.azure
    for one in storage.settings.audit.exports:
        files = one.scheme == "file"
        made = new_format(one.written_as, storage.load, FILE_LIMIT if files else LIMIT)
        to_azure = azure if one.written_as == "azure-monitor" else None
        target = azure_table(one, to_azure, hosts, now) if to_azure else new_target(one)
        yield Export(one.name, made, target, FILE_BATCH, FILE_PATIENCE) if files else Export(one.name, made, target)


def written(storage: Storage, name: str, since: int | None, until: int | None) -> Iterator[tuple[bytes, int]]:
    """The records made from `since` on and before `until` (microseconds) as one file: its pieces, and how many records
    each stands for. Raises InvalidConfiguration, StoreUnavailable.
    """
    batches = storage.exports().between(since, until)
    if name == "parquet":
        yield from written_parquet(pyarrow(storage.load), batches)
        return
    if name == "csv":
        yield row_of(NAMES), 0
    made = Csv(FILE_LIMIT, header=False) if name == "csv" else new_format(name, storage.load, FILE_LIMIT)
    end = b"\n" if name in ONE_VALUE else b""
    for records in batches:
        for payload in made.payloads(records):
            yield payload.body + end, payload.count


def written_parquet(arrow: Any, batches: Iterator[Sequence[Exported]]) -> Iterator[tuple[bytes, int]]:
    """The pieces of one Parquet file, each as soon as it is made."""
    sink = Pieces()
    with ParquetFile(arrow, sink) as file:
        for records in batches:
            file.write(records)
            yield sink.taken(), len(records)
    yield sink.taken(), 0


class Pieces(io.RawIOBase):
    """A file that only keeps what was written since it was last taken."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, piece: Buffer, /) -> int:
        """Keep it."""
        self._written += memoryview(piece)
        return memoryview(piece).nbytes

    def close(self) -> None:
        """It stays open for what is to be taken."""

    def taken(self) -> bytes:
        """What was written since."""
        piece = bytes(self._written)
        self._written.clear()
        return piece


@asynccontextmanager
async def exporting(
    storage: Storage, note: Note, now: Callable[[], datetime], hosts: AzureHosts, *, first: bool = True
) -> AsyncGenerator[Callable[[], Mapping[str, float]]]:
    """Export to every place that is named, and what is left when the ledger has closed, as far as it goes quickly.

    Gives, for each export that goes on from here, how many seconds ago the oldest record was made that it lacks.
    Raises InvalidConfiguration before anything is started.
    """
    exports = list(configured(storage, hosts, now))
    if not exports or not first:
        yield dict
        return
    kept = storage.exports()
    exporters = {export.name: Exporter(export, kept, note, now, asyncio.sleep) for export in exports}
    loops = [asyncio.create_task(exporter.run(), name=name) for name, exporter in exporters.items()]
    for loop in loops:
        loop.add_done_callback(told_if_it_fails)
    try:
        yield lambda: {name: lag for name, exporter in exporters.items() if (lag := exporter.lag) is not None}
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(at_the_end(exporter) for exporter in exporters.values())), LAST)


async def at_the_end(exporter: Exporter) -> None:
    """Send what is left, and let another gateway go on."""
    await exporter.look(last=True)
    await exporter.release()


def told_if_it_fails(task: asyncio.Task[None]) -> None:
    """Say so when an export has stopped."""
    if not task.cancelled() and (failure := task.exception()):
        structlog.get_logger().error("export-stopped", export=task.get_name(), exc_info=failure)
