"""Who came back from signing in is believed only on the issuer's signature, for this client and this very sign-in."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from mcpgov.credential.browser_sign_in import BrowserSignIn, BrowserSignIns, Person, SignInRefused
from mcpgov.credential.token_endpoint import TokenEndpoint
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.json_web_token import KeySet, parse_key_set
from mcpgov.models import Secret
from mcpgov.web import GuardedWeb, WebUnavailable
from tests.audit.stores import Clock
from tests.credential.consenting import SIGN_IN, House, answer
from tests.peers.authorization_server import AuthorizationServer
from tests.peers.signing import rsa_key
from tests.peers.web_peer import json_answer

CALLBACK = "https://mcp.contoso.com/oauth/callback"


class Issuer:
    """A loopback issuer, and mcpgov's registration there."""

    def __init__(self, server: AuthorizationServer) -> None:
        self.server = server
        self.clock = Clock()
        server.clock = self.clock.at.timestamp
        server.register("mcpgov", "browser-client-secret", CALLBACK)
        self.web = GuardedWeb()
        configuration = f"{server.url}/.well-known/openid-configuration"
        self.sign_in = BrowserSignIn(server.url, configuration, "mcpgov", Secret("browser-client-secret"), private=True)
        self.signs = BrowserSignIns(self.web, TokenEndpoint(self.web, self.clock), self.keys, self.clock)

    async def keys(self, configuration_url: str, kid: str) -> KeySet:
        """The issuer's keys, as the room for them would find them."""
        assert configuration_url == self.sign_in.configuration_url
        found = await self.web.get(f"{self.server.url}/jwks", private=True)
        return parse_key_set(found.body)

    async def code(self, user: str, nonce: str = "nonce-1") -> str:
        """The code that a browser comes back with after the user has signed in."""
        self.server.auto_user = user
        url = await self.signs.url(self.sign_in, CALLBACK, "state-1", "verifier-1", nonce)
        back = await self.web.get(url, private=True)
        return dict(parse_qsl(urlsplit(back.headers.get("location")).query))["code"]

    async def person(self, code: str, nonce: str = "nonce-1") -> Person:
        """Who signed in."""
        return await self.signs.person(self.sign_in, code, "verifier-1", CALLBACK, nonce)

    def answers_with(self, **claims: Any) -> None:
        """Let the token endpoint answer with an id_token of these claims."""
        good = {"aud": "mcpgov", "nonce": "nonce-1"}
        self.server.fail("/token", json_answer(200, {"id_token": self.server.mint("alice", **{**good, **claims})}))


@pytest.fixture
async def issuer() -> AsyncGenerator[Issuer]:
    async with AuthorizationServer() as server:
        yield Issuer(server)


async def test_a_person_who_signs_in_is_known(issuer: Issuer) -> None:
    assert await issuer.person(await issuer.code("alice")) == Person("", "", issuer.server.url, "alice")


async def test_the_browser_is_sent_with_pkce_a_nonce_and_a_choice_of_accounts(issuer: Issuer) -> None:
    url = urlsplit(await issuer.signs.url(issuer.sign_in, CALLBACK, "state-1", "verifier-1", "nonce-1"))
    sent = dict(parse_qsl(url.query))
    assert sent["code_challenge_method"] == "S256"
    assert (sent["nonce"], sent["prompt"], sent["scope"]) == ("nonce-1", "select_account", "openid profile")


async def test_the_claims_of_entra_are_read(issuer: Issuer) -> None:
    issuer.answers_with(tid="tenant-1", oid="object-1")
    assert await issuer.person("code") == Person("tenant-1", "object-1", issuer.server.url, "alice")


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"nonce": "another"}, "another sign-in"),
        ({"nonce": None}, "another sign-in"),
        ({"aud": "another"}, "jwt-audience-denied"),
        ({"aud": ["mcpgov", "another"]}, "another client"),
        ({"aud": ["mcpgov", "another"], "azp": "another"}, "another client"),
        ({"iss": "https://evil.example.com"}, "jwt-issuer-denied"),
        ({"exp": 1}, "jwt-expired"),
    ],
)
async def test_an_id_token_of_something_else_is_refused(issuer: Issuer, claims: dict[str, Any], why: str) -> None:
    issuer.answers_with(**claims)
    with pytest.raises(SignInRefused, match=why):
        await issuer.person("code")


async def test_several_audiences_are_good_where_it_was_issued_to_us(issuer: Issuer) -> None:
    issuer.answers_with(aud=["mcpgov", "another"], azp="mcpgov")
    assert (await issuer.person("code")).subject == "alice"


async def test_an_id_token_that_another_key_signed_is_refused(issuer: Issuer) -> None:
    claims = issuer.server.claims("alice", aud="mcpgov", nonce="nonce-1")
    token = issuer.server.keys.sign(claims, key=rsa_key("stranger"))
    issuer.server.fail("/token", json_answer(200, {"id_token": token}))
    with pytest.raises(SignInRefused, match="jwt-signature-invalid"):
        await issuer.person("code")


async def test_for_an_algorithm_that_is_not_accepted_no_key_is_looked_for(issuer: Issuer) -> None:
    async def none(configuration_url: str, kid: str) -> KeySet:
        raise AssertionError

    claims = issuer.server.claims("alice", aud="mcpgov", nonce="nonce-1")
    token = issuer.server.keys.sign(claims, key="k" * 32, algorithm="HS256")
    issuer.server.fail("/token", json_answer(200, {"id_token": token}))
    signs = BrowserSignIns(issuer.web, TokenEndpoint(issuer.web, issuer.clock), none, issuer.clock)
    with pytest.raises(SignInRefused, match="jwt-signature-invalid"):
        await signs.person(issuer.sign_in, "code", "verifier-1", CALLBACK, "nonce-1")


@pytest.mark.parametrize("content", [{}, {"id_token": 7}, {"id_token": "a.b.c"}])
async def test_an_answer_without_an_id_token_is_refused(issuer: Issuer, content: dict[str, Any]) -> None:
    issuer.server.fail("/token", json_answer(200, content))
    with pytest.raises(SignInRefused, match="jwt-malformed"):
        await issuer.person("code")


async def test_a_code_is_good_once(issuer: Issuer) -> None:
    code = await issuer.code("alice")
    await issuer.person(code)
    with pytest.raises(SignInRefused, match="invalid_grant"):
        await issuer.person(code)


async def test_an_issuer_whose_keys_cannot_be_had_is_down(issuer: Issuer) -> None:
    async def none(configuration_url: str, kid: str) -> KeySet:
        raise Refusal(Reason.SIGN_IN_UNAVAILABLE, "No keys.", detail="down")

    issuer.answers_with()
    signs = BrowserSignIns(issuer.web, TokenEndpoint(issuer.web, issuer.clock), none, issuer.clock)
    with pytest.raises(WebUnavailable, match="down"):
        await signs.person(issuer.sign_in, "code", "verifier-1", CALLBACK, "nonce-1")


GOOD = {
    "issuer": SIGN_IN.issuer,
    "authorization_endpoint": "https://a.example/a",
    "token_endpoint": "https://a.example/t",
}


@pytest.mark.parametrize(
    "content",
    [
        [],
        {**GOOD, "authorization_endpoint": None},
        {**GOOD, "authorization_endpoint": "javascript:alert(1)"},
        {**GOOD, "authorization_endpoint": "http://a.example/a"},
        {**GOOD, "token_endpoint": 7},
    ],
)
async def test_a_configuration_that_cannot_be_read_leads_nowhere(content: Any) -> None:
    house = House()
    house.will(replace(answer(), body=str(content).replace("'", '"').replace("None", "null").encode()))
    with pytest.raises(WebUnavailable, match="cannot be read"):
        await signs_of(house).url(SIGN_IN, CALLBACK, "s", "v", "n")


async def test_only_http_is_added_where_private_addresses_are_allowed() -> None:
    house, sign_in = House(), replace(SIGN_IN, private=True)
    house.will(
        answer(200, **{**GOOD, "authorization_endpoint": "javascript:alert(1)"}),
        answer(200, **{**GOOD, "authorization_endpoint": "http://a.example/a"}),
    )
    with pytest.raises(WebUnavailable, match="cannot be read"):
        await signs_of(house).url(sign_in, CALLBACK, "s", "v", "n")
    assert (await signs_of(house).url(sign_in, CALLBACK, "s", "v", "n")).startswith("http://a.example/a?")


async def test_a_configuration_that_is_not_there_or_no_json_leads_nowhere() -> None:
    house = House()
    house.will(answer(404, **GOOD), replace(answer(), body=b"<html>"))
    for _ in range(2):
        with pytest.raises(WebUnavailable, match="cannot be read"):
            await signs_of(house).url(SIGN_IN, CALLBACK, "s", "v", "n")


async def test_a_configuration_of_another_issuer_is_refused() -> None:
    house = House()
    house.will(answer(200, **{**GOOD, "issuer": "https://evil.example.com"}))
    with pytest.raises(SignInRefused, match="another issuer"):
        await signs_of(house).url(SIGN_IN, CALLBACK, "s", "v", "n")


async def test_a_configuration_is_asked_for_once_an_hour_however_often_somebody_signs_in() -> None:
    house = House()
    signs = signs_of(house)
    house.will(answer(200, **GOOD))
    for _ in range(3):
        await signs.url(SIGN_IN, CALLBACK, "s", "v", "n")
    house.clock.forward(3600)
    with pytest.raises(WebUnavailable):
        await signs.url(SIGN_IN, CALLBACK, "s", "v", "n")


def signs_of(house: House) -> BrowserSignIns:
    """Sign-ins over a scripted web."""

    async def none(configuration_url: str, kid: str) -> KeySet:
        raise AssertionError

    return BrowserSignIns(house.web, house.endpoint, none, house.clock)
