"""A list is judged from the bytes that go on; what nothing is left out of passes byte for byte."""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Answer, Era, Event, Headers, Json, Kind
from mcpgov.pinning.lists import LARGE, Page, PinnedList
from tests.audit.calls import CITY, head
from tests.audit.calls import request as made_up

TOOLS: list[Json] = [{"name": "good"}, {"name": "bad"}, {"name": "also good"}]
LIST = made_up("", "tools/list", about=head())
CALL = made_up("good", "tools/call", about=head())
STREAM = replace(LIST, kind=Kind.STREAM, method="", id=None)


class Events:
    """An answer's events, one at a time."""

    def __init__(self, *events: Event) -> None:
        self.left = list(events)

    def __aiter__(self) -> "Events":
        return self

    async def __anext__(self) -> tuple[Event, ...]:
        if not self.left:
            raise StopAsyncIteration
        return (self.left.pop(0),)


class Judge:
    """Shows what is good, and notes the pages that it saw."""

    def __init__(self) -> None:
        self.pages: list[Page] = []

    async def __call__(self, tools: Sequence[Json], page: Page, /) -> Collection[int]:
        self.pages.append(page)
        return [at for at, tool in enumerate(tools) if isinstance(tool, dict) and tool["name"] != "bad"]


async def passed(judge: Judge, event: Event, request: Any = LIST, *, streaming: bool = False) -> Event:
    answer = Answer(200, Headers(), streaming, Events(event))
    ((shown,),) = [batch async for batch in PinnedList(answer, request, CITY, judge)]
    return shown


def event(**members: Json) -> Event:
    data = json.dumps({"jsonrpc": "2.0", "id": 7, **members}, indent=1).encode()
    return Event(data, data)


def names(shown: Event) -> list[str]:
    return [tool["name"] for tool in json.loads(shown.data or b"")["result"]["tools"]]


async def test_what_is_hidden_is_left_out_and_the_rest_stays() -> None:
    judge = Judge()
    shown = await passed(judge, event(result={"tools": TOOLS, "nextCursor": "2", "kept": 1}))
    assert names(shown) == ["good", "also good"]
    assert json.loads(shown.raw)["result"]["kept"] == 1
    assert [(page.own, page.cursor, page.following) for page in judge.pages] == [(True, None, "2")]
    assert (judge.pages[0].connection, judge.pages[0].correlation_id) == (CITY, "correlation")


@pytest.mark.parametrize(
    ("era", "said", "told"),
    [
        (Era.STATELESS, {}, {"cacheScope": "private", "ttlMs": 0}),
        (Era.STATELESS, {"cacheScope": "public", "ttlMs": 60_000}, {"cacheScope": "private", "ttlMs": 0}),
        (Era.HANDSHAKE, {"cacheScope": "public"}, {"cacheScope": "private"}),
        (Era.HANDSHAKE, {}, {}),
    ],
)
async def test_a_list_that_is_shortened_is_for_nobody_to_keep(
    era: Era, said: dict[str, Json], told: dict[str, Json]
) -> None:
    shown = await passed(Judge(), event(result={"tools": TOOLS, **said}), replace(LIST, era=era))
    result = json.loads(shown.data or b"")["result"]
    del result["tools"]
    assert result == told


@pytest.mark.parametrize(
    ("data", "passes"),
    [
        (b'{"jsonrpc":"2.0","id":2,"result":{"tools":[{"name":"bad"}]},"id":7}', False),
        (b'{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"bad"}]}}', True),  # of a call, it is no list
    ],
)
async def test_an_answer_to_something_else_that_two_clients_read_otherwise_is_refused(
    data: bytes, *, passes: bool
) -> None:
    judge = Judge()
    if passes:
        assert (await passed(judge, Event(data, data), CALL)).data is data
        return
    with pytest.raises(Refusal) as refusal:
        await passed(judge, Event(data, data), CALL)
    assert refusal.value.reason is Reason.UPSTREAM_INVALID


LOOK_ALIKES = (
    b'{"jsonrpc":"2.0","id":7,"result":{"tools":[]},"Result":{"tools":[{"name":"bad"}]}}',
    b'{"jsonrpc":"2.0","id":7,"Result":{"Tools":[{"name":"bad"}]}}',
    b'{"jsonrpc":"2.0","id":7,"result":{"tools":[],"Tools":[{"name":"bad"}]}}',
    b'{"jsonrpc":"2.0","id":7,"result":{"\\u0054oOls":[{"name":"bad"}]}}',
    '{"jsonrpc":"2.0","id":7,"result":{"tool\u017f":[{"name":"bad"}]}}'.encode(),
    b'{"jsonrpc":"2.0","id":7,"result":{"tool\\u017F":[{"name":"bad"}]}}',
    b'[{"jsonrpc":"2.0","id":7,"result":{"TOOLS":[{"name":"bad"}]}}]',
)


@pytest.mark.parametrize("data", LOOK_ALIKES)
@pytest.mark.parametrize("request_", [LIST, STREAM])
async def test_a_list_that_a_client_that_knows_no_case_reads_otherwise_is_refused(data: bytes, request_: Any) -> None:
    with pytest.raises(Refusal) as refused:
        await passed(Judge(), Event(data, data), request_)
    assert refused.value.reason is Reason.UPSTREAM_INVALID


async def test_a_large_list_is_read_in_a_thread_to_the_same_effect() -> None:
    judge = Judge()
    assert names(await passed(judge, event(result={"tools": TOOLS, "kept": "x" * LARGE}))) == ["good", "also good"]
    assert judge.pages[0].size > LARGE


async def test_a_list_of_which_nothing_is_hidden_passes_byte_for_byte() -> None:
    sent = event(result={"tools": [{"name": "good"}], "nextCursor": None})
    assert await passed(Judge(), sent) is sent


async def test_the_pages_of_a_list_are_told_apart_by_their_cursors() -> None:
    judge = Judge()
    await passed(judge, event(result={"tools": [], "nextCursor": 3}), replace(LIST, params={"cursor": "2"}))
    await passed(judge, event(result={"tools": [], "nextCursor": ""}), replace(LIST, params={"cursor": 2}))
    assert [(page.cursor, page.following) for page in judge.pages] == [("2", "3"), ("2", "")]


async def test_a_list_on_a_stream_keeps_the_lines_beside_it() -> None:
    data = event(result={"tools": TOOLS}).data or b""
    line = json.dumps(json.loads(data)).encode()
    shown = await passed(Judge(), Event(b"id: 9\ndata: " + line + b"\n\n", line), streaming=True)
    assert shown.raw.startswith(b"id: 9\ndata: ")
    assert names(shown) == ["good", "also good"]


@pytest.mark.parametrize("request_", [STREAM, replace(CALL, id=8), replace(LIST, id="7")])
async def test_a_list_that_comes_again_is_judged_and_is_nobodys_own(request_: Any) -> None:
    judge = Judge()
    assert names(await passed(judge, event(result={"tools": TOOLS}), request_, streaming=True)) == ["good", "also good"]
    assert [page.own for page in judge.pages] == [False]


async def test_the_result_of_a_call_may_speak_of_tools() -> None:
    judge, sent = Judge(), event(result={"tools": TOOLS})
    assert await passed(judge, sent, CALL, streaming=True) is sent
    assert judge.pages == []


@pytest.mark.parametrize(
    "sent",
    [
        Event(b": comment\n\n"),
        event(error={"code": 1, "message": "tools"}),
        event(error={"code": 1, "data": {"tools": 1}}),
        event(result={"content": []}),
        event(result={"inner": {"tools": []}}),
        Event(b'["tools", "tools:"]', b'[{"tools": 1}]'),
    ],
)
async def test_what_is_no_list_passes_as_it_is(sent: Event) -> None:
    assert await passed(Judge(), sent) is sent


async def test_lists_in_a_batch_are_judged_one_by_one() -> None:
    batch: list[dict[str, Any]] = [{"id": 7, "result": {"tools": TOOLS}}, {"id": 8, "result": {}}]
    data = json.dumps(batch).encode()
    shown = json.loads((await passed(Judge(), Event(data, data))).data or b"")
    assert [tool["name"] for tool in shown[0]["result"]["tools"]] == ["good", "also good"]
    assert shown[1] == batch[1]


@pytest.mark.parametrize(
    "data",
    [
        b'{"id":7,"result":{"tools":[{"name":"good","name":"bad"}]}}',
        b'{"id":7,"result":{"tools":[]},"result":{"tools":[{"name":"bad"}]}}',
        b'{"id":7,"result":{"\\u0074ools":[],"tools":[]}}',
        b'{"id":7,"result":{"tools":{"name":"bad"}}}',
        b'{"id":7,"result":{"tools":[]}',
        '{"id":7,"result":{"tools":[]}}'.encode("utf-16"),
        b'{"id":7,"result":{"tools":[]}}' + b" " * LARGE + b"x",
    ],
)
async def test_what_could_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        await passed(Judge(), Event(data, data))
    assert refused.value.reason is Reason.UPSTREAM_INVALID
