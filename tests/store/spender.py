"""A gateway's limiter in a process of its own: spends one key again and again, at once, and tells what was admitted.

python -m tests.store.spender URL CALLS PERIOD ATTEMPTS: says `ready`, waits for a line, and prints the receipts. With
no ATTEMPTS (0) it goes on until more than CALLS were admitted, which takes more than one window.
"""

import asyncio
import sys
import time
from itertools import count

from mcpgov.decision import Spend
from mcpgov.limiter import Limiter
from mcpgov.models import Secret
from mcpgov.store.redis_counters import RedisCounters

AT_ONCE = 16


async def spend(url: str, limit: Spend, attempts: int) -> list[str]:
    """The receipts of what was admitted."""
    counters = RedisCounters(Secret(url))
    limiter = Limiter(counters, time.monotonic, time.time)
    await limiter.spend(Spend("warm", 1, 1))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    receipts: list[str] = []

    async def caller() -> None:
        for _ in count() if not attempts else range(attempts // AT_ONCE):
            if not attempts and len(receipts) > limit.calls:
                return
            spent = await limiter.spend(limit)
            if spent.allowed:
                receipts.append(spent.receipt)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(caller())
    await counters.close()
    return receipts


if __name__ == "__main__":
    URL, CALLS, PERIOD, ATTEMPTS = sys.argv[1:]
    sys.stdout.write(" ".join(asyncio.run(spend(URL, Spend("k", int(CALLS), int(PERIOD)), int(ATTEMPTS)))))
