"""A few connections to PostgreSQL for the event loop, each lent for one piece of work.

Whoever waits for a connection, and then for an answer, waits for at most `timeout` seconds each. A connection that
failed, or whose user went away in the middle, is closed and never lent again; one that the server has hung up on is
seen before it is lent. So nobody gets an answer that was another's, and a server that is back is used at once. A
connection that comes too late for whoever asked is there for the next: to reach a server far away may take all the time
there is.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from mcpgov.errors import StoreUnavailable
from mcpgov.store.postgres_database import bring_up_to_date, connect, connect_async, is_cut, unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcpgov.models import Secret
    from mcpgov.store.postgres_database import BoundedAsyncConnection

T = TypeVar("T")

TIMEOUT: Final = 1.5  # seconds for a connection, and as many for the answer
CONNECTIONS: Final = 8


class PostgresPool:
    """The connections, made as they are needed and the tables with the first of them."""

    def __init__(self, url: Secret, *, timeout: float = TIMEOUT, connections: int = CONNECTIONS) -> None:
        self._url = url
        self._timeout = timeout
        self._free = asyncio.Semaphore(connections)
        self._idle: list[BoundedAsyncConnection] = []
        self._late: set[asyncio.Task[BoundedAsyncConnection]] = set()  # being made, and nobody waits for them
        self._made = False

    async def run(self, work: Callable[[BoundedAsyncConnection], Awaitable[T]]) -> T:
        """What `work` answers, done on a connection of its own. Raises StoreUnavailable, InvalidConfiguration."""
        try:
            with ExitStack() as place, unavailable():
                async with asyncio.timeout(self._timeout):
                    await self._free.acquire()
                    place.callback(self._free.release)
                    connection = await self._connected(place)
                async with asyncio.timeout(self._timeout), AsyncExitStack() as undo:
                    undo.push_async_callback(connection.close)
                    answer = await work(connection)
                    undo.pop_all()
                self._idle.append(connection)
                return answer
        except TimeoutError:
            raise StoreUnavailable(f"PostgreSQL gave no answer within {self._timeout:g} s") from None

    def close(self) -> None:
        """Close every connection that is not lent. Whoever comes after that gets a new one."""
        for connection in self._idle:
            connection.pgconn.finish()
        self._idle.clear()
        for connecting in self._late:
            connecting.cancel()

    async def _connected(self, place: ExitStack) -> BoundedAsyncConnection:
        if not self._made:
            await asyncio.to_thread(self._make)
        while self._idle:
            connection = self._idle.pop()
            if not is_cut(connection):
                return connection
            await connection.close()
        connecting = asyncio.ensure_future(connect_async(self._url))
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            # It goes on in the place of whoever leaves: so many who ask and leave do not make many connections.
            self._late.add(connecting)
            connecting.add_done_callback(partial(self._came_late, place.pop_all()))
            raise

    def _came_late(self, place: ExitStack, connecting: asyncio.Task[BoundedAsyncConnection]) -> None:
        self._late.discard(connecting)
        if not connecting.cancelled() and connecting.exception() is None:
            self._idle.append(connecting.result())
        place.close()

    def _make(self) -> None:
        connection = connect(self._url)
        try:
            bring_up_to_date(connection)
        finally:
            connection.close()
        self._made = True
