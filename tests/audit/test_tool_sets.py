"""A list of tools has one digest for as long as it is the same, and looking at it changes nothing."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import cast

import pytest

from mcpgov.audit.tool_sets import ToolSet, ToolWatch, listed
from mcpgov.audit.watch import LARGEST
from mcpgov.models import Answer, Event, Headers, Json, Kind, MCPRequest
from tests.audit.calls import head, request

TOOLS: list[Json] = [{"name": "b", "description": "é"}, {"name": "a"}, 7]
ASKED = request("", "tools/list", about=head())
EXPECTED = hashlib.sha256('[7,{"name":"a"},{"description":"é","name":"b"}]'.encode()).hexdigest()
SET = ToolSet(f"sha256:{EXPECTED}", 3)


async def events(*batches: tuple[Event, ...]) -> AsyncIterator[tuple[Event, ...]]:
    for batch in batches:
        yield batch


async def watched(asked: MCPRequest, *batches: tuple[Event, ...]) -> ToolSet | None:
    watch = ToolWatch(Answer(200, Headers(), False, events(*batches)), asked)
    assert [batch async for batch in watch] == list(batches)
    return watch.tools


def answer(result: Json, number: int = 7) -> Event:
    data = json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()
    return Event(data, data)


async def test_the_digest_is_of_the_tools_in_whatever_order() -> None:
    assert await watched(ASKED, (answer({"tools": TOOLS}),)) == SET
    assert await watched(ASKED, (answer({"tools": TOOLS[::-1]}),)) == SET
    assert await watched(ASKED, (answer({"tools": TOOLS[1:]}),)) != SET


async def test_the_first_answer_to_this_request_counts() -> None:
    other, comment = answer({"tools": []}, 8), Event(b":\n\n")
    assert await watched(ASKED, (comment, other), (answer({"tools": TOOLS}), answer({"tools": []}))) == SET


async def test_a_page_says_that_there_are_more() -> None:
    asked = replace(ASKED, params={"cursor": "2"})
    assert await watched(asked, (answer({"tools": TOOLS}),)) == replace(SET, page=True)
    assert await watched(ASKED, (answer({"tools": TOOLS, "nextCursor": "2"}),)) == replace(SET, page=True)


@pytest.mark.parametrize("result", [7, {}, {"tools": "x"}, None])
async def test_what_is_no_list_has_no_digest(result: Json) -> None:
    assert await watched(ASKED, (answer(result),)) is None


async def test_what_cannot_be_read_has_no_digest() -> None:
    assert await watched(ASKED, (answer({"tools": [{"name": "x" * LARGEST}]}),)) is None
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert listed({"tools": cast("Json", deep)}) is None
    assert listed({"tools": [{"name": "\ud800"}]}) is not None


def test_only_a_request_for_tools_is_looked_at() -> None:
    assert ToolWatch.concerns(ASKED)
    assert not ToolWatch.concerns(None)
    assert not ToolWatch.concerns(request(about=head()))
    assert not ToolWatch.concerns(replace(ASKED, kind=Kind.NOTIFICATION))
