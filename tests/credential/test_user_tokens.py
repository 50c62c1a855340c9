"""Tokens are renewed in time, once for all who wait, and only the end of a grant leads to asking the user."""

import asyncio
from dataclasses import replace

import pytest

from mcpgov.credential.vault import Tokens
from mcpgov.decision import Reason
from mcpgov.errors import StoreUnavailable
from mcpgov.models import Secret
from mcpgov.web import Fields, WebAnswer, WebUnavailable
from tests.credential.consenting import (
    ALICE,
    BOB,
    CLIENT,
    ENDING,
    EPOCH,
    FRESH,
    GONE,
    OVER,
    House,
    Meanwhile,
    answer,
    github,
    house_with,
    issued,
    kept,
    presented,
    refused,
)


async def test_a_token_without_an_end_is_used_until_the_upstream_refuses_it() -> None:
    house = await house_with(replace(FRESH, expires_at=None))
    house.clock.forward(86400 * 30)
    assert await presented(house) == "access-0"
    assert house.script.posts == []


async def test_a_token_is_renewed_before_it_ends_and_the_new_one_is_in_the_vault_before_it_is_used() -> None:
    house = await house_with(ENDING)
    house.will(issued("access-1", "refresh-1"))
    assert await presented(house) == "access-1"
    assert await kept(house) == Tokens(Secret("access-1"), int(house.clock().timestamp()) + 3600, Secret("refresh-1"))
    assert house.script.posts[0].form["refresh_token"] == "refresh-0"


async def test_a_token_that_ends_and_cannot_be_renewed_is_used_to_its_end_and_then_the_user_is_asked() -> None:
    house = await house_with(replace(ENDING, refresh=None))
    assert await presented(house) == "access-0"
    house.clock.forward(30)
    assert (await refused(house)).reason is Reason.CONSENT_REQUIRED
    assert await kept(house) is None


async def test_a_token_is_renewed_a_minute_before_its_end() -> None:
    house = await house_with(replace(FRESH, expires_at=EPOCH + 3600))
    house.clock.forward(3539)
    assert await presented(house) == "access-0"
    house.clock.forward(1)
    house.will(issued())
    assert await presented(house) == "access-1"


async def test_a_token_that_lives_shortly_is_used_for_half_its_life() -> None:
    house = House()
    await house.vault.keep(ALICE.id, github(), CLIENT, replace(FRESH, expires_at=EPOCH + 20))
    house.clock.forward(9)
    assert await presented(house) == "access-0"
    house.clock.forward(2)
    house.will(issued())
    assert await presented(house) == "access-1"


class SlowWeb:
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked = 0

    async def get(self, url: str, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        raise WebUnavailable(url)

    async def post(self, url: str, form: object, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        self.asked += 1
        await self.gate.wait()
        return issued(f"access-{self.asked}")


async def test_a_thousand_calls_at_the_end_of_a_token_lead_to_one_renewal_and_one_that_leaves_stops_nobody() -> None:
    web = SlowWeb()
    house = House(web)
    await house.vault.keep(ALICE.id, github(), CLIENT, OVER)
    calls = [asyncio.create_task(presented(house)) for _ in range(1000)]
    while not web.asked:
        await asyncio.sleep(0)
    calls[0].cancel()
    web.gate.set()
    got = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(got[0], asyncio.CancelledError)
    assert set(got[1:]) == {"access-1"}
    assert web.asked == 1


@pytest.mark.parametrize("trouble", [WebUnavailable("down"), answer(500), answer(400, error="invalid_client")])
async def test_a_server_in_trouble_leaves_a_token_that_holds_in_use_and_is_not_asked_at_once_again(
    trouble: WebAnswer | WebUnavailable,
) -> None:
    house = await house_with(ENDING)
    house.will(trouble, trouble)
    assert await presented(house) == "access-0"
    asked = len(house.script.posts)
    assert await presented(house) == "access-0"
    assert len(house.script.posts) == asked
    house.clock.forward(5)
    house.script.answers[:] = [issued()]
    assert await presented(house) == "access-1"


async def test_a_token_is_not_used_at_its_very_end() -> None:
    house = await house_with(ENDING)
    house.clock.forward(30)
    house.will(WebUnavailable("down"))
    assert (await refused(house)).reason is Reason.CREDENTIAL_UNAVAILABLE


async def test_a_server_in_trouble_never_leads_to_asking_the_user() -> None:
    house = await house_with(OVER)
    for _ in range(2):
        refusal = await refused(house)
        assert (refusal.reason, refusal.link) == (Reason.CREDENTIAL_UNAVAILABLE, "")
    assert len(house.script.posts) == 1
    assert await kept(house) == OVER


async def test_a_grant_that_is_over_leads_to_asking_the_user_once_more() -> None:
    house = await house_with(OVER)
    house.will(GONE)
    assert (await refused(house)).reason is Reason.CONSENT_REQUIRED
    assert (await refused(house)).link
    assert len(house.script.posts) == 1
    assert await kept(house) is None


@pytest.mark.parametrize("said", [GONE, issued("mine")])
async def test_what_another_process_renewed_meanwhile_is_used(said: WebAnswer) -> None:
    web = Meanwhile(said)
    web.house = house = House(web)
    web.tokens = replace(FRESH, access=Secret("theirs"))
    await house.vault.keep(ALICE.id, github(), CLIENT, OVER)
    assert await presented(house) == "theirs"
    assert await kept(house) == web.tokens


@pytest.mark.parametrize("said", [GONE, issued("mine")])
async def test_what_was_revoked_meanwhile_is_not_brought_back(said: WebAnswer) -> None:
    web = Meanwhile(said)
    web.house = house = House(web)
    await house.vault.keep(ALICE.id, github(), CLIENT, OVER)
    assert (await refused(house)).reason is Reason.CONSENT_REQUIRED
    assert await kept(house) is None


async def test_a_token_that_the_upstream_refused_is_renewed_and_at_most_once_a_minute() -> None:
    house = await house_with(FRESH)
    house.will(issued("access-1"), issued("access-2"))
    for expected, seconds in (("access-1", 0), ("access-1", 59), ("access-2", 1)):
        house.clock.forward(seconds)
        house.oauth.reject(github(), ALICE, await house.oauth.token(github(), ALICE))
        assert await presented(house) == expected
    assert len(house.script.posts) == 2


async def test_a_refused_token_whose_renewal_is_refused_leads_to_asking_the_user() -> None:
    house = await house_with(FRESH)
    house.will(GONE)
    house.oauth.reject(github(), ALICE, await house.oauth.token(github(), ALICE))
    assert (await refused(house)).reason is Reason.CONSENT_REQUIRED


async def test_an_old_token_that_was_refused_says_nothing_of_the_new_one() -> None:
    house = await house_with(FRESH)
    old = await house.oauth.token(github(), ALICE)
    await house.vault.keep(ALICE.id, github(), CLIENT, replace(FRESH, access=Secret("new")))
    house.oauth.reject(github(), ALICE, old)
    assert await presented(house) == "new"
    assert house.script.posts == []


async def test_troubles_are_forgotten_when_there_are_too_many() -> None:
    house = await house_with(FRESH)
    token = await house.oauth.token(github(), ALICE)
    house.oauth.reject(github(), ALICE, token)
    for number in range(10_000):
        house.oauth.reject(github(), replace(BOB, id=f"oidc:{number}"), token)
    assert await presented(house) == "access-0"


async def test_a_vault_that_is_down_is_a_refusal_and_no_question() -> None:
    house = await house_with(FRESH)
    house.rows.failure = StoreUnavailable("disk full")
    refusal = await refused(house)
    assert refusal.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert "disk full" in refusal.detail


async def test_a_token_that_cannot_be_kept_is_not_used() -> None:
    house = House()
    await house.vault.keep(ALICE.id, github(), CLIENT, OVER)

    class FailsThen:
        async def get(self, url: str, headers: Fields = (), *, private: bool = False) -> WebAnswer:
            raise WebUnavailable(url)

        async def post(self, url: str, form: object, headers: Fields = (), *, private: bool = False) -> WebAnswer:
            other.rows.failure = StoreUnavailable("disk full")
            return issued()

    other = House(FailsThen())
    other.rows.rows.update(house.rows.rows)
    assert (await refused(other)).reason is Reason.CREDENTIAL_UNAVAILABLE
