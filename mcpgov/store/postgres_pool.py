"""A few connections to PostgreSQL for the event loop, each lent for one piece of work.

Whoever waits, for a connection or for an answer, waits for at most `timeout` seconds. A connection that failed, or
whose user went away in the middle, is closed and never lent again; one that the server has hung up on is seen before it
is lent. So nobody gets an answer that was another's, and a server that is back is used at once. A connection that comes
too late for whoever asked is there for the next: connecting to a server far away may take all the time there is.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, TypeVar

from mcpgov.errors import StoreUnavailable
from mcpgov.store.postgres_database import bring_up_to_date, connect, connect_async, is_cut, unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcpgov.models import Secret
    from mcpgov.store.postgres_database import BoundedAsyncConnection

T = TypeVar("T")

TIMEOUT: Final = 1.5  # seconds for all of it: a free connection, connecting, the answer
CONNECTIONS: Final = 8


class PostgresPool:
    """The connections, made as they are needed and the tables with the first of them."""

    def __init__(self, url: Secret, *, timeout: float = TIMEOUT, connections: int = CONNECTIONS) -> None:
        self._url = url
        self._timeout = timeout
        self._most = connections
        self._free = asyncio.Semaphore(connections)
        self._idle: list[BoundedAsyncConnection] = []
        self._late: set[asyncio.Task[BoundedAsyncConnection]] = set()  # being made, and nobody waits for them
        self._made = False

    async def run(self, work: Callable[[BoundedAsyncConnection], Awaitable[T]]) -> T:
        """What `work` answers, done on a connection of its own. Raises StoreUnavailable, InvalidConfiguration."""
        try:
            async with asyncio.timeout(self._timeout), self._free:
                with unavailable():
                    if not self._made:
                        await asyncio.to_thread(self._make)
                    return await self._lent(work)
        except TimeoutError:
            raise StoreUnavailable(f"PostgreSQL gave no answer within {self._timeout:g} s") from None

    def close(self) -> None:
        """Close every connection that is not lent. Whoever comes after that gets a new one."""
        for connection in self._idle:
            connection.pgconn.finish()
        self._idle.clear()
        for connecting in self._late:
            connecting.cancel()

    async def _lent(self, work: Callable[[BoundedAsyncConnection], Awaitable[T]]) -> T:
        connection = await self._connection()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(connection.close)
            try:
                answer = await work(connection)
            except asyncio.CancelledError:  # connecting may have left the work too little time: the next has all of it
                self._keep_for_the_next(asyncio.ensure_future(connect_async(self._url)))
                raise
            undo.pop_all()
        self._idle.append(connection)
        return answer

    async def _connection(self) -> BoundedAsyncConnection:
        while self._idle:
            connection = self._idle.pop()
            if not is_cut(connection):
                return connection
            await connection.close()
        connecting = asyncio.ensure_future(connect_async(self._url))
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            self._keep_for_the_next(connecting)
            raise

    def _keep_for_the_next(self, connecting: asyncio.Task[BoundedAsyncConnection]) -> None:
        if len(self._late) >= self._most:  # many who ask and leave do not make many connections
            connecting.cancel()
        self._late.add(connecting)
        connecting.add_done_callback(self._came_late)

    def _came_late(self, connecting: asyncio.Task[BoundedAsyncConnection]) -> None:
        self._late.discard(connecting)
        if connecting.cancelled() or connecting.exception() is not None:
            return
        if len(self._idle) < self._most:
            self._idle.append(connecting.result())
        else:
            connecting.result().pgconn.finish()

    def _make(self) -> None:
        connection = connect(self._url)
        try:
            bring_up_to_date(connection)
        finally:
            connection.close()
        self._made = True
