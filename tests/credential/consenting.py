"""What the tests of OAuth2 share: callers, a connection, a web that answers what it is told to, a clock."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from mcpgov.credential.browser_sign_in import BrowserSignIn
from mcpgov.credential.cache import TokenCache
from mcpgov.credential.oauth import OAuthTokens
from mcpgov.credential.tickets import ConsentLinks
from mcpgov.credential.token_endpoint import TokenEndpoint
from mcpgov.credential.vault import Tokens, Vault
from mcpgov.errors import Refusal
from mcpgov.models import (
    AuthType,
    Connection,
    Headers,
    OAuthClient,
    Principal,
    PrincipalKind,
    RemoteUpstream,
    Secret,
    SignIn,
)
from mcpgov.store.memory_vault import MemoryTokenVault
from mcpgov.web import Fields, Web, WebAnswer, WebUnavailable
from tests.audit.calls import NOW
from tests.audit.stores import Clock

KEY = b"0123456789abcdef0123456789ABCDEF"
ISSUER = "https://login.example.com"
GATEWAY = "https://mcp.contoso.com"
SIGN_IN = BrowserSignIn(ISSUER, f"{ISSUER}/.well-known/openid-configuration", "mcpgov", Secret("browser-client-secret"))
ALICE = Principal("oidc:alice", PrincipalKind.USER, "Alice", issuer=ISSUER, subject="alice")
BOB = Principal("oidc:bob", PrincipalKind.USER, "Bob", issuer=ISSUER, subject="bob")
HOLDER = Principal("key:3fGh81Kx", PrincipalKind.KEY, "build")
CLIENT = OAuthClient(
    client_id="gateway",
    client_secret=Secret("client-secret-of-mcpgov"),
    token_url="https://auth.example.com/token",
    authorization_url="https://auth.example.com/authorize",
    scopes=("repo", "read:org"),
)


def github(client: OAuthClient | None = CLIENT, url: str = "https://api.example.com/mcp") -> Connection:
    """A connection whose users consent, unless `client` says otherwise."""
    upstream = RemoteUpstream(url)
    return Connection("github", "com.contoso/github", upstream, AuthType.OAUTH2, sign_in=SignIn(oauth=client))


def answer(status: int = 200, **content: Any) -> WebAnswer:
    """A JSON answer."""
    return WebAnswer(status, Headers((("content-type", "application/json"),)), json.dumps(content).encode())


def issued(access: str = "access-1", refresh: str | None = "refresh-1", seconds: int | None = 3600) -> WebAnswer:
    """Tokens."""
    content: dict[str, Any] = {"access_token": access, "token_type": "Bearer"}
    content |= {"refresh_token": refresh} if refresh else {}
    return answer(**content, **({} if seconds is None else {"expires_in": seconds}))


@dataclass(frozen=True, slots=True)
class Post:
    """A form that was sent."""

    url: str
    form: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass
class ScriptedWeb:
    """A Web that answers one after the other, and then is down."""

    answers: list[WebAnswer | WebUnavailable] = field(default_factory=list[WebAnswer | WebUnavailable])
    posts: list[Post] = field(default_factory=list[Post])

    async def get(self, url: str, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        return self._next()

    async def post(
        self, url: str, form: Mapping[str, str], headers: Fields = (), *, private: bool = False
    ) -> WebAnswer:
        self.posts.append(Post(url, dict(form), dict(headers)))
        return self._next()

    def _next(self) -> WebAnswer:
        found = self.answers.pop(0) if self.answers else WebUnavailable("auth.example.com is down")
        if isinstance(found, WebUnavailable):
            raise found
        return found


class House:
    """The rooms of OAuth2, wired as a gateway wires them."""

    def __init__(self, web: Web | None = None, sign_ins: tuple[BrowserSignIn, ...] = (SIGN_IN,)) -> None:
        self.clock = Clock()
        self.script = ScriptedWeb()
        self.web = web or self.script
        self.rows = MemoryTokenVault()
        self.vault = Vault(self.rows, KEY, self.clock)
        self.endpoint = TokenEndpoint(self.web, self.clock)
        self.links = ConsentLinks(GATEWAY, KEY, sign_ins, self.clock)
        self.oauth = OAuthTokens(self.vault, self.endpoint, self.links, TokenCache(self.clock))

    def will(self, *answers: WebAnswer | WebUnavailable) -> None:
        """What the web answers next."""
        self.script.answers.extend(answers)


EPOCH = int(NOW.timestamp())
FRESH = Tokens(Secret("access-0"), EPOCH + 3600, Secret("refresh-0"))
ENDING = Tokens(Secret("access-0"), EPOCH + 30, Secret("refresh-0"))
OVER = Tokens(Secret("access-0"), EPOCH, Secret("refresh-0"))
GONE = answer(400, error="invalid_grant")


async def house_with(tokens: Tokens, principal: Principal = ALICE) -> House:
    """A house in which the principal has consented an hour ago."""
    house = House()
    house.clock.forward(-3600)
    await house.vault.keep(principal.id, github(), CLIENT, tokens)
    house.clock.forward(3600)
    return house


async def presented(house: House, principal: Principal = ALICE, client: OAuthClient = CLIENT) -> str:
    """The token that the principal's calls carry now."""
    return (await house.oauth.token(github(client), principal)).secret.reveal()


async def refused(house: House, principal: Principal = ALICE, connection: Connection | None = None) -> Refusal:
    """The refusal that the principal meets."""
    with pytest.raises(Refusal) as caught:
        await house.oauth.token(connection or github(), principal)
    return caught.value


async def kept(house: House, principal: Principal = ALICE) -> Tokens | None:
    """What the vault has."""
    entry = await house.vault.find(principal.id, github(), CLIENT)
    return entry and entry.tokens


class Meanwhile:
    """Lets something happen to the vault while the server is asked, and then answers."""

    def __init__(self, said: WebAnswer) -> None:
        self.said = said
        self.house: House | None = None
        self.tokens: Tokens | None = None

    async def get(self, url: str, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        raise WebUnavailable(url)

    async def post(self, url: str, form: object, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        assert self.house is not None
        self.house.rows.rows.clear()
        if self.tokens is not None:
            await self.house.vault.keep(ALICE.id, github(), CLIENT, self.tokens)
        return self.said
