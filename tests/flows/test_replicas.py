"""Two and four gateways behind a balancer that sends each request to the next: together they are as one."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import yaml
from typer.testing import CliRunner

from mcpgov import app
from mcpgov.audit.verify import verify
from mcpgov.store.postgres_reader import open_postgres_evidence
from tests.faults.checker import Kept, check
from tests.faults.gateway import Site
from tests.faults.test_kill_nine import load
from tests.faults.tools import left_out
from tests.flows.house import HANDSHAKE, Client, Reply, rpc
from tests.flows.keeper import EVENT, SESSION, TASK, Keeper
from tests.flows.upstream import CityUpstream, listening
from tests.peers.gateway import Upstream
from tests.peers.haproxy import HAProxy, haproxy, has_haproxy
from tests.peers.replicas import LEFT_OUT, Fleet, can_run, replicas

LIMIT: Final = 50
LOAD: Final = 10 * LIMIT
CLIENTS: Final = 16
POLICY: Final = {
    "inbound": [{"rate-limit-by-key": {"calls": LIMIT, "renewal-period": 300, "counter-key": "connection.name"}}]
}
SETTLED: Final = 60  # seconds in which the calls of a replica that is gone have their end


@asynccontextmanager
async def fleet(
    folder: Path, servers: Mapping[str, str], policy: Mapping[str, Any] | None = None, count: int = 2
) -> AsyncGenerator[Fleet]:
    """Replicas that serve these servers, by name."""
    upstreams = [Upstream(name, f"{url}/mcp") for name, url in servers.items()]
    async with AsyncExitStack() as stack:
        yield await asyncio.to_thread(stack.enter_context, replicas(folder, upstreams, policy, count))


def verified(made: Fleet) -> str:
    """What `mcpgov audit verify` says of the ledger; it finds nothing wrong."""
    done = CliRunner().invoke(app.build_cli(), ["audit", "verify", "--no-record", "--config", str(made.config)])
    assert done.exit_code == 0, done.output
    return done.output


async def stream(client: Client, session: str, last: str = "") -> Reply:
    """Open the stream of a session, or come back to it."""
    headers = {**client.headers, "Mcp-Session-Id": session, **({"Last-Event-ID": last} if last else {})}
    async with client.http.get(client.url, headers=headers) as response:
        return Reply(response.status, response.headers, await response.read())


async def end(client: Client, session: str) -> int:
    """End a session; the status."""
    async with client.http.delete(client.url, headers={**client.headers, "Mcp-Session-Id": session}) as response:
        return response.status


async def a_session_goes_on_at_whichever_replica_comes_next(client: Client, keeper: Keeper, count: int) -> None:
    """The session era: every request goes to another replica, and the server sees one session under its own ids."""
    opened = await client.handshake_request("initialize", {"protocolVersion": "2025-11-25"})
    session = opened.headers["mcp-session-id"]
    assert session != SESSION
    for _ in range(count):
        listed = await client.handshake_request("tools/list", mcp_session_id=session)
        started = await client.handshake_request("tools/call", {"name": "start", "task": {}}, mcp_session_id=session)
        task = started.message["result"]["task"]["taskId"]
        asked = await client.handshake_request("tasks/get", {"taskId": task}, mcp_session_id=session)
        heard = await stream(client, session)
        (last,) = [line[4:] for line in heard.body.decode().splitlines() if line.startswith("id: ")]
        resumed = await stream(client, session, last)
        assert [reply.status for reply in (listed, started, asked, heard, resumed)] == [200] * 5
        assert (task == TASK, last == EVENT, resumed.body == heard.body) == (False, False, True)
    assert await end(client, session) == 202
    assert keeper.sessions == {SESSION}
    came_back = [seen.headers.get("last-event-id") for seen in keeper.ledger if seen.http_method == "GET"]
    assert came_back == [None, EVENT] * count
    assert [params["taskId"] for params in keeper.params("tasks/get")] == [TASK] * count
    assert keeper.ledger[-1].http_method == "DELETE"


async def calls_without_a_session_pass(client: Client, upstream: CityUpstream, count: int) -> None:
    """The stateless era: answered by JSON and by a stream."""
    for answers_with in ("json", "sse"):
        upstream.answers_with = answers_with
        replies = [await client.call("get_city") for _ in range(count)]
        replies += [await client.request("tools/list") for _ in range(count)]
        assert {reply.status for reply in replies} == {200}
        assert {reply.message["result"]["resultType"] for reply in replies} == {"complete"}
    upstream.answers_with = "json"
    upstream.ledger.clear()


async def a_limit_is_exact_at_ten_times_its_load(url: str, upstream: CityUpstream) -> None:
    """From many clients at once, of which each asks as soon as it has been answered."""
    calls = iter(range(LOAD))

    async def asked() -> list[Reply]:
        async with aiohttp.ClientSession() as http:
            client = Client(http, url, "")
            return [await client.call("get_city") for _ in calls]

    replies = list(chain.from_iterable(await asyncio.gather(*(asked() for _ in range(CLIENTS)))))
    assert Counter(reply.status for reply in replies) == {200: LIMIT, 429: LOAD - LIMIT}
    assert len(upstream.calls) == LIMIT
    left = sorted(int(reply.headers["x-ratelimit-remaining"]) for reply in replies if reply.status == 200)
    assert left == list(range(LIMIT))


@pytest.mark.parametrize("count", [2, 4])
async def test_replicas_behind_a_balancer_are_as_one_gateway(tmp_path: Path, count: int) -> None:
    if not can_run():
        left_out(LEFT_OUT)
        return
    keeper, city, limited = Keeper(), CityUpstream(), CityUpstream()
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(listening(one)) for one in (keeper, city, limited)]
        servers: dict[str, str] = dict(zip(("keeper", "city", "limited"), urls, strict=True))
        made = await stack.enter_async_context(fleet(tmp_path, servers, POLICY, count))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        await a_session_goes_on_at_whichever_replica_comes_next(
            Client(http, f"{made.url}/mcp/keeper", ""), keeper, count
        )
        await calls_without_a_session_pass(Client(http, f"{made.url}/mcp/city", ""), city, count)
        await a_limit_is_exact_at_ten_times_its_load(f"{made.url}/mcp/limited", limited)
        writers = {connection: set[str]() for connection in servers}
        for writer, record in made.of("intent"):
            writers[record["mcpgov.connection"]].add(writer)
        assert {connection: len(who) for connection, who in writers.items()} == dict.fromkeys(servers, count)
        denied = Counter(record["mcpgov.decision.reason"] for _, record in made.of("denied"))
        assert denied == {"rate-limited": LOAD - LIMIT}
        assert await asyncio.to_thread(verified, made)


async def in_session(client: Client, method: str, session: str, number: int = -1) -> Reply:
    """A request with an id that no other has: the checker tells calls apart by theirs."""
    version = {"MCP-Protocol-Version": HANDSHAKE, "Mcp-Session-Id": session or None}
    return await client.post(rpc(method, {}, f"in session {number}"), version)


async def until_settled(made: Fleet) -> Counter[str]:
    """How calls ended, once every intent has its outcome."""
    async with asyncio.timeout(SETTLED):
        while len(outcomes := await asyncio.to_thread(made.of, "outcome")) < len(
            await asyncio.to_thread(made.of, "intent")
        ):
            pass
    return Counter(record["mcpgov.status"] for _, record in outcomes)


@asynccontextmanager
async def witnessed(folder: Path) -> AsyncGenerator[tuple[Fleet, CityUpstream, Site]]:
    """Two replicas; the connection `ledger` leads to the server of a site, which writes down what it executes."""
    city, site = CityUpstream(), Site(folder / "site")
    site.folder.mkdir()
    async with listening(city) as url, site.upstream():
        ledger = yaml.safe_load((site.folder / "catalog" / "ledger.yaml").read_text())["upstream"].removesuffix("/mcp")
        async with fleet(folder / "fleet", {"city": url, "ledger": ledger}) as made:
            yield made, city, site


async def test_a_replica_that_is_killed_under_load_loses_no_recorded_call_and_no_session(tmp_path: Path) -> None:
    if not can_run():
        left_out(LEFT_OUT)
        return
    async with witnessed(tmp_path) as (made, city, site), AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        client = Client(http, f"{made.url}/mcp/city", "")
        session = (await in_session(client, "initialize", "")).headers["mcp-session-id"]
        async with load(site, f"{made.url}/mcp/ledger") as callers:
            await callers.after(200)
            await asyncio.to_thread(made.kill, 0)
            await callers.after(200)
        seen = len(city.ledger)
        for number in range(4):
            assert (await in_session(client, "tools/list", session, number)).status == 200
        assert {request.headers["mcp-session-id"] for request in city.ledger[seen:]} == {"upstream-session-1"}
        statuses = await until_settled(made)
        kept = [Kept(*row) for row in await asyncio.to_thread(made.records)]
        assert check(site.client, site.executed(), kept) == []
        with open_postgres_evidence(made.store) as evidence:
            verdict = verify(evidence, None, {})
        assert (verdict.findings, verdict.open_calls) == ((), 0)
        assert await asyncio.to_thread(verified, made)
    assert statuses["unknown"] > 0  # the crash did hit calls under way
    assert len(site.executed()) >= 400 - statuses["unknown"]


def restarted(made: Fleet, front: HAProxy, number: int) -> int:
    """Restart a replica that the balancer was told of; its exit status."""
    with front.without(number):
        return made.restart(number)


async def test_no_caller_notices_that_replicas_are_restarted_one_after_the_other(tmp_path: Path) -> None:
    if not can_run() or not has_haproxy():
        left_out(f"{LEFT_OUT}; or HAProxy is not")
        return
    async with witnessed(tmp_path) as (made, _, site), AsyncExitStack() as stack:
        front = stack.enter_context(haproxy(tmp_path, made.ports))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        client = Client(http, f"{front.url}/mcp/city", "")
        session = (await in_session(client, "initialize", "")).headers["mcp-session-id"]
        async with load(site, f"{front.url}/mcp/ledger") as callers:
            for number in range(len(made.replicas)):
                await callers.after(100)
                assert await asyncio.to_thread(restarted, made, front, number) == 0
            await callers.after(100)
        for number in range(4):
            assert (await in_session(client, "tools/list", session, number)).status == 200
        statuses = await until_settled(made)
        kept = [Kept(*row) for row in await asyncio.to_thread(made.records)]
        assert check(site.client, site.executed(), kept) == []
        assert await asyncio.to_thread(verified, made)
    assert {entry.got for entry in site.client} == {"result"}
    assert set(statuses) == {"ok"}
