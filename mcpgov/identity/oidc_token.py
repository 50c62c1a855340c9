"""Callers with an access token of one OpenID Connect issuer.

Rules: the issuer is one exact text; its keys come from its own configuration or a configured URL. `sub` says who
calls, and no other claim does. A client that calls for itself is an app, anybody else a user; issuers say that in
different ways (RFC 9068 section 2.2 is one), and `app_claim` is for those that say it in their own.
A user's token is not kept for an exchange: only its own issuer could exchange it, and there is nobody to ask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Final

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.identity.signing_keys import KeySource, TrustedKeys
from mcpgov.identity.token_principal import (
    AudiencesAt,
    TokenCheck,
    is_from,
    label,
    only_bearer,
    refuse_claim,
    scopes_of,
    words,
)
from mcpgov.json_web_token import ASYMMETRIC, Rules, Token
from mcpgov.models import Principal, PrincipalKind, RequestHead

CONFIGURATION: Final = "/.well-known/openid-configuration"
LONGEST_SUBJECT: Final = 255  # OpenID Connect Core 1.0 section 2
LONGEST_ID: Final = 240  # characters of issuer and subject that an id spells out
_BY_ITSELF: Final = frozenset({"client-credentials", "client_credentials"})


@frozen
class OidcIssuer:
    """Whose tokens are accepted, and which. `issuer` exactly as it stands in tokens, without a fragment; `clock_skew`
    in seconds. Empty `scopes` are not asked for, an empty `project_claim` is not read. `app_claim` is a claim that only
    tokens of clients have that call for themselves.
    """

    issuer: str
    audiences: tuple[str, ...] = ()
    keys_url: str = ""
    scopes: tuple[str, ...] = ()
    name_claim: str = "name"
    project_claim: str = ""
    roles_claim: str = "roles"
    app_claim: str = ""
    clock_skew: int = 30

    @property
    def configuration_url(self) -> str:
        """Where the issuer publishes its configuration (OpenID Connect Discovery 1.0 section 4)."""
        return self.issuer.removesuffix("/") + CONFIGURATION

    @property
    def keys(self) -> KeySource:
        """Where the issuer's keys are."""
        if self.keys_url:
            return KeySource(keys_url=self.keys_url)
        return KeySource(configuration_url=self.configuration_url, issuer=self.issuer)


class OidcAuthenticator:
    """Recognises bearer tokens of one issuer. `audiences_at` has the audiences of a connection itself."""

    def __init__(
        self, issuer: OidcIssuer, keys: TrustedKeys, audiences_at: AudiencesAt, now: Callable[[], datetime]
    ) -> None:
        self._issuer = issuer
        self._audiences_at = audiences_at
        self._check = TokenCheck(issuer.keys, keys, ASYMMETRIC, now)

    def recognises(self, head: RequestHead) -> bool:
        """Whether a bearer token says that this issuer issued it."""
        return is_from(head, (self._issuer.issuer,))

    async def authenticate(self, head: RequestHead) -> Principal:
        """The caller. Raises Refusal: one of jwt-…, scope-missing, credential-ambiguous, sign-in-unavailable."""
        audiences = (*self._issuer.audiences, *self._audiences_at(head.connection))
        rules = Rules((self._issuer.issuer,), audiences, self._issuer.clock_skew)
        principal = _principal(await self._check.verify(only_bearer(head), rules), self._issuer)
        if self._issuer.scopes and set(self._issuer.scopes).isdisjoint(principal.scopes):
            raise Refusal(
                Reason.SCOPE_MISSING,
                f"The token has no scope that is needed here: {' or '.join(self._issuer.scopes)}.",
                detail=principal.id,
            )
        return principal


def _principal(token: Token, issuer: OidcIssuer) -> Principal:
    subject = token.text("sub")
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise refuse_claim("The token does not say who calls.", "the claim sub is missing, too long or not printable")
    app_id, token_id = label(token.text("azp") or token.text("client_id")), label(token.text("jti"))
    return Principal(
        id=_id(issuer.issuer, subject),
        kind=PrincipalKind.APP if _is_app(token, issuer) else PrincipalKind.USER,
        name=label(token.text(issuer.name_claim)),
        project=label(token.text(issuer.project_claim)),
        credential=f"oidc token {token_id}".rstrip(),
        roles=words(token.claims, issuer.roles_claim),
        scopes=scopes_of(token),
        app_id=app_id,
        token_id=token_id,
        issuer=issuer.issuer,
        subject=subject,
    )


def _id(issuer: str, subject: str) -> str:
    """An issuer has no #, so that the first one ends it. A long one by its digest: records would cut two alike."""
    plain = f"{issuer}#{subject}"
    short = len(plain) <= LONGEST_ID
    return f"oidc:{plain}" if short else f"oidc:sha256:{hashlib.sha256(plain.encode()).hexdigest()}"


def _is_app(token: Token, issuer: OidcIssuer) -> bool:
    """Whether a client calls for itself, in the ways in which issuers say so; `app_claim` is the way of this one."""
    if issuer.app_claim and token.claims.get(issuer.app_claim):
        return True
    client = token.text("azp") or token.text("client_id")
    granted = {token.text("gty"), token.text("grant_type")}
    itself = bool(client) and token.text("sub") in {client, token.text("client_id"), f"{client}@clients"}
    return itself or not granted.isdisjoint(_BY_ITSELF) or token.text("idtyp") == "app"
