"""Each user's calls carry that user's token; who stands for nobody gets none, and nobody gets another one's."""

from dataclasses import replace

import pytest

from mcpgov.credential.oauth import Consent, Revoked
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import AuthType, Connection, Principal, PrincipalKind, Secret
from tests.audit.calls import NOW
from tests.credential.consenting import (
    ALICE,
    BOB,
    CLIENT,
    FRESH,
    HOLDER,
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

APP_CLIENT = replace(CLIENT, per_user=False)


async def test_each_user_gets_their_own_token() -> None:
    house = await house_with(FRESH)
    await house.vault.keep(BOB.id, github(), CLIENT, replace(FRESH, access=Secret("bobs")))
    assert [await presented(house, who) for who in (ALICE, BOB, ALICE)] == ["access-0", "bobs", "access-0"]
    assert house.script.posts == []


async def test_the_token_ends_when_its_server_says_so() -> None:
    house = await house_with(FRESH)
    assert (await house.oauth.token(github(), ALICE)).expires_at.timestamp() == FRESH.expires_at


@pytest.mark.parametrize("principal", [ALICE, HOLDER])
async def test_who_stands_for_one_person_is_given_a_link(principal: Principal) -> None:
    refusal = await refused(House(), principal)
    assert refusal.reason is Reason.CONSENT_REQUIRED
    assert refusal.link.startswith("https://mcp.contoso.com/consent/")


@pytest.mark.parametrize("kind", [kind for kind in PrincipalKind if not kind.is_user and kind is not PrincipalKind.KEY])
async def test_who_stands_for_nobody_is_told_so_and_never_gets_a_token(kind: PrincipalKind) -> None:
    nobody = replace(ALICE, kind=kind)  # even with the id of somebody who has consented
    refusal = await refused(await house_with(FRESH), nobody)
    assert (refusal.reason, refusal.link) == (Reason.USER_REQUIRED, "https://mcp.contoso.com/consent/github")


async def test_client_credentials_are_one_token_for_everybody() -> None:
    house = House()
    house.will(issued(refresh=None))
    nobody = Principal("anonymous", PrincipalKind.ANONYMOUS)
    assert {await presented(house, who, APP_CLIENT) for who in (ALICE, nobody)} == {"access-1"}
    assert len(house.script.posts) == 1
    token = await house.oauth.token(github(APP_CLIENT), ALICE)
    house.oauth.reject(github(APP_CLIENT), ALICE, token)
    house.will(issued("access-2", None))
    assert await presented(house, ALICE, APP_CLIENT) == "access-2"


async def test_a_token_whose_end_is_not_told_is_used_for_an_hour() -> None:
    house = House()
    house.will(answer(access_token="access-1", token_type="Bearer"))
    token = await house.oauth.token(github(APP_CLIENT), ALICE)
    assert (token.expires_at - house.clock()).total_seconds() == 3600


async def test_client_credentials_that_cannot_be_had_are_a_refusal_and_no_users_token() -> None:
    house = await house_with(FRESH)
    house.will(answer(400, error="invalid_scope"))
    refusal = await refused(house, connection=github(APP_CLIENT))
    assert refusal.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert "invalid_scope" in refusal.detail


@pytest.mark.parametrize("connection", [github(None), replace(github(), auth_type=AuthType.NONE)])
async def test_a_connection_that_is_no_client_has_no_token(connection: Connection) -> None:
    assert (await refused(House(), connection=connection)).reason is Reason.CREDENTIAL_UNAVAILABLE


async def test_an_authorization_is_had_by_the_id_alone_but_no_link() -> None:
    house = await house_with(FRESH)
    assert await house.oauth.authorization(github(), ALICE.id) == Secret("access-0")
    with pytest.raises(Refusal) as caught:
        await house.oauth.authorization(github(), BOB.id)
    assert (caught.value.reason, caught.value.link) == (Reason.CONSENT_REQUIRED, "")
    house.will(issued("for-all"))
    assert await house.oauth.authorization(github(APP_CLIENT), BOB.id) == Secret("for-all")


async def test_consents_are_listed_and_revoked_at_their_server_and_here() -> None:
    client = replace(CLIENT, revocation_url="https://auth.example.com/revoke")
    house = House()
    for who in (BOB, ALICE):
        await house.vault.keep(who.id, github(client), client, FRESH)
    assert await house.oauth.consents("github") == tuple(Consent(who.id, "github", NOW) for who in (ALICE, BOB))
    house.will(answer(), answer())
    assert await house.oauth.revoke(github(client), "github", ALICE.id) == Revoked(found=True, at_server=True)
    assert await house.oauth.revoke(github(client), "github", ALICE.id) == Revoked(found=False)
    assert [consent.principal for consent in await house.oauth.consents("github")] == [BOB.id]
    assert await house.oauth.revoke(github(client), "github", BOB.id) == Revoked(found=True, at_server=False)
    assert await house.oauth.consents("github") == ()


@pytest.mark.parametrize("connection", [github(), None], ids=["no revocation URL", "gone from the catalog"])
async def test_a_consent_is_ended_here_also_where_its_server_cannot_be_asked(connection: Connection | None) -> None:
    house = await house_with(FRESH)
    assert await house.oauth.revoke(connection, "github", ALICE.id) == Revoked(found=True, at_server=False)
    assert await kept(house) is None


async def test_a_consent_that_was_made_for_another_client_is_ended_here_alone() -> None:
    house = await house_with(FRESH)
    client = replace(CLIENT, revocation_url="https://auth.example.com/revoke")
    assert await house.oauth.revoke(github(client), "github", ALICE.id) == Revoked(found=True, at_server=False)
    assert house.script.posts == []


async def test_a_renewal_at_the_moment_of_revocation_does_not_survive_it() -> None:
    web = Meanwhile(answer())
    web.house = house = House(web)
    web.tokens = replace(FRESH, access=Secret("renewed"))
    client = replace(CLIENT, revocation_url="https://auth.example.com/revoke")
    await house.vault.keep(ALICE.id, github(client), client, FRESH)
    assert await house.oauth.revoke(github(client), "github", ALICE.id) == Revoked(found=True, at_server=True)
    assert house.rows.rows == {}
