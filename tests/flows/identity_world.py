"""Everything that identities need, on loopback: a tenant, a host with a managed identity, an authorization server, and
a gateway with one connection for each authType in front of one upstream.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.flows.house import House, Reply, house_that_knows_its_url
from tests.flows.upstream import CityUpstream, listening
from tests.peers.authorization_server import AuthorizationServer
from tests.peers.azure_host import IdentityHost
from tests.peers.entra import Entra
from tests.peers.entra_tokens import AGENT, BLUEPRINT, GATEWAY_APP, OTHER_AGENT, TENANT
from tests.peers.tls import Tls, throw_away_tls

CALLING_AGENT: Final = "cccccccc-0000-4000-8000-00000000000a"
VAULT_KEY: Final = "qk3v0nJ1b8mW5xT7yR2uPzLcGdHsAeFj9iKoQwXtMaY="
SEARCH: Final = "https://search.azure.com"
SECRETS: Final[Mapping[str, str]] = {
    "APP_SECRET": "app-secret-3XkP9vQ2mL7tR4wZ",
    "BLUEPRINT_SECRET": "blueprint-secret-8HjN5cY1sD6gB0fK",
    "OAUTH_SECRET": "oauth-secret-U2eT7aV4iO9pW1qM",
    "SERVICE_SECRET": "service-secret-L6rG3xJ8zC5nS0bH",
    "CITY_KEY": "city-key-Y4dF7kQ1wE9mP2tA",
    "TOWN_KEY": "town-key-R8vB3hN6jX0lZ5cU",
}
SETTINGS: Final = f"""\
secrets: {{ key: "{VAULT_KEY}" }}
identity:
  entra: {{ tenant_id: {TENANT}, audiences: [{GATEWAY_APP}, {BLUEPRINT}], authority: "{{entra}}", private: true }}
azure:
  tenant_id: {TENANT}
  authority: "{{entra}}"
  private: true
  app: {{ client_id: {GATEWAY_APP}, client_secret: "${{env:APP_SECRET}}" }}
  blueprint: {{ client_id: {BLUEPRINT}, client_secret: "${{env:BLUEPRINT_SECRET}}" }}
"""
CATALOG: Final = f"""\
name: dev.mcpgov/city
upstream: {{upstream}}/mcp
private: true
connections:
  open: {{ authType: None }}
  keys:
    authType: CustomKeys
    keys: {{ X-City-Key: "${{env:CITY_KEY}}", Authorization: "Bearer ${{env:TOWN_KEY}}" }}
  managed: {{ authType: ProjectManagedIdentity, audience: {SEARCH} }}
  agent:
    authType: AgenticIdentityToken
    audience: {SEARCH}
    agentIdentity: {AGENT}
    agentIdentities: {{ {CALLING_AGENT}: {OTHER_AGENT} }}
  agent-for-user: {{ authType: AgenticIdentityToken, audience: {SEARCH}, agentIdentity: {AGENT}, onBehalfOf: true }}
  user: {{ authType: UserEntraToken, audience: {SEARCH} }}
  second:
    authType: CustomKeys
    keys: {{ X-City-Key: "${{env:CITY_KEY}}" }}
    callerToken: {{ header: x-ms-query-source-authorization, audience: {SEARCH} }}
  consented:
    authType: OAuth2
    oauth:
      clientId: mcpgov
      clientSecret: ${{env:OAUTH_SECRET}}
      authorizationUrl: {{oauth}}/authorize
      tokenUrl: {{oauth}}/token
      revocationUrl: {{oauth}}/revoke
      scopes: [read]
      private: true
  service:
    authType: OAuth2
    oauth:
      clientId: service
      clientSecret: ${{env:SERVICE_SECRET}}
      tokenUrl: {{oauth}}/token
      scopes: [read]
      grant: client_credentials
      private: true
"""


@dataclass
class World:
    """The peers, the upstream whose ledger is the witness, and the gateway in front of it."""

    house: House
    upstream: CityUpstream
    entra: Entra
    host: IdentityHost
    oauth: AuthorizationServer
    tls: Tls

    async def call(self, connection: str, *, key: str = "", token: str = "", **headers: str) -> Reply:
        """Call a tool with a gateway key, or with a token."""
        client = await self.house.client(connection, key)
        return await client.call("get_city", {}, **headers, **({"authorization": f"Bearer {token}"} if token else {}))

    async def consent(self, link: str, key: str, user: str) -> str:
        """Open a consent page, prove to be the key's holder, sign in at the server as `user`: the last page's text."""
        self.oauth.auto_user = user
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            page = await self._page(browser, link)
            form = {"form": hidden(page, "form"), "key": key}
            async with browser.post(link, data=form, allow_redirects=False) as answer:
                onward = answer.headers.get("location") or linked(await answer.text())
            async with browser.get(onward, ssl=self.tls.client_context(), allow_redirects=False) as answer:
                back = answer.headers["location"]
            return await self._page(browser, back)

    async def _page(self, browser: aiohttp.ClientSession, url: str) -> str:
        async with browser.get(url) as answer:
            return await answer.text()


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, page
    return found[1]


def linked(page: str) -> str:
    """Where the one link of a page leads."""
    found = re.search(r'href="(https?://[^"]+)"', page)
    assert found, page
    return found[1].replace("&amp;", "&")


def link_in(reply: Reply) -> str:
    """The consent link in a refusal that a client of the 2026-07-28 era without elicitation gets: in the text."""
    [link] = set(re.findall(r"http://[^\s\"]+/consent/[A-Za-z0-9_-]+", reply.body.decode()))
    return link


@asynccontextmanager
async def world(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, settings: str = "", files: Mapping[str, str] | None = None
) -> AsyncGenerator[World]:
    """The gateway with everything around it; `settings` are added to its own, `files` to its catalog and policies."""
    tls = throw_away_tls(folder)
    for name, value in {**SECRETS, "SSL_CERT_FILE": str(tls.ca_file)}.items():
        monkeypatch.setenv(name, value)
    upstream = CityUpstream()
    entra = Entra(tls)
    async with (
        entra,
        AuthorizationServer(tls, auto_user="ada") as oauth,
        IdentityHost(entra=entra) as host,
        listening(upstream) as base,
    ):
        for name, value in host.imds_environment.items():
            monkeypatch.setenv(name, value)
        entra.register(GATEWAY_APP, SECRETS["APP_SECRET"])
        entra.register(BLUEPRINT, SECRETS["BLUEPRINT_SECRET"])
        for agent in (AGENT, OTHER_AGENT):
            entra.register(agent, blueprint=BLUEPRINT)
        oauth.register("service", SECRETS["SERVICE_SECRET"])

        def furnish(built: House) -> None:
            oauth.register("mcpgov", SECRETS["OAUTH_SECRET"], f"{built.url}/oauth/callback/consented")
            for name, text in {"catalog/city.yaml": CATALOG, **(files or {})}.items():
                built.write(name, text.replace("{upstream}", base).replace("{oauth}", oauth.url))

        written = SETTINGS.replace("{entra}", entra.url) + settings
        async with house_that_knows_its_url(folder, written, furnish) as house:
            yield World(house, upstream, entra, host, oauth, tls)
