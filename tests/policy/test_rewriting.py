"""What nobody changes passes byte for byte, what is changed stays an event, and what cannot be read never passes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Event
from mcpgov.policy.rewriting import Rewritten
from tests.policy.calls import answer

if TYPE_CHECKING:
    from mcpgov.models import Json


@dataclass(frozen=True)
class Without:
    """Takes a word out of the result, where it is a list of words; `only` messages that hold these bytes."""

    word: str
    only: bytes = b""

    def concerns(self, data: bytes) -> bool:
        return self.only in data

    def rewritten(self, message: dict[str, Json]) -> dict[str, Json]:
        words = message.get("result")
        return (
            {**message, "result": [word for word in words if word != self.word]} if isinstance(words, list) else message
        )


def rewritten(data: bytes | None, *, raw: bytes | None = None, only: bytes = b"") -> Event:
    """The event that a rewriter of `bad` leaves; `raw` is given for an event of a stream."""
    event = Event(data or b"" if raw is None else raw, data)
    return Rewritten(answer(stream=raw is not None), (Without("bad", only),)).rewritten(event)


def body(*words: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": list(words), "kept": 1}).encode()


def words(event: Event) -> list[str]:
    return json.loads(event.data or b"")["result"]


def test_changed_message_keeps_its_other_members_and_their_order() -> None:
    event = rewritten(body("a", "bad"))
    assert event.raw == event.data == b'{"jsonrpc":"2.0","id":1,"result":["a"],"kept":1}'
    assert event.message == {"jsonrpc": "2.0", "id": 1, "result": ["a"], "kept": 1}


@pytest.mark.parametrize("data", [body("a"), b'{"b" : 1.0}', b"[ ]", None])
def test_what_nobody_changes_passes_byte_for_byte(data: bytes | None) -> None:
    assert rewritten(data).raw == (data or b"")
    assert rewritten(data, raw=b": x\n\n").raw == b": x\n\n"


def test_what_concerns_nobody_is_not_read() -> None:
    assert rewritten(b"{ not JSON", only=b"result").raw == b"{ not JSON"


async def test_rewriters_come_one_after_the_other_and_each_sees_its_own() -> None:
    given = json.loads(body("a", "bad", "worse", "fine"))
    rewriters = (Without("bad"), Without("worse"), Without("fine", only=b"nowhere"))
    through = Rewritten(answer(given), rewriters)
    shown = [event async for events in through for event in events]
    assert words(shown[0]) == ["a", "fine"]
    assert through.size == len(shown[0].raw)


def test_event_keeps_its_other_lines() -> None:
    data = body("a", "bad")
    raw = (
        b"\xef\xbb\xbf: hello\r\nid: 7\r\nevent: message\r\nretry: 10\r\ndata: "
        + data[:9]
        + b"\r\ndata:"
        + data[9:]
        + b"\r\n\r\n"
    )
    event = rewritten(data, raw=raw)
    assert words(event) == ["a"]
    assert event.raw == b": hello\nid: 7\nevent: message\nretry: 10\ndata: " + (event.data or b"") + b"\n\n"


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_of_an_event_is_one(end: bytes) -> None:
    data = body("bad")
    raw = end.join([b"data", b"id:3", b"data: " + data, b"database: x", b"", b""])
    event = rewritten(data, raw=raw)
    assert event.raw == b"id:3\ndatabase: x\ndata: " + (event.data or b"") + b"\n\n"


def test_line_separator_inside_a_text_does_not_end_the_line() -> None:
    data = body("x\u2028data: y", "bad")
    event = rewritten(data, raw=b"data: " + data + b"\n\n")
    assert "\u2028" not in event.raw.decode()
    assert event.raw.count(b"\n") == 2
    assert words(event) == ["x\u2028data: y"]


def test_messages_in_a_list_are_each_rewritten() -> None:
    data = b"[" + body("bad", "a") + b', {"jsonrpc": "2.0", "method": "x"}]'
    shown = json.loads(rewritten(data).data or b"")
    assert shown[0]["result"] == ["a"]
    assert shown[1:] == [{"jsonrpc": "2.0", "method": "x"}]


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"",
            b"5",
            b'["secret"]',
            b"{",
            b"<html>",
            b'{"result":{"tools":[{"name":"secret"}]',
            b'{"result":{},"result":{"tools":[]}}',
            b"\xff",
        ),
        *('{"id":1}'.encode("utf-16"), b'\xef\xbb\xbf{"id":1}', b'{"a":NaN}', b"[" * 100_000, b'{"a":"\\ud800"}'),
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_answer_that_cannot_be_read_never_passes(data: bytes) -> None:
    with pytest.raises(Refusal) as raised:
        rewritten(data)
    assert raised.value.reason is Reason.UPSTREAM_INVALID
    assert "secret" not in raised.value.message + raised.value.detail


@given(st.lists(st.sampled_from(["a", "bad", "b", "\u2028", "\U0001f600"])), st.sampled_from(["json", "sse"]))
def test_what_is_left_is_in_the_order_it_had(given_words: list[str], style: str) -> None:
    data = body(*given_words)
    event = rewritten(data, raw=b"data: " + data + b"\n\n" if style == "sse" else None)
    assert words(event) == [word for word in given_words if word != "bad"]
