"""Splits a text/event-stream into its events. Pure: bytes in, events out, only an incomplete event is kept.

Source: HTML Living Standard section 9.2.6. Rules: a line ends at CR, LF or CRLF and nowhere else; U+2028 and its kin
are text (a client library that breaks lines there lets a tool's result forge events). Any chunking gives the same
events, and their `raw` put together is the input, up to the last complete event: what is left at the end is
discarded, as the standard says. Comments and blank lines between events pass at once, for they keep connections
alive.
"""

from __future__ import annotations

import re

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Event

LINE_END = re.compile(rb"\r\n?|\n")
BOM = b"\xef\xbb\xbf"
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
        """The events that `chunk` completes. Raises Refusal (upstream-too-large)."""
        return self._events(chunk, last=False)

    def finish(self) -> tuple[Event, ...]:
        """The event that only the end of the stream shows to be complete: one that ends in a lone CR."""
        return self._events(b"", last=True)

    def _events(self, chunk: bytes, *, last: bool) -> tuple[Event, ...]:
        pending = self._pending
        pending += chunk
        events: list[Event] = []
        start = 0
        for end in LINE_END.finditer(pending, self._scanned):
            if end.group() == b"\r" and end.end() == len(pending) and not last:
                break  # an LF may follow, and would belong to this line end
            line = bytes(pending[self._line : end.start()])
            if self._completes(line, alone=self._line == start):
                events.append(self._event(bytes(pending[start : end.end()])))
                start = end.end()
            self._line = end.end()
        self._scanned = max(self._line, len(pending) - 1) - start
        self._line -= start
        del pending[:start]
        if len(pending) > self._limit:
            raise Refusal(Reason.UPSTREAM_TOO_LARGE, "The upstream sent an event that is too large.")
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


def with_safe_line_ends(event: Event) -> Event:
    """The same event, the characters that some clients take for line ends escaped as JSON escapes them.

    In JSON they stand only inside strings, where the escape means the same.
    """
    if event.data is None or event.data.isascii() or not FOREIGN_LINE_ENDS.search(event.data):
        return event
    return Event(FOREIGN_LINE_ENDS.sub(_escape, event.raw), FOREIGN_LINE_ENDS.sub(_escape, event.data))


def _escape(found: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(found.group().decode())
