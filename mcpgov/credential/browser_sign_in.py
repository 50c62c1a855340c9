"""Who sits at the browser: mcpgov as a client of the issuer whose tokens callers present (OpenID Connect Core 3.1).

Rules: where to sign in is what the configured issuer's own configuration says, and that must name the same issuer; the
id_token is believed only with this sign-in's nonce, for this client, signed by that issuer's keys.
Refuses to know: why somebody is asked.
"""

from __future__ import annotations

import hmac
from dataclasses import field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from mcpgov.credential.token_endpoint import JSON_LIMITS, GrantRefused, authorization_url, with_query
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.json_web_token import (
    ASYMMETRIC,
    Rules,
    TokenRefused,
    audiences,
    parse_token,
    verify_algorithm,
    verify_claims,
    verify_signature,
)
from mcpgov.models import OAuthClient, Secret
from mcpgov.strict_json import parse
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcpgov.credential.token_endpoint import TokenEndpoint
    from mcpgov.json_web_token import KeySet, Token
    from mcpgov.models import Principal
    from mcpgov.web import Web

SCOPES: Final = ("openid", "profile")
CLOCK_SKEW: Final = 60  # seconds
FRESH: Final = timedelta(hours=1)  # an issuer's configuration, so that who loads a page again and again asks it nothing


@frozen
class BrowserSignIn:
    """mcpgov's registration at one issuer. `tenant_id` is that of an Entra tenant, whose tokens have two issuers."""

    issuer: str
    configuration_url: str
    client_id: str
    client_secret: Secret | None = field(default=None, repr=False)
    tenant_id: str = ""
    private: bool = False

    def knows(self, principal: Principal) -> bool:
        """Whether this is where the principal's own token came from."""
        if self.tenant_id:
            return principal.tenant_id == self.tenant_id and bool(principal.object_id)
        return principal.issuer == self.issuer and bool(principal.subject)


@frozen
class Person:
    """Who signed in, in the claims that make a principal: tid and oid of Entra, iss and sub of others."""

    tenant_id: str
    object_id: str
    issuer: str
    subject: str


class SignInRefused(Exception):
    """Nobody is signed in. The text is for records and quotes no token."""


class BrowserSignIns:
    """Sends a browser to its issuer, and reads who came back. Methods raise SignInRefused and WebUnavailable."""

    def __init__(
        self,
        web: Web,
        tokens: TokenEndpoint,
        keys: Callable[[str, str], Awaitable[KeySet]],
        now: Callable[[], datetime],
    ) -> None:
        self._web = web
        self._tokens = tokens
        self._keys = keys
        self._now = now
        self._known: dict[tuple[str, str], tuple[datetime, OAuthClient]] = {}  # until when, for each registration

    async def url(self, sign_in: BrowserSignIn, redirect_url: str, state: str, verifier: str, nonce: str) -> str:
        """Where the browser goes to sign in. `prompt` lets a person with several accounts choose."""
        client = await self._client(sign_in)
        asked = authorization_url(client, redirect_url, state, verifier)
        return with_query(asked, {"nonce": nonce, "prompt": "select_account"})

    async def person(self, sign_in: BrowserSignIn, code: str, verifier: str, redirect_url: str, nonce: str) -> Person:
        """Who signed in."""
        client = await self._client(sign_in)
        try:
            answer = await self._tokens.redeem(client, code, verifier, redirect_url)
            token = parse_token(str(answer.get("id_token", "")))
            await self._verify(token, sign_in, nonce)
        except GrantRefused as refused:
            raise SignInRefused(f"the issuer refused the code: {refused.code}") from None
        except TokenRefused as refused:
            raise SignInRefused(f"the id_token does not hold: {refused.reason}") from None
        return Person(token.text("tid"), token.text("oid"), token.issuer, token.text("sub"))

    async def _verify(self, token: Token, sign_in: BrowserSignIn, nonce: str) -> None:
        """OpenID Connect Core section 3.1.3.7. Raises TokenRefused, SignInRefused."""
        verify_algorithm(token, ASYMMETRIC)
        rules = Rules(issuers=(sign_in.issuer,), audiences=(sign_in.client_id,), clock_skew=CLOCK_SKEW)
        verify_claims(token, rules, self._now())
        if not hmac.compare_digest(token.text("nonce").encode(), nonce.encode()):
            raise SignInRefused("the id_token is of another sign-in")
        if len(audiences(token)) > 1 and token.text("azp") != sign_in.client_id:
            raise SignInRefused("the id_token was issued to another client")
        try:
            keys = await self._keys(sign_in.configuration_url, token.kid)
        except Refusal as refusal:
            raise WebUnavailable(f"the issuer's keys cannot be had: {refusal.detail}") from None
        verify_signature(token, keys, ASYMMETRIC)

    async def _client(self, sign_in: BrowserSignIn) -> OAuthClient:
        registration = (sign_in.configuration_url, sign_in.client_id)
        until, client = self._known.get(registration, (None, None))
        if until is None or client is None or until <= self._now():
            client = await self._configured(sign_in)
            self._known[registration] = (self._now() + FRESH, client)
        return client

    async def _configured(self, sign_in: BrowserSignIn) -> OAuthClient:
        answer = await self._web.get(sign_in.configuration_url, private=sign_in.private)
        try:
            found = parse(answer.body, JSON_LIMITS) if answer.status == 200 else None
        except Refusal:
            found = None
        content = found if isinstance(found, dict) else {}
        authorize, token_url = content.get("authorization_endpoint"), content.get("token_endpoint")
        schemes = ("https://", "http://") if sign_in.private else ("https://",)
        if not isinstance(authorize, str) or not authorize.startswith(schemes) or not isinstance(token_url, str):
            raise WebUnavailable("the issuer's configuration cannot be read")
        if content.get("issuer") != sign_in.issuer:
            raise SignInRefused("the configuration is that of another issuer")
        return OAuthClient(
            sign_in.client_id,
            sign_in.client_secret,
            token_url,
            authorization_url=authorize,
            scopes=SCOPES,
            private=sign_in.private,
        )
