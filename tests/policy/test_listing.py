"""Nothing that could hold a list of tools passes unread, and what is no such list passes byte for byte."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Era, Event, Kind
from mcpgov.policy.listing import Listing
from tests.policy.calls import context

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Hides:
    """Hides the tools that begin with `hidden`, and those that are destructive."""

    def hides(self, tool: str, annotations: Mapping[str, object], /) -> bool:
        return tool.startswith("hidden") or annotations.get("destructiveHint") is True


def listing(
    method: str = "tools/list", *, era: Era = Era.HANDSHAKE, kind: Kind = Kind.REQUEST, sse: bool = False
) -> Listing:
    return Listing((Hides(),), context(method, era=era, kind=kind).request, sse)


def answer(*tools: object, **result: object) -> bytes:
    body = {"jsonrpc": "2.0", "id": 1, "result": {"tools": list(tools), **result}}
    return json.dumps(body).encode()


def tool(name: str, **more: object) -> dict[str, object]:
    return {"name": name, **more}


def names(data: bytes | None) -> list[str]:
    return [one["name"] for one in json.loads(data or b"")["result"]["tools"]]


def test_hidden_tools_are_left_out_of_a_json_answer() -> None:
    body = answer(
        tool("a", x=1), tool("hidden"), tool("b", annotations={"destructiveHint": True}), tool("c"), nextCursor="n"
    )
    event = listing().filtered(Event(body, body))
    assert event.raw == event.data
    assert names(event.data) == ["a", "c"]
    assert json.loads(event.raw)["result"]["tools"][0] == {"name": "a", "x": 1}
    assert list(json.loads(event.raw)["result"]) == ["tools", "nextCursor"]


def test_list_that_loses_nothing_passes_byte_for_byte() -> None:
    body = answer(tool("a"), tool("b", annotations=5))
    event = Event(body, body)
    assert listing().filtered(event) is event


@pytest.mark.parametrize("bad", [5, None, "hidden", {"name": 5}, {}, ["hidden"], {"name": "hidden", "annotations": 5}])
def test_entry_of_which_nobody_could_say_what_it_is_is_left_out(bad: object) -> None:
    body = answer(tool("a"), bad)
    assert names(listing().filtered(Event(body, body)).data) == ["a"]


def scope(body: bytes, era: Era) -> object:
    data = listing(era=era).filtered(Event(body, body)).data
    return json.loads(data or b"")["result"].get("cacheScope")


def test_list_that_depends_on_the_caller_is_not_shared() -> None:
    assert scope(answer(tool("a")), Era.STATELESS) == "private"
    assert scope(answer(tool("a"), cacheScope="public"), Era.STATELESS) == "private"
    assert scope(answer(tool("a"), cacheScope="public"), Era.HANDSHAKE) == "private"
    assert scope(answer(tool("hidden")), Era.HANDSHAKE) is None


def test_private_list_that_loses_nothing_passes_byte_for_byte() -> None:
    body = answer(tool("a"), cacheScope="private")
    event = Event(body, body)
    assert listing(era=Era.STATELESS).filtered(event) is event


def test_event_keeps_its_other_lines() -> None:
    data = answer(tool("a"), tool("hidden"))
    raw = (
        b"\xef\xbb\xbf: hello\r\nid: 7\r\nevent: message\r\nretry: 10\r\ndata: "
        + data[:9]
        + b"\r\ndata:"
        + data[9:]
        + b"\r\n\r\n"
    )
    event = listing(sse=True).filtered(Event(raw, data))
    assert names(event.data) == ["a"]
    assert event.raw == b": hello\nid: 7\nevent: message\nretry: 10\ndata: " + (event.data or b"") + b"\n\n"


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end_of_an_event_is_one(end: bytes) -> None:
    data = answer(tool("hidden"))
    raw = end.join([b"data", b"id:3", b"data: " + data, b"database: x", b"", b""])
    event = listing(sse=True).filtered(Event(raw, data))
    assert event.raw == b"id:3\ndatabase: x\ndata: " + (event.data or b"") + b"\n\n"


def test_line_separator_inside_a_tool_does_not_end_the_line() -> None:
    data = answer(tool("a", description="x\u2028data: y"), tool("hidden"))
    event = listing(sse=True).filtered(Event(b"data: " + data + b"\n\n", data))
    assert "\u2028" not in event.raw.decode()
    assert event.raw.count(b"\n") == 2
    assert json.loads(event.data or b"")["result"]["tools"][0]["description"] == "x\u2028data: y"


def test_list_that_comes_again_on_a_stream_is_filtered() -> None:
    data = answer(tool("a"), tool("hidden"))
    event = listing("", kind=Kind.STREAM, sse=True).filtered(Event(b"data: " + data + b"\n\n", data))
    assert names(event.data) == ["a"]


def test_list_for_another_request_is_filtered_wherever_it_comes() -> None:
    data = answer(tool("a"), tool("hidden")).replace(b'"id": 1', b'"id": 99')
    event = listing("tools/call", sse=True).filtered(Event(b"data: " + data + b"\n\n", data))
    assert names(event.data) == ["a"]


@pytest.mark.parametrize("key", [b'"tools"', b'"\\u0074ools"', b'"t\\u006F\\u006fls"', b'"too\\u006C\\u0073" \n'])
def test_key_that_is_written_with_escapes_is_still_seen(key: bytes) -> None:
    data = b'{"jsonrpc":"2.0","id":9,"result":{' + key + b':[{"name":"hidden"}]}}'
    assert names(listing("tools/call").filtered(Event(data, data)).data) == []


def test_result_of_another_request_may_have_tools_of_its_own() -> None:
    data = answer("hidden", {"name": "hidden"})
    event = Event(data, data)
    assert listing("tools/call").filtered(event) is event


def test_messages_in_a_list_are_each_filtered() -> None:
    data = b"[" + answer(tool("hidden"), tool("a")) + b', {"jsonrpc": "2.0", "method": "x"}, 5]'
    shown = json.loads(listing().filtered(Event(data, data)).data or b"")
    assert shown[0]["result"]["tools"] == [{"name": "a"}]
    assert shown[1:] == [{"jsonrpc": "2.0", "method": "x"}, 5]


@pytest.mark.parametrize(
    "data",
    [
        None,
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":{}}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"tools"}}',
        b'{"jsonrpc":"2.0","id":7,"result":{}}',
        b'{"jsonrpc":"2.0","id":7,"result":{"tools":5}}',
        b'{"jsonrpc":"2.0","id":7,"result":5}',
        b"5",
    ],
)
def test_what_is_no_list_of_tools_passes_untouched(data: bytes | None) -> None:
    event = Event(b"data: x\n\n", data)
    assert listing(sse=True).filtered(event) is event


@pytest.mark.parametrize("method", ["tools/list", ""])
@pytest.mark.parametrize(
    "data",
    [
        *(
            b"",
            b"{",
            b"<html>",
            b'{"result":{"tools":[{"name":"hidden"}]',
            b'{"result":{},"result":{"tools":[]}}',
            b"\xff",
        ),
        *('{"id":1}'.encode("utf-16"), b'\xef\xbb\xbf{"id":1}', b'{"a":NaN}', b"[" * 100_000, b'{"a":"\\ud800"}'),
    ],
)
def test_answer_that_cannot_be_read_never_passes(data: bytes, method: str) -> None:
    kind = Kind.REQUEST if method else Kind.STREAM
    with pytest.raises(Refusal) as raised:
        listing(method, kind=kind).filtered(Event(data, data))
    assert raised.value.reason is Reason.UPSTREAM_INVALID
    assert "hidden" not in raised.value.message + raised.value.detail


@pytest.mark.parametrize("data", [b'{"result":{"tools":[', b'{"result":{"\\u0074ools":[', "tools".encode("utf-16-le")])
def test_answer_to_another_request_that_cannot_be_read_does_not_pass_where_it_could_list_tools(data: bytes) -> None:
    with pytest.raises(Refusal, match="upstream-invalid"):
        listing("tools/call").filtered(Event(data, data))


@pytest.mark.parametrize("result", [b"{}", b'{"tools":{}}', b'{"tools":null}', b'{"Tools":[{"name":"hidden"}]}'])
def test_answer_to_tools_list_without_a_list_never_passes(result: bytes) -> None:
    data = b'{"jsonrpc":"2.0","id":1,"result":' + result + b"}"
    with pytest.raises(Refusal, match="upstream-invalid"):
        listing().filtered(Event(data, data))


def test_large_list_is_read() -> None:
    data = answer(*(tool(f"{'hidden' if n % 2 else 'a'}{n}", description="x" * 2000) for n in range(3000)))
    assert len(names(listing().filtered(Event(data, data)).data)) == 1500


@given(st.lists(st.sampled_from(["a", "hidden", "b", "hidden2"])), st.sampled_from(["json", "sse"]))
def test_what_is_left_is_what_is_not_hidden_in_the_order_it_had(given_names: list[str], style: str) -> None:
    data = answer(*map(tool, given_names))
    sse = style == "sse"
    event = listing(sse=sse).filtered(Event(b"data: " + data + b"\n\n" if sse else data, data))
    assert names(event.data) == [name for name in given_names if not name.startswith("hidden")]
