"""Sends what policies log to event hubs, in the background and at most once.

Rules: nobody waits, and no call fails because of it; what waits has a bound; what does not fit, or was not taken, is
dropped and counted, which the log says once a minute. Audit is not done this way: the ledger and its exports lose
nothing. No line of the log holds an event, a token or a signature.
Sources: Event Hubs REST API 2014-01, Send Batch Events, Send Event; Shared Access Signature.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import deque
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote, urlsplit

import structlog

from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.web import GuardedWeb, WebUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from mcpgov.decision import LogEvent
    from mcpgov.models import Secret
    from mcpgov.web import Fields, WebAnswer

MOST: Final = 2_000  # events that wait for one hub
MOST_BYTES: Final = 16_000_000  # of these
BATCH: Final = 240_000  # bytes; the smallest tier takes 256 KB at once
ONE_MORE: Final = 16  # bytes around an event in a batch
LIFE: Final = 600  # seconds that a signature is good for
PAUSE: Final = 60.0  # seconds that a hub may ask to be left alone for
AGAIN: Final = 1.0  # seconds until a hub is tried again that says nothing of the kind
LAST: Final = 5.0  # seconds that what is left may take to leave at the end
QUIET: Final = timedelta(minutes=1)
SINGLE: Final = "application/atom+xml;type=entry;charset=utf-8"
SEVERAL: Final = "application/vnd.microsoft.servicebus.json"
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Posts(Protocol):
    """What can POST over HTTP: the Web of mcpgov.web. Raises WebUnavailable."""

    async def send(self, url: str, body: bytes, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        """POST these bytes to `url`."""
        ...


class Credentials(Protocol):
    """What an event hub is shown."""

    async def authorization(self, url: str, now: datetime) -> str:
        """The value of the header Authorization. Raises Refusal."""
        ...


@frozen
class Signature:
    """A shared access key and its name."""

    name: str
    key: Secret = field(repr=False)

    async def authorization(self, url: str, now: datetime) -> str:
        """A signature over the URL of the hub and when it expires."""
        return signature(url, self.name, self.key, int(now.timestamp()) + LIFE)


@frozen
class Identity:
    """mcpgov's own identity: `token` gets a token for Event Hubs."""

    token: Callable[[], Awaitable[Secret]]

    async def authorization(self, url: str, now: datetime) -> str:
        """A bearer token. Raises Refusal."""
        del url, now  # it is good for every hub, until it expires
        return f"Bearer {(await self.token()).reveal()}"


def signature(url: str, name: str, key: Secret, expires: int) -> str:
    """A Shared Access Signature: HMAC-SHA256 over the encoded URL and the time at which it expires (seconds)."""
    resource = quote(url.lower(), safe="")
    made = hmac.new(key.reveal().encode(), f"{resource}\n{expires}".encode(), hashlib.sha256).digest()
    encoded = quote(base64.b64encode(made).decode(), safe="")
    return f"SharedAccessSignature sr={resource}&sig={encoded}&se={expires}&skn={quote(name, safe='')}"


@frozen
class Hub:
    """An event hub at `url`, without a slash at its end."""

    url: str
    credentials: Credentials
    private: bool = False


@dataclass(slots=True)
class Line:
    """What waits for one hub, and what was dropped since that was last told."""

    hub: Hub
    waiting: deque[LogEvent] = field(default_factory=deque["LogEvent"])
    size: int = 0
    leaving: int = 0  # events that are on their way
    filled: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    dropped: int = 0
    told: datetime | None = None

    def add(self, event: LogEvent) -> bool:
        """Have it wait, if there is room."""
        size = len(event.body.encode())
        if len(self.waiting) >= MOST or self.size + size > MOST_BYTES:
            return False
        self.waiting.append(event)
        self.size += size
        self.filled.set()
        self.idle.clear()
        return True

    def take(self) -> list[LogEvent]:
        """The first that wait and may go together: to one partition, and with a key each alone."""
        first = self.waiting[0]
        taken, size = list["LogEvent"](), 0
        while self.waiting and self.waiting[0].partition_id == first.partition_id:
            event = self.waiting[0]
            size += len(encoded(event)) + ONE_MORE
            if taken and (size > BATCH or first.partition_key or event.partition_key):
                break
            taken.append(self.waiting.popleft())
            self.size -= len(event.body.encode())
        if not self.waiting:
            self.filled.clear()
        return taken


def encoded(event: LogEvent) -> bytes:
    """What is sent, as JSON text."""
    return _ENCODER.encode(event.body).encode()


class EventHubs:
    """Implements effects.Loggers. `conceal` blots secrets out of a text."""

    def __init__(
        self, hubs: Mapping[str, Hub], web: Posts, now: Callable[[], datetime], conceal: Callable[[str], str]
    ) -> None:
        self._lines = {name: Line(hub) for name, hub in hubs.items()}
        self._web, self._now, self._conceal = web, now, conceal

    def log(self, effect: LogEvent) -> None:
        """Have an event sent. Never waits, never raises."""
        line = self._lines.get(effect.logger)
        if line is None:  # the policy is newer than the loggers, which change with a restart
            structlog.get_logger().warning("logger-unknown", logger=effect.logger, rule=effect.rule)
        elif not line.add(self._concealed(effect)):
            self._drop(effect.logger, 1, "too much waits to be sent")

    def _concealed(self, effect: LogEvent) -> LogEvent:
        key = self._conceal(effect.partition_key)
        return replace(effect, body=self._conceal(effect.body), partition_key=key)

    async def run(self, name: str) -> None:
        """Send what is logged to one hub, for ever."""
        line = self._lines[name]
        while True:
            if not line.waiting:
                line.idle.set()
            await line.filled.wait()
            events = line.take()
            line.leaving = len(events)
            error, wait = await self._send(line.hub, events)
            line.leaving = 0
            if error:
                self._drop(name, len(events), error)
            if wait:
                await asyncio.sleep(wait)

    async def drained(self) -> None:
        """Return when nothing waits."""
        await asyncio.gather(*(line.idle.wait() for line in self._lines.values()))

    def close(self) -> None:
        """Tell of everything that is dropped now, and was before."""
        for name, line in self._lines.items():
            line.told = None
            if left := line.leaving + len(line.waiting):
                line.waiting.clear()
                self._drop(name, left, "the gateway ends")
            elif line.dropped:
                self._drop(name, 0, "see above")

    async def _send(self, hub: Hub, events: list[LogEvent]) -> tuple[str, float]:
        """Why they were not taken, or nothing; and how many seconds to leave the hub alone."""
        first, now = events[0], self._now()
        place = f"{hub.url}/partitions/{first.partition_id}" if first.partition_id else hub.url
        try:
            fields: Fields = (("authorization", await hub.credentials.authorization(hub.url, now)),)
            if first.partition_key:
                broker = json.dumps({"PartitionKey": first.partition_key})  # in ASCII: it goes in a header
                fields, body = (*fields, ("content-type", SINGLE), ("brokerproperties", broker)), first.body.encode()
            else:
                fields = (*fields, ("content-type", SEVERAL))
                body = b"[" + b",".join(b'{"Body":' + encoded(event) + b"}" for event in events) + b"]"
            url = f"{place}/messages?timeout=60&api-version=2014-01"
            answer = await self._web.send(url, body, fields, private=hub.private)
        except Refusal as refusal:
            return f"no token: {refusal.detail or refusal.message}", AGAIN
        except WebUnavailable as error:
            return str(error), AGAIN
        if answer.status == 201:
            return "", 0.0
        asked = answer.headers.get("retry-after", "")
        busy = answer.status in {429, 503}
        wait = min(float(asked), PAUSE) if asked.isascii() and asked.isdigit() else AGAIN
        return f"{urlsplit(hub.url).hostname} answered {answer.status}", wait if busy else 0.0

    def _drop(self, name: str, count: int, why: str) -> None:
        """Count what is lost, and say so at most once a minute."""
        line, now = self._lines[name], self._now()
        line.dropped += count
        if line.told is None or now - line.told >= QUIET:
            structlog.get_logger().warning("events-dropped", logger=name, events=line.dropped, error=why)
            line.told, line.dropped = now, 0


@asynccontextmanager
async def sending(
    named: Mapping[str, Hub], now: Callable[[], datetime], conceal: Callable[[str], str]
) -> AsyncGenerator[EventHubs]:
    """Send until the context is left, and then what is left, as far as it goes quickly."""
    hubs = EventHubs(named, GuardedWeb(), now, conceal)
    loops = [asyncio.create_task(hubs.run(name), name=name) for name in named]
    for loop in loops:
        loop.add_done_callback(told_if_it_fails)
    try:
        yield hubs
    finally:
        with suppress(TimeoutError):
            await asyncio.wait_for(hubs.drained(), LAST)
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        hubs.close()


def told_if_it_fails(task: asyncio.Task[None]) -> None:
    """Say so when events are no longer sent."""
    if not task.cancelled() and (failure := task.exception()):
        structlog.get_logger().error("logger-stopped", logger=task.get_name(), exc_info=failure)
