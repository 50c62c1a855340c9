"""A server that hangs, floods or hangs up touches no other: the others answer all, as their own ledger shows."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcpgov.health import State
from mcpgov.probe import Probe
from mcpgov.upstream.circuit import ENOUGH
from tests.flows.house import House, house
from tests.flows.upstream import CityUpstream, listening

HANGING = 40  # calls


class Hanging:
    """Takes requests and never answers, until it is let go."""

    def __init__(self) -> None:
        self.taken = 0
        self.all_taken = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        self.taken += 1
        if self.taken >= HANGING:
            self.all_taken.set()
        await self.let_go.wait()
        await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


class Flooding:
    """Answers with more JSON than anybody takes."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope, receive
        head = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
        await send(head)
        for _ in range(40):
            await send({"type": "http.response.body", "body": b" " * (1 << 20), "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def hanging_up() -> AsyncGenerator[tuple[str, list[bytes]]]:
    """A server that takes requests and closes the connection on each; its URL, and what it took."""
    taken: list[bytes] = []

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(await reader.read(1))
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", taken


class SlowTool:
    """Answers every tool at once but `slow`, which it never answers."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del scope
        message = json.loads((await receive())["body"])
        tool = message["params"]["name"]
        self.taken[tool] += 1
        while tool == "slow" and (await receive())["type"] != "http.disconnect":
            pass
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}}).encode()
        head = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
        await send(head)
        await send({"type": "http.response.body", "body": body})


def entry(name: str, url: str, timeout: str = "90s") -> str:
    served = f"connections: {{ {name}: {{ authType: None, timeout: {timeout} }} }}"
    return f"name: dev.mcpgov/{name}\nupstream: {url}/mcp\nprivate: true\n{served}\n"


def furnish(gateway: House, **urls: str) -> None:
    for name, url in urls.items():
        gateway.write(f"catalog/{name}.yaml", entry(name, url))
    gateway.reload()


async def test_calls_that_hang_at_one_server_keep_no_call_to_another_waiting(tmp_path: Path) -> None:
    sick = Hanging()
    async with listening(sick) as hanging, listening(CityUpstream()) as well, house(tmp_path) as gateway:
        furnish(gateway, sick=hanging, city=well)
        key = await gateway.key()
        there, here = await gateway.client("sick", key), await gateway.client("city", key)
        waiting = [asyncio.create_task(there.call("get_city")) for _ in range(HANGING)]
        async with asyncio.timeout(20):
            await sick.all_taken.wait()
            answers = await asyncio.gather(*(here.call("get_city") for _ in range(HANGING)))
        assert {answer.status for answer in answers} == {200}
        assert not any(call.done() for call in waiting)
        sick.let_go.set()
        assert {answer.status for answer in await asyncio.gather(*waiting)} == {502}


async def test_a_server_that_floods_is_cut_and_keeps_no_call_to_another_waiting(tmp_path: Path) -> None:
    city = CityUpstream()
    async with listening(Flooding()) as flooding, listening(city) as well, house(tmp_path) as gateway:
        furnish(gateway, sick=flooding, city=well)
        key = await gateway.key()
        there, here = await gateway.client("sick", key), await gateway.client("city", key)
        waiting = [asyncio.create_task(there.call("get_city")) for _ in range(3)]
        answers = await asyncio.gather(*(here.call("get_city") for _ in range(HANGING)))
        assert {answer.status for answer in answers} == {200}
        assert len(city.calls) == HANGING
        refused = await asyncio.gather(*waiting)
        assert {answer.message["error"]["data"]["reason"] for answer in refused} == {"upstream-too-large"}


async def test_a_server_that_hangs_up_is_left_alone_after_a_while_and_the_other_answers_all(tmp_path: Path) -> None:
    city = CityUpstream()
    async with hanging_up() as (broken, taken), listening(city) as well, house(tmp_path) as gateway:
        furnish(gateway, sick=broken, city=well)
        key = await gateway.key()
        there, here = await gateway.client("sick", key), await gateway.client("city", key)
        refused = [await there.call("get_city") for _ in range(HANGING)]
        answers = [await here.call("get_city") for _ in range(HANGING)]
        reasons = [answer.message["error"]["data"]["reason"] for answer in refused]
        assert reasons[:ENOUGH] == ["upstream-reset"] * ENOUGH
        assert (reasons[-1], refused[-1].status) == ("circuit-open", 503)
        assert 1 <= int(refused[-1].headers["retry-after"]) <= 60
        assert ENOUGH <= len(taken) < HANGING
        assert {answer.status for answer in answers} == {200}
        assert len(city.calls) == HANGING


async def test_a_caller_of_a_tool_that_never_answers_shuts_no_other_caller_out(tmp_path: Path) -> None:
    server = SlowTool()
    async with listening(server) as url, house(tmp_path) as gateway:
        gateway.write("catalog/tools.yaml", entry("tools", url, timeout="1s"))
        gateway.reload()
        slow = await gateway.client("tools", await gateway.key("slow"))
        fast = await gateway.client("tools", await gateway.key("fast"))
        silent = await asyncio.gather(*(slow.call("slow") for _ in range(12)))
        assert {answer.message["error"]["data"]["reason"] for answer in silent} == {"upstream-timeout"}
        alone = [await slow.call(tool) for tool in ("slow", "quick")]
        assert {answer.message["error"]["data"]["reason"] for answer in alone} == {"circuit-open"}
        answers = [await fast.call("quick") for _ in range(14)]
        assert [answer.status for answer in answers] == [200] * 14
        assert server.taken == {"slow": 12, "quick": 14}


async def test_only_the_server_that_hangs_is_found_unavailable(tmp_path: Path) -> None:
    sick = Hanging()
    async with listening(sick) as hanging, listening(CityUpstream()) as well, house(tmp_path) as gateway:
        furnish(gateway, sick=hanging, city=well)
        assert gateway.running is not None
        health = gateway.running.health
        await health.look(Probe(gateway.running.stages, time.monotonic, patience=0.5))
        assert health.of("sick").problem == "upstream-timeout"
        assert health.of("city").state is State.AVAILABLE
        record = await gateway.event("connection-unavailable")
        assert record["mcpgov.control.connection"] == "sick"
        assert record["mcpgov.control.problem"] == "upstream-timeout"
        sick.let_go.set()
