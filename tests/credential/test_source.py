"""Each connection gets its own credential, by its authType, or the call is refused; nobody is acted for by mistake."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from mcpgov.credential.cache import TokenCache, no_token
from mcpgov.credential.keys import ConnectionKeys
from mcpgov.credential.source import CredentialSources, Microsoft
from mcpgov.credential.tokens import AccessToken, AzureIdentity, EntraApp
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import (
    AuthType,
    CallerToken,
    Connection,
    Credential,
    OAuthClient,
    Principal,
    PrincipalKind,
    RemoteUpstream,
    Secret,
    SignIn,
)
from tests.credential.clock import Clock

SEARCH = "https://search.azure.com"
AZURE = AzureIdentity("tenant", app=EntraApp("our-app"), blueprint=EntraApp("our-blueprint"))
ALICE = Principal("user:alice", PrincipalKind.USER, object_id="oid-alice", assertion=Secret("assertion-of-alice"))
BOB = Principal("user:bob", PrincipalKind.USER, object_id="oid-bob", assertion=Secret("assertion-of-bob"))
AGENT = Principal("agent:one", PrincipalKind.AGENT, agent_id="AGENT-ONE", assertion=Secret("app-only"))
KEY = Principal("key:one", PrincipalKind.KEY)
HEADER_USER = Principal("proxy:carol", PrincipalKind.USER)  # named by a proxy: a user without a token
OAUTH = OAuthClient("our-client", Secret("s"), "https://as.example/token", resource="https://api.example")


@dataclass
class Twin:
    """Implements MicrosoftTokens, OAuthTokens and Links in memory. Each token says what it was asked for."""

    clock: Clock
    asked: list[str] = field(default_factory=list[str])
    rejected: list[str] = field(default_factory=list[str])
    fails: Refusal | None = None

    def _give(self, *what: str) -> AccessToken:
        self.asked.append(" ".join(what))
        if self.fails:
            raise self.fails
        return AccessToken.lasting(Secret(f"{' '.join(what)} #{len(self.asked)}"), 3600, self.clock())

    async def managed(self, scope: str, client_id: str = "") -> AccessToken:
        return self._give("managed", client_id, scope)

    async def agent(self, agent_id: str, scope: str) -> AccessToken:
        return self._give("agent", agent_id, scope)

    async def agent_for_user(self, agent_id: str, scope: str, assertion: Secret) -> AccessToken:
        return self._give("agent", agent_id, "for", assertion.reveal(), scope)

    async def on_behalf_of(self, scope: str, assertion: Secret) -> AccessToken:
        return self._give("for", assertion.reveal(), scope)

    async def token(self, connection: Connection, principal: Principal) -> AccessToken:
        return self._give("oauth", connection.name, principal.id)

    def reject(self, connection: Connection, principal: Principal, token: AccessToken) -> None:
        self.rejected.append(token.secret.reveal())

    def entra_link(self, connection: Connection, principal: Principal) -> str:
        return f"https://mcpgov.example/consent/{connection.name}-{principal.id}"

    def user_required(self, connection: Connection) -> Refusal:
        refusal = Refusal(Reason.USER_REQUIRED, "A user is needed.")
        refusal.link = f"https://mcpgov.example/consent/{connection.name}"
        return refusal


@dataclass
class Stage:
    clock: Clock = field(default_factory=Clock)
    azure: AzureIdentity = AZURE
    twin: Twin = field(init=False)
    sources: CredentialSources = field(init=False)

    def __post_init__(self) -> None:
        self.twin = Twin(self.clock)
        microsoft = Microsoft(self.azure, self.twin)
        self.sources = CredentialSources(ConnectionKeys(), TokenCache(self.clock), self.twin, self.twin, microsoft)

    async def credential(self, connection: Connection, principal: Principal = KEY) -> Credential:
        return await self.sources.credential_for(connection, principal)

    async def refusal(self, connection: Connection, principal: Principal = KEY) -> Refusal:
        with pytest.raises(Refusal) as caught:
            await self.credential(connection, principal)
        return caught.value


def to(auth_type: AuthType, **sign_in: Any) -> Connection:
    """A connection that signs in so, for SEARCH unless it says otherwise."""
    chosen = replace(SignIn(audience=SEARCH), **sign_in)
    return Connection("search", "com.contoso/search", RemoteUpstream("https://x.example/"), auth_type, sign_in=chosen)


def shown(credential: Credential) -> dict[str, str]:
    return {name: secret.reveal() for name, secret in credential.headers}


MANAGED = to(AuthType.PROJECT_MANAGED_IDENTITY)
AGENTIC = to(AuthType.AGENTIC_IDENTITY, agent_identity="own", agent_identities=(("agent-one", "mapped"),))
USER = to(AuthType.USER_ENTRA)
CONSENTED = to(AuthType.OAUTH2, audience="", oauth=OAUTH)


async def test_no_authentication_sends_nothing_and_keys_are_those_of_the_catalog() -> None:
    stage = Stage()
    nothing = await stage.credential(to(AuthType.NONE))
    assert (nothing.kind, nothing.headers, nothing.renewal) == ("None", (), None)
    keys = (("X-Key", Secret("k")), ("X-Other", Secret("o")))
    keyed = await stage.credential(replace(to(AuthType.CUSTOM_KEYS), keys=keys))
    assert (keyed.kind, keyed.headers, keyed.reference) == ("CustomKeys", keys, "com.contoso/search#search")
    assert (keyed.identity, keyed.audience, keyed.renewal) == ("", "", None)
    assert (await stage.refusal(to(AuthType.CUSTOM_KEYS))).reason is Reason.CREDENTIAL_UNAVAILABLE
    assert stage.twin.asked == []


@pytest.mark.parametrize(
    ("azure", "named", "asked", "identity"),
    [
        (AZURE, "", "", "system-assigned"),
        (replace(AZURE, identity="workload"), "", "", "workload"),
        (replace(AZURE, managed_identity="of-settings"), "", "of-settings", "of-settings"),
        (replace(AZURE, managed_identity="of-settings"), "of-connection", "of-connection", "of-connection"),
    ],
)
async def test_a_managed_identity_is_that_of_the_connection_or_of_the_settings(
    azure: AzureIdentity, named: str, asked: str, identity: str
) -> None:
    stage = Stage(azure=azure)
    credential = await stage.credential(to(AuthType.PROJECT_MANAGED_IDENTITY, identity=named))
    assert shown(credential) == {"Authorization": f"Bearer managed {asked} {SEARCH}/.default #1"}
    assert (credential.kind, credential.identity, credential.audience) == ("ProjectManagedIdentity", identity, SEARCH)


async def test_a_token_is_kept_for_its_own_connection_and_identity() -> None:
    stage = Stage()
    first = await stage.credential(MANAGED)
    assert (await stage.credential(MANAGED, ALICE)).headers == first.headers
    others = [
        replace(MANAGED, name="other"),
        to(AuthType.PROJECT_MANAGED_IDENTITY, identity="another"),
        to(AuthType.PROJECT_MANAGED_IDENTITY, audience="https://storage.azure.com"),
        to(AuthType.AGENTIC_IDENTITY, agent_identity="own"),
    ]
    for count, connection in enumerate(others, 2):
        assert (await stage.credential(connection)).headers != first.headers
        assert len(stage.twin.asked) == count


@pytest.mark.parametrize(
    ("principal", "agent"),
    [(AGENT, "mapped"), (replace(AGENT, agent_id="agent-two"), "own"), (KEY, "own"), (ALICE, "own")],
    ids=["mapped", "not mapped", "key", "user"],
)
async def test_an_agent_identity_is_that_of_the_calling_agent_or_the_connections_own(
    principal: Principal, agent: str
) -> None:
    stage = Stage()
    credential = await stage.credential(AGENTIC, principal)
    assert shown(credential) == {"Authorization": f"Bearer agent {agent} {SEARCH}/.default #1"}
    assert (credential.identity, credential.audience) == (agent, SEARCH)


async def test_an_agent_identity_acts_for_a_user_where_the_connection_says_so() -> None:
    stage, connection = Stage(), replace(AGENTIC, sign_in=replace(AGENTIC.sign_in, on_behalf_of=True))
    credential = await stage.credential(connection, ALICE)
    assert shown(credential) == {"Authorization": f"Bearer agent own for assertion-of-alice {SEARCH}/.default #1"}
    assert credential.identity == "own on-behalf-of oid-alice"
    assert "for" not in shown(await stage.credential(connection, AGENT))["Authorization"]  # an app's is not exchanged
    refusal = await stage.refusal(connection, HEADER_USER)  # and no user's call is made as the agent's own
    assert (refusal.reason, refusal.link) == (Reason.USER_REQUIRED, "https://mcpgov.example/consent/search")


async def test_an_agent_identity_without_consent_needs_an_administrator() -> None:
    stage, connection = Stage(), replace(AGENTIC, sign_in=replace(AGENTIC.sign_in, on_behalf_of=True))
    stage.twin.fails = Refusal(Reason.CONSENT_REQUIRED, "agree", detail="AADSTS65001")
    refusal = await stage.refusal(connection, ALICE)
    assert (refusal.reason, refusal.link, refusal.detail) == (Reason.CONSENT_REQUIRED, "", "AADSTS65001")
    assert "administrator" in refusal.message
    stage.twin.fails = no_token("down")
    assert (await stage.refusal(connection, BOB)).reason is Reason.CREDENTIAL_UNAVAILABLE


async def test_each_user_has_a_token_of_their_own() -> None:
    stage = Stage()
    alice, bob = await stage.credential(USER, ALICE), await stage.credential(USER, BOB)
    assert shown(alice) == {"Authorization": f"Bearer for assertion-of-alice {SEARCH}/.default #1"}
    assert shown(bob) == {"Authorization": f"Bearer for assertion-of-bob {SEARCH}/.default #2"}
    assert (alice.identity, bob.identity) == ("on-behalf-of oid-alice", "on-behalf-of oid-bob")
    again = replace(ALICE, assertion=Secret("assertion-of-alice, renewed"))
    assert "renewed" in shown(await stage.credential(USER, again))["Authorization"]


@pytest.mark.parametrize("kind", [kind for kind in PrincipalKind if not kind.is_user])
async def test_nobody_but_a_user_is_acted_for(kind: PrincipalKind) -> None:
    stage = Stage()
    refusal = await stage.refusal(USER, Principal("x", kind, assertion=Secret("app-only")))
    assert (refusal.reason, refusal.link) == (Reason.USER_REQUIRED, "https://mcpgov.example/consent/search")
    assert stage.twin.asked == []


async def test_a_user_who_has_not_agreed_gets_a_link_of_their_own() -> None:
    stage = Stage()
    stage.twin.fails = Refusal(Reason.CONSENT_REQUIRED, "agree", detail="AADSTS65001")
    links = {(await stage.refusal(USER, user)).link for user in (ALICE, BOB, ALICE)}
    assert links == {f"https://mcpgov.example/consent/search-user:{name}" for name in ("alice", "bob")}
    assert len(stage.twin.asked) == 2


async def test_oauth_is_asked_for_each_call_and_says_whose_token_it_was() -> None:
    stage = Stage()
    credential = await stage.credential(CONSENTED, ALICE)
    assert shown(credential) == {"Authorization": "Bearer oauth search user:alice #1"}
    assert (credential.kind, credential.identity) == ("OAuth2", "our-client for user:alice")
    assert credential.audience == "https://api.example"
    own = replace(CONSENTED, sign_in=SignIn(oauth=replace(OAUTH, per_user=False)))
    assert (await stage.credential(own)).identity == "our-client"
    assert credential.renewal is not None
    credential.renewal.reject()
    assert stage.twin.rejected == ["oauth search user:alice #1"]


async def test_a_caller_token_goes_besides_in_its_own_header() -> None:
    stage = Stage()
    second = CallerToken("x-ms-query-source-authorization", SEARCH)
    both = replace(MANAGED, sign_in=replace(MANAGED.sign_in, caller_token=second))
    credential = await stage.credential(both, ALICE)
    assert shown(credential) == {
        "Authorization": f"Bearer managed  {SEARCH}/.default #1",
        "x-ms-query-source-authorization": f"Bearer for assertion-of-alice {SEARCH}/.default #2",
    }
    assert credential.identity == "system-assigned, on-behalf-of oid-alice"
    assert credential.audience == f"{SEARCH}, {SEARCH}"
    assert (await stage.refusal(both, AGENT)).reason is Reason.USER_REQUIRED
    keyed = replace(both, auth_type=AuthType.CUSTOM_KEYS, keys=(("api-key", Secret("k")),))
    assert list(shown(await stage.credential(keyed, ALICE))) == ["api-key", "x-ms-query-source-authorization"]


async def test_a_caller_token_that_is_not_required_is_left_out_where_there_is_no_user() -> None:
    stage = Stage()
    second = CallerToken("x-user", SEARCH, required=False)
    optional = replace(MANAGED, sign_in=replace(MANAGED.sign_in, caller_token=second))
    for principal in (AGENT, KEY, HEADER_USER):
        assert list(shown(await stage.credential(optional, principal))) == ["Authorization"]
    stage.twin.fails = no_token("down")  # but a user's is never left out
    assert (await stage.refusal(optional, ALICE)).reason is Reason.CREDENTIAL_UNAVAILABLE


async def test_a_refused_credential_is_replaced_by_one_of_the_same_identity() -> None:
    stage = Stage()
    credential = await stage.credential(USER, ALICE)
    assert credential.renewal is not None
    credential.renewal.reject()
    renewed = await credential.renewal.credential()
    assert shown(renewed) == {"Authorization": f"Bearer for assertion-of-alice {SEARCH}/.default #2"}
    assert renewed.identity == credential.identity
    assert renewed.renewal is not None
    renewed.renewal.reject()
    assert (await stage.credential(USER, ALICE)).headers == renewed.headers  # not twice in a minute
    stage.clock.pass_(timedelta(minutes=1).total_seconds())
    renewed.renewal.reject()
    assert (await stage.credential(USER, ALICE)).headers != renewed.headers


@pytest.mark.parametrize("connection", [MANAGED, AGENTIC, USER, CONSENTED], ids=lambda one: one.auth_type)
async def test_what_is_not_set_up_is_refused_and_nothing_takes_its_place(connection: Connection) -> None:
    sources = CredentialSources(ConnectionKeys(), TokenCache(Clock()), Stage().twin)
    with pytest.raises(Refusal) as caught:
        await sources.credential_for(replace(connection, keys=(("api-key", Secret("k")),)), ALICE)
    assert caught.value.reason is Reason.CREDENTIAL_UNAVAILABLE


@pytest.mark.parametrize("connection", [MANAGED, AGENTIC, USER, CONSENTED], ids=lambda one: one.auth_type)
async def test_a_credential_that_cannot_be_had_is_a_refusal(connection: Connection) -> None:
    stage = Stage()
    stage.twin.fails = no_token("Microsoft Entra: invalid_client AADSTS7000215")
    refusal = await stage.refusal(connection, ALICE)
    assert (refusal.reason, refusal.detail) == (Reason.CREDENTIAL_UNAVAILABLE, stage.twin.fails.detail)


async def test_a_policy_gets_the_token_of_the_host_and_it_is_kept() -> None:
    stage = Stage()
    token = await stage.sources.managed_token("https://graph.microsoft.com", "chosen")
    assert token.secret.reveal() == "managed chosen https://graph.microsoft.com/.default #1"
    assert (token.identity, token.audience) == ("chosen", "https://graph.microsoft.com")
    assert await stage.sources.managed_token("https://graph.microsoft.com", "chosen") == token
    assert await stage.sources.managed_token("https://graph.microsoft.com") != token


async def test_no_credential_prints_its_token() -> None:
    stage = Stage()
    for connection in (MANAGED, AGENTIC, USER, CONSENTED):
        credential = await stage.credential(connection, ALICE)
        assert "Bearer" not in repr(credential)
        assert "assertion-of" not in repr(credential) + repr(credential.renewal)
