"""The ids of events as they pass: renamed, taken off, and nothing else touched."""

import pytest

from mcpgov.handles.event_ids import with_ids, without_ids
from mcpgov.models import Event


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"id: 7\ndata: {}\n\n", b"id: <7>\ndata: {}\n\n"),
        (b"data: {}\r\nid:7\r\n\r\n", b"data: {}\r\nid: <7>\n\r\n"),
        (b"data: x\rid: a b\r\r", b"data: x\rid: <a b>\n\r"),
        (b"id: 1\nid: 2\ndata: x\n\n", b"id: <1>\nid: <2>\ndata: x\n\n"),
        (b"id\ndata: x\n\n", b"id\ndata: x\n\n"),
        (b"id:\ndata: x\n\n", b"id:\ndata: x\n\n"),
        (b"data: id: 7\nidea: 1\n\n", b"data: id: 7\nidea: 1\n\n"),
        (b": id: 7\n\n", b": id: 7\n\n"),
    ],
)
def test_an_id_is_renamed_and_everything_else_stays(raw: bytes, named: bytes) -> None:
    assert with_ids(Event(raw, b"{}"), lambda own: b"<" + own + b">") == Event(named, b"{}")


def test_an_id_that_has_no_name_goes_and_the_event_stays() -> None:
    assert with_ids(Event(b"event: m\nid: 7\ndata: x\n\n"), lambda _own: None).raw == b"event: m\ndata: x\n\n"
    assert without_ids(Event(b"id\nid: 7\ndata: x\n\n")).raw == b"data: x\n\n"


def test_an_event_without_an_id_is_the_same_event() -> None:
    event = Event(b'data: {"note":1}\n\n', b'{"note":1}')
    assert with_ids(event, lambda own: own) is event
    assert without_ids(event) is event
