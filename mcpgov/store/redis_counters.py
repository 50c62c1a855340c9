"""Counters in Redis or Valkey, shared by every gateway that names the same one: exact, however many there are.

Each method is one script, which Redis runs whole before anything else, and one round trip. Time is Redis' own, so that
gateways whose clocks differ still count in the same window; the caller's clock is not looked at.

A sliding window is a list: first the sum of what is in it, then "leaves:count" for each spend, oldest first, in
microseconds. A list and not a sorted set, because what comes first leaves first: a list is packed, in 30 bytes a call.
Should Redis' clock step back, an entry stays behind one that leaves later, which only ever refuses. A fixed window is a
hash with one field, named by the second in which the window ends, so that a window that is over is not mistaken for the
next. Both are one key, tagged, so that a cluster can hold them. Every key expires soon after its window, except where a
window has no end.

The URL may hold a password: nothing here prints it, and no message of the client's does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as NoAnswer

from mcpgov.decision import Spent
from mcpgov.errors import StoreUnavailable
from mcpgov.store.signed_url import SignedUrl

if TYPE_CHECKING:
    from redis.commands.core import AsyncScript

    from mcpgov.decision import Spend
    from mcpgov.models import Secret
    from mcpgov.store.signed_url import Token

TIMEOUT: Final = 1.0  # seconds, each: to wait for a connection of the pool, to connect, to be answered
CONNECTIONS: Final = 32
SECOND: Final = 1_000_000  # microseconds
OWN_TIME: Final = "redis.call('TIME')"  # seconds since 1970, and microseconds
FROM_THE_NETWORK: Final = (Unreachable, NoAnswer)

# Arguments: calls, period in microseconds, count. Here and below, CLOCK stands for the time, the same throughout.
SLIDING_SPEND: Final = """
local key, calls, period, count = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = CLOCK
local now = time[1] * 1000000 + time[2]
local used = tonumber(redis.call('LINDEX', key, 0) or 0)

-- Walks from the oldest entry on, until `stops`: how many were passed, the sum of their counts, when the next leaves.
local function walk(stops)
  local passed, sum, size = 0, 0, 1
  while true do
    local entries = redis.call('LRANGE', key, passed + 1, passed + size)
    for _, entry in ipairs(entries) do
      local leaves, taken = string.match(entry, '(%d+):(%d+)')
      leaves, taken = tonumber(leaves), tonumber(taken)
      if stops(leaves, sum + taken) then return passed, sum, leaves end
      passed, sum = passed + 1, sum + taken
    end
    if #entries < size then return passed, sum end
    size = math.min(size * 2, 512)
  end
end

local gone, freed = walk(function(leaves) return leaves > now end)
if gone > 0 then
  redis.call('LPOP', key, gone + 1)
  used = used - freed
  if used > 0 then redis.call('LPUSH', key, used) end
end

local room, needed = calls - used, math.max(count, 1)
local last = redis.call('LINDEX', key, -1)
local whole = last and tonumber(string.match(last, '(%d+):')) - now or 0
if needed > room then
  if needed > calls then return {0, room, whole, period, ''} end
  local _, _, fits = walk(function(_, sum) return sum >= needed - room end)
  return {0, room, whole, fits - now, ''}
end
if count == 0 then return {1, room, whole, 0, ''} end
local entry = string.format('%.0f:%.0f', now + period, count)
if used == 0 then redis.call('RPUSH', key, count) else redis.call('LSET', key, 0, used + count) end
redis.call('RPUSH', key, entry)
redis.call('PEXPIRE', key, string.format('%.0f', period / 1000 + 1000))
return {1, room - count, period, 0, entry}
"""

# Arguments: the entry.
SLIDING_REFUND: Final = """
local time = CLOCK
local leaves, count = string.match(ARGV[1], '(%d+):(%d+)')
if tonumber(leaves) <= time[1] * 1000000 + time[2] or redis.call('LREM', KEYS[1], -1, ARGV[1]) == 0 then return 0 end
local used = redis.call('LINDEX', KEYS[1], 0) - count
if used > 0 then redis.call('LSET', KEYS[1], 0, used) else redis.call('DEL', KEYS[1]) end
return 1
"""

# Arguments: calls, period in seconds, count, start in seconds since 1970, 1 to take the count whether it fits or not.
FIXED_SPEND: Final = """
local key, calls, period, count = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local starts, always = tonumber(ARGV[4]), ARGV[5] == '1'
local time = CLOCK
local ends, wait = 0, 0
if period > 0 then
  ends = starts + (math.floor((time[1] - starts) / period) + 1) * period
  wait = (ends - time[1]) * 1000000 - time[2]
end
local window = string.format('%.0f', ends)
local used = tonumber(redis.call('HGET', key, window) or 0)
if not always and math.max(count, 1) > calls - used then
  return {0, math.max(calls - used, 0), wait, wait, ''}
end
if count == 0 then return {1, calls - used, wait, 0, ''} end
if used == 0 then redis.call('DEL', key) end
redis.call('HINCRBY', key, window, ARGV[3])
if period > 0 then redis.call('EXPIREAT', key, string.format('%.0f', ends + 1)) end
return {1, calls - used - count, wait, 0, window}
"""

# Arguments: the window, count.
FIXED_REFUND: Final = """
local taken = math.min(tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0), tonumber(ARGV[2]))
if taken > 0 then redis.call('HINCRBY', KEYS[1], ARGV[1], string.format('%.0f', -taken)) end
return taken
"""


class Shown(CredentialProvider):
    """What a new connection signs in with."""

    def __init__(self, user: str, token: Token) -> None:
        self.user, self.token = user, token

    async def get_credentials_async(self) -> tuple[str, str]:
        """Who we are, and the token that holds now. Raises StoreUnavailable."""
        return self.user, self.token.current().reveal()


class SignedInPool(BlockingConnectionPool):
    """Connections that were opened with the token that holds now: the server ends those of an earlier one with it."""

    def __init__(self, *, credential_provider: Shown, **reached: Any) -> None:
        made: Any = super()  # whose __init__ has no types of its own
        made.__init__(credential_provider=credential_provider, **reached)
        self._token = credential_provider.token
        self._opened: dict[AbstractConnection, Secret] = {}

    async def ensure_connection(self, connection: AbstractConnection) -> None:
        """Nobody else has the connection at this moment. Raises RedisError, StoreUnavailable (no token)."""
        token = self._token.current()
        if self._opened.get(connection) != token:
            await connection.disconnect()
        await super().ensure_connection(connection)
        self._opened[connection] = token


class RedisCounters:
    """The counters of all gateways that share one Redis. Connects when it is first needed.

    `timeout` is in seconds, for each of: a free connection, connecting, an answer. `clock` is the time, in Lua. Every
    method raises StoreUnavailable; what was asked may then have been counted or not.
    """

    def __init__(
        self, url: Secret, *, timeout: float = TIMEOUT, connections: int = CONNECTIONS, clock: str = OWN_TIME
    ) -> None:
        reached: dict[str, Any] = dict(parse_url(url.reveal()))
        if isinstance(url, SignedUrl):
            reached["credential_provider"] = Shown(reached.pop("username"), url.token)
        pool = (SignedInPool if isinstance(url, SignedUrl) else BlockingConnectionPool)(
            **reached,
            max_connections=connections,
            timeout=timeout,
            socket_connect_timeout=timeout,
            socket_timeout=timeout,
            retry=Retry(NoBackoff(), 0),  # a spend that was counted and not answered would be counted again
            protocol=2,
        )
        self._redis = Redis.from_pool(pool)
        self._sliding_spend = self._redis.register_script(SLIDING_SPEND.replace("CLOCK", clock))
        self._sliding_refund = self._redis.register_script(SLIDING_REFUND.replace("CLOCK", clock))
        self._fixed_spend = self._redis.register_script(FIXED_SPEND.replace("CLOCK", clock))
        self._fixed_refund = self._redis.register_script(FIXED_REFUND)

    async def spend(self, key: str, spend: Spend, _now: float, /) -> Spent:
        """Take the count if all of it fits. Raises StoreUnavailable."""
        if spend.fixed:
            reply = await run(self._fixed_spend, key, spend.calls, spend.period, spend.count, spend.starts, 0)
        else:
            reply = await run(self._sliding_spend, key, spend.calls, spend.period * SECOND, spend.count)
        allowed, remaining, reset, wait, receipt = reply
        return Spent(
            allowed=allowed == 1,
            limit=spend.calls,
            remaining=remaining,
            reset=whole_seconds(reset),
            retry_after=whole_seconds(wait),
            receipt=receipt.decode(),
        )

    async def refund(self, key: str, spend: Spend, spent: Spent, _now: float, /) -> None:
        """Give back what was taken, unless it has left its window. Raises StoreUnavailable."""
        if spend.fixed:
            await run(self._fixed_refund, key, spent.receipt, spend.count)
        else:
            await run(self._sliding_refund, key, spent.receipt)

    async def charge(self, key: str, spend: Spend, amount: int, _now: float, /) -> None:
        """Add to a fixed window whatever is there. Raises StoreUnavailable."""
        await run(self._fixed_spend, key, spend.calls, spend.period, amount, spend.starts, 1)

    async def ping(self) -> None:
        """Ask whether it is there. Raises StoreUnavailable."""
        try:
            redis: Any = self._redis  # whose ping() has no types of its own
            await redis.ping()
        except RedisError as error:
            raise unanswered(error) from None

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()


async def run(script: AsyncScript, key: str, *arguments: int | str) -> Any:
    """What a script answers about one key. Raises StoreUnavailable."""
    try:
        return await script(keys=[f"mcpgov:{{{key}}}".encode("utf-8", "surrogatepass")], args=arguments)
    except RedisError as error:
        raise unanswered(error) from None


def unanswered(error: RedisError) -> StoreUnavailable:
    """What went wrong. It quotes what the network says and never what Redis does: that may repeat a command, a password
    with it.
    """
    said = f": {error}" if type(error) in FROM_THE_NETWORK else ""
    return StoreUnavailable(f"Redis did not count ({type(error).__name__}{said})")


def whole_seconds(microseconds: int) -> int:
    """Seconds, rounded up: who waits so long is not too early."""
    return -(-microseconds // SECOND)
