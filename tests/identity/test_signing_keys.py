"""Keys are fetched where the settings say, once for everybody, and seldom; they outlive an issuer that is down."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.identity.entra_token import EntraTenant
from mcpgov.identity.signing_keys import (
    BETWEEN_FETCHES,
    BETWEEN_TRIES,
    REFRESH_AFTER,
    SERVE_FOR,
    KeySource,
    SigningKeys,
)
from mcpgov.models import Headers
from mcpgov.web import GuardedWeb, WebAnswer
from tests.identity.tokens import NOW, MemoryWeb, answer
from tests.peers import signing
from tests.peers.entra import Entra
from tests.peers.tls import Tls, throw_away_tls

ISSUER: Final = "https://issuer.example"
CONFIGURATION: Final = f"{ISSUER}/.well-known/openid-configuration"
KEYS: Final = f"{ISSUER}/keys"
SOURCE: Final = KeySource(configuration_url=CONFIGURATION, issuer=ISSUER)
DIRECT: Final = KeySource(keys_url=KEYS)


class World:
    """An issuer in memory, the keys of it, and a clock that is set by hand."""

    def __init__(self, **private: Any) -> None:
        self.at = NOW
        self.issuer = signing.SigningKeys("key")
        self.web = MemoryWeb({CONFIGURATION: answer(200, {"issuer": ISSUER, "jwks_uri": KEYS})})
        self.publish()
        self.keys = SigningKeys(self.web, lambda: self.at, **private)

    def publish(self) -> None:
        self.web.pages[KEYS] = answer(200, self.issuer.jwks())

    def down(self) -> None:
        self.web.pages.clear()

    @property
    def fetches(self) -> int:
        return sum(url == KEYS for url, _ in self.web.asked)

    async def names(self, kid: str = "key-1", source: KeySource = DIRECT) -> list[str]:
        found = [key.kid for key in (await self.keys.of(source, kid)).keys]
        await asyncio.sleep(0)  # what was begun in the background is done: nothing in memory waits
        await asyncio.sleep(0)
        return found

    async def refused(self, source: KeySource = DIRECT) -> str:
        with pytest.raises(Refusal) as caught:
            await self.keys.of(source, "key-1")
        assert caught.value.reason is Reason.SIGN_IN_UNAVAILABLE
        assert caught.value.message == "Tokens cannot be checked at the moment."
        return caught.value.detail


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.keys.aclose()


async def test_keys_are_found_through_the_configuration_and_kept(world: World) -> None:
    for _ in range(3):
        assert await world.names(source=SOURCE) == ["key-1"]
    assert (await world.keys.keys(CONFIGURATION)).issuer == ISSUER
    assert world.web.asked == [(CONFIGURATION, False), (KEYS, False)] * 2  # two sources, for one expects the issuer


async def test_a_private_origin_is_asked_as_such() -> None:
    world = World(private_origins=(ISSUER, "nonsense"))
    await world.names(source=SOURCE)
    assert world.web.asked == [(CONFIGURATION, True), (KEYS, True)]


async def test_a_thousand_callers_at_the_start_are_one_fetch(world: World) -> None:
    world.web.gate = asyncio.Event()
    callers = [asyncio.create_task(world.keys.of(DIRECT, "key-1")) for _ in range(1000)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    callers[0].cancel()
    world.web.gate.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert sum(isinstance(result, BaseException) for result in results) == 1
    assert world.fetches == 1


async def test_a_storm_of_ten_thousand_unknown_names_is_one_fetch_in_five_minutes(world: World) -> None:
    await world.names()
    world.at += BETWEEN_FETCHES
    await asyncio.gather(*(world.keys.of(DIRECT, f"unknown-{number}") for number in range(10_000)))
    assert world.fetches == 2
    world.at += BETWEEN_FETCHES - timedelta(seconds=1)
    assert await world.names("unknown") == ["key-1"]
    assert world.fetches == 2
    world.at += timedelta(seconds=1)
    await world.names("unknown")
    assert world.fetches == 3


async def test_a_rotated_key_is_found_by_its_name(world: World) -> None:
    await world.names()
    world.at += BETWEEN_FETCHES
    world.issuer.rotate()
    world.publish()
    assert await world.names("key-2") == ["key-1", "key-2"]
    assert await world.names("") == ["key-1", "key-2"]
    assert world.fetches == 2


async def test_after_an_hour_keys_are_renewed_behind_the_callers_back(world: World) -> None:
    await world.names()
    world.issuer.rotate(keep_old=False)
    world.publish()
    world.at += REFRESH_AFTER - timedelta(seconds=1)
    assert await world.names() == ["key-1"]
    assert world.fetches == 1
    world.at += timedelta(seconds=1)
    assert await world.names() == ["key-1"]  # nobody waits for the new ones
    assert await world.names("key-2") == ["key-2"]
    assert world.fetches == 2


async def test_keys_serve_for_a_day_while_the_issuer_is_down_and_no_longer(world: World) -> None:
    await world.names()
    world.down()
    world.at += SERVE_FOR - timedelta(seconds=1)
    assert await world.names() == ["key-1"]
    assert await world.names("unknown") == ["key-1"]
    assert world.fetches == 2  # the second failed, and is not tried again for five minutes
    world.at += BETWEEN_TRIES
    assert await world.refused() == "the host did not answer in time"
    world.publish()
    world.at += BETWEEN_TRIES
    assert await world.names() == ["key-1"]


async def test_without_keys_the_issuer_is_asked_again_only_after_a_pause(world: World) -> None:
    world.down()
    for _ in range(100):
        assert await world.refused() == "the host did not answer in time"
    assert world.fetches == 1
    world.publish()
    world.at += BETWEEN_TRIES
    assert await world.names() == ["key-1"]


REDIRECT: Final = WebAnswer(302, Headers((("location", KEYS),)), b"")


@pytest.mark.parametrize(
    ("page", "trouble"),
    [
        (REDIRECT, "the issuer answered 302 where its keys should be"),
        (answer(500), "the issuer answered 500 where its keys should be"),
        (answer(200, b"<html>"), "cannot be read"),
        (answer(200, {"issuer": ISSUER}), "lacks issuer or jwks_uri"),
        (answer(200, {"issuer": 1, "jwks_uri": KEYS}), "lacks issuer or jwks_uri"),
        (answer(200, b"[]"), "lacks issuer or jwks_uri"),
        (answer(200, {"issuer": f"{ISSUER}/", "jwks_uri": KEYS}), "of another issuer"),
        (answer(200, {"issuer": ISSUER, "jwks_uri": "https://evil.example/keys"}), "at another origin"),
        (answer(200, {"issuer": ISSUER, "jwks_uri": "http://issuer.example/keys"}), "at another origin"),
        (answer(200, {"issuer": ISSUER, "jwks_uri": "https://issuer.example@evil.example/"}), "at another origin"),
        (answer(200, {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"}), "at another origin"),
    ],
)
async def test_a_configuration_that_leads_elsewhere_gives_no_keys(world: World, page: WebAnswer, trouble: str) -> None:
    world.web.pages[CONFIGURATION] = page
    assert trouble in await world.refused(SOURCE)
    assert [url for url, _ in world.web.asked] == [CONFIGURATION]


async def test_a_key_set_that_cannot_be_used_gives_no_keys(world: World) -> None:
    world.web.pages[KEYS] = answer(200, {"keys": []})
    assert await world.refused() == "the key set has no key that verifies signatures"
    world.web.pages[KEYS] = REDIRECT
    world.at += BETWEEN_TRIES
    assert await world.refused() == "the issuer answered 302 where its keys should be"


async def test_closing_gives_up_what_is_under_way(world: World) -> None:
    world.web.gate = asyncio.Event()
    caller = asyncio.create_task(world.keys.of(DIRECT, "key-1"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await world.keys.aclose()
    with pytest.raises(asyncio.CancelledError):
        await caller


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return throw_away_tls(tmp_path_factory.mktemp("tls"))


async def test_the_keys_of_a_real_tenant_arrive_over_tls_and_follow_its_rotation(tls: Tls) -> None:
    at = [NOW]

    def now() -> datetime:
        return at[0]

    async with Entra(tls=tls) as entra:
        tenant = EntraTenant(entra.tokens.tenant, ("api://mcpgov",), authority=entra.url)
        closed = SigningKeys(GuardedWeb(tls.client_context()), now)
        with pytest.raises(Refusal, match="sign-in-unavailable"):
            await closed.of(tenant.keys, "entra-1")  # loopback, and nobody said that it may be
        keys = SigningKeys(GuardedWeb(tls.client_context()), now, (entra.url,))
        assert [key.kid for key in (await keys.of(tenant.keys, "entra-1")).keys] == ["entra-1"]
        through = await keys.keys(f"{entra.url}/{entra.tokens.tenant}/v2.0/.well-known/openid-configuration", "entra-1")
        assert through.issuer == tenant.issuers[1]
        entra.tokens.keys.rotate()
        at[0] += BETWEEN_FETCHES
        assert "entra-2" in [key.kid for key in (await keys.of(tenant.keys, "entra-2")).keys]
