"""A server that hangs touches no other: calls to the others are answered, and only it is found unavailable."""

import asyncio
import time
from pathlib import Path
from typing import Any

from mcpgov.health import State
from mcpgov.probe import Probe
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


def entry(name: str, url: str) -> str:
    served = f"connections: {{ {name}: {{ authType: None }} }}"
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
