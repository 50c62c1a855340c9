"""Connections are lent to one at a time, never after a failure, and nobody waits without an end."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from mcpgov.errors import InvalidConfiguration, StoreUnavailable
from mcpgov.models import Secret
from mcpgov.store import postgres_pool
from mcpgov.store.postgres_database import BoundedAsyncConnection
from mcpgov.store.postgres_pool import TIMEOUT, PostgresPool
from tests.faults.stalling import SLOWLY, Mode, stalling
from tests.store.postgres import PATIENCE, PostgresServer, postgres_server
from tests.store.postgres_asked import ask, until_released


@asynccontextmanager
async def pooled(url: Secret, *, patience: float = TIMEOUT, connections: int = 2) -> AsyncGenerator[PostgresPool]:
    """A pool that is closed at the end."""
    pool = PostgresPool(url, timeout=patience, connections=connections)
    try:
        yield pool
    finally:
        pool.close()


@pytest.fixture
async def pool(postgres: PostgresServer) -> AsyncGenerator[PostgresPool]:
    async with pooled(postgres.database()) as pool:
        yield pool


async def number(database: BoundedAsyncConnection) -> int:
    """The server's process behind a connection."""
    return database.info.backend_pid


async def sleep(database: BoundedAsyncConnection) -> None:
    await database.execute("SET statement_timeout = 0")
    await database.execute("SELECT pg_sleep(60)")


async def answer(pool: PostgresPool, value: int) -> int:
    async def select(database: BoundedAsyncConnection) -> int:
        row = await (await database.execute("SELECT %s::INTEGER", (value,))).fetchone()
        assert row is not None
        return int(row[0])

    return await pool.run(select)


async def test_a_connection_is_used_again(pool: PostgresPool) -> None:
    assert await pool.run(number) == await pool.run(number)


async def test_many_share_a_few_connections_and_each_gets_its_own_answer(pool: PostgresPool) -> None:
    asked = range(100)
    assert await asyncio.gather(*(answer(pool, value) for value in asked)) == list(asked)
    assert len({await pool.run(number) for _ in asked}) <= 2


async def test_one_that_fails_is_not_lent_again(pool: PostgresPool) -> None:
    before = await pool.run(number)
    with pytest.raises(StoreUnavailable, match="division by zero"):
        await pool.run(lambda database: database.execute("SELECT 1 / 0"))
    assert await pool.run(number) != before


async def test_what_a_caller_that_went_away_asked_is_not_answered_to_the_next(pool: PostgresPool) -> None:
    for step in range(60):
        asking = asyncio.create_task(answer(pool, -1))
        for _ in range(step % 20):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert await answer(pool, step) == step


async def test_nobody_waits_longer_than_the_patience_for_a_connection_or_an_answer(postgres: PostgresServer) -> None:
    url = postgres.database()
    async with pooled(url) as pool:
        await pool.run(number)
    async with pooled(url, patience=0.3, connections=1) as pool:
        found = await asyncio.gather(*(pool.run(sleep) for _ in range(4)), return_exceptions=True)
    assert {str(error) for error in found} == {"PostgreSQL gave no answer within 0.3 s"}


async def test_a_connection_that_the_server_hung_up_on_is_not_lent(postgres: PostgresServer) -> None:
    url = postgres.database()
    async with pooled(url) as pool:
        before = await pool.run(number)
        ask(url, "SELECT pg_terminate_backend(%s)", before)
        until_released(url, before)
        assert await pool.run(number) != before


async def test_a_server_that_is_down_is_unavailable_and_is_found_again() -> None:
    with postgres_server() as server:
        async with pooled(server.database()) as pool:
            assert await answer(pool, 1) == 1
            for mode in ("fast", "immediate"):
                server.stop(mode)
                for _ in range(20):
                    with pytest.raises(StoreUnavailable, match="PostgreSQL: connection"):
                        await answer(pool, 1)
                server.start()
                assert await answer(pool, 1) == 1


async def test_a_connection_that_comes_too_late_for_whoever_asked_is_there_for_the_next(
    postgres: PostgresServer,
) -> None:
    url = postgres.database()
    async with pooled(url) as pool:
        await pool.run(number)
    async with stalling(postgres.port) as proxy, asyncio.timeout(PATIENCE):
        proxy.mode = Mode.SLOW
        slowly = Secret(url.reveal().replace(f":{postgres.port}/", f":{proxy.port}/"))
        async with pooled(slowly, patience=3 * SLOWLY) as pool:  # an answer takes two, connecting eight
            for expected in (1, 2):
                found = None
                while found is None:
                    with suppress(StoreUnavailable):
                        found = await answer(pool, expected)
                assert found == expected
                with pytest.raises(StoreUnavailable, match="no answer"):
                    await pool.run(sleep)


async def test_many_who_ask_and_leave_do_not_make_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[asyncio.Task[Any] | None] = []

    async def connecting(_url: Secret) -> None:
        asked.append(asyncio.current_task())
        await asyncio.Event().wait()

    monkeypatch.setattr(postgres_pool, "connect_async", connecting)
    async with pooled(Secret("postgresql://here/db"), connections=3) as pool:
        monkeypatch.setattr(pool, "_made", True)  # the tables are there
        for _ in range(5):
            asking = [asyncio.create_task(answer(pool, 1)) for _ in range(20)]
            for _ in range(10):
                await asyncio.sleep(0)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            assert [task.done() for task in asked if task] == [False] * 3
    await asyncio.gather(*(task for task in asked if task), return_exceptions=True)
    assert [task.cancelled() for task in asked if task] == [True] * 3


async def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = Secret(f"postgresql://u:hunter2@127.0.0.1:{silent.getsockname()[1]}/db?sslmode=disable")
        async with pooled(url, patience=0.05) as pool:
            with pytest.raises(StoreUnavailable, match="no answer") as raised:
                await answer(pool, 1)
            assert "hunter2" not in f"{raised.value!r} {vars(pool)}"


async def test_tables_of_a_newer_version_are_refused(postgres: PostgresServer) -> None:
    url = postgres.database()
    for expected in (int, InvalidConfiguration):
        async with pooled(url) as pool:
            (found,) = await asyncio.gather(pool.run(number), return_exceptions=True)
            assert isinstance(found, expected)
        ask(url, "UPDATE mcpgov_schema SET version = 99")
