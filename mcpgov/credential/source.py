"""Stage 4: which credential a connection gets, by its authType. One dispatch, and no second choice.

    None, CustomKeys          what stands in the catalog (keys.py)
    ProjectManagedIdentity    the host's identity, for the connection's audience
    AgenticIdentityToken      an agent identity of our blueprint; for the calling user where the catalog says so
    OAuth2                    a token of the user who consented, or of the connection itself (oauth.py)
    UserEntraToken            our app, on behalf of the calling user
    callerToken               besides: a token on behalf of the calling user, in a header of its own

Rules: a connection gets its own credential or the call is refused; never another connection's, never another
identity's, never none. What a caller presented is never passed on: a user's token is exchanged, and an app's token
cannot be, so that nobody acts for an app. Records get names and ids, and no value.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.credential.cache import TokenKey, no_token
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.models import AuthType, Credential, Issued, Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcpgov.credential.cache import Fetch, TokenCache
    from mcpgov.credential.keys import ConnectionKeys
    from mcpgov.credential.tokens import AccessToken, AzureIdentity, MicrosoftTokens, OAuthTokens
    from mcpgov.models import Connection, Principal

AUTHORIZATION: Final = "Authorization"
NO_USER: Final = (
    "This server acts for one user at a time, and this call comes without the token of a user. "
    "Call it signed in with Microsoft Entra, or through an agent that acts on behalf of a user."
)
NO_AGENT_CONSENT: Final = (
    "The agent identity of this connection may not act for you yet. "
    "An administrator has to grant it the server's permissions in Microsoft Entra."
)


class Links(Protocol):
    """Where people mend what stands in the way of a credential."""

    def entra_link(self, connection: Connection, principal: Principal) -> str:
        """The link of a page where this user consents at Entra. Raises Refusal where there can be none."""
        ...

    def user_required(self, connection: Connection) -> Refusal:
        """The refusal, with a link to an explanation, of a caller that is no user."""
        ...


@frozen
class Microsoft:
    """What `azure:` in the settings gives: who we are there, and who gets tokens."""

    identity: AzureIdentity
    tokens: MicrosoftTokens


@frozen
class Grant:
    """A token that was got for one call: whose it is, what for, and how it is given back when the upstream refuses."""

    token: AccessToken
    identity: str
    audience: str
    reject: Callable[[], None]


class CredentialSources:
    """Implements pipeline.CredentialSource. Without `microsoft` or `oauth`, what needs them is refused."""

    def __init__(
        self,
        keys: ConnectionKeys,
        cache: TokenCache,
        links: Links,
        oauth: OAuthTokens | None = None,
        microsoft: Microsoft | None = None,
    ) -> None:
        self._keys = keys
        self._cache = cache
        self._links = links
        self._oauth = oauth
        self._microsoft = microsoft

    async def credential_for(self, connection: Connection, principal: Principal) -> Credential:
        """The connection's own credential. Raises Refusal: credential-unavailable, consent-required, user-required."""
        grants: list[Grant] = []
        if connection.auth_type in {AuthType.NONE, AuthType.CUSTOM_KEYS}:
            own = await self._keys.credential_for(connection, principal)
            if connection.sign_in.caller_token is None:
                return own
            headers = own.headers
        else:
            grants.append(await self._grant(connection, principal))
            headers = (bearer(AUTHORIZATION, grants[0]),)
        wanted = connection.sign_in.caller_token
        if wanted is not None and (wanted.required or exchangeable(principal)):
            grants.append(await self._for_user(connection, principal, wanted.audience))
            headers = (*headers, bearer(wanted.header, grants[-1]))
        return Credential(
            kind=connection.auth_type.value,
            reference=f"{connection.server}#{connection.name}",
            headers=headers,
            identity=", ".join(grant.identity for grant in grants),
            audience=", ".join(grant.audience for grant in grants if grant.audience),
            renewal=Renewed(self, connection, principal, tuple(grants)) if grants else None,
        )

    async def managed_token(self, resource: str, client_id: str = "") -> Issued:
        """A token of the host's identity, as a policy asks for it. Raises Refusal (credential-unavailable)."""
        grant = await self._managed("", resource, client_id)
        return Issued(grant.token.secret, grant.identity, grant.audience)

    async def _grant(self, connection: Connection, principal: Principal) -> Grant:
        sign_in = connection.sign_in
        if connection.auth_type is AuthType.PROJECT_MANAGED_IDENTITY:
            return await self._managed(connection.name, sign_in.audience, sign_in.identity)
        if connection.auth_type is AuthType.AGENTIC_IDENTITY:
            return await self._agent(connection, principal)
        if connection.auth_type is AuthType.USER_ENTRA:
            return await self._for_user(connection, principal, sign_in.audience)
        return await self._consented(connection, principal)

    async def _managed(self, connection: str, audience: str, client_id: str) -> Grant:
        azure, tokens = self._azure()
        chosen = client_id or azure.managed_identity
        key = TokenKey("managed", azure.tenant_id, connection, audience, (scope(audience),), chosen)
        identity = chosen or ("system-assigned" if azure.identity == "managed" else azure.identity)
        return await self._kept(key, lambda: tokens.managed(scope(audience), chosen), identity)

    async def _agent(self, connection: Connection, principal: Principal) -> Grant:
        """The agent identity that stands for the calling agent, or the connection's own."""
        sign_in, (azure, tokens) = connection.sign_in, self._azure()
        agent = dict(sign_in.agent_identities).get(principal.agent_id.lower(), sign_in.agent_identity)
        wanted = scope(sign_in.audience)
        if not sign_in.on_behalf_of or not principal.kind.is_user:
            key = TokenKey("agent", azure.tenant_id, connection.name, sign_in.audience, (wanted,), agent)
            return await self._kept(key, lambda: tokens.agent(agent, wanted), agent)
        assertion = self._assertion(connection, principal)
        key = TokenKey(
            *("agent-for-user", azure.tenant_id, connection.name, sign_in.audience, (wanted,), agent),
            *(principal.id, digest(assertion)),
        )
        identity = f"{agent} on-behalf-of {principal.object_id or principal.id}"
        try:
            return await self._kept(key, lambda: tokens.agent_for_user(agent, wanted, assertion), identity)
        except Refusal as refusal:
            if refusal.reason is not Reason.CONSENT_REQUIRED:
                raise
            raise Refusal(Reason.CONSENT_REQUIRED, NO_AGENT_CONSENT, detail=refusal.detail) from None

    async def _for_user(self, connection: Connection, principal: Principal, audience: str) -> Grant:
        """Our app, on behalf of the calling user."""
        azure, tokens = self._azure()
        assertion = self._assertion(connection, principal)
        app, wanted = azure.app.client_id if azure.app else "", scope(audience)
        key = TokenKey(
            *("user", azure.tenant_id, connection.name, audience, (wanted,), app),
            *(principal.id, digest(assertion)),
        )
        identity = f"on-behalf-of {principal.object_id or principal.id}"
        try:
            return await self._kept(key, lambda: tokens.on_behalf_of(wanted, assertion), identity)
        except Refusal as refusal:
            if refusal.reason is Reason.CONSENT_REQUIRED:
                refusal.link = self._links.entra_link(connection, principal)
            raise

    async def _consented(self, connection: Connection, principal: Principal) -> Grant:
        oauth, source = connection.sign_in.oauth, self._oauth
        if connection.auth_type is not AuthType.OAUTH2 or oauth is None or source is None:
            raise no_token(f"authType {connection.auth_type} is not set up")
        token = await source.token(connection, principal)
        identity = f"{oauth.client_id} for {principal.id}" if oauth.per_user else oauth.client_id
        return Grant(token, identity, oauth.resource, lambda: source.reject(connection, principal, token))

    async def _kept(self, key: TokenKey, fetch: Fetch, identity: str) -> Grant:
        token = await self._cache.get(key, fetch)
        return Grant(token, identity, key.audience, lambda: self._cache.reject(key, token))

    def _azure(self) -> tuple[AzureIdentity, MicrosoftTokens]:
        if self._microsoft is None:
            raise no_token("azure: is not set in mcpgov.yaml")
        return self._microsoft.identity, self._microsoft.tokens

    def _assertion(self, connection: Connection, principal: Principal) -> Secret:
        """The calling user's own token. Raises Refusal (user-required)."""
        assertion = exchangeable(principal)
        if assertion is None:
            refusal = Refusal(Reason.USER_REQUIRED, NO_USER, detail=f"the caller is {principal.kind}, without a token")
            refusal.link = self._links.user_required(connection).link
            raise refusal
        return assertion


@frozen
class Renewed:
    """Implements models.Renewal: the same connection and principal are asked for again."""

    source: CredentialSources
    connection: Connection
    principal: Principal
    grants: tuple[Grant, ...]

    def reject(self) -> None:
        """Note that the upstream refused the credential; which of two tokens it was cannot be known."""
        for grant in self.grants:
            grant.reject()

    async def credential(self) -> Credential:
        """A new one of the same identity. Raises Refusal."""
        return await self.source.credential_for(self.connection, self.principal)


def exchangeable(principal: Principal) -> Secret | None:
    """A user's verified token, which may be exchanged on their behalf; None for everybody else, apps above all."""
    return principal.assertion if principal.kind.is_user else None


def scope(audience: str) -> str:
    """What is asked for at Entra: everything that was granted at one resource."""
    return f"{audience}/.default"


def digest(assertion: Secret) -> str:
    """The whole digest of a user's token: two tokens that begin alike are two."""
    return hashlib.sha256(assertion.reveal().encode()).hexdigest()


def bearer(header: str, grant: Grant) -> tuple[str, Secret]:
    """A header field with the token (RFC 6750 section 2.1)."""
    return header, Secret(f"Bearer {grant.token.secret.reveal()}")
