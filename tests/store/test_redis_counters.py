"""A real Redis keeps the contract of all counters, also where many gateways count, and says so when it cannot."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mcpgov.decision import Spend
from mcpgov.errors import StoreUnavailable
from mcpgov.models import Secret
from mcpgov.store.fallback_counters import FallbackCounters
from mcpgov.store.memory_counters import MemoryCounters
from mcpgov.store.redis_counters import RedisCounters
from mcpgov.store.signed_url import SignedUrl
from tests.contract.counters_contract import FOR_EVER, HOUR, MINUTE, CountersContract, TimedCounters
from tests.store.redis import RedisServer, redis_server
from tests.upstream.certificates import self_signed

ROOT = Path(__file__).parents[2]
CLOCK = "{redis.call('HGET', 'clock', 'seconds'), redis.call('HGET', 'clock', 'microseconds')}"
NOT_A_TIME = float("nan")  # what the caller's clock says is not looked at


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis(shared: RedisServer) -> RedisServer:
    """A server that holds nothing."""
    shared.ask("FLUSHALL")
    return shared


@asynccontextmanager
async def counting(url: Secret, *, patience: float = 1.0, connections: int = 32) -> AsyncGenerator[RedisCounters]:
    """Counters that are closed at the end."""
    counters = RedisCounters(url, timeout=patience, connections=connections)
    try:
        yield counters
    finally:
        await counters.close()


class TestRedisCounters(CountersContract):
    @pytest.fixture
    async def timed(self, redis: RedisServer) -> AsyncGenerator[TimedCounters]:
        counters = RedisCounters(redis.url, clock=CLOCK)

        async def set_clock(now: float) -> None:
            redis.ask("HSET", "clock", "seconds", int(now), "microseconds", int(now % 1 * 1_000_000))

        yield TimedCounters(counters, set_clock)
        await counters.close()


async def test_time_is_that_of_redis(redis: RedisServer) -> None:
    async with counting(redis.url) as counters:
        before = int(redis.ask("TIME")[0])
        spent = await counters.spend("k", MINUTE, NOT_A_TIME)
        fixed = await counters.spend("f", replace(HOUR, starts=0), NOT_A_TIME)
        after = int(redis.ask("TIME")[0])
    assert before <= int(spent.receipt.partition(":")[0]) // 1_000_000 - 60 <= after
    assert before < int(fixed.receipt) <= after + 3600
    assert int(fixed.receipt) % 3600 == 0


async def test_a_window_really_slides(redis: RedisServer) -> None:
    spend = Spend("", 1, 1)
    async with counting(redis.url) as counters, asyncio.timeout(10):
        leaves = [int((await counters.spend("k", spend, 0)).receipt.partition(":")[0])]
        while not (spent := await counters.spend("k", spend, 0)).allowed:
            pass
    leaves.append(int(spent.receipt.partition(":")[0]))
    assert leaves[1] - leaves[0] >= 1_000_000


async def test_nothing_is_left_behind_but_what_never_ends(redis: RedisServer) -> None:
    now_on = replace(HOUR, starts=0)
    async with counting(redis.url) as counters:
        await counters.spend("sliding", MINUTE, 0)
        await counters.spend("refunded", MINUTE, 0)
        await counters.refund("refunded", MINUTE, await counters.spend("refunded", MINUTE, 0), 0)
        await counters.refund("gone", MINUTE, await counters.spend("gone", MINUTE, 0), 0)
        await counters.spend("fixed", now_on, 0)
        await counters.charge("charged", now_on, 5, 0)
        await counters.spend("for ever", FOR_EVER, 0)
        for spend in (MINUTE, now_on):
            await counters.spend("asked", replace(spend, count=0), 0)
            await counters.spend("too much", replace(spend, count=61), 0)
    lives = {key: redis.ask("TTL", key) for key in redis.ask("KEYS", "*")}
    assert lives.pop("mcpgov:{for ever}") == -1
    assert set(lives) == {f"mcpgov:{{{name}}}" for name in ("sliding", "refunded", "fixed", "charged")}
    assert all(0 < lives[f"mcpgov:{{{name}}}"] <= 61 for name in ("sliding", "refunded"))
    assert all(0 < lives[f"mcpgov:{{{name}}}"] <= 3601 for name in ("fixed", "charged"))


async def test_a_window_that_expired_while_it_was_full_is_as_good_as_new(redis: RedisServer) -> None:
    async with counting(redis.url) as counters:
        await counters.spend("k", replace(MINUTE, count=60), 0)
        redis.ask("FLUSHALL")
        assert (await counters.spend("k", MINUTE, 0)).remaining == 59


async def test_scripts_that_redis_has_forgotten_are_told_again(redis: RedisServer) -> None:
    async with counting(redis.url) as counters:
        await counters.spend("k", MINUTE, 0)
        redis.ask("SCRIPT FLUSH")
        assert (await counters.spend("k", MINUTE, 0)).remaining == 58


async def test_each_call_is_one_command(redis: RedisServer) -> None:
    fixed = replace(HOUR, starts=0)
    async with counting(redis.url) as counters:
        for _ in range(2):
            redis.ask("CONFIG RESETSTAT")
            await counters.refund("s", MINUTE, await counters.spend("s", MINUTE, 0), 0)
            await counters.refund("f", fixed, await counters.spend("f", fixed, 0), 0)
            await counters.charge("f", fixed, 1, 0)
    asked = redis.ask("INFO", "commandstats")
    assert asked["cmdstat_evalsha"]["calls"] == 5
    assert "cmdstat_script|load" not in asked


async def test_more_callers_than_connections_wait_for_one(redis: RedisServer) -> None:
    async with counting(redis.url, patience=30, connections=2) as counters:
        spents = await asyncio.gather(*(counters.spend("k", MINUTE, 0) for _ in range(200)))
        assert len(redis.ask("CLIENT LIST")) <= 3
    assert sum(spent.allowed for spent in spents) == 60


async def test_a_full_redis_refuses_and_keeps_what_it_had(redis: RedisServer) -> None:
    async with counting(redis.url) as counters:
        await counters.spend("k", MINUTE, 0)
        redis.ask("CONFIG SET", "maxmemory", 1)
        try:
            for key in ("k", "new"):
                with pytest.raises(StoreUnavailable, match="OutOfMemoryError"):
                    await counters.spend(key, MINUTE, 0)
        finally:
            redis.ask("CONFIG SET", "maxmemory", 0)
        assert (await counters.spend("k", MINUTE, 0)).remaining == 58


async def test_what_a_caller_that_went_away_asked_is_not_answered_to_the_next(redis: RedisServer) -> None:
    async with counting(redis.url, connections=1) as counters:
        for step in range(200):
            asking = asyncio.create_task(counters.spend("a", Spend("", 1_000_000, 300), 0))
            for _ in range(step % 20):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert (await counters.spend("b", Spend("", 200, 300), 0)).remaining == 199 - step


async def test_a_server_that_is_down_is_unavailable_and_is_found_again(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with counting(server.url) as counters:
            assert (await counters.spend("k", MINUTE, 0)).remaining == 59
            server.stop()
            for _ in range(40):  # more often than there are connections
                with pytest.raises(StoreUnavailable, match="ConnectionError"):
                    await counters.spend("k", MINUTE, 0)
                with pytest.raises(StoreUnavailable):
                    await counters.charge("k", HOUR, 1, 0)
            server.start()
            assert (await counters.spend("k", MINUTE, 0)).remaining == 59


async def test_a_gateway_counts_alone_while_the_server_is_down_and_comes_back_by_itself(tmp_path: Path) -> None:
    now, spend = [0.0], Spend("", 3, 60)
    with redis_server(tmp_path) as server:
        async with counting(server.url) as counters:
            fallback = FallbackCounters(counters, MemoryCounters(), lambda: now[0])
            assert (await fallback.spend("k", spend, 0)).remaining == 2
            server.stop()
            assert [(await fallback.spend("k", spend, 0)).allowed for _ in range(4)] == [True, True, True, False]
            server.start()
            assert not (await fallback.spend("k", spend, 0)).allowed
            now[0] = 1.0
            assert [(await fallback.spend("k", spend, 0)).allowed for _ in range(4)] == [True, True, True, False]


async def test_a_server_that_does_not_answer_is_not_waited_for() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        async with counting(Secret(f"redis://:hunter2@127.0.0.1:{port}"), patience=0.05, connections=1) as counters:
            asked = await asyncio.gather(*(counters.spend("k", MINUTE, 0) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(error, StoreUnavailable) for error in asked)
    assert "hunter2" not in str(asked)


@pytest.mark.parametrize(
    ("credentials", "said"),
    [(":wrong-hunter2@", "AuthenticationError"), ("", "AuthenticationError|NoPermission")],
)
async def test_a_password_that_is_refused_is_not_printed(tmp_path: Path, credentials: str, said: str) -> None:
    with redis_server(tmp_path, "--requirepass", "hunter2", credentials=credentials) as server:
        async with counting(server.url) as counters:
            with pytest.raises(StoreUnavailable, match=said) as raised:
                await counters.spend("k", MINUTE, 0)
            assert "hunter2" not in f"{raised.value!r} {server.url} {vars(counters)}"


async def test_a_server_that_repeats_the_password_is_not_quoted() -> None:
    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.read(1000)
        writer.write(b"-ERR unknown command " + said.replace(b"\r\n", b" ") + b"\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(repeat, "127.0.0.1", 0) as parrot:
        port = parrot.sockets[0].getsockname()[1]
        async with counting(Secret(f"redis://:hunter2@127.0.0.1:{port}")) as counters:
            with pytest.raises(StoreUnavailable, match="Redis did not count") as raised:
                await counters.spend("k", MINUTE, 0)
    assert "hunter2" not in str(raised.value)


async def test_the_right_password_and_a_certificate_that_is_trusted_open_the_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = str(self_signed(tmp_path))
    tls = ("--tls-cert-file", pem, "--tls-key-file", pem, "--tls-ca-cert-file", pem, "--tls-auth-clients", "no")
    with redis_server(tmp_path, *tls, "--requirepass", "hunter/2", credentials=":hunter%2F2@", tls=True) as server:
        async with counting(server.url) as counters:
            with pytest.raises(StoreUnavailable, match="certificate"):
                await counters.spend("k", MINUTE, 0)
        monkeypatch.setenv("SSL_CERT_FILE", pem)
        async with counting(server.url) as counters:
            assert (await counters.spend("k", MINUTE, 0)).remaining == 59


async def test_a_user_with_the_rights_that_the_documentation_names_can_count(tmp_path: Path) -> None:
    rights = re.search(r"`(~mcpgov:.*)`", (ROOT / "docs" / "operations.md").read_text("utf-8"))
    assert rights
    users = tmp_path / "users.acl"
    users.write_text(f"user default on nopass ~* +@all\nuser gateway on >hunter2 {rights[1]}\n")
    sliding, short = Spend("", 2, 300), Spend("", 2, 1)
    with redis_server(tmp_path, "--aclfile", str(users), credentials="gateway:hunter2@") as server:
        async with counting(Secret(server.url.reveal().replace("/0", "/1"))) as counters, asyncio.timeout(10):
            for spend in (sliding, replace(HOUR, starts=0), FOR_EVER):
                key = f"{spend.fixed}/{spend.period}"
                kept, spent = [await counters.spend(key, spend, 0) for _ in range(2)]
                for taken in (spent, kept):
                    await counters.refund(key, spend, taken, 0)
            await counters.charge("charged", FOR_EVER, 1, 0)
            assert [(await counters.spend("k", short, 0)).allowed for _ in range(2)] == [True, True]
            while not (await counters.spend("k", short, 0)).allowed:
                pass


async def test_a_cluster_counts_where_the_key_is(tmp_path: Path) -> None:
    with redis_server(tmp_path, "--cluster-enabled", "yes") as server:
        server.ask("CLUSTER ADDSLOTSRANGE", 0, 16383)
        async with counting(server.url) as counters, asyncio.timeout(30):
            while server.ask("CLUSTER INFO")["cluster_state"] != "ok":
                pass
            for spend in (MINUTE, FOR_EVER):
                key = f"{{a}}{spend.fixed}"
                await counters.refund(key, spend, await counters.spend(key, spend, 0), 0)
                assert (await counters.spend(key, spend, 0)).remaining == spend.calls - 1


def spend_in_two_processes(redis: RedisServer, calls: int, period: int, attempts: int) -> list[list[int]]:
    """When each call that each process had admitted leaves its window, in microseconds of Redis' time."""
    command = [sys.executable, "-m", "tests.store.spender", redis.url.reveal(), *map(str, (calls, period, attempts))]
    spenders = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for spender in spenders:
        assert spender.stdout is not None
        assert spender.stdout.readline() == "ready\n"
    for spender in spenders:
        assert spender.stdin is not None
        spender.stdin.write("go\n")
        spender.stdin.flush()
    said = [spender.communicate(timeout=60)[0] for spender in spenders]
    assert [spender.returncode for spender in spenders] == [0, 0]
    return [[int(receipt.partition(":")[0]) for receipt in line.split()] for line in said]


def test_two_processes_with_ten_times_the_load_are_admitted_exactly_the_limit(redis: RedisServer) -> None:
    one, other = spend_in_two_processes(redis, calls=400, period=300, attempts=2000)
    assert len(one) + len(other) == 400
    assert one
    assert other


def test_two_processes_never_exceed_the_limit_as_the_window_slides(redis: RedisServer) -> None:
    one, other = spend_in_two_processes(redis, calls=100, period=1, attempts=0)
    admitted = sorted(one + other)
    assert len(admitted) > 200
    assert all(later - earlier >= 1_000_000 for earlier, later in zip(admitted, admitted[100:], strict=False))


class Held:
    """The token that is shown, as long as there is one."""

    def __init__(self, token: str) -> None:
        self.token = token

    def current(self) -> Secret:
        if not self.token:
            raise StoreUnavailable("there is no token")
        return Secret(self.token)

    first = current


def admit(redis: RedisServer, token: str) -> None:
    """Let `app` in with this token and no earlier one."""
    redis.ask("ACL", "SETUSER", "app", "reset", "on", f">{token}", "~*", "+@all")


def connections(redis: RedisServer) -> set[str]:
    """The ids of those that `app` has open."""
    return {line.split()[0] for line in redis.ask("CLIENT", "LIST").splitlines() if " user=app " in line}


async def test_a_token_that_was_renewed_is_shown_on_new_connections_before_the_old_one_ends(redis: RedisServer) -> None:
    held = Held("token-one")
    admit(redis, "token-one")
    async with counting(SignedUrl(f"redis://app@127.0.0.1:{redis.port}/0", held), connections=2) as counters:
        spend = Spend("", 100, 60)
        await asyncio.gather(*(counters.spend("k", spend, NOT_A_TIME) for _ in range(8)))
        before = connections(redis)
        assert 1 <= len(before) <= 2
        await counters.spend("k", spend, NOT_A_TIME)
        assert connections(redis) <= before
        admit(redis, "token-two")
        held.token = "token-two"
        await asyncio.gather(*(counters.spend("k", spend, NOT_A_TIME) for _ in range(8)))
        assert connections(redis) & before == set()
        left = await counters.spend("k", spend, NOT_A_TIME)
        assert left.remaining == 100 - 18


async def test_a_token_that_is_refused_or_missing_is_said_without_it(redis: RedisServer) -> None:
    held = Held("token-three")
    admit(redis, "another")
    async with counting(SignedUrl(f"redis://app@127.0.0.1:{redis.port}/0", held)) as counters:
        with pytest.raises(StoreUnavailable) as refused:
            await counters.spend("k", Spend("", 3, 60), NOT_A_TIME)
        assert "token-three" not in str(refused.value)
        held.token = ""
        with pytest.raises(StoreUnavailable, match="there is no token"):
            await counters.ping()
        held.token = "another"
        assert (await counters.spend("k", Spend("", 3, 60), NOT_A_TIME)).allowed
