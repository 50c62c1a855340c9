"""Tokens of Microsoft Entra that mcpgov gets as one of its own apps: its agents' identities, and on behalf of users.

    agent identity      proof of the blueprint + fmi_path -> T1; T1 as the agent's proof -> the agent's token
    on behalf of        the same, or our app's own proof, with the user's token as assertion

Rules: the token endpoint is that of the tenant and authority in the settings, whatever a token says. A user's token is
only ever sent there. What is proof of ours (a secret, or the host's identity) is never a credential for an upstream.
An error keeps Entra's error code and number, and nothing else of its text.
Sources: Microsoft identity platform, "on-behalf-of flow" and "agent identity: token claims and protocols"; RFC 6749,
7521, 7523.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.credential.cache import TokenKey, no_token
from mcpgov.credential.tokens import AccessToken
from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Secret
from mcpgov.strict_json import JsonLimits, parse
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mcpgov.credential.cache import TokenCache
    from mcpgov.credential.tokens import AzureIdentity, EntraApp, HostIdentity
    from mcpgov.models import Json
    from mcpgov.web import Web, WebAnswer

EXCHANGE_SCOPE: Final = "api://AzureADTokenExchange/.default"
CLIENT_CREDENTIALS: Final = "client_credentials"
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIMITS: Final = JsonLimits(body=1024 * 1024, depth=16, keys=1000)
LONGEST: Final = 7 * 24 * 3600  # seconds
_TOKEN: Final = re.compile(r"[!-~]{1,16384}")
_CODE: Final = re.compile(r"[a-z_]{1,40}")
_AADSTS: Final = re.compile(r"AADSTS[0-9]{4,8}")
_NEEDS_USER: Final = frozenset({"interaction_required", "consent_required"})


class EntraTokens:
    """Implements MicrosoftTokens. What proves us is kept in `cache`; the tokens themselves are not."""

    def __init__(
        self, azure: AzureIdentity, web: Web, host: HostIdentity, cache: TokenCache, now: Callable[[], datetime]
    ) -> None:
        self._azure = azure
        self._web = web
        self._host = host
        self._cache = cache
        self._now = now

    async def managed(self, scope: str, client_id: str = "") -> AccessToken:
        """A token of the host's identity. Raises Refusal."""
        return await self._host.token(scope, client_id or self._azure.managed_identity)

    async def agent(self, agent_id: str, scope: str) -> AccessToken:
        """A token of an agent identity of our blueprint. Raises Refusal."""
        return await self._as_agent(agent_id, {"scope": scope, "grant_type": CLIENT_CREDENTIALS})

    async def agent_for_user(self, agent_id: str, scope: str, assertion: Secret) -> AccessToken:
        """A token of an agent identity, on behalf of a user whose token is for the blueprint. Raises Refusal."""
        return await self._as_agent(agent_id, on_behalf(scope, assertion))

    async def on_behalf_of(self, scope: str, assertion: Secret) -> AccessToken:
        """A token of our app, on behalf of a user whose token is for the app. Raises Refusal."""
        app = self._azure.app
        if app is None:
            raise no_token("azure: has no app, and on behalf of users one is needed")
        return await self._ask(app.client_id, {**on_behalf(scope, assertion), **await self._proof(app)})

    async def _as_agent(self, agent_id: str, form: Mapping[str, str]) -> AccessToken:
        blueprint = self._azure.blueprint
        if blueprint is None:
            raise no_token("azure: has no blueprint, and for agent identities one is needed")

        async def exchange() -> AccessToken:
            wanted = {"scope": EXCHANGE_SCOPE, "grant_type": CLIENT_CREDENTIALS, "fmi_path": agent_id}
            return await self._ask(blueprint.client_id, {**wanted, **await self._proof(blueprint)})

        key = TokenKey("exchange", self._azure.tenant_id, audience=EXCHANGE_SCOPE, identity=agent_id)
        proof = await self._cache.get(key, exchange)
        try:
            return await self._ask(agent_id, {**form, **asserted(proof)})
        except Refusal:
            self._cache.reject(key, proof)  # it may be the proof that is no longer good
            raise

    async def _proof(self, app: EntraApp) -> Mapping[str, str]:
        """What shows that we are the app: its secret, or a token of the host's identity that it is federated with."""
        if app.client_secret is not None:
            return {"client_secret": app.client_secret.reveal()}
        identity = self._azure.managed_identity
        key = TokenKey("federation", self._azure.tenant_id, audience=EXCHANGE_SCOPE, identity=identity)
        return asserted(await self._cache.get(key, lambda: self._host.token(EXCHANGE_SCOPE, identity)))

    async def _ask(self, client_id: str, form: Mapping[str, str]) -> AccessToken:
        url = f"{self._azure.authority}/{self._azure.tenant_id}/oauth2/v2.0/token"
        try:
            answer = await self._web.post(url, {"client_id": client_id, **form}, private=self._azure.private)
        except WebUnavailable as unavailable:
            raise no_token(f"Microsoft Entra: {unavailable}") from None
        content = content_of(answer)
        if answer.status != 200 or "error" in content:
            raise refused(answer.status, content)
        token, life = content.get("access_token"), content.get("expires_in")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token) or type(life) is not int or life <= 0:
            raise no_token("Microsoft Entra: answered without a token")
        return AccessToken.lasting(Secret(token), min(life, LONGEST), self._now())


def on_behalf(scope: str, assertion: Secret) -> Mapping[str, str]:
    """What is asked for on behalf of a user."""
    return {
        "scope": scope,
        "grant_type": JWT_BEARER,
        "requested_token_use": "on_behalf_of",
        "assertion": assertion.reveal(),
    }


def asserted(proof: AccessToken) -> Mapping[str, str]:
    """A token as proof of who a client is (RFC 7523 section 2.2)."""
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": proof.secret.reveal()}


def content_of(answer: WebAnswer) -> Mapping[str, Json]:
    """The members of a JSON answer; none where it cannot be read."""
    try:
        content = parse(answer.body, LIMITS)
    except Refusal:
        return {}
    return content if isinstance(content, dict) else {}


def refused(status: int, content: Mapping[str, Json]) -> Refusal:
    """The refusal for an error of Entra: consent-required where a person can mend it, else credential-unavailable."""
    error, said = str(content.get("error")), str(content.get("error_description"))
    number = _AADSTS.search(said)
    known = error if _CODE.fullmatch(error) else f"status {status}"
    detail = f"Microsoft Entra: {known} {number[0]}" if number else f"Microsoft Entra: {known}"
    if error in _NEEDS_USER or (number and number[0] == "AADSTS65001"):
        message = "You have to agree that the gateway may act for you at this connection's server."
        return Refusal(Reason.CONSENT_REQUIRED, message, detail=detail)
    return no_token(detail)
