"""Members that answer without end, or too much: each is left out, and all others are there."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mcpgov.aggregate.asking import LARGEST, PAGES
from mcpgov.aggregate.patience import within
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from tests.aggregate.houses import Town, aggregate, at_mcp, entry, names, put_together
from tests.aggregate.speakers import WITHIN, opened
from tests.flows.house import House

NOTE = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n'
QUICK = ", timeout: 1s"


class Dripping(Town):
    """A server that begins to answer these methods, at page `page`, and never comes to an end."""

    def __init__(self, *methods: str, page: int = 0, said: bytes = NOTE) -> None:
        super().__init__(["slow", "slower"], size=1)
        self.methods, self.page, self.said = methods, page, said
        self.open = 0
        self.most = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.gone = receive
        await super().__call__(scope, receive, send)

    async def _answer(self, send: Any, message: dict[str, Any], result: dict[str, Any]) -> None:
        cursor = int(message.get("params", {}).get("cursor", 0))
        if message["method"] not in self.methods or cursor < self.page:
            await super()._answer(send, message, result)
            return
        gone = self.gone
        self.open += 1
        self.most = max(self.most, self.open)
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": self.said, "more_body": True})
        while (await gone())["type"] != "http.disconnect":
            pass
        self.open -= 1


async def listed(built: House) -> dict[str, Any]:
    """The result of tools/list at /mcp."""
    async with asyncio.timeout(WITHIN):
        return (await (await at_mcp(built)).request("tools/list")).message


def unavailable(message: dict[str, Any]) -> list[str]:
    """The members that a list says are not there."""
    return message["result"]["_meta"]["dev.mcpgov/aggregate"]["unavailable"]


@pytest.mark.parametrize("page", [0, 1])
async def test_a_member_that_never_ends_its_answer_is_left_out_and_recorded(tmp_path: Path, page: int) -> None:
    kyoto = Dripping("tools/list", page=page)
    async with aggregate(tmp_path, QUICK, kyoto=kyoto, osaka=Town(["search"])) as built:
        message = await listed(built)
        assert (names(message), unavailable(message)) == (["osaka_search"], ["kyoto"])
        (outcome,) = await built.records(event="outcome", **{"mcpgov.reason": "upstream-timeout"})
        assert outcome["mcpgov.status"] == "failed"


async def test_many_that_hang_are_waited_for_at_once(tmp_path: Path) -> None:
    kyoto = Dripping("tools/list")
    async with aggregate(tmp_path, kyoto=kyoto, osaka=Town(["search"])) as built:
        written = (tmp_path / "catalog/kyoto.yaml").read_text()
        url = next(line.split(" ")[1] for line in written.splitlines() if line.startswith("upstream: "))
        for number in range(48):
            built.write(f"catalog/nara-{number}.yaml", entry(f"nara-{number}", url))
        put_together(built, '"*"', QUICK)
        message = await listed(built)
        assert names(message) == ["osaka_search"]
        assert len(unavailable(message)) == kyoto.most == 49


async def test_a_name_that_nobody_lists_is_unknown_although_a_member_hangs(tmp_path: Path) -> None:
    kyoto = Dripping("tools/list", "resources/list", "resources/templates/list")
    more = f"{QUICK}, prefix: conditional"
    async with aggregate(tmp_path, more, kyoto=kyoto, osaka=Town(["search"])) as built, asyncio.timeout(WITHIN):
        client = await at_mcp(built)
        assert (await client.call("nobody")).message["error"]["code"] == -32602
        assert (await client.call("search")).message["result"]["content"]
        uris = [f"file:///{number}" for number in range(40)]
        asked = {"notifications": {"resourceSubscriptions": uris}}
        assert (await client.request("subscriptions/listen", asked)).status in {200, 404}
        assert len(kyoto.seen("resources/list")) == len(kyoto.seen("resources/templates/list")) == 1


async def test_search_and_discovery_do_not_wait_for_a_member_that_hangs(tmp_path: Path) -> None:
    kyoto = Dripping("tools/list", "server/discover")
    more = f"{QUICK}, search_tools: true"
    async with aggregate(tmp_path, more, kyoto=kyoto, osaka=Town(["search"])) as built, asyncio.timeout(WITHIN):
        client = await at_mcp(built)
        found = (await client.call("search_tools", {"query": "search"})).message["result"]["structuredContent"]
        assert [tool["name"] for tool in found["tools"]] == ["osaka_search"]
        assert (await client.request("server/discover")).message["result"]["supportedVersions"] == ["2026-07-28"]


async def test_a_session_that_never_opens_refuses_the_call(tmp_path: Path) -> None:
    async with aggregate(tmp_path, QUICK, kyoto=Dripping("initialize")) as built, asyncio.timeout(WITHIN):
        client = await at_mcp(built)
        session = await opened(client)
        reply = await client.handshake_request("tools/call", {"name": "kyoto_slow"}, mcp_session_id=session)
        assert reply.message["error"]["data"]["reason"] == "upstream-timeout"


async def test_a_member_that_sends_more_than_is_read_is_left_out(tmp_path: Path) -> None:
    kyoto = Dripping("tools/list", said=b": " + b"x" * (LARGEST // 4) + b"\n\n")
    kyoto.said *= 5
    async with aggregate(tmp_path, kyoto=kyoto, osaka=Town(["search"])) as built:
        assert unavailable(await listed(built)) == ["kyoto"]
        (outcome,) = await built.records(event="outcome", **{"mcpgov.reason": "upstream-too-large"})
        assert outcome["mcpgov.status"] == "truncated"


async def test_pages_without_end_are_asked_for_so_many_times(tmp_path: Path) -> None:
    kyoto = Town([f"t{number}" for number in range(PAGES + 5)], size=1)
    async with aggregate(tmp_path, kyoto=kyoto) as built:
        assert len(names(await listed(built))) == len(kyoto.seen("tools/list")) == PAGES


async def test_what_ends_in_time_is_not_cut_off() -> None:
    async with within(WITHIN):
        await asyncio.sleep(0)
    with pytest.raises(ValueError, match="its own"):
        async with within(WITHIN):
            raise ValueError("its own")


async def test_what_does_not_is_refused_and_the_task_goes_on() -> None:
    with pytest.raises(Refusal) as caught:
        async with within(0):
            await asyncio.Event().wait()
    assert caught.value.reason is Reason.UPSTREAM_TIMEOUT
    await asyncio.sleep(0)


async def test_a_task_that_somebody_else_cancels_is_cancelled() -> None:
    begun = asyncio.Event()

    async def waiting() -> None:
        async with within(WITHIN):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(waiting())
    await begun.wait()
    task.cancel(Reason.CLIENT_GONE)
    with pytest.raises(asyncio.CancelledError, match="client-gone"):
        await task
