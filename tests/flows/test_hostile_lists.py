"""A server that lists too much, too deep or without end is refused or quarantined with a reason, and hides no other."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.flows.house import Client, house
from tests.flows.upstream import CityUpstream, listening

PLAIN: dict[str, Any] = {"name": "plain", "description": "Does one thing.", "inputSchema": {"type": "object"}}
MEGABYTE = 1 << 20


def tool(name: str) -> bytes:
    return json.dumps({**PLAIN, "name": name}).encode()


def deep(levels: int) -> bytes:
    """A tool with a schema of so many levels, as text, for no library would write it."""
    schema = '{"not":' * levels + "{}" + "}" * levels
    return f'{{"name":"deep","description":"Is deep.","inputSchema":{schema}}}'.encode()


class Listing(CityUpstream):
    """A server that lists the tools that `listed` gives for a cursor, as text, and the next cursor."""

    def __init__(self, listed: Callable[[str], tuple[bytes, str]]) -> None:
        super().__init__()
        self.listed = listed

    async def _answer(self, send: Any, message: dict[str, Any], result: dict[str, Any]) -> None:
        if message["method"] != "tools/list":
            await super()._answer(send, message, result)
            return
        tools, following = self.listed(message["params"].get("cursor", ""))
        cursor = b',"nextCursor":%s' % json.dumps(following).encode() if following else b""
        start = b'{"jsonrpc":"2.0","id":%s,"result":{"resultType":"complete","tools":['
        await self._whole(send, 200, start % json.dumps(message["id"]).encode() + tools + b"]" + cursor + b"}}")


def entry(name: str, url: str) -> str:
    return f"name: dev.mcpgov/{name}\nupstream: {url}/mcp\nprivate: true\nconnections: {{ {name}: {{}} }}\n"


async def seen(client: Client, cursor: str = "") -> list[str] | str:
    """What a client sees of a list: the names, or the reason of a refusal."""
    answer = (await client.request("tools/list", {"cursor": cursor} if cursor else {})).message
    if "error" in answer:
        return str(answer["error"]["data"]["reason"])
    return [one["name"] for one in answer["result"]["tools"]]


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        (lambda: b" " * (50 * MEGABYTE) + tool("plain"), "upstream-too-large"),
        (lambda: b",".join(map(tool, [f"tool_{number:05}" for number in range(10_000)])), "upstream-too-large"),
        (lambda: tool("plain") + b"," + deep(10_000), "upstream-invalid"),
        (lambda: tool("plain") + b"," + deep(70), ["plain"]),
    ],
    ids=["50 MB", "10,000 tools", "10,000 levels", "70 levels"],
)
async def test_a_list_past_the_bounds_is_refused_or_hidden_and_the_other_server_is_whole(
    tmp_path: Path, tools: Callable[[], bytes], expected: list[str] | str
) -> None:
    bad, good = Listing(lambda _: (tools(), "")), Listing(lambda _: (tool("plain"), ""))
    async with listening(bad) as hostile, listening(good) as well, house(tmp_path) as gateway:
        gateway.write("catalog/bad.yaml", entry("bad", hostile))
        gateway.write("catalog/good.yaml", entry("good", well))
        gateway.reload()
        key = await gateway.key()
        assert await seen(await gateway.client("bad", key)) == expected
        assert await seen(await gateway.client("good", key)) == ["plain"]


async def test_ten_thousand_tools_on_pages_are_listed_whole(tmp_path: Path) -> None:
    names = [f"tool_{number:05}" for number in range(10_000)]
    pages = {"": (names[:5_000], "2"), "2": (names[5_000:], "")}
    upstream = Listing(lambda at: (b",".join(map(tool, pages[at][0])), pages[at][1]))
    async with listening(upstream) as url, house(tmp_path) as gateway:
        gateway.write("catalog/many.yaml", entry("many", url))
        gateway.reload()
        client = await gateway.client("many", await gateway.key())
        assert [await seen(client), await seen(client, "2")] == [names[:5_000], names[5_000:]]


async def test_cursors_that_never_end_are_followed_only_as_far_as_the_client_asks(
    tmp_path: Path,
) -> None:
    upstream = Listing(lambda at: (tool(f"tool_{at or 0}"), str(int(at or 0) + 1)))
    async with listening(upstream) as url, house(tmp_path) as gateway:
        gateway.write("catalog/endless.yaml", entry("endless", url))
        gateway.reload()
        client = await gateway.client("endless", await gateway.key())
        shown = [await seen(client, str(at) if at else "") for at in range(30)]
        assert shown[:3] == [["tool_0"], ["tool_1"], ["tool_2"]]
        assert len(upstream.ledger) == 30
