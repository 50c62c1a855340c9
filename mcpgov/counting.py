"""What counts limits, as the settings say.

A room of the composition root: app.py hands it the settings and the loader of optional parts. Nobody else imports it.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from mcpgov.database_tokens import REDIS
from mcpgov.errors import StoreUnavailable
from mcpgov.store.fallback_counters import FallbackCounters
from mcpgov.store.memory_counters import MemoryCounters
from mcpgov.store.signed_url import SignedUrl

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from mcpgov.database_tokens import DatabaseTokens
    from mcpgov.limiter import Counters
    from mcpgov.models import Secret
    from mcpgov.settings import Counters as CountersSettings
    from mcpgov.store.redis_counters import RedisCounters

    Load = Callable[[str], Any]


@asynccontextmanager
async def counting(
    wanted: CountersSettings, load: Load, tokens: DatabaseTokens | None = None
) -> AsyncGenerator[Counters]:
    """What counts limits: this process's memory, or the Redis that is named, connected to when it is first needed."""
    if wanted.url is None:
        yield MemoryCounters()
        return
    async with redis_counters(wanted, wanted.url, load, tokens) as redis:
        alone = wanted.when_down == "local"
        yield FallbackCounters(redis, MemoryCounters(), time.monotonic) if alone else redis


@asynccontextmanager
async def redis_counters(
    wanted: CountersSettings, url: Secret, load: Load, tokens: DatabaseTokens | None
) -> AsyncGenerator[RedisCounters]:
    """The Redis at a URL. Where it is signed in to by tokens, the first one is waited for, so that no call has to."""
    if wanted.sign_in == "entra" and tokens is not None:
        url = signed = SignedUrl(url.reveal(), tokens.of(REDIS))
        with suppress(StoreUnavailable):  # each call that counts says so, until there is one
            await asyncio.to_thread(signed.token.first)
    redis: RedisCounters = load("mcpgov.store.redis_counters").RedisCounters(url)
    try:
        yield redis
    finally:
        await redis.close()
