"""One limit over many gateways, counted in a real Redis: exact under ten times the load, as chosen when it is down."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from structlog.testing import capture_logs

from mcpgov.store import fallback_counters
from tests.flows.house import Client, House, house
from tests.flows.upstream import CityUpstream, listening
from tests.peers.process import free_port, running, wait_until_answers
from tests.store.redis import LEFT_OUT, RedisServer, has_redis, redis_server

CALLS: Final = 30
POLICY: Final = f"inbound: [ {{ rate-limit-by-key: {{ calls: {CALLS}, renewal-period: 300 }} }} ]"
SMALL: Final = "inbound: [ { rate-limit-by-key: { calls: 3, renewal-period: 300 } } ]"


@pytest.fixture
def redis(tmp_path: Path, pytestconfig: pytest.Config) -> Generator[RedisServer | None]:
    """A running server; None, and a line, where there can be none."""
    if not has_redis():
        pytestconfig.get_terminal_writer().line(LEFT_OUT)
        yield None
        return
    with redis_server(tmp_path) as server:
        yield server


def start_gateway(stack: ExitStack, folder: Path, upstream: str, redis: RedisServer) -> str:
    """A gateway in a process of its own; gives the URL of its one connection."""
    port = free_port()
    settings = {
        "listen": f"127.0.0.1:{port}",
        "identity": {"allow_anonymous": True},
        "counters": "${env:REDIS_URL}",
    }
    entry = {
        "name": "dev.mcpgov/city",
        "version": "1.0.0",
        "description": "cities",
        "upstream": upstream,
        "private": True,
        "connections": {"city": {"authType": "None", "policies": ["rules"]}},
    }
    for name, text in (
        ("mcpgov", json.dumps(settings)),
        ("catalog/city", json.dumps(entry)),
        ("policies/rules", POLICY),
    ):
        file = folder / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    log = folder / "gateway.log"
    command = [sys.executable, "-m", "mcpgov", "serve"]
    program = stack.enter_context(running(command, log, cwd=folder, env={"REDIS_URL": redis.url.reveal()}))
    wait_until_answers(f"http://127.0.0.1:{port}/readyz", program, log)
    return f"http://127.0.0.1:{port}/mcp/city"


async def test_two_gateways_with_ten_times_the_load_admit_exactly_the_limit(
    tmp_path: Path, redis: RedisServer | None, upstream: CityUpstream
) -> None:
    if redis is None:
        return
    with ExitStack() as stack:
        async with listening(upstream) as url, aiohttp.ClientSession() as http:
            gateways = [
                await asyncio.to_thread(start_gateway, stack, tmp_path / name, f"{url}/mcp", redis) for name in "ab"
            ]
            clients = [Client(http, gateway, "") for gateway in gateways]
            replies = await asyncio.gather(
                *(client.call("get_city") for _ in range(10 * CALLS // 2) for client in clients)
            )
    assert Counter(reply.status for reply in replies) == {200: CALLS, 429: 9 * CALLS}
    assert len(upstream.calls) == CALLS
    left = sorted(int(reply.headers["x-ratelimit-remaining"]) for reply in replies if reply.status == 200)
    assert left == list(range(CALLS))


@asynccontextmanager
async def counting_in(
    redis: RedisServer, when_down: str, folder: Path, upstream: CityUpstream
) -> AsyncGenerator[tuple[House, Client]]:
    """A gateway whose limits are counted in Redis, and a client of it."""
    settings = f'counters: {{ url: "{redis.url.reveal()}", when_down: {when_down} }}\n'
    async with listening(upstream) as url, house(folder, settings) as gateway:
        await gateway.furnish(f"{url}/mcp", rules=SMALL)
        yield gateway, await gateway.client()


async def test_calls_are_refused_while_redis_is_down_and_counted_again_when_it_is_back(
    tmp_path: Path, redis: RedisServer | None, upstream: CityUpstream
) -> None:
    if redis is None:
        return
    async with counting_in(redis, "deny", tmp_path / "gateway", upstream) as (gateway, client):
        assert (await client.call("get_city")).status == 200
        redis.stop()
        refused = [await client.call("get_city") for _ in range(3)]
        assert [reply.status for reply in refused] == [503, 503, 503]
        assert refused[0].headers["retry-after"] == "1"
        assert refused[0].message["error"]["data"]["reason"] == "counters-unavailable"
        assert len(await gateway.records(event="denied", **{"mcpgov.decision.reason": "counters-unavailable"})) == 3
        redis.start()
        assert [(await client.call("get_city")).status for _ in range(4)] == [200, 200, 200, 429]
        assert len(upstream.calls) == 4


async def test_a_gateway_counts_alone_while_redis_is_down_where_that_was_chosen(
    tmp_path: Path, redis: RedisServer | None, upstream: CityUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    if redis is None:
        return
    monkeypatch.setattr(fallback_counters, "PATIENCE", 5.0)  # a busy machine is no outage here
    with capture_logs() as logs:
        async with counting_in(redis, "local", tmp_path / "gateway", upstream) as (_, client):
            assert (await client.call("get_city")).status == 200
            redis.stop()
            assert [(await client.call("get_city")).status for _ in range(5)] == [200, 200, 200, 429, 429]
            redis.start()
            async with asyncio.timeout(20):
                while (await client.call("get_city")).status == 429:
                    pass
            assert [(await client.call("get_city")).status for _ in range(3)] == [200, 200, 429]
    told = [log["event"] for log in logs if log["event"].startswith("counters-")]
    assert told == ["counters-local", "counters-recovered"]
