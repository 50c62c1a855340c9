"""One HTTP client for each upstream of each connection, so that one upstream cannot starve another.

Rules: a call that finds no place is refused, not queued. A connection that a reload removed or changed keeps its client
until the last of its calls has ended, one that is still connecting included; one that nobody uses closes at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcpgov.models import Connection, RemoteUpstream
from mcpgov.upstream.bounds import require_place
from mcpgov.upstream.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcpgov.upstream.http_client import HttpClient, OpenClient

PoolKey = tuple[str, RemoteUpstream]


@dataclass(slots=True)
class Pool:
    """The client of one upstream, and what is open there."""

    key: PoolKey
    client: HttpClient
    retired: bool
    open_calls: int = 0  # streams among them
    open_streams: int = 0
    lane: Lane = field(default_factory=Lane)


class Pools:
    """All of them. `most` is how many calls may be open at one upstream."""

    def __init__(self, opens: OpenClient, most: int) -> None:
        self._opens = opens
        self._most = most
        self._pools: dict[PoolKey, Pool] = {}
        self._current: frozenset[PoolKey] | None = None

    def acquire(self, connection: Connection, upstream: RemoteUpstream, *, listens: bool) -> Pool:
        """A place at an upstream, for a call or a stream that listens. Raises Refusal (overloaded)."""
        key = (connection.name, upstream)
        pool = self._pools.get(key)
        if pool is None:
            retired = self._current is not None and key not in self._current
            pool = self._pools[key] = Pool(key, self._opens(upstream), retired)
        require_place(pool.open_calls, pool.open_streams, self._most, listening=listens)
        pool.open_calls += 1
        pool.open_streams += listens
        return pool

    async def release(self, pool: Pool, *, listens: bool) -> None:
        """Give the place back."""
        pool.open_calls -= 1
        pool.open_streams -= listens
        if pool.retired and not pool.open_calls and self._pools.get(pool.key) is pool:
            del self._pools[pool.key]
            await pool.client.close()

    async def update(self, connections: Iterable[Connection]) -> None:
        """Keep what these connections use; what no longer is among them closes when its calls have ended."""
        self._current = frozenset(
            (connection.name, connection.upstream)
            for connection in connections
            if isinstance(connection.upstream, RemoteUpstream)
        )
        for key, pool in self._pools.items():
            pool.retired = key not in self._current
        unused = [key for key, pool in self._pools.items() if pool.retired and not pool.open_calls]
        for pool in [self._pools.pop(key) for key in unused]:  # first all of them: while one closes, calls come and go
            await pool.client.close()

    async def close(self) -> None:
        """Close every socket, also of calls that run."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.client.close()
