"""Checkpoints leave the house: each one that the ledger keeps is sent to every place that was named, and read there.

A checkpoint proves something to those who have it from elsewhere than the machine that made it. So a place that is down
is tried again until it takes what it lacks; that holds up no call, is logged once a minute, and shows as a lag. What a
place has already it may be given again: a checkpoint has one name, and what bears the name never changes.
"""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

import structlog

from mcpgov.audit.note import Checkpoint, opened, unopened
from mcpgov.audit.record import microseconds
from mcpgov.errors import StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from mcpgov.audit.note import VerifierKey
    from mcpgov.web import Fields, WebAnswer

ENDING = ".note"
AT_ONCE = 100  # checkpoints of one round
ORIGIN = re.compile(r"[\w.-]+/[0-9a-f]+/[\w-]+", re.ASCII)  # of a log: the name of the key, and the writer
QUIET = timedelta(minutes=1)
OK = range(200, 300)
TEXT = (("content-type", "text/plain; charset=utf-8"),)


class TargetUnavailable(Exception):
    """A place did not take a checkpoint. The text names the place and no secret."""


@frozen
class KeptCheckpoint:
    """A checkpoint as the store keeps it. `at` is in microseconds since 1970-01-01 UTC."""

    writer: str
    size: int
    at: int
    note: str

    @property
    def is_whole(self) -> bool:
        """Whether the note is of what the row says. If not, somebody else put it there, whose words become no path."""
        try:
            told = Checkpoint.parse(unopened(self.note))
        except ValueError:
            return False
        return bool(ORIGIN.fullmatch(told.origin)) and (told.writer, told.size) == (self.writer, self.size)

    @property
    def name(self) -> str:
        """What it is called wherever it is sent: `<log>/<writer>/<size>.note`."""
        log = unopened(self.note).partition("\n")[0].split("/")[-2]
        return f"{log}/{self.writer}/{self.size:012d}{ENDING}"


class KeptCheckpoints(Protocol):
    """The checkpoints in the store, and how far each place has come with each writer; what their clocks say does not
    count. Every method raises StoreUnavailable.
    """

    def lacking(self, target: str, limit: int) -> Sequence[KeptCheckpoint]:
        """The next that a place lacks, those of a writer in their order."""
        ...

    def move(self, target: str, through: Sequence[KeptCheckpoint]) -> None:
        """Note that a place has these, and of their writers all before them."""
        ...


class CheckpointTarget(Protocol):
    """A place that checkpoints are sent to. `name` has no secret in it."""

    name: str

    async def put(self, checkpoint: KeptCheckpoint) -> None:
        """Keep a checkpoint there, durable on return. Raises TargetUnavailable."""
        ...


class SentCheckpoints(Protocol):
    """The checkpoints in a second database. Raises StoreUnavailable."""

    def put(self, name: str, note: str, at: int) -> None:
        """Keep a note under a name unless there is one, durable on return; `at` is in microseconds."""
        ...


class Puts(Protocol):
    """What can PUT over HTTP: the Web of mcpgov.web. Raises WebUnavailable."""

    async def put(self, url: str, body: bytes, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        """PUT these bytes at `url`."""
        ...


class FolderTarget:
    """A folder, best on a disk of another machine. `place` writes a file whole, or leaves the one that is there."""

    def __init__(self, folder: Path, place: Callable[[Path, bytes], None]) -> None:
        self.name = folder.as_uri()
        self._folder = folder
        self._place = place

    async def put(self, checkpoint: KeptCheckpoint) -> None:
        """Make the file."""
        try:
            await asyncio.to_thread(self._place, self._folder / checkpoint.name, checkpoint.note.encode())
        except (OSError, StoreUnavailable) as error:
            raise TargetUnavailable(f"{self.name}: {error}") from error


class HttpTarget:
    """A URL that takes PUT: an object store, a bucket with a retention lock."""

    def __init__(self, url: str, web: Puts, *, private: bool = False) -> None:
        self.name = url.partition("?")[0]
        self._url = url
        self._web = web
        self._private = private

    async def put(self, checkpoint: KeptCheckpoint) -> None:
        """PUT the note below the URL; a query, where tokens are kept, stays at its end."""
        base, mark, query = self._url.partition("?")
        url = f"{base.rstrip('/')}/{checkpoint.name}{mark}{query}"
        try:
            answer = await self._web.put(url, checkpoint.note.encode(), TEXT, private=self._private)
        except WebUnavailable as error:
            raise TargetUnavailable(f"{self.name}: {error}") from error
        if answer.status not in OK:
            raise TargetUnavailable(f"{self.name}: answered {answer.status}")


class DatabaseTarget:
    """A database other than that of the ledger. `name` has no secret in it."""

    def __init__(self, name: str, sent: SentCheckpoints) -> None:
        self.name = name
        self._sent = sent

    async def put(self, checkpoint: KeptCheckpoint) -> None:
        """Add the row."""
        try:
            await asyncio.to_thread(self._sent.put, checkpoint.name, checkpoint.note, checkpoint.at)
        except StoreUnavailable as error:
            raise TargetUnavailable(f"{self.name}: {error}") from error


class Shipping:
    """Sends what each place lacks, until it is cancelled. `pause` waits between two looks.

    The last checkpoint is made when the ledger closes: look once more after that.
    """

    def __init__(
        self,
        kept: KeptCheckpoints,
        targets: Iterable[CheckpointTarget],
        now: Callable[[], datetime],
        pause: Callable[[], Awaitable[None]],
    ) -> None:
        self._kept = kept
        self._now = now
        self._pause = pause
        self._targets = tuple(targets)
        self._waiting: dict[str, int] = {}
        self._logged: dict[str, datetime] = {}

    @property
    def lag(self) -> Mapping[str, float]:
        """Seconds since the oldest checkpoint that a place lacks was made, for each that lacks one."""
        now = microseconds(self._now())
        return {name: (now - at) / 1_000_000 for name, at in self._waiting.items()}

    async def run(self) -> None:
        """Go on for ever. Where a gateway starts for the first time, its store is only being made."""
        while True:
            await self._pause()
            await self.look()

    async def look(self) -> None:
        """Send every place what it lacks now."""
        await asyncio.gather(*(self.ship(target) for target in self._targets))

    async def ship(self, target: CheckpointTarget) -> None:
        """Send one place what it lacks, as long as it takes it."""
        try:
            while found := await asyncio.to_thread(self._kept.lacking, target.name, AT_ONCE):
                await self._send(target, found)
            self._waiting.pop(target.name, None)
        except (TargetUnavailable, StoreUnavailable) as error:
            self._complain(target.name, error)

    async def _send(self, target: CheckpointTarget, found: Sequence[KeptCheckpoint]) -> None:
        """Send these. What is no checkpoint, which a verifier finds, is passed over."""
        for number, checkpoint in enumerate(found):
            if checkpoint.is_whole:
                self._waiting[target.name] = checkpoint.at
                try:
                    await target.put(checkpoint)
                except TargetUnavailable:
                    await asyncio.to_thread(self._kept.move, target.name, found[:number])
                    raise
        await asyncio.to_thread(self._kept.move, target.name, found)

    def _complain(self, name: str, error: Exception) -> None:
        now, last = self._now(), self._logged.get(name)
        if last is None or now - last >= QUIET:
            self._logged[name] = now
            structlog.get_logger().warning("checkpoint-not-sent", error=str(error), lag=self.lag.get(name))


class Compared(NamedTuple):
    """The roots that notes sign, by writer and size, what is wrong with those that cannot be compared, and the logs
    that others are of.
    """

    roots: Mapping[str, Mapping[int, bytes]]
    wrong: Sequence[str]
    others: Sequence[str]

    @property
    def total(self) -> int:
        """How many checkpoints a ledger is held against."""
        return sum(map(len, self.roots.values()))


def compared(notes: Iterable[str], key: VerifierKey | None) -> Compared:
    """What notes from elsewhere say of a ledger. Those of other logs may lie among them, and are left out."""
    roots: dict[str, dict[int, bytes]] = {}
    wrong, others = list[str](), list[str]()
    for note in notes:
        try:
            checkpoint: Checkpoint = opened(note, key)
        except ValueError as error:
            if key is None or f" {key.name} " in note:
                wrong.append(str(error))
            else:
                others.append(note.partition("\n")[0].rpartition("/")[0])
            continue
        sizes = roots.setdefault(checkpoint.writer, {})
        if sizes.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            wrong.append(f"there are two for record {checkpoint.size} of {checkpoint.writer}")
    return Compared(roots, wrong, others)
