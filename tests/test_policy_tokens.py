"""Policies get keys and tokens from where the stages get theirs, and no token of a connection that is not theirs."""

import pytest

from mcpgov.decision import FetchKeys, GetAuthorization, GetToken, Reason
from mcpgov.errors import Refusal
from mcpgov.json_web_token import KeySet
from mcpgov.models import AuthType, Connection, Issued, OAuthClient, RemoteUpstream, Secret, SignIn
from mcpgov.policy_tokens import PolicyTokens

CLIENT = OAuthClient("mcpgov", None, "https://auth.example/token", resource="https://api.example")
GITHUB = Connection(
    "github",
    "dev.mcpgov/github",
    RemoteUpstream("https://api.example/mcp"),
    AuthType.OAUTH2,
    sign_in=SignIn(oauth=CLIENT),
)
PLAIN = Connection("plain", "dev.mcpgov/plain", RemoteUpstream("https://api.example/mcp"))


class Sources:
    """All three sources; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    async def keys(self, url: str, kid: str = "") -> KeySet:
        self.asked.append((url, kid))
        return KeySet("issuer", ())

    async def managed_token(self, resource: str, client_id: str) -> Issued:
        self.asked.append((resource, client_id))
        return Issued(Secret("managed"), client_id, resource)

    async def authorization(self, connection: Connection, principal_id: str) -> Secret:
        self.asked.append((connection.name, principal_id))
        return Secret("user's")


def tokens(sources: Sources) -> PolicyTokens:
    return PolicyTokens(sources, sources, sources, {"github": GITHUB, "plain": PLAIN}.get)


async def test_each_effect_is_asked_of_its_own_source() -> None:
    sources = Sources()
    policies = tokens(sources)
    assert (await policies.keys(FetchKeys("https://issuer/config", "k1"))).issuer == "issuer"
    managed = Issued(Secret("managed"), "client", "https://search.azure.com")
    assert await policies.token(GetToken("https://search.azure.com", "client")) == managed
    users = Issued(Secret("user's"), "github for key:k1", "https://api.example")
    assert await policies.authorization(GetAuthorization("github", "key:k1")) == users
    assert sources.asked == [
        ("https://issuer/config", "k1"),
        ("https://search.azure.com", "client"),
        ("github", "key:k1"),
    ]


@pytest.mark.parametrize(("scope", "bounded"), [(("plain", "git-*"), True), (("git*",), False), ((), True)])
async def test_a_key_gets_no_token_of_a_connection_that_it_is_not_for(scope: tuple[str, ...], *, bounded: bool) -> None:
    sources = Sources()
    effect = GetAuthorization("github", "key:k1", scope)
    if not bounded:
        assert await tokens(sources).authorization(effect)
        return
    with pytest.raises(Refusal) as caught:
        await tokens(sources).authorization(effect)
    assert caught.value.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert sources.asked == []


@pytest.mark.parametrize("provider", ["plain", "nowhere"])
async def test_a_provider_that_is_no_oauth2_connection_has_no_token(provider: str) -> None:
    sources = Sources()
    with pytest.raises(Refusal) as caught:
        await tokens(sources).authorization(GetAuthorization(provider, "key:k1"))
    assert caught.value.reason is Reason.CREDENTIAL_UNAVAILABLE
    assert provider in caught.value.detail
    assert sources.asked == []
