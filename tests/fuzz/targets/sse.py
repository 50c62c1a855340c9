"""The splitter of event streams: any chunking gives the same events, and they are those of the standard.

A case is the size of a chunk, and the stream.
"""

from __future__ import annotations

import json
import re

from mcpgov.errors import Refusal
from mcpgov.messages import outline, parse_message
from mcpgov.models import Event
from mcpgov.upstream.sse import FOREIGN_LINE_ENDS, Splitter, told_event
from tests.fuzz.target import Target

LIMIT = 512
WORDS = (
    *("data: ", "data:", "data\n", "event: message\n", "id: 1\n", "retry: 5\n", ": ping\n\n", "\r\n", "\r\r", "\n\n"),
    *("\ufeff", "\u2028", "\u2029", "\u0085", '{"jsonrpc":"2.0","id":1,"result":{}}', '"method":"x"', "\\u2028"),
)


def judge(data: bytes) -> None:
    """One stream."""
    size, stream = 1 + (data[0] if data else 0), data[1:]
    whole, refused = split([stream])
    for step in (1, size):
        events, again = split([stream[at : at + step] for at in range(0, len(stream), step)])
        if refused or again:  # how much of an event that is too large goes before it depends on the chunks
            assert longest(stream) > LIMIT, "refused without a reason"
        else:
            assert apart(events) == apart(whole), "another chunking gives other events"
    raw = b"".join(event.raw for event in whole)
    assert stream.startswith(raw), "the events put together are not the stream"
    if not refused:
        assert [event.data for event in whole if event.data is not None] == standard(stream), "not what a client reads"
    for event in whole:
        judge_event(event)


def split(chunks: list[bytes]) -> tuple[list[Event], bool]:
    """The events of the chunks, and whether one was refused."""
    splitter, events = Splitter(LIMIT), list[Event]()
    try:
        for chunk in chunks:
            events += splitter.split(chunk)
            splitter.require_room()
        return [*events, *splitter.finish()], False
    except Refusal:
        return events, True


def apart(events: list[Event]) -> list[tuple[bytes, bytes | None]]:
    """The events, what is quiet between two messages put together: how it is cut says nothing."""
    parts: list[tuple[bytes, bytes | None]] = []
    for event in events:
        if event.data is None and parts and parts[-1][1] is None:
            parts[-1] = (parts[-1][0] + event.raw, None)
        else:
            parts.append((event.raw, event.data))
    return parts


def judge_event(event: Event) -> None:
    """What is told of an event says the same, with line ends that all agree on; or it is refused."""
    if event.data is not None:
        outline(event.data)
    try:
        told = told_event(event)
    except Refusal:
        return
    assert not FOREIGN_LINE_ENDS.search(told.raw), "a line end that only some know"
    if told.data is None:
        return
    assert event.data is not None
    assert repr(json.loads(told.data)) == repr(parse_message(event.data)), "something else is told"
    assert standard(told.raw) == [told.data], "a client reads something else than we"


def standard(stream: bytes) -> list[bytes]:
    """The data of each event that has some, as the HTML Living Standard is written (section 9.2.6), all at once."""
    lines = re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf"))[:-1]
    events, data = list[bytes](), list[bytes]()
    for line in lines:
        if not line:
            events += [b"\n".join(data)] if any(data) or len(data) > 1 else []
            data = []
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value[1:] if value.startswith(b" ") else value)
    return events


def longest(stream: bytes) -> int:
    """The bytes of the longest event that can be meant, its end included."""
    return max(len(part) for part in re.split(rb"(?<=\n\n)|(?<=\r\r)|(?<=\n\r)", stream)) + 2


TARGET = Target(judge, WORDS)
