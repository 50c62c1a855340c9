"""Splits a text/event-stream into its events, and says which of them are told. Pure: only an incomplete event is kept.

Source: HTML Living Standard section 9.2.6. Rules: a line ends at CR, LF or CRLF and nowhere else; U+2028 and its kin
are text (a client library that breaks lines there lets a tool's result forge events). Any chunking gives the same
events, and their `raw` put together is the input, up to the last complete event: what is left at the end is
discarded, as the standard says. Comments and blank lines between events pass at once, for they keep connections
alive, at most RUN lines together: a server that sends nothing else would keep everybody busy.

An event is told as it came if it is in the one shape that all readers read alike; else it is written anew from the
message that was read there, in ASCII, with what is left of its other fields. One that holds no message ends the stream:
what a filter could not read must not be read by a client (ToolHive 5257).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.messages import parse_message
from mcpgov.models import Event
from mcpgov.strict_json import dumps

if TYPE_CHECKING:
    from collections.abc import Iterable

LINE_END = re.compile(rb"\r\n?|\n")
RUN: Final = 64
# Blank lines and comments, so short that a run is no longer than the least `limits.event_bytes`; a CR that nothing
# follows yet may be half of a line end.
BETWEEN: Final = re.compile(rb"(?>(?::[^\r\n]{0,12}+)?(?:\r\n|\n|\r(?!\Z))){1,%d}" % RUN)
# An event of one message as servers write it, with nothing left to ask of what follows it.
WHOLE: Final = re.compile(rb"(?:(?:id: ?[ -~]{0,256}|event: ?message)\r?\n){0,2}data: ?([^\r\n]*+)\r?\n\r?\n")
BOM = b"\xef\xbb\xbf"
# Fields that pass as they are. An id comes back to us in a header field (Last-Event-ID), so it is of ASCII and short; a
# client that is told to come back in more than 9,999,999 ms would stay away for good.
_END: Final = rb"(?:\r\n?+|\n)"
_ID: Final = rb"[ -~]{0,256}"
_RETRY: Final = rb"[0-9]{1,7}"
# Atomic groups, not possessive repeats: those keep half of what did not match (CPython 3.11 before 3.11.5, gh-106052).
_FIELD: Final = rb"(?>(?:event: ?message|id: ?" + _ID + rb"|retry: ?" + _RETRY + rb"|:[ -~]*+)" + _END + rb")*"
MESSAGE: Final = re.compile(_FIELD + rb"data: ?[^\r\n]*+" + _END + _FIELD + _END)
QUIET: Final = re.compile(_FIELD + rb"(?:data(?:: ?)?" + _END + _FIELD + rb")?(?:" + _END + rb")?")
SILENCE: Final = re.compile(rb"(?>(?::[ -~]*+)?" + _END + rb")*")
KEPT: Final = {b"id": re.compile(_ID), b"retry": re.compile(_RETRY)}
OLD_TRANSPORT: Final = b"endpoint"  # MCP 2024-11-05: the URL to post to. A client that believed it would leave by it.
ALIVE: Final = b":\n\n"
FOREIGN_LINE_ENDS = re.compile(rb"\xe2\x80[\xa8\xa9]|\xc2\x85")  # U+2028, U+2029, U+0085


class Splitter:
    """The state of one stream. `limit` is the most bytes that one event may have."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pending = bytearray()  # the event that is incomplete, and nothing before it
        self._line = 0  # where in it the current line begins
        self._scanned = 0  # up to where it was searched for line ends
        self._data: list[bytes] = []
        self._at_start = True

    @property
    def pending(self) -> int:
        """How many bytes there are of an event that is incomplete."""
        return len(self._pending)

    def split(self, chunk: bytes) -> tuple[Event, ...]:
        """The events that `chunk` completes. They go first; then it is asked whether there is `require_room`."""
        return self._events(chunk, last=False)

    def require_room(self) -> None:
        """Raise Refusal (upstream-too-large) where the event that is incomplete is longer than one may be."""
        if len(self._pending) > self._limit:
            raise too_large()

    def finish(self) -> tuple[Event, ...]:
        """The event that only the end of the stream shows to be complete: one that ends in a lone CR."""
        return self._events(b"", last=True)

    def _events(self, chunk: bytes, *, last: bool) -> tuple[Event, ...]:
        pending = self._pending
        pending += chunk
        events: list[Event] = []
        start, at = 0, self._scanned
        while True:
            # Only where nothing of the event was searched before: a long one that comes in pieces is read once.
            if at == self._line == start and (whole := WHOLE.match(pending, start)):
                events.append(Event(whole[0], whole[1] or None))
                start = self._line = at = whole.end()
                self._at_start = False
                continue
            if self._line == start and not self._at_start and (quiet := BETWEEN.match(pending, start)):
                events.append(Event(quiet.group()))
                start = self._line = at = quiet.end()
                continue
            end = LINE_END.search(pending, at)
            if end is None or (end.group() == b"\r" and end.end() == len(pending) and not last):
                break  # after a CR an LF may follow, and would belong to this line end
            line = bytes(pending[self._line : end.start()])
            if self._completes(line, alone=self._line == start):
                events.append(self._event(bytes(pending[start : end.end()])))
                start = end.end()
            self._line = at = end.end()
        self._scanned = max(self._line, len(pending) - 1) - start
        self._line -= start
        del pending[:start]
        return tuple(events)

    def _completes(self, line: bytes, *, alone: bool) -> bool:
        """Take one line in; whether what is pending can go. `alone`: the line is the first of its event."""
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(BOM)
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        return not line or (alone and not name)

    def _event(self, raw: bytes) -> Event:
        data = b"\n".join(self._data)
        self._data.clear()
        return Event(raw, data or None)


def told(events: Iterable[Event]) -> tuple[tuple[Event, ...], Refusal | None]:
    """The events as they are told, up to the first one that must not be, and the Refusal that stands for that one."""
    passed: list[Event] = []
    for event in events:
        try:
            passed.append(told_event(event))
        except Refusal as refusal:
            return tuple(passed), refusal
    return tuple(passed), None


def told_event(event: Event) -> Event:
    """The event as it is told, its message read. Raises Refusal (upstream-invalid) for one that holds none."""
    data, raw = event.data, event.raw
    if data is None:
        return event if QUIET.fullmatch(raw) or SILENCE.fullmatch(raw) else _primed(_fields(raw))
    alike = MESSAGE.fullmatch(raw) is not None
    fields = [] if alike else _fields(raw)
    types = {value for name, value in fields if name == b"event"} - {b"", b"message"}
    if types and OLD_TRANSPORT not in types:
        return Event(ALIVE)  # no MCP client hears it; that it came keeps the connection alive
    message = None if types else parse_message(data)
    if message is None:
        detail = "an event of the HTTP+SSE transport" if types else "an event that is no message, or could be two"
        raise Refusal(Reason.UPSTREAM_INVALID, "The upstream sent an event that cannot be read.", detail=detail)
    if alike and (data.isascii() or not FOREIGN_LINE_ENDS.search(raw)):
        return Event(raw, data, message)
    written = dumps(message)
    return Event(_kept(fields or _fields(raw), b"data: " + written + b"\n"), written, message)


def _primed(fields: list[tuple[bytes, bytes]]) -> Event:
    """An event without a message, with what of it may pass."""
    primes = any(name == b"data" for name, _ in fields)
    return Event(_kept(fields, b"data:\n" if primes else b""))


def _fields(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The fields of an event, without comments."""
    lines = (line.partition(b":") for line in LINE_END.split(raw.removeprefix(BOM)))
    return [(name, value.removeprefix(b" ")) for name, _, value in lines if name]


def _kept(fields: list[tuple[bytes, bytes]], data: bytes) -> bytes:
    """An event with those of its fields that may pass, and other data."""
    lines = [name + b": " + value + b"\n" for name, value in fields if name in KEPT and KEPT[name].fullmatch(value)]
    return b"".join([*lines, data, b"\n"]) if lines or data else ALIVE


def too_large() -> Refusal:
    """The refusal of an event that is longer than an event may be."""
    message = "The upstream sent an event that is too large."
    return Refusal(Reason.UPSTREAM_TOO_LARGE, message, detail="limits.event_bytes")
