"""The splitter: any chunking gives the same events, nothing is lost, and only CR, LF and CRLF end a line."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Event
from mcpgov.upstream import sse
from mcpgov.upstream.sse import QUIET, Splitter, told, told_event

LIMIT = 1 << 20
PIECES = st.sampled_from(
    (
        b"data",
        b"data:",
        b"data: ",
        b"id: 1\n",
        b"event: message\r\n",
        b"event: x",
        b": c",
        b"\r",
        b"\n",
        b"\r\n",
        b"\n\n",
        b"x",
        b"\xe2\x80\xa8",
    )
)
STREAMS = st.lists(PIECES, max_size=40).map(b"".join)


def split(stream: bytes, *cuts: int) -> tuple[Event, ...]:
    """The events of a stream that comes in pieces."""
    splitter = Splitter(LIMIT)
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    events = [splitter.split(stream[start:end]) for start, end in pairwise(edges)]
    return tuple(event for some in [*events, splitter.finish()] for event in some)


def together(events: tuple[Event, ...]) -> list[Event]:
    """The events, comments and blank lines between two of them put together: these pass as they come."""
    joined: list[Event] = []
    for event in events:
        silent = all(not line or line.startswith(b":") for line in re.split(rb"\r\n?|\n", event.raw))
        if silent and joined and joined[-1].data is None and joined[-1].raw[:1] in b":\r\n":
            joined[-1] = Event(joined[-1].raw + event.raw)
        else:
            joined.append(event)
    return joined


@given(STREAMS, st.lists(st.integers(0, 200), max_size=20))
def test_any_chunking_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    assert together(split(stream, *cuts)) == together(split(stream, *range(len(stream))))


@given(STREAMS)
def test_the_raw_events_are_the_stream_up_to_the_last_complete_event(stream: bytes) -> None:
    raw = b"".join(event.raw for event in split(stream))
    assert stream.startswith(raw)
    rest = stream[len(raw) :]
    assert split(rest) == () or rest == b""


@given(st.lists(st.text(st.characters(blacklist_categories=("Cs",)), max_size=20), max_size=10))
def test_every_message_that_is_written_is_read(texts: list[str]) -> None:
    messages = [json.dumps(text, ensure_ascii=False).encode() for text in texts]
    stream = b"".join(b"data: " + message + b"\n\n" for message in messages)
    assert [event.data for event in split(stream)] == messages


EVENTS: dict[str, tuple[bytes, list[tuple[bytes, bytes | None]]]] = {
    "one": (b"data: {}\n\n", [(b"data: {}\n\n", b"{}")]),
    "no space": (b"data:{}\n\n", [(b"data:{}\n\n", b"{}")]),
    "two spaces": (b"data:  {}\n\n", [(b"data:  {}\n\n", b" {}")]),
    "two lines": (b"data: {\ndata: }\n\n", [(b"data: {\ndata: }\n\n", b"{\n}")]),
    "other fields": (b"id: 1\nevent: message\ndata: 1\n\n", [(b"id: 1\nevent: message\ndata: 1\n\n", b"1")]),
    "CR": (b"data: 1\r\rdata: 2\r\r", [(b"data: 1\r\r", b"1"), (b"data: 2\r\r", b"2")]),
    "CRLF": (b"data: 1\r\n\r\n", [(b"data: 1\r\n\r\n", b"1")]),
    "mixed": (b"data: 1\n\r\ndata: 2\r\n\r", [(b"data: 1\n\r\n", b"1"), (b"data: 2\r\n\r", b"2")]),
    "BOM": (b"\xef\xbb\xbfdata: 1\n\n", [(b"\xef\xbb\xbfdata: 1\n\n", b"1")]),
    "BOM later": (b"\n\xef\xbb\xbfdata: 1\n\n", [(b"\n", None), (b"\xef\xbb\xbfdata: 1\n\n", None)]),
    "comment": (b"\n: ping\n\n", [(b"\n", None), (b": ping\n\n", None)]),
    "comment inside": (b"data: 1\n: c\n\n", [(b"data: 1\n: c\n\n", b"1")]),
    "priming": (b"id: 7\ndata:\n\n", [(b"id: 7\ndata:\n\n", None)]),
    "bare field": (b"data\n\n", [(b"data\n\n", None)]),
    "retry": (b"retry: 10\n\n", [(b"retry: 10\n\n", None)]),
    "not the field": (b"datax: 1\n data: 2\n\n", [(b"datax: 1\n data: 2\n\n", None)]),
    "incomplete": (b"data: 1\n", []),
    "incomplete line": (b"data: 1", []),
    "line separators are text": (
        b'data: "\xe2\x80\xa8\xe2\x80\xa9\xc2\x85\x0b\x0c\x1c"\n\n',
        [
            (
                b'data: "\xe2\x80\xa8\xe2\x80\xa9\xc2\x85\x0b\x0c\x1c"\n\n',
                b'"\xe2\x80\xa8\xe2\x80\xa9\xc2\x85\x0b\x0c\x1c"',
            )
        ],
    ),
}


@pytest.mark.parametrize(("stream", "events"), EVENTS.values(), ids=EVENTS)
def test_a_stream_is_split_as_the_standard_says(stream: bytes, events: list[tuple[bytes, bytes | None]]) -> None:
    assert [(event.raw, event.data) for event in split(stream)] == events


def test_a_comment_passes_before_the_event_it_stands_before() -> None:
    assert Splitter(LIMIT).split(b": ping\ndata: 1") == (Event(b": ping\n", None),)


@pytest.mark.parametrize("line", [b"\n", b"\r", b"\r\n", b": ping\n", b":\r\n"])
def test_lines_that_say_nothing_pass_in_runs(line: bytes) -> None:
    events = split(b"\n" + line * 6400)
    assert b"".join(event.raw for event in events) == b"\n" + line * 6400
    assert len(events) <= 102
    assert {told_event(event).raw for event in events} <= {b"\n", line, line * 63, line * 64}


# What a possessive repeat left half matched was taken for the start of the next field.
HALF = (
    b"event: id: 5\n\n",
    b"event: data\n\n",
    b"retry: id: 5\n\n",
    b"id::" + b"a" * 300 + b"\n\n",
    b"event:event:\n\n",
)


@pytest.mark.parametrize("raw", HALF)
def test_half_a_field_is_not_taken_for_a_whole_one(raw: bytes) -> None:
    assert not QUIET.fullmatch(raw)
    assert not sse.MESSAGE.fullmatch(raw)
    assert told_one(raw).raw == b":\n\n"


def test_many_fields_are_read_in_one_pass() -> None:
    for line in (b"id: 1\n", b": c\n", b"retry: 1\n", b"event: message\n"):
        assert not QUIET.fullmatch(line * 20_000 + b"x\n\n")
        assert not sse.MESSAGE.fullmatch(line * 20_000 + b"data: 1\n" + line * 20_000 + b"x\n\n")


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_an_event_may_be_as_large_as_the_limit_and_no_larger(over: int) -> None:
    splitter = Splitter(100)
    assert len(splitter.split(b"data: 1\n\n" * 1000 + b"x" * (100 + over))) == 1000  # what is complete goes first
    if over <= 0:
        splitter.require_room()
        return
    with pytest.raises(Refusal) as refusal:
        splitter.require_room()
    assert (refusal.value.reason, refusal.value.detail) == (Reason.UPSTREAM_TOO_LARGE, "limits.event_bytes")


MESSAGE = b'{"jsonrpc":"2.0","id":1,"result":{"x":"\xc3\xa9"}}'
WRITTEN = b'{"jsonrpc":"2.0","id":1,"result":{"x":"\\u00e9"}}'


def told_one(stream: bytes) -> Event:
    """The one event of a stream, as it is told."""
    events, refusal = told(split(stream))
    assert refusal is None
    (event,) = events
    return event


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize(
    "lines",
    [
        [b"data: " + MESSAGE],
        [b"data:" + MESSAGE],
        [b"event: message", b"id: 0f-7_a", b"retry: 3000", b": said at noon", b"data: " + MESSAGE],
        [b"data: " + MESSAGE, b"id:", b"event:message"],
    ],
)
def test_an_event_in_the_usual_shape_passes_byte_for_byte(lines: list[bytes], end: bytes) -> None:
    raw = end.join([*lines, b"", b""])
    event = told_one(raw)
    assert (event.raw, event.data, event.message) == (raw, MESSAGE, json.loads(MESSAGE))


@pytest.mark.parametrize(
    ("stream", "raw"),
    [
        (b"\xef\xbb\xbfdata: " + MESSAGE + b"\n\n", b"data: " + WRITTEN + b"\n\n"),
        (b"data: " + MESSAGE[:16] + b"\ndata: " + MESSAGE[16:] + b"\n\n", b"data: " + WRITTEN + b"\n\n"),
        (b"data: " + MESSAGE + b"\nData: {}\ndatas: {}\n\n", b"data: " + WRITTEN + b"\n\n"),
        (b"id: 7\x00\ndata: " + MESSAGE + b"\n\n", b"data: " + WRITTEN + b"\n\n"),
        (b"id: 7\x0bid: 8\ndata: " + MESSAGE + b"\n\n", b"data: " + WRITTEN + b"\n\n"),
        (b"id: \xc3\xa9\nid: 8\ndata: " + MESSAGE + b"\n\n", b"id: 8\ndata: " + WRITTEN + b"\n\n"),
        (b"id: " + b"7" * 257 + b"\ndata: " + MESSAGE + b"\n\n", b"data: " + WRITTEN + b"\n\n"),
        (b"retry: 99999999\ndata: " + MESSAGE + b"\n\n", b"data: " + WRITTEN + b"\n\n"),
        (b"retry: 1e3\nid: 7\ndata: " + MESSAGE + b"\n\n", b"id: 7\ndata: " + WRITTEN + b"\n\n"),
        (b": \xe2\x80\xa8data: {}\ndata: " + MESSAGE + b"\n\n", b": \xe2\x80\xa8data: {}\n"),
    ],
)
def test_an_event_in_another_shape_is_written_anew_from_what_was_read(stream: bytes, raw: bytes) -> None:
    first, *_ = told(split(stream))[0]
    if raw.startswith(b": "):
        assert first.raw == b":\n\n"  # a comment that some would break in two
        return
    assert first.raw == raw
    assert first.message == json.loads(MESSAGE)
    assert [(event.raw, event.data) for event in split(first.raw)] == [(first.raw, first.data)]


def test_what_some_clients_take_for_line_ends_is_written_as_an_escape() -> None:
    hostile = 'a\u2028data: {"forged":1}\u2029\u0085b'
    message = {"jsonrpc": "2.0", "id": 1, "result": {"x": hostile}}
    event = told_one(b"id: 3\ndata: " + json.dumps(message, ensure_ascii=False).encode() + b"\n\n")
    assert json.loads(event.data or b"") == message
    assert event.raw.isascii()
    assert len(event.raw.decode().splitlines()) == 3


@pytest.mark.parametrize(
    "raw",
    [
        b": ping\n",
        b"\n",
        b"\r\n",
        b"id: 7\ndata:\n\n",
        b"data\n\n",
        b"retry: 10\n\n",
        b"id: 7\nretry: 5\ndata: \n\n",
        b":\n",
    ],
)
def test_what_only_keeps_a_stream_alive_or_primes_it_passes(raw: bytes) -> None:
    assert [event.raw for event in told(split(raw))[0]] == [raw]


@pytest.mark.parametrize(
    ("stream", "raw"),
    [
        (b"event: ping\ndata: 12:30\n\n", b":\n\n"),
        (b"event: ping\nevent: message\ndata: {}\n\n", b":\n\n"),
        (b"event: ping\nid: 7\n\n", b"id: 7\n\n"),
        (b"event: endpoint\ndata:\n\n", b"data:\n\n"),
        (b"retry: 99999999\n\n", b":\n\n"),
    ],
)
def test_what_no_client_acts_on_is_told_as_a_sign_of_life(stream: bytes, raw: bytes) -> None:
    assert told_one(stream).raw == raw


BAD = {
    "no JSON": b"{",
    "a word": b"[DONE]",
    "a batch": b'[{"jsonrpc":"2.0","id":1,"result":{}}]',
    "a key twice": b'{"jsonrpc":"2.0","id":1,"result":{},"result":{"tools":[]}}',
    "a key twice, escaped": b'{"jsonrpc":"2.0","id":1,"result":{"a":1,"\\u0061":2}}',
    "not UTF-8": b'{"jsonrpc":"2.0","id":1,"result":{"x":"\xff"}}',
    "UTF-16": '{"jsonrpc":"2.0","id":1,"result":{}}'.encode("utf-16-le"),
    "half a pair": b'{"jsonrpc":"2.0","id":1,"result":{"x":"\\ud800"}}',
    "NaN": b'{"jsonrpc":"2.0","id":1,"result":{"x":NaN}}',
    "no double": b'{"jsonrpc":"2.0","id":1,"result":{"x":1e999}}',
    "129 levels": b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 128 + b"]" * 128 + b"}",
    "a million levels": b"[" * 1_000_000,
    "another version": b'{"jsonrpc":"1.0","id":1,"result":{}}',
    "no version": b'{"id":1,"result":{}}',
    "nothing": b'{"jsonrpc":"2.0","id":1}',
    "a method and a result": b'{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
    "a result and an error": b'{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}',
    "a method that is no text": b'{"jsonrpc":"2.0","method":["ping"]}',
    "an id that is none": b'{"jsonrpc":"2.0","id":true,"result":{}}',
    "a raw control character": b'{"jsonrpc":"2.0","id":1,"result":{"x":"\x0b"}}',
    "a form feed between": b'{"jsonrpc":"2.0",\x0c"id":1,"result":{}}',
    "an old endpoint": b"/messages?session=1\nevent: endpoint",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_an_event_that_cannot_be_read_ends_the_stream_and_what_came_before_it_is_told(data: bytes) -> None:
    events, refusal = told(split(b"data: " + MESSAGE + b"\n\ndata: " + data + b"\n\ndata: " + MESSAGE + b"\n\n"))
    assert [event.data for event in events] == [MESSAGE]
    assert refusal is not None
    assert refusal.reason is Reason.UPSTREAM_INVALID
    assert "messages?" not in refusal.message + refusal.detail


def test_128_levels_are_told() -> None:
    data = b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 127 + b"]" * 127 + b"}"
    assert told_one(b"data: " + data + b"\n\n").data == data


@given(STREAMS)
def test_whatever_is_told_is_read_alike_by_those_who_break_lines_elsewhere(stream: bytes) -> None:
    for event in told(split(stream))[0]:
        text = event.raw.decode()
        assert [line for line in text.splitlines() if line] == [line for line in re.split("\r\n|\r|\n", text) if line]
        assert event.data is None or event.message is not None
