"""Tokens of our agents' identities, and on behalf of users: what goes over the wire, and what is never tried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import RedirectResponse, Response

from mcpgov.credential.cache import TokenCache, TokenKey
from mcpgov.credential.entra_tokens import ASSERTION_TYPE, EXCHANGE_SCOPE, JWT_BEARER, EntraTokens
from mcpgov.credential.tokens import AccessToken, EntraApp
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Secret
from tests.credential.clock import Clock
from tests.credential.tenant import APP_SECRET, SEARCH, SEARCH_SCOPE, TOKEN_PATH, Tenant, tenant, wall_clock
from tests.peers.entra_tokens import (
    AGENT,
    BLUEPRINT,
    GATEWAY_APP,
    MANAGED_IDENTITY,
    OTHER_AGENT,
    TENANT,
    TOKEN_EXCHANGE,
    USER,
)
from tests.peers.signing import claims_of
from tests.peers.web_peer import json_answer


@pytest.fixture
async def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Tenant, None]:
    async with tenant(tmp_path) as opened:
        for name, value in opened.host.imds_environment.items():
            monkeypatch.setenv(name, value)
        yield opened


def claims(token: AccessToken) -> dict[str, Any]:
    return claims_of(token.secret.reveal())


def user_of(there: Tenant, audience: str = f"api://{GATEWAY_APP}", **more: Any) -> Secret:
    """A user's own token."""
    return Secret(there.entra.tokens.user(aud=audience, **more))


async def why(tokens: EntraTokens, assertion: Secret | None = None) -> Refusal:
    """Why there is no token: of the agent, or on behalf of a user where there is an assertion."""
    with pytest.raises(Refusal) as caught:
        await (tokens.agent(AGENT, SEARCH_SCOPE) if assertion is None else tokens.on_behalf_of(SEARCH_SCOPE, assertion))
    return caught.value


async def test_the_host_identity_of_the_settings_is_asked_unless_another_is_named(there: Tenant) -> None:
    there.host.identities.update({"of-settings": "object-1", "of-connection": "object-2"})
    tokens = there.tokens(replace(there.azure, managed_identity="of-settings"))
    assert claims(await tokens.managed(SEARCH_SCOPE))["oid"] == "object-1"
    assert claims(await tokens.managed(SEARCH_SCOPE, "of-connection"))["oid"] == "object-2"


async def test_an_agent_identity_signs_in_by_our_blueprint(there: Tenant) -> None:
    got = claims(await there.tokens().agent(AGENT, SEARCH_SCOPE))
    assert (got["appid"], got["aud"], got["xms_par_app_azp"], got["idtyp"]) == (AGENT, SEARCH, BLUEPRINT, "app")
    first, second = (asked.form for asked in there.entra.asked(TOKEN_PATH))
    assert {
        name: first[name] for name in ("client_id", "scope", "fmi_path", "grant_type", "client_assertion_type")
    } == {
        "client_id": BLUEPRINT,
        "scope": EXCHANGE_SCOPE,
        "fmi_path": AGENT,
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
    }
    assert claims_of(first["client_assertion"])["oid"] == MANAGED_IDENTITY
    assert (second["client_id"], second["scope"], "client_secret" in second) == (AGENT, SEARCH_SCOPE, False)
    assert (there.entra.exchanges, there.host.resources) == ([(BLUEPRINT, AGENT)], [TOKEN_EXCHANGE])


async def test_what_proves_us_is_got_once_for_many_tokens(there: Tenant) -> None:
    tokens = there.tokens()
    for scope in (SEARCH_SCOPE, "https://storage.azure.com/.default", SEARCH_SCOPE):
        await tokens.agent(AGENT, scope)
    await tokens.agent(OTHER_AGENT, SEARCH_SCOPE)
    assert there.entra.exchanges == [(BLUEPRINT, AGENT), (BLUEPRINT, OTHER_AGENT)]
    assert there.host.resources == [TOKEN_EXCHANGE]


async def test_a_blueprint_may_have_a_secret(there: Tenant) -> None:
    there.entra.register(BLUEPRINT, "client-secret-of-the-blueprint")
    azure = replace(there.azure, blueprint=EntraApp(BLUEPRINT, Secret("client-secret-of-the-blueprint")))
    assert claims(await there.tokens(azure).agent(AGENT, SEARCH_SCOPE))["appid"] == AGENT
    assert there.host.ledger == []


async def test_an_agent_acts_on_behalf_of_a_user(there: Tenant) -> None:
    assertion = user_of(there, BLUEPRINT)
    got = claims(await there.tokens().agent_for_user(AGENT, SEARCH_SCOPE, assertion))
    assert (got["oid"], got["appid"], got["idtyp"]) == (USER, AGENT, "user")
    asked = there.entra.asked(TOKEN_PATH)[1].form
    assert (asked["grant_type"], asked["requested_token_use"]) == (JWT_BEARER, "on_behalf_of")
    assert asked["assertion"] == assertion.reveal()


async def test_our_app_acts_on_behalf_of_a_user(there: Tenant) -> None:
    got = claims(await there.tokens().on_behalf_of(SEARCH_SCOPE, user_of(there)))
    assert (got["oid"], got["appid"], got["aud"]) == (USER, GATEWAY_APP, SEARCH)
    assert there.entra.asked(TOKEN_PATH)[0].form["client_secret"] == APP_SECRET


async def test_our_app_may_be_federated_with_the_managed_identity(there: Tenant) -> None:
    there.entra.federate(GATEWAY_APP, MANAGED_IDENTITY)
    tokens = there.tokens(replace(there.azure, app=EntraApp(GATEWAY_APP)))
    assert claims(await tokens.on_behalf_of(SEARCH_SCOPE, user_of(there)))["oid"] == USER
    assert "client_secret" not in there.entra.asked(TOKEN_PATH)[0].form


async def test_without_a_blueprint_or_an_app_nobody_is_asked(there: Tenant) -> None:
    tokens = there.tokens(replace(there.azure, app=None, blueprint=None))
    assert "blueprint" in (await why(tokens)).detail
    assert "app" in (await why(tokens, user_of(there))).detail
    assert there.entra.ledger == []


async def test_a_user_who_has_not_agreed_can_mend_it(there: Tenant) -> None:
    there.entra.consents_missing.add((GATEWAY_APP, SEARCH))
    refusal = await why(there.tokens(), user_of(there))
    assert (refusal.reason, refusal.detail) == (
        Reason.CONSENT_REQUIRED,
        "Microsoft Entra: invalid_grant AADSTS65001",
    )
    there.entra.consents_missing.clear()
    there.entra.interactions_missing.add((GATEWAY_APP, SEARCH))
    assert (await why(there.tokens(), user_of(there))).reason is Reason.CONSENT_REQUIRED


async def test_what_cannot_be_exchanged_is_refused_with_the_number_of_the_error(there: Tenant) -> None:
    for assertion in (
        Secret(there.entra.tokens.agent(aud=GATEWAY_APP)),
        user_of(there, exp=1),
        user_of(there, "api://somebody-else"),
    ):
        refusal = await why(there.tokens(), assertion)
        assert refusal.reason is Reason.CREDENTIAL_UNAVAILABLE
        assert "AADSTS" in refusal.detail
        assert assertion.reveal() not in refusal.detail + str(refusal)


async def test_a_proof_that_is_no_longer_good_is_got_again(there: Tenant) -> None:
    tokens = there.tokens()
    await tokens.agent(AGENT, SEARCH_SCOPE)
    there.entra.fail(TOKEN_PATH, json_answer(401, {"error": "invalid_client", "error_description": "AADSTS700024: x"}))
    assert (await why(tokens)).detail == "Microsoft Entra: invalid_client AADSTS700024"
    await tokens.agent(AGENT, SEARCH_SCOPE)
    assert len(there.entra.exchanges) == 2


async def test_a_hanging_authority_is_not_waited_for(there: Tenant) -> None:
    there.entra.hold = asyncio.Event()
    refusal = await why(there.tokens(deadline=0.2), user_of(there))
    assert refusal.detail == "Microsoft Entra: 127.0.0.1 did not answer in time"
    there.entra.mend()


async def test_a_redirecting_token_endpoint_leads_nowhere(there: Tenant) -> None:
    for status in (301, 302, 307, 308):
        there.entra.fail(TOKEN_PATH, RedirectResponse(f"{there.host.url}/canary", status))
        refusal = await why(there.tokens(), user_of(there))
        assert refusal.detail == f"Microsoft Entra: status {status}"
    assert there.host.ledger == []


@pytest.mark.parametrize(
    "answer",
    [
        Response(b"<html>", 200),
        json_answer(200, {"access_token": "x"}),
        json_answer(200, {"access_token": "x", "expires_in": 0}),
        json_answer(200, {"access_token": "x", "expires_in": True}),
        json_answer(200, {"access_token": "a b\r\nx: y", "expires_in": 60}),
        json_answer(200, {"access_token": 7, "expires_in": 60}),
        Response(b'{"access_token":"x","access_token":"y","expires_in":60}', 200),
        Response(b"[]", 200),
    ],
)
async def test_an_answer_without_a_usable_token_is_a_refusal(there: Tenant, answer: Response) -> None:
    there.entra.fail(TOKEN_PATH, answer)
    assert (await why(there.tokens(), user_of(there))).detail == "Microsoft Entra: answered without a token"


async def test_an_error_tells_its_code_and_nothing_of_its_text(there: Tenant) -> None:
    there.entra.fail(TOKEN_PATH, json_answer(400, {"error": "CANARY!", "error_description": "canary"}))
    there.entra.fail(TOKEN_PATH, json_answer(500, {"error": ["canary"]}))
    tokens = there.tokens()
    assert [(await why(tokens, user_of(there))).detail for _ in range(2)] == [
        "Microsoft Entra: status 400",
        "Microsoft Entra: status 500",
    ]


async def test_the_authority_is_that_of_the_settings_whatever_a_token_says(there: Tenant) -> None:
    foreign = user_of(there, iss=f"{there.host.url}/{TENANT}/v2.0", tid="somebody-else")
    await there.tokens().on_behalf_of(SEARCH_SCOPE, foreign)
    assert len(there.entra.asked(TOKEN_PATH)) == 1
    assert there.host.ledger == []


async def test_a_thousand_calls_make_one_request_and_a_token_outlives_its_authority(there: Tenant) -> None:
    clock = Clock(wall_clock())
    cache, tokens = TokenCache(clock), there.tokens()
    key, assertion = TokenKey("user", principal="alice"), user_of(there)

    async def fetch() -> AccessToken:
        return await tokens.on_behalf_of(SEARCH_SCOPE, assertion)

    got = await asyncio.gather(*(cache.get(key, fetch) for _ in range(1000)))
    assert (len({token.secret for token in got}), len(there.entra.ledger)) == (1, 1)
    await there.entra.close()
    clock.pass_(1900)  # past half of its life
    assert await cache.get(key, fetch) == got[0]
    await there.entra.open()
    await cache.close()
