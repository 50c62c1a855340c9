"""The client of the benchmarks against the upstream of the benchmarks: both do what they are trusted to do."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.placement import here
from benchmarks.targets import Plan, complaint
from benchmarks.upstream import Upstream, upstream
from benchmarks.wire import BrokenError, Line, Message, message, unchunked


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    with upstream(here().load, tmp_path_factory.mktemp("upstream"), tools=3) as one:
        yield one


def asked(served: Upstream, body: str) -> dict[str, Any]:
    line = Line(served.port)
    answer = line.ask(Message(served.port, "/mcp", {}, body).packed())
    line.close()
    assert answer.status == 200
    return json.loads(answer.body)


def test_a_call_is_answered_with_its_own_id(served: Upstream) -> None:
    assert complaint(Plan((), served.port)) == ""
    assert asked(served, message("tools/call", {"name": "echo", "arguments": {}}, 'x"}'))["id"] == 'x"}'


def test_what_stands_in_a_string_or_deeper_is_no_member_of_the_message(served: Upstream) -> None:
    body = (
        '{"params": {"id": 3, "text": "\\"id\\": 4, {", "_meta": {"method": "ping"}}, "id": 7, "method": "tools/list"}'
    )
    answer = asked(served, body)
    assert answer["id"] == 7
    assert "tools" in json.dumps(answer["result"])


def test_it_lists_as_many_tools_as_it_was_told(served: Upstream) -> None:
    result = asked(served, message("tools/list", {}))["result"]
    assert [tool["name"] for tool in result["tools"]] == ["echo", "tool_1", "tool_2"]


def test_a_stream_has_as_many_events_as_were_asked_for_and_the_result(served: Upstream) -> None:
    line = Line(served.port)
    for _ in range(2):  # the connection is good for another
        body = line.ask(Plan((), served.port).call(events=5000).packed()).body.decode()
        events = [json.loads(event.removeprefix("data: ")) for event in body.split("\n\n") if event]
        assert [event.get("params", {}).get("progress") for event in events[:-1]] == list(range(1, 5001))
        assert events[-1]["result"]["isError"] is False
    line.close()


def test_requests_that_come_together_are_answered_in_their_order(served: Upstream) -> None:
    line = Line(served.port)
    one, two = (Message(served.port, "/", {}, message("ping", {}, number)).packed() for number in (1, 2))
    assert b'"id":1' in line.ask(one + two[:50]).body
    assert b'"id":2' in line.ask(two[50:]).body
    line.close()


def test_a_notification_and_a_get_are_answered_without_a_message(served: Upstream) -> None:
    line = Line(served.port)
    assert line.ask(Message(served.port, "/", {}, '{"method": "notifications/initialized"}').packed()).status == 202
    assert line.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").status == 405
    line.close()


def test_chunks_are_taken_out_wherever_they_break() -> None:
    assert unchunked(b"3\r\ndat\r\n4;x=1\r\na: 1\r\n0\r\n\r\n") == b"data: 1"
    assert unchunked(b"0\r\n\r\n") == b""


def test_a_server_that_hangs_up_is_told_apart_from_one_that_answers(served: Upstream) -> None:
    line = Line(served.port)
    with pytest.raises((BrokenError, ConnectionError)):
        line.ask(b"x" * 40_000)  # more than the upstream takes for one request
    line.close()
