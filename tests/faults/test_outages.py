"""The databases of a gateway go away, fall silent or are slow, each for itself: what each feature does, and its return.

The table of docs/reliability.md. A proxy of ours stands before a real Redis and a real PostgreSQL.
"""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from structlog.testing import capture_logs

from mcpgov.audit.verify import verify
from mcpgov.models import Secret
from mcpgov.store.fallback_counters import PATIENCE
from mcpgov.store.postgres_reader import open_postgres_evidence
from tests.aggregate.houses import entry
from tests.faults.stalling import Mode, Stalling, stalling
from tests.faults.tools import left_out, note
from tests.flows.house import Client, House, Reply, house
from tests.flows.upstream import SESSION, CityUpstream, listening
from tests.store.postgres import PostgresServer, has_postgres, postgres_server
from tests.store.postgres_asked import ask
from tests.store.redis import RedisServer, has_redis, redis_server

KEY: Final = base64.b64encode(bytes(range(32))).decode()
MANY: Final = 1000
COUNTED: Final = {
    "rated": f"rate-limit-by-key: {{ calls: {MANY}, renewal-period: 300 }}",
    "quoted": f"quota-by-key: {{ calls: {MANY}, renewal-period: 3600 }}",
}
NOT_COUNTED: Final = {
    "placed": "limit-concurrency: { key: principal.id, max-count: 5 }",
    "free": "trace: { source: a, message: b }",
}
PATIENT: Final = 60  # seconds after which what does not return is given up


@dataclass
class Scene:
    """A gateway, its databases behind proxies, and clients of its connections, with a key and without."""

    gateway: House
    upstream: CityUpstream
    redis: Stalling
    postgres: Stalling
    store: Secret
    key: str

    async def client(self, connection: str, *, key: bool = False) -> Client:
        """A client of one connection."""
        return await self.gateway.client(connection, self.key if key else "")

    async def ready(self) -> int:
        """The status of /readyz."""
        assert self.gateway.http is not None
        async with self.gateway.http.get(f"{self.gateway.url}/readyz") as response:
            return response.status


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[PostgresServer, RedisServer] | None]:
    """Both, running; None, and a line, where there can be none."""
    if not (has_postgres() and has_redis()):
        left_out("what a gateway does without its databases; there is no PostgreSQL or no Redis here")
        yield None
        return
    with postgres_server() as postgres, redis_server(tmp_path_factory.mktemp("redis")) as redis:
        yield postgres, redis


@asynccontextmanager
async def scene(
    folder: Path, databases: tuple[PostgresServer, RedisServer], when_down: str = "deny", audit: str = ""
) -> AsyncGenerator[Scene]:
    """All of it."""
    server, redis, upstream = *databases, CityUpstream()
    url = server.database()
    async with AsyncExitStack() as stack:
        before_redis = await stack.enter_async_context(stalling(redis.port))
        before_postgres = await stack.enter_async_context(stalling(server.port))
        there = await stack.enter_async_context(listening(upstream))
        settings = (
            f'counters: {{ url: "redis://127.0.0.1:{before_redis.port}/0", when_down: {when_down} }}\n'
            f'secrets: {{ key: "{KEY}" }}\nidentity: {{ allow_anonymous: true }}\n'
        )
        store = url.reveal().replace(f":{server.port}/", f":{before_postgres.port}/")
        gateway = await stack.enter_async_context(house(folder, settings, audit, store))
        for name, element in {**COUNTED, **NOT_COUNTED}.items():
            gateway.write(f"policies/{name}.yaml", f"inbound: [ {{ {element} }} ]\n")
            text = entry(name, f"{there}/mcp", f"[{name}]")
            gateway.write(f"catalog/{name}.yaml", text)
        gateway.reload()
        yield Scene(gateway, upstream, before_redis, before_postgres, url, await gateway.key())


def reason(reply: Reply) -> str:
    """Why a call was refused."""
    return reply.message["error"]["data"]["reason"]


async def until(client: Client, status: int) -> float:
    """Call until a call is answered so; how many seconds that took."""
    started = time.monotonic()
    async with asyncio.timeout(PATIENT):
        while (await client.call("get_city")).status != status:
            pass
    return time.monotonic() - started


@pytest.mark.parametrize("mode", [Mode.DOWN, Mode.SILENT, Mode.SLOW])
async def test_what_is_not_counted_does_not_hear_of_redis(
    tmp_path: Path, databases: tuple[PostgresServer, RedisServer] | None, mode: Mode
) -> None:
    if databases is None:
        return
    async with scene(tmp_path, databases) as there:
        client = await there.client("free", key=True)
        session = (await client.handshake_request("initialize")).headers["mcp-session-id"]
        there.redis.mode = mode
        for name in NOT_COUNTED:
            assert (await (await there.client(name, key=True)).call("get_city")).status == 200
        assert (await client.handshake_request("tools/list", mcp_session_id=session)).status == 200
        assert there.upstream.ledger[-1].headers["mcp-session-id"] == SESSION
        assert await there.ready() == 200
        there.gateway.reload()


@pytest.mark.parametrize("mode", [Mode.DOWN, Mode.SILENT])
async def test_what_is_counted_is_refused_while_redis_is_not_there_and_passes_once_it_is(
    tmp_path: Path, databases: tuple[PostgresServer, RedisServer] | None, mode: Mode
) -> None:
    if databases is None:
        return
    async with scene(tmp_path, databases) as there:
        for name in COUNTED:
            client = await there.client(name)
            assert (await client.call("get_city")).status == 200
            made = len(there.upstream.calls)
            there.redis.mode = mode
            refused = await asyncio.gather(*(client.call("get_city") for _ in range(10)))
            assert {(reply.status, reason(reply)) for reply in refused} == {(503, "counters-unavailable")}
            assert {reply.headers["retry-after"] for reply in refused} == {"1"}
            assert len(there.upstream.calls) == made
            there.redis.mode = Mode.PASS
            note(f"measured: {name}, Redis {mode}: {await until(client, 200):.2f} s from its return to the next call")


async def test_a_redis_that_is_slow_makes_calls_late_and_refuses_none(
    tmp_path: Path, databases: tuple[PostgresServer, RedisServer] | None
) -> None:
    if databases is None:
        return
    async with scene(tmp_path, databases) as there:
        there.redis.mode = Mode.SLOW
        for name in COUNTED:
            assert (await (await there.client(name)).call("get_city")).status == 200


@pytest.mark.parametrize("mode", [Mode.DOWN, Mode.SILENT, Mode.SLOW])
async def test_where_a_local_count_was_chosen_nobody_waits_for_redis(
    tmp_path: Path, databases: tuple[PostgresServer, RedisServer] | None, mode: Mode
) -> None:
    if databases is None:
        return
    assert PATIENCE < 0.1
    async with scene(tmp_path, databases, "local") as there:
        for name in COUNTED:
            client = await there.client(name)
            with capture_logs() as logs:
                assert (await client.call("get_city")).status == 200
                there.redis.mode = mode
                waited: list[float] = []
                for _ in range(20):
                    started = time.monotonic()
                    reply = await client.call("get_city")
                    waited.append(time.monotonic() - started)
                    assert reply.status == 200
                there.redis.mode = Mode.PASS
                started = time.monotonic()
                async with asyncio.timeout(PATIENT):
                    while not any(line["event"] == "counters-recovered" for line in logs):
                        await client.call("get_city")
            back = time.monotonic() - started
            slowest = f"slowest of 20 calls {max(waited):.3f} s, back after {back:.2f} s"
            note(f"measured: {name}, Redis {mode}, counted locally: {slowest}")
            told = [line["event"] for line in logs if line["event"].startswith("counters-")]
            assert told
            assert told == ["counters-local", "counters-recovered"] * (len(told) // 2)  # a busy machine may add one


@pytest.mark.parametrize("mode", [Mode.DOWN, Mode.SILENT])
async def test_no_call_is_made_while_postgres_is_not_there_and_service_returns_with_it(
    tmp_path: Path, databases: tuple[PostgresServer, RedisServer] | None, mode: Mode
) -> None:
    if databases is None:
        return
    async with scene(tmp_path, databases) as there:
        client, keyed = await there.client("free"), await there.client("free", key=True)
        session = (await client.handshake_request("initialize")).headers["mcp-session-id"]
        assert (await keyed.call("get_city")).status == 200
        made = len(there.upstream.ledger)
        there.postgres.mode = mode
        for name in (*COUNTED, *NOT_COUNTED):
            refused = await (await there.client(name)).call("get_city")
            assert (refused.status, reason(refused)) == (503, "audit-unavailable")
        refused = await client.handshake_request("tools/list", mcp_session_id=session)
        assert (refused.status, reason(refused)) == (503, "audit-unavailable")
        refused = await keyed.call("get_city")
        assert (refused.status, reason(refused)) == (503, "audit-unavailable")  # that its key cannot be checked neither
        assert (await there.ready(), len(there.upstream.ledger)) == (503, made)
        answer = "{ return-response: { do: [ { set-status: { code: 418, reason: no } } ] } }"
        there.gateway.write("policies/free.yaml", f"inbound: [ {answer} ]\n")
        there.gateway.reload()
        there.postgres.mode = Mode.PASS
        note(f"measured: PostgreSQL {mode}: {await until(client, 418):.2f} s from its return to the next call")
        await until(keyed, 418)
        listed = await (await there.client("placed")).handshake_request("tools/list")
        assert listed.status == 200
        async with asyncio.timeout(PATIENT):
            while await there.ready() != 200:
                await asyncio.sleep(0)
    with open_postgres_evidence(there.store) as evidence:
        verdict = verify(evidence, None, {})
    assert (verdict.findings, verdict.open_calls) == ((), 0)
    assert ask(there.store, "SELECT count(*) FROM records WHERE reason = 'store-recovered'") == [(1,)]


async def test_with_a_further_store_that_is_enough_only_what_needs_a_key_waits_for_postgres(
    tmp_path: Path, databases: tuple[PostgresServer, RedisServer] | None
) -> None:
    if databases is None:
        return
    async with scene(tmp_path, databases, audit=', sinks: ["sqlite:///second.db"]') as there:
        client, keyed = await there.client("rated"), await there.client("rated", key=True)
        assert (await keyed.call("get_city")).status == 200
        there.postgres.mode = Mode.DOWN
        assert [(await client.call("get_city")).status for _ in range(3)] == [200] * 3
        refused = await keyed.call("get_city")
        assert (refused.status, reason(refused)) == (503, "keys-unavailable")
        assert (await there.ready(), len(there.upstream.calls)) == (200, 4)
        there.postgres.mode = Mode.PASS
        await until(keyed, 200)


async def test_a_postgres_that_is_slow_makes_calls_late_and_refuses_none(
    tmp_path: Path, databases: tuple[PostgresServer, RedisServer] | None
) -> None:
    if databases is None:
        return
    async with scene(tmp_path, databases) as there:
        clients = [await there.client(name, key=True) for name in (*COUNTED, *NOT_COUNTED)]
        for client in clients:
            assert (await client.call("get_city")).status == 200  # with connections that are there already
        there.postgres.mode = Mode.SLOW
        replies = [await client.call("get_city") for client in clients]
        assert {reply.status for reply in replies} == {200}
        assert await there.ready() == 200
        there.postgres.mode = Mode.PASS
