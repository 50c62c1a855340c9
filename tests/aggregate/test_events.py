"""The ids of events at /mcp: made with the member in front, read back, or taken off; and subscriptions' own ids."""

from typing import Any

import pytest

from mcpgov.aggregate.events import (
    MOST_WATCHED,
    Subscribed,
    acknowledged,
    honoured,
    left_at,
    watched,
    with_member,
)
from mcpgov.decision import Reason
from mcpgov.errors import INVALID_PARAMS, Refusal
from mcpgov.handles.event_ids import without_ids
from mcpgov.models import Event, Json

SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId"


@pytest.mark.parametrize(
    ("raw", "numbered", "without"),
    [
        (b"id: 7\ndata: {}\n\n", b"id: git:7\ndata: {}\n\n", b"data: {}\n\n"),
        (b"event: message\r\nid:a b\r\ndata: x\r\n\r\n", b"event: message\r\nid: git:a b\ndata: x\r\n\r\n", None),
        (b"id\ndata: x\n\n", b"id\ndata: x\n\n", b"data: x\n\n"),
        (b"id:\nretry: 5\ndata: \n\n", b"id:\nretry: 5\ndata: \n\n", b"retry: 5\ndata: \n\n"),
        (b"data: id: 7\nidea: 1\n\n", b"data: id: 7\nidea: 1\n\n", b"data: id: 7\nidea: 1\n\n"),
        (b": id: 7\n\n", b": id: 7\n\n", b": id: 7\n\n"),
        (b"data: x\rid: 7\r\r", b"data: x\rid: git:7\n\r", b"data: x\r\r"),
    ],
)
def test_an_id_gets_its_member_in_front_or_goes(raw: bytes, numbered: bytes, without: bytes | None) -> None:
    assert with_member(Event(raw), "git").raw == numbered
    assert without is None or without_ids(Event(raw)).raw == without


def test_an_event_without_an_id_is_the_same_event() -> None:
    event = Event(b"data: {}\n\n", b"{}")
    assert with_member(event, "a") is event
    assert without_ids(event) is event


@pytest.mark.parametrize(
    ("given", "read"),
    [("git-hub:7", ("git-hub", "7")), ("a:b:c", ("a", "b:c")), ("", None), ("7", None), ("a:", None), ("A:1", None)],
)
def test_an_id_is_read_as_it_was_made(given: str, read: tuple[str, str] | None) -> None:
    assert left_at(given) == read


def test_what_a_subscription_tells_bears_the_clients_id() -> None:
    under = Subscribed("mine")
    note: dict[str, Any] = {"method": "notifications/x", "params": {"a": 1, "_meta": {SUBSCRIPTION: "ours", "b": 2}}}
    assert under.rewritten(note) == {**note, "params": {"a": 1, "_meta": {SUBSCRIPTION: "mine", "b": 2}}}
    ended: dict[str, Any] = {"id": "ours", "result": {"_meta": {SUBSCRIPTION: "ours"}}}
    assert under.rewritten(ended) == {"id": "mine", "result": {"_meta": {SUBSCRIPTION: "mine"}}}
    assert under.rewritten({"method": "ping", "params": {}}) == {"method": "ping", "params": {}}
    assert under.concerns(b"{}")


def test_what_is_honoured_is_what_was_wanted_and_somebody_agreed_to() -> None:
    wanted: dict[str, Any] = {"toolsListChanged": True, "promptsListChanged": True, "resourceSubscriptions": ["a", "b"]}
    agreed: list[dict[str, Any]] = [
        {"toolsListChanged": True, "resourcesListChanged": True},
        {"resourceSubscriptions": ["b", "c"], "promptsListChanged": "yes"},
    ]
    assert honoured(wanted, [*agreed]) == {"toolsListChanged": True, "resourceSubscriptions": ["b"]}
    assert honoured({"resourceSubscriptions": ["a"], "toolsListChanged": False}, [*agreed]) == {}


def test_only_known_changes_and_texts_are_honoured() -> None:
    told: dict[str, Any] = {"others": [{}], "resourceSubscriptions": [[], {}, 1, "a"], "othersChanged": True}
    assert honoured(told, [told]) == {"resourceSubscriptions": ["a"]}


def test_each_uri_is_watched_once_and_so_many_and_no_more() -> None:
    uris: list[Json] = [str(number) for number in range(MOST_WATCHED - 1)]
    assert watched({"resourceSubscriptions": [*uris, "0"]}) == uris
    assert watched({"resourceSubscriptions": "0"}) == watched({}) == []
    with pytest.raises(Refusal) as refused:
        watched({"resourceSubscriptions": [*uris, "0", "1"]})
    assert (refused.value.reason, refused.value.code) == (Reason.INVALID_MESSAGE, INVALID_PARAMS)


def test_only_an_acknowledgement_is_one() -> None:
    said: dict[str, Any] = {
        "method": "notifications/subscriptions/acknowledged",
        "params": {"notifications": {"toolsListChanged": True}},
    }
    assert acknowledged(said) == {"toolsListChanged": True}
    assert acknowledged({"method": "notifications/subscriptions/acknowledged"}) == {}
    assert acknowledged({"method": "ping"}) is None
