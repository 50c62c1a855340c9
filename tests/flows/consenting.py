"""A gateway with one OAuth2 connection, the issuer of its callers, the server that is asked, and people at browsers."""

import asyncio
import base64
import html
import re
import secrets
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from mcpgov import app
from mcpgov.endpoint.server import GatewayServer
from tests.flows.house import META, STATELESS, Client, House, Reply, rpc
from tests.flows.upstream import CityUpstream, listening
from tests.peers.authorization_server import AuthorizationServer

AUDIENCE = "api://mcpgov"
SIGN_IN_SECRET = "5f0e7c1b9d3a48e2a6c4f1d7"
GATEWAY_SECRET = "c83b12f7e5d94a60b1e8d2f5"
ELICITS: dict[str, Any] = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"url": {}}}}


class CityOfUsers(CityUpstream):
    """An upstream that lets in whom the authorization server knows, and nobody else."""

    def __init__(self, server: AuthorizationServer) -> None:
        super().__init__()
        self.server = server
        self.users: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        bearer = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
        self.users.append(self.server.user_of(bearer))
        if self.users[-1]:
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@dataclass(frozen=True, slots=True)
class Page:
    """What a person sees: where they are, and the HTML."""

    status: int
    url: str
    text: str

    @property
    def title(self) -> str:
        """The heading."""
        found = re.search(r"<h1>(.*?)</h1>", self.text, re.DOTALL)
        return html.unescape(found[1]) if found else ""

    @property
    def follows(self) -> str:
        """Where the page leads by itself, as browsers without scripts read it."""
        found = re.search(r'http-equiv="refresh" content="0;url=([^"]*)"', self.text)
        return html.unescape(found[1]) if found else ""

    @property
    def hidden(self) -> dict[str, str]:
        """The hidden fields of its form."""
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.text))


class Person:
    """Somebody at a browser of their own, signed in as `name` wherever they are asked."""

    def __init__(self, http: aiohttp.ClientSession, name: str) -> None:
        self.http = http
        self.name = name

    async def open(self, url: str) -> Page:
        """Open a link, and every page that follows by itself; sign in and agree where somebody asks."""
        async with self.http.get(url) as response:
            page = Page(response.status, str(response.url), await response.text())
        if "<form method" in page.text and "/authorize" in page.url:
            page = await self.send(page, user=self.name, choice="allow")
        return await self.open(page.follows) if page.follows else page

    async def send(self, page: Page, **fields: str) -> Page:
        """Send the form on a page, and go on to where that leads."""
        async with self.http.post(page.url, data=page.hidden | fields) as response:
            sent = Page(response.status, str(response.url), await response.text())
        return await self.open(sent.follows) if sent.follows else sent

    async def agree(self, link: str, **fields: str) -> Page:
        """Open a link and go all the way."""
        return await self.send(await self.open(link), **fields)


@dataclass
class Town:
    """Everything together."""

    house: House
    issuer: AuthorizationServer
    server: AuthorizationServer
    upstream: CityOfUsers

    def token(self, user: str) -> str:
        """A token with which the user may call the gateway."""
        return self.issuer.mint(user, aud=AUDIENCE, name=user.title())

    async def caller(self, user: str = "", *, key: str = "") -> Client:
        """A client of the connection, with a user's token or a gateway key."""
        client = await self.house.client("city", key)
        if user:
            client.headers["Authorization"] = f"Bearer {self.token(user)}"
        return client

    @asynccontextmanager
    async def person(self, name: str) -> AsyncGenerator[Person]:
        """Somebody at a browser."""
        jar = aiohttp.CookieJar(unsafe=True)  # which keeps cookies of addresses, as browsers do
        async with aiohttp.ClientSession(cookie_jar=jar) as http:
            yield Person(http, name)


async def eliciting_call(client: Client, **params: Any) -> Reply:
    """A tools/call by a client that can open links."""
    message = {"name": "get_city", "arguments": {}, **params, "_meta": {**META, **ELICITS}}
    mirrors = {"MCP-Protocol-Version": STATELESS, "Mcp-Method": "tools/call", "Mcp-Name": "get_city"}
    return await client.post(rpc("tools/call", message), mirrors)


def link_in(reply: Reply) -> str:
    """The link that a client that can open links was given."""
    result: Mapping[str, Any] = reply.message["result"]
    assert result["resultType"] == "input_required"
    return str(result["inputRequests"]["io.github.mcpgov/consent"]["params"]["url"])


@asynccontextmanager
async def town(folder: Path, auto_user: str = "") -> AsyncGenerator[Town]:
    """A town, its gateway served where its public_url says."""
    async with AuthorizationServer() as issuer, AuthorizationServer() as server:
        city = CityOfUsers(server)
        with socket.create_server(("127.0.0.1", 0)) as sock:
            public_url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            issuer.register("mcpgov", SIGN_IN_SECRET, f"{public_url}/oauth/callback")
            server.register("gateway", GATEWAY_SECRET, f"{public_url}/oauth/callback/city")
            issuer.auto_user = auto_user
            built = House(folder)
            async with listening(city) as upstream:
                built.write("mcpgov.yaml", settings(public_url, issuer.url))
                built.write("catalog/city.yaml", catalog(upstream, server.url))
                (folder / "policies").mkdir(exist_ok=True)
                async with app.running(folder / "mcpgov.yaml") as running, aiohttp.ClientSession() as http:
                    built.running, built.http, built.url = running, http, public_url
                    async with served(running.gateway, sock):
                        yield Town(built, issuer, server, city)


@asynccontextmanager
async def served(gateway: Any, sock: socket.socket) -> AsyncGenerator[None]:
    """The gateway on a socket that is there already."""
    server = GatewayServer(gateway)
    running = asyncio.create_task(server.serve_on(sock))
    while not server.started:
        await asyncio.sleep(0)
    try:
        yield
    finally:
        server.should_exit = server.force_exit = True
        await running


def settings(public_url: str, issuer: str) -> str:
    """mcpgov.yaml."""
    return f"""\
audit: {{ store: "sqlite:///audit.db" }}
health: {{ every: off }}
secrets: {{ key: "{base64.b64encode(secrets.token_bytes(32)).decode()}" }}
public_url: {public_url}
identity:
  oidc:
    - issuer: {issuer}
      audiences: ["{AUDIENCE}"]
      private: true
      sign_in: {{ client_id: mcpgov, client_secret: {SIGN_IN_SECRET} }}
"""


def catalog(upstream: str, server: str) -> str:
    """The catalog's one entry."""
    return f"""\
name: dev.mcpgov/city
version: 1.0.0
description: cities
upstream: {upstream}
private: true
connections:
  city:
    authType: OAuth2
    oauth:
      clientId: gateway
      clientSecret: {GATEWAY_SECRET}
      tokenUrl: {server}/token
      authorizationUrl: {server}/authorize
      revocationUrl: {server}/revoke
      scopes: [read]
      private: true
"""
