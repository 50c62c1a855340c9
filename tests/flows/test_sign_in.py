"""A client of the MCP SDK signs a person in: 401, our metadata, the server's, authorize, token, call.

The authorization servers are real ones on loopback, over TLS: a tenant of Microsoft Entra and somebody's OpenID Connect
issuer. Both refuse a `resource` that is not where the scopes come from. The upstream's ledger is the witness that no
token of a caller crosses.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import httpx2
import mcp
import mcp_types as types
import pytest
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from tests.flows.house import House, house_that_knows_its_url
from tests.flows.upstream import CityUpstream, listening
from tests.peers.authorization_server import AuthorizationServer
from tests.peers.browsing import CALLBACK
from tests.peers.entra import Entra
from tests.peers.entra_tokens import CLIENT_APP, GATEWAY_APP, TENANT
from tests.peers.tls import Tls, throw_away_tls
from tests.peers.web_peer import WebPeer

MODES: Final = ("auto", "legacy")
PATIENCE: Final = 30  # seconds


@dataclass
class Browser:
    """The person's browser: opens the URL that the client shows, and brings back what it was sent back with."""

    tls: Tls
    opened: list[str] = field(default_factory=list[str])
    answer: dict[str, str] = field(default_factory=dict[str, str])

    async def open(self, url: str) -> None:
        self.opened.append(url)
        async with (
            aiohttp.ClientSession() as http,
            http.get(url, ssl=self.tls.client_context(), allow_redirects=False) as response,
        ):
            self.answer = dict(parse_qsl(urlsplit(response.headers["location"]).query))

    async def came_back(self) -> AuthorizationCodeResult:
        answer = self.answer
        return AuthorizationCodeResult(code=answer.get("code", ""), state=answer.get("state"), iss=answer.get("iss"))


@dataclass
class Kept:
    """What the client keeps: its registration, made beforehand, and the tokens of its person."""

    client: OAuthClientInformationFull
    tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@dataclass
class Person:
    """Somebody at a client of the SDK."""

    browser: Browser
    kept: Kept

    async def calls(self, url: str, mode: str = "auto") -> str:
        """The text that get_city answers; signs in when the server asks for it."""
        metadata = OAuthClientMetadata(redirect_uris=[AnyUrl(CALLBACK)], token_endpoint_auth_method="none")
        auth = OAuthClientProvider(url, metadata, self.kept, self.browser.open, self.browser.came_back)
        context = self.browser.tls.client_context()
        async with (
            httpx2.AsyncClient(auth=auth, verify=context, timeout=PATIENCE, trust_env=False) as http,
            mcp.Client(
                streamable_http_client(url, http_client=http), mode=mode, read_timeout_seconds=PATIENCE
            ) as client,
        ):
            answer = await client.call_tool("get_city", {})
        return "".join(block.text for block in answer.content if isinstance(block, types.TextContent))


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tls:
    """The authority that the gateway trusts, as an operator would tell it."""
    made = throw_away_tls(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.ca_file))
    return made


@pytest.fixture
async def entra(tls: Tls) -> AsyncGenerator[Entra]:
    """A tenant with the gateway's app and a public client, at which ada signs in."""
    async with Entra(tls, auto_user="ada") as tenant:
        tenant.register(GATEWAY_APP)
        tenant.register(CLIENT_APP, redirect_uris=(CALLBACK,))
        yield tenant


@pytest.fixture
async def issuer(tls: Tls) -> AsyncGenerator[AuthorizationServer]:
    """Somebody's issuer, at which ada signs in."""
    async with AuthorizationServer(tls, auto_user="ada", resource_rule=True) as server:
        server.register(CLIENT_APP, "", CALLBACK)
        yield server


@pytest.fixture
def person(tls: Tls) -> Person:
    client = OAuthClientInformationFull(
        client_id=CLIENT_APP, redirect_uris=[AnyUrl(CALLBACK)], token_endpoint_auth_method="none"
    )
    return Person(Browser(tls), Kept(client))


@asynccontextmanager
async def gateway_with(folder: Path, upstream: CityUpstream, identity: str) -> AsyncGenerator[House]:
    """A gateway in front of the upstream that knows its own URL, which `{url}` stands for in `identity`."""
    async with (
        listening(upstream) as base,
        house_that_knows_its_url(folder, f"identity:\n{identity}", lambda built: built.catalog(f"{base}/mcp")) as built,
    ):
        yield built


def trusting(entra: Entra) -> str:
    """The settings that let users of the tenant in; each connection's URL is an App ID URI there."""
    return f"""\
  entra:
    tenant_id: {TENANT}
    audiences: [{GATEWAY_APP}]
    authority: {entra.url}
    private: true
    scopes: [Mcp.Use]
"""


def trusting_issuer(issuer: AuthorizationServer) -> str:
    """The settings that let users of the issuer in, with tokens for `city` as its URL alone."""
    return f"""\
  oidc:
    - {{ issuer: "{issuer.url}", private: true, scopes: ["{{url}}/mcp/city/read"] }}
"""


def registered(entra: Entra, *uris: str) -> None:
    """Give the gateway's app these App ID URIs."""
    entra.apps[GATEWAY_APP].uris = uris


def carries_a_token_of(peer: WebPeer, kept: Kept, upstream: CityUpstream) -> list[str]:
    """Which secrets of the sign-in stand anywhere in what the upstream got."""
    secrets = [
        value for token in [kept.tokens] if token for value in (token.access_token, token.refresh_token) if value
    ]
    secrets += [asked.form["code"] for asked in peer.asked("/token") if "code" in asked.form]
    return [one for one in secrets for seen in upstream.ledger if one in f"{seen.target}{seen.headers}{seen.body!r}"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_person_signs_in_at_entra_and_calls_a_tool(
    tmp_path: Path, upstream: CityUpstream, entra: Entra, person: Person, mode: str
) -> None:
    async with gateway_with(tmp_path, upstream, trusting(entra)) as gateway:
        registered(entra, f"{gateway.url}/mcp/city")
        assert await person.calls(f"{gateway.url}/mcp/city", mode) == "Kyoto\u2028"
        [intent] = await gateway.records(event="intent", **{"gen_ai.tool.name": "get_city"})
    [authorize] = entra.asked("/authorize")
    assert authorize.query["resource"] == f"{gateway.url}/mcp/city"
    assert f"{gateway.url}/mcp/city/Mcp.Use" in authorize.query["scope"].split()
    assert [asked.form["grant_type"] for asked in entra.asked("/token")] == ["authorization_code"]
    assert intent["mcpgov.principal.object_id"] == entra.object_id("ada")
    assert intent["mcpgov.principal.kind"] == "user"
    assert upstream.calls[0].headers["authorization"] == "Bearer upstream-secret"
    assert carries_a_token_of(entra, person.kept, upstream) == []


@pytest.mark.parametrize("mode", MODES)
async def test_a_person_signs_in_at_an_issuer_and_calls_a_tool(
    tmp_path: Path, upstream: CityUpstream, issuer: AuthorizationServer, person: Person, mode: str
) -> None:
    async with gateway_with(tmp_path, upstream, trusting_issuer(issuer)) as gateway:
        assert await person.calls(f"{gateway.url}/mcp/city", mode) == "Kyoto\u2028"
        [intent] = await gateway.records(event="intent", **{"gen_ai.tool.name": "get_city"})
    assert intent["mcpgov.principal.id"] == f"oidc:{issuer.url}#ada"
    assert issuer.consents == [("ada", CLIENT_APP)]
    assert carries_a_token_of(issuer, person.kept, upstream) == []


async def test_a_person_signs_in_once_for_many_calls(
    tmp_path: Path, upstream: CityUpstream, entra: Entra, person: Person
) -> None:
    async with gateway_with(tmp_path, upstream, trusting(entra)) as gateway:
        registered(entra, f"{gateway.url}/mcp/city")
        for _ in range(3):
            await person.calls(f"{gateway.url}/mcp/city")
    assert len(person.browser.opened) == 1
    assert len(upstream.calls) == 3


async def test_entra_refuses_a_url_that_is_no_app_id_uri(
    tmp_path: Path, upstream: CityUpstream, entra: Entra, person: Person
) -> None:
    async with gateway_with(tmp_path, upstream, trusting(entra)) as gateway:
        with pytest.raises(ExceptionGroup):
            await person.calls(f"{gateway.url}/mcp/city")
    assert "AADSTS500011" in person.browser.answer["error_description"]
    assert upstream.ledger == []


async def test_an_issuer_refuses_a_resource_that_its_scopes_do_not_come_from(
    tmp_path: Path, upstream: CityUpstream, issuer: AuthorizationServer, person: Person
) -> None:
    async with gateway_with(tmp_path, upstream, trusting_issuer(issuer)) as gateway:
        with pytest.raises(ExceptionGroup):
            await person.calls(f"{gateway.url}/mcp/town")  # whose metadata names the scope of the other
    assert "AADSTS9010010" in person.browser.answer["error_description"]
    assert upstream.ledger == []


async def test_a_token_for_one_connection_is_none_for_another(
    tmp_path: Path, upstream: CityUpstream, issuer: AuthorizationServer, person: Person
) -> None:
    async with gateway_with(tmp_path, upstream, trusting_issuer(issuer)) as gateway:
        await person.calls(f"{gateway.url}/mcp/city")
        assert person.kept.tokens is not None
        before = len(upstream.ledger)
        client = await gateway.client("town", key="")
        reply = await client.call("get_city", Authorization=f"Bearer {person.kept.tokens.access_token}")
        assert reply.status == 401
        assert f'resource_metadata="{gateway.url}/.well-known/' in reply.headers["www-authenticate"]
        [denial] = await gateway.records(**{"mcpgov.decision.reason": "jwt-audience-denied"})
    assert denial["mcpgov.connection"] == "town"
    assert len(upstream.ledger) == before


async def test_a_token_with_too_little_scope_leads_to_a_second_sign_in(
    tmp_path: Path, upstream: CityUpstream, entra: Entra, person: Person
) -> None:
    async with gateway_with(tmp_path, upstream, trusting(entra)) as gateway:
        registered(entra, f"{gateway.url}/mcp/city")
        person.kept.tokens = OAuthToken(access_token=entra.tokens.user(scp="Other.Scope"), expires_in=3600)
        assert await person.calls(f"{gateway.url}/mcp/city") == "Kyoto\u2028"
        assert await gateway.records(**{"mcpgov.decision.reason": "scope-missing"})
    assert len(person.browser.opened) == 1
