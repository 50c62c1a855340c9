"""Too much at once: refused quickly, recorded like anything else, and never the fault of one caller to the others."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mcpgov.decision import Reason
from tests.aggregate.houses import entry
from tests.flows.house import Client, House, Reply, house
from tests.flows.sockets import whole
from tests.flows.upstream import CityUpstream, listening

HELD = "limits: {{ calls: {calls}, calls_per_caller: {own}, calls_per_upstream: {there} }}"
CACHED = ", durability: os-cache"  # a disk that hangs for a while would refuse calls by itself


async def began(city: CityUpstream, count: int) -> None:
    """So many calls have come to the server."""
    async with asyncio.timeout(10):
        while len(city.calls) < count:
            await asyncio.sleep(0)


def refusals(replies: list[Reply], status: int) -> list[str]:
    """The reasons of the answers with this status; each says when to come back."""
    refused = [reply for reply in replies if reply.status == status]
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)
    return [reply.message["error"]["data"]["reason"] for reply in refused]


async def furnished(gateway: House, url: str, *names: str) -> list[Client]:
    """One connection, and a client of each of these callers."""
    gateway.write("catalog/city.yaml", entry("city", f"{url}/mcp"))
    gateway.reload()
    return [await gateway.client("city", await gateway.key(name)) for name in names]


async def test_a_thousand_slow_calls_of_one_caller_leave_the_others_their_places(tmp_path: Path) -> None:
    city = CityUpstream(hold=asyncio.Event())
    settings = HELD.format(calls=4000, own=500, there=20)
    async with listening(city) as url, house(tmp_path, settings, CACHED) as gateway:
        greedy, other = await furnished(gateway, url, "greedy", "other")
        calls = [asyncio.create_task(greedy.call("get_city")) for _ in range(1000)]
        await began(city, 10)
        mine = asyncio.create_task(other.call("get_city"))
        await began(city, 11)
        assert city.hold is not None
        city.hold.set()
        assert (await mine).status == 200
        replies = await asyncio.gather(*calls)
        reasons = refusals(replies, 429)
        assert set(reasons) == {Reason.CONCURRENCY_LIMITED}
        assert {reply.status for reply in replies} == {200, 429}
        assert len(city.calls) == len(calls) - len(reasons) + 1
        denied = await gateway.records(event="denied", **{"mcpgov.decision.reason": "concurrency-limited"})
        assert len(denied) == len(reasons)


@dataclass
class Mute(CityUpstream):
    """A server that keeps notifications waiting, and answers requests."""

    waiting: int = 0
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        first = await receive()
        if b"notifications/" in first["body"]:
            self.waiting += 1
            await self.told.wait()

        async def again() -> Any:
            return first

        await super().__call__(scope, again, send)


async def test_a_thousand_notifications_of_one_caller_leave_the_others_their_places(tmp_path: Path) -> None:
    mute = Mute()
    async with listening(mute) as url, house(tmp_path, HELD.format(calls=4000, own=500, there=40), CACHED) as gateway:
        greedy, other = await furnished(gateway, url, "greedy", "other")
        note = b'{"jsonrpc":"2.0","method":"notifications/progress"}'
        told = [asyncio.create_task(greedy.post(note, {"MCP-Protocol-Version": "2025-11-25"})) for _ in range(1000)]
        async with asyncio.timeout(30):
            while sum(task.done() for task in told) < 1000 - 10:
                await asyncio.sleep(0)
        assert mute.waiting == 10
        assert (await other.call("get_city")).status == 200
        mute.told.set()
        assert refusals(await asyncio.gather(*told), 429) == [Reason.CONCURRENCY_LIMITED] * 990


async def test_above_what_all_may_have_the_gateway_is_full_for_everybody_and_recovers(tmp_path: Path) -> None:
    city = CityUpstream(hold=asyncio.Event())
    async with listening(city) as url, house(tmp_path, HELD.format(calls=2, own=9, there=20), CACHED) as gateway:
        one, two, three = await furnished(gateway, url, "one", "two", "three")
        running = [asyncio.create_task(client.call("get_city")) for client in (one, two)]
        await began(city, 2)
        assert refusals([await three.call("get_city")], 503) == [Reason.OVERLOADED]
        assert refusals([await one.call("get_city")], 429) == [Reason.CONCURRENCY_LIMITED]
        assert (await three.handshake_request("ping")).status == 503
        note = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}'
        assert (await one.post(note, {"MCP-Protocol-Version": "2025-11-25"})).status == 202
        assert city.hold is not None
        city.hold.set()
        assert [reply.status for reply in await asyncio.gather(*running)] == [200, 200]
        assert (await three.call("get_city")).status == 200
        assert gateway.running is not None
        assert gateway.running.stages.places.taken == 0
        assert len(city.calls) == 3


@pytest.mark.parametrize("kept", [True, False])
async def test_what_is_held_is_bounded_and_given_back_whatever_becomes_of_it(tmp_path: Path, *, kept: bool) -> None:
    city = CityUpstream(hold=asyncio.Event())
    settings = f"limits: {{ buffered_bytes: {64 << 20}, body_bytes: {16 << 20}, string_bytes: {16 << 20} }}"
    async with listening(city) as url, house(tmp_path, settings, CACHED) as gateway:
        (client,) = await furnished(gateway, url, "one")
        large = {"text": "x" * (12 << 20)}
        running = [asyncio.create_task(client.call("get_city", large)) for _ in range(2)]
        await began(city, 2)
        assert refusals([await client.call("get_city", large)], 429) == [Reason.CONCURRENCY_LIMITED]
        assert gateway.running is not None
        buffers = gateway.running.buffers
        assert buffers.held > 2 * (12 << 20)
        assert city.hold is not None
        for task in running:
            if kept:
                city.hold.set()
            else:
                task.cancel()
        await asyncio.wait(running)
        async with asyncio.timeout(10):
            while buffers.held or buffers.holders:
                await asyncio.sleep(0)
        assert len(city.calls) == 2


class Large(CityUpstream):
    """A server whose answers are large."""

    async def _called(self, message: dict[str, Any], receive: Any, send: Any) -> None:
        del receive
        await self._answer(send, message, {"content": [{"type": "text", "text": "x" * (12 << 20)}]})


@pytest.mark.parametrize("kind", ["json", "sse"])
async def test_an_answer_that_its_client_does_not_take_counts_until_the_client_is_gone(
    tmp_path: Path, kind: str
) -> None:
    settings = f"limits: {{ buffered_bytes: {64 << 20} }}"
    async with listening(Large(answers_with=kind)) as url, house(tmp_path, settings, CACHED) as gateway:
        (client,) = await furnished(gateway, url, "one")
        assert gateway.running is not None
        buffers, places = gateway.running.buffers, gateway.running.stages.places
        port = int(gateway.url.rpartition(":")[2])
        deaf = [await asyncio.open_connection("127.0.0.1", port, limit=1024) for _ in range(2)]
        for _, writer in deaf:
            writer.write(whole(client.headers["X-API-Key"]))
        async with asyncio.timeout(30):
            while buffers.held < 2 * (12 << 20):
                await asyncio.sleep(0)
            reply = await client.call("get_city")
            assert reply.message["error"]["data"]["reason"] == Reason.CONCURRENCY_LIMITED
            assert places.taken
            for _, writer in deaf:
                writer.transport.abort()
            while buffers.held or places.taken:
                await asyncio.sleep(0)
            assert (await client.call("get_city")).status == 200
