"""The splitter: any chunking gives the same events, nothing is lost, and only CR, LF and CRLF end a line."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Event
from mcpgov.upstream.sse import Splitter, with_safe_line_ends

LIMIT = 1 << 20
PIECES = st.sampled_from(
    (b"data", b"data:", b"data: ", b"id: 1", b"event: x", b": c", b"\r", b"\n", b"\r\n", b"\n\n", b"x", b"\xe2\x80\xa8")
)
STREAMS = st.lists(PIECES, max_size=40).map(b"".join)


def split(stream: bytes, *cuts: int) -> tuple[Event, ...]:
    """The events of a stream that comes in pieces."""
    splitter = Splitter(LIMIT)
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    events = [splitter.split(stream[start:end]) for start, end in pairwise(edges)]
    return tuple(event for some in [*events, splitter.finish()] for event in some)


@given(STREAMS, st.lists(st.integers(0, 200), max_size=20))
def test_any_chunking_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    assert split(stream, *cuts) == split(stream, *range(len(stream)))


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
    "comment": (b": ping\n\n", [(b": ping\n", None), (b"\n", None)]),
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


def test_an_event_may_be_as_large_as_the_limit_and_no_larger() -> None:
    assert Splitter(100).split(b"x" * 100) == ()
    with pytest.raises(Refusal) as refusal:
        Splitter(100).split(b"x" * 101)
    assert refusal.value.reason is Reason.UPSTREAM_TOO_LARGE
    assert len(Splitter(100).split(b"data: 1\n\n" * 1000)) == 1000


def test_what_some_clients_take_for_line_ends_is_escaped() -> None:
    hostile = 'a\u2028data: {"forged":1}\u2029\u0085b'
    raw = b"id: 3\ndata: " + json.dumps(hostile, ensure_ascii=False).encode() + b"\n\n"
    (event,) = split(raw)
    safe = with_safe_line_ends(event)
    assert json.loads(safe.data or b"") == hostile
    assert len(safe.raw.decode().splitlines()) == len(raw.split(b"\n")) - 1
    assert split(safe.raw) == (safe,)


@pytest.mark.parametrize("event", [Event(b"data: 1\n\n", b"1"), Event(b": \xe2\x80\xa8\n", None)])
def test_every_other_event_stays_as_it_is(event: Event) -> None:
    assert with_safe_line_ends(event) is event
