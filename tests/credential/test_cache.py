"""One fetch for each key, however many wait; a key is its whole tuple; nothing is asked for more often than it must."""

from __future__ import annotations

import asyncio
from dataclasses import astuple, dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.credential.cache import CacheTuning, TokenCache, TokenKey, no_token
from mcpgov.credential.tokens import AccessToken
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Secret
from tests.credential.clock import Clock

KEY = TokenKey("managed", "tenant", "search", "https://search.azure.com", ("scope",), "identity")


@dataclass
class Authority:
    """Gives numbered tokens of one hour; refuses while `down`, and waits while `hold` is not set."""

    clock: Clock
    fetched: int = 0
    down: Refusal | None = None
    hold: asyncio.Event | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> AccessToken:
        self.fetched += 1
        number = self.fetched
        self.asked.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.down is not None:
            raise self.down
        return AccessToken.lasting(Secret(f"token-{number}"), 3600, self.clock())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(clock: Clock) -> Authority:
    return Authority(clock)


@pytest.fixture
def cache(clock: Clock) -> TokenCache:
    return TokenCache(clock)


async def value(cache: TokenCache, authority: Authority, key: TokenKey = KEY) -> str:
    return (await cache.get(key, authority)).secret.reveal()


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_token_that_holds_is_fetched_once(cache: TokenCache, authority: Authority, clock: Clock) -> None:
    assert [await value(cache, authority) for _ in range(3)] == ["token-1"] * 3
    clock.pass_(1799)
    assert await value(cache, authority) == "token-1"
    await settled()
    assert authority.fetched == 1


async def test_a_thousand_calls_at_expiry_make_one_fetch(cache: TokenCache, authority: Authority, clock: Clock) -> None:
    await value(cache, authority)
    clock.pass_(3600)
    assert await asyncio.gather(*(value(cache, authority) for _ in range(1000))) == ["token-2"] * 1000
    assert authority.fetched == 2


async def test_a_token_is_renewed_before_it_ends_and_nobody_waits_for_that(
    cache: TokenCache, authority: Authority, clock: Clock
) -> None:
    await value(cache, authority)
    clock.pass_(1800)
    authority.hold = asyncio.Event()
    assert [await value(cache, authority) for _ in range(10)] == ["token-1"] * 10
    authority.hold.set()
    await settled()
    assert (await value(cache, authority), authority.fetched) == ("token-2", 2)


async def test_a_token_that_holds_is_used_while_its_source_is_down(
    cache: TokenCache, authority: Authority, clock: Clock
) -> None:
    await value(cache, authority)
    clock.pass_(1800)
    authority.down = no_token("down")
    for _ in range(10):
        assert await value(cache, authority) == "token-1"
        await settled()
    assert authority.fetched == 2
    clock.pass_(5)
    assert await value(cache, authority) == "token-1"
    await settled()
    assert authority.fetched == 3
    clock.pass_(1785)
    with pytest.raises(Refusal, match="credential-unavailable"):  # its last ten seconds are not sent
        await value(cache, authority)


async def test_a_failure_is_believed_for_a_short_while_and_no_longer(
    cache: TokenCache, authority: Authority, clock: Clock
) -> None:
    authority.down = no_token("Microsoft Entra: AADSTS7000215")
    authority.down.link = "https://mcpgov.example/consent/x"
    seen: list[Refusal] = []
    for _ in range(3):
        with pytest.raises(Refusal) as caught:
            await value(cache, authority)
        seen.append(caught.value)
    assert authority.fetched == 1
    assert {(one.reason, one.detail, one.link) for one in seen} == {
        (Reason.CREDENTIAL_UNAVAILABLE, authority.down.detail, authority.down.link)
    }
    assert len({id(one) for one in seen}) == 3
    clock.pass_(5)
    authority.down = None
    assert await value(cache, authority) == "token-2"


async def test_one_who_stops_waiting_stops_nobody_else(cache: TokenCache, authority: Authority) -> None:
    authority.hold = asyncio.Event()
    impatient = asyncio.create_task(value(cache, authority))
    await authority.asked.wait()
    patient = asyncio.create_task(value(cache, authority))
    await settled()
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    authority.hold.set()
    assert (await patient, authority.fetched) == ("token-1", 1)


async def test_a_fetch_that_hangs_is_a_refusal(clock: Clock, authority: Authority) -> None:
    cache = TokenCache(clock, CacheTuning(deadline=0.01))
    authority.hold = asyncio.Event()
    with pytest.raises(Refusal) as caught:
        await value(cache, authority)
    assert (caught.value.reason, caught.value.detail) == (Reason.CREDENTIAL_UNAVAILABLE, "not answered in time")


async def test_a_fault_of_a_fetch_is_raised_and_not_kept(cache: TokenCache, authority: Authority) -> None:
    async def faulty() -> AccessToken:
        raise LookupError("a fault")

    with pytest.raises(LookupError):
        await cache.get(KEY, faulty)
    assert await value(cache, authority) == "token-1"


async def test_a_refused_token_is_replaced_but_not_more_than_once_a_minute(
    cache: TokenCache, authority: Authority, clock: Clock
) -> None:
    for _ in range(20):
        cache.reject(KEY, await cache.get(KEY, authority))
    assert authority.fetched == 2
    clock.pass_(60)
    cache.reject(KEY, await cache.get(KEY, authority))
    assert await value(cache, authority) == "token-3"


async def test_a_token_that_was_replaced_already_is_not_rejected_again(
    cache: TokenCache, authority: Authority, clock: Clock
) -> None:
    old = await cache.get(KEY, authority)
    clock.pass_(3600)
    assert await value(cache, authority) == "token-2"
    cache.reject(KEY, old)
    cache.reject(TokenKey("other"), old)
    assert await value(cache, authority) == "token-2"


async def test_a_full_cache_forgets_the_key_that_was_not_used_longest(clock: Clock, authority: Authority) -> None:
    cache = TokenCache(clock, CacheTuning(size=2))
    first, second, third = (TokenKey("managed", connection=name) for name in "abc")
    assert [await value(cache, authority, key) for key in (first, second, first, third)] == [
        *("token-1", "token-2", "token-1", "token-3")
    ]
    assert [await value(cache, authority, key) for key in (first, second)] == ["token-1", "token-4"]


async def test_forgetting_a_key_breaks_no_call_that_waits_for_it(clock: Clock, authority: Authority) -> None:
    cache = TokenCache(clock, CacheTuning(size=1))
    authority.hold = asyncio.Event()
    waiting = asyncio.create_task(value(cache, authority))
    await authority.asked.wait()
    other = asyncio.create_task(value(cache, authority, TokenKey("other")))
    await settled()
    authority.hold.set()
    assert await asyncio.gather(waiting, other) == ["token-1", "token-2"]


def test_a_token_has_ten_seconds_to_come_and_ten_to_live_when_it_is_sent() -> None:
    assert CacheTuning() == CacheTuning(size=10_000, deadline=10, back_off=5, margin=10, replaced_every=60)


async def test_closing_ends_what_is_under_way(cache: TokenCache, authority: Authority) -> None:
    authority.hold = asyncio.Event()
    waiting = asyncio.create_task(value(cache, authority))
    await authority.asked.wait()
    await cache.close()
    assert asyncio.all_tasks() <= {waiting, asyncio.current_task()}
    with pytest.raises(asyncio.CancelledError):
        await waiting


PREFIX = "eyJ0eXAiOiJKV1QiLCJh"  # of a JSON Web Token: the first 20 bytes of most tokens of one issuer
TEXT = (
    st.text(max_size=4) | st.sampled_from(["a", "a,b", "", PREFIX]) | st.text(max_size=4).map(lambda end: PREFIX + end)
)
KEYS = st.builds(TokenKey, TEXT, TEXT, TEXT, TEXT, st.lists(TEXT, max_size=3).map(tuple), TEXT, TEXT, TEXT)


@given(st.lists(KEYS, min_size=1, max_size=8))
def test_no_two_different_tuples_share_a_token(keys: list[TokenKey]) -> None:
    async def fill() -> None:
        cache = TokenCache(Clock())
        for key in keys:
            token = AccessToken.lasting(Secret(repr(astuple(key))), 3600, Clock()())

            async def fetch(token: AccessToken = token) -> AccessToken:
                return token

            assert (await cache.get(key, fetch)).secret.reveal() == repr(astuple(key))

    asyncio.run(fill())


NAMES = ("kind", "tenant", "connection", "audience", "identity", "principal", "assertion")


@given(st.sampled_from(NAMES), TEXT, TEXT)
def test_a_part_that_differs_is_another_key(name: str, one: str, other: str) -> None:
    assert (replace(KEY, **{name: one}) == replace(KEY, **{name: other})) is (one == other)
