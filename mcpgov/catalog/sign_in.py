"""How a connection signs in to its upstream: the keys that go with each authType, and what they may not be. Pure.

Rules: each authType has exactly the keys that it needs, and a key of another authType is an error, so that nobody
believes in a credential that is never sent. Each header has one source. Nothing here falls back to another way of
signing in. Two legs, never mixed up: authType is how mcpgov signs in to the upstream, clientAuthType how clients sign
in to mcpgov. Refuses to know: whether the settings have what a way of signing in needs (needs.py).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from mcpgov.catalog.urls import check_url
from mcpgov.credential.references import Unfit
from mcpgov.identity_settings import ClientSecret, Guid, Url, Visible
from mcpgov.models import AuthType, CallerToken, OAuthClient, SignIn
from mcpgov.shapes import Flag, Shape, Written, key_header
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from mcpgov.errors import Problem
    from mcpgov.yaml_source import Source

AUTHORIZATION_CODE: Final = "authorization_code"
CLIENT_CREDENTIALS: Final = "client_credentials"
_AUDIENCE: Final = re.compile(r"(?:api|https)://[!-~]{1,500}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# What each way of signing in needs, and what it may have besides.
_NEEDS: Final[Mapping[AuthType, tuple[str, ...]]] = {
    AuthType.CUSTOM_KEYS: ("keys",),
    AuthType.PROJECT_MANAGED_IDENTITY: ("audience",),
    AuthType.AGENTIC_IDENTITY: ("audience", "agentIdentity"),
    AuthType.OAUTH2: ("oauth",),
    AuthType.USER_ENTRA: ("audience",),
}
_MAY_HAVE: Final[Mapping[AuthType, tuple[str, ...]]] = {
    AuthType.PROJECT_MANAGED_IDENTITY: ("identity",),
    AuthType.AGENTIC_IDENTITY: ("agentIdentities", "onBehalfOf"),
}
_EXAMPLES: Final[Mapping[str, str]] = {
    "keys": "keys: { HEADER: VALUE }",
    "audience": "audience: https://search.azure.com",
    "agentIdentity": "agentIdentity: GUID",
    "oauth": "oauth: { clientId: …, tokenUrl: … }",
}
SIGN_IN_KEYS: Final = ("keys", "audience", "identity", "agentIdentity", "agentIdentities", "onBehalfOf", "oauth")
# Ways in which mcpgov itself writes the header Authorization.
_BEARERS: Final = frozenset(AuthType) - {AuthType.NONE, AuthType.CUSTOM_KEYS}
# Ways in which clients bring a token that Entra made out for an audience.
ENTRA_CLIENTS: Final = frozenset({AuthType.AGENTIC_IDENTITY, AuthType.PROJECT_MANAGED_IDENTITY, AuthType.USER_ENTRA})


def _audience(text: str) -> str:
    if not _AUDIENCE.fullmatch(text):
        raise Unfit("is not an audience", "write the App ID URI, like https://search.azure.com or api://GUID")
    if text.endswith("/.default"):
        raise Unfit("is a scope", "write the audience alone, without /.default")
    return text


def _auth_type(value: object) -> AuthType:
    if not isinstance(value, str) or value not in set(AuthType):
        raise Unfit("is not a way to sign in", nearest(str(value), AuthType))
    return AuthType(value)


Audience = Annotated[str, AfterValidator(_audience)]


class OAuthShape(Shape):
    """mcpgov as a client of an authorization server."""

    client_id: Visible = Field(alias="clientId")
    client_secret: ClientSecret = Field(None, alias="clientSecret")
    token_url: Url = Field(alias="tokenUrl")
    authorization_url: Url = Field("", alias="authorizationUrl")
    refresh_url: Url = Field("", alias="refreshUrl")
    revocation_url: Url = Field("", alias="revocationUrl")
    scopes: tuple[Visible, ...] = ()
    resource: Url = ""
    grant: Literal["authorization_code", "client_credentials"] = "authorization_code"
    private: Flag = False


class CallerTokenShape(Shape):
    """A token of the calling user in a header of its own."""

    header: Annotated[str, AfterValidator(key_header)]
    audience: Audience
    required: Flag = True


class SignInShape(Shape):
    """The keys of a connection that say who signs in where, besides `keys`."""

    auth_type: Annotated[AuthType, BeforeValidator(_auth_type)] = Field(AuthType.NONE, alias="authType")
    audience: Audience = ""
    identity: Guid = ""
    agent_identity: Guid = Field("", alias="agentIdentity")
    agent_identities: dict[Guid, Guid] = Field(default_factory=dict[str, str], alias="agentIdentities")
    on_behalf_of: Flag = Field(default=False, alias="onBehalfOf")
    oauth: Annotated[OAuthShape | None, Written] = None
    caller_token: Annotated[CallerTokenShape | None, Written] = Field(None, alias="callerToken")
    client_auth_type: Annotated[AuthType, BeforeValidator(_auth_type)] = Field(
        AuthType.CUSTOM_KEYS, alias="clientAuthType"
    )
    client_audience: Audience = Field("", alias="clientAudience")

    @property
    def written(self) -> frozenset[str]:
        """The keys that say something, as they are spelled in the file."""
        fields = type(self).model_fields
        return frozenset(fields[name].alias or name for name in self.model_fields_set if getattr(self, name))

    def sign_in(self) -> SignIn:
        """The value that travels with the connection."""
        oauth, token = self.oauth, self.caller_token
        return SignIn(
            self.audience,
            self.identity,
            self.agent_identity,
            tuple(self.agent_identities.items()),
            self.on_behalf_of,
            oauth
            and OAuthClient(
                oauth.client_id,
                oauth.client_secret,
                oauth.token_url,
                oauth.authorization_url,
                oauth.refresh_url,
                oauth.revocation_url,
                oauth.scopes,
                oauth.resource,
                oauth.grant == AUTHORIZATION_CODE,
                oauth.private,
            ),
            token and CallerToken(token.header, token.audience, token.required),
        )


def contradictions(
    shape: SignInShape, headers: Collection[str], source: Source, at: tuple[str, ...]
) -> Iterator[Problem]:
    """What the keys of a connection say against its authType, and against each other. `headers` are those in `keys`."""
    auth_type, written = shape.auth_type, shape.written
    needs = _NEEDS.get(auth_type, ())
    for key in needs:
        if key not in written:
            yield source.problem((*at, "authType"), f"{auth_type} without {key}", f"add {_EXAMPLES[key]}")
    for key in SIGN_IN_KEYS:
        if key in written and key not in (*needs, *_MAY_HAVE.get(auth_type, ())):
            users = [str(one) for one in AuthType if key in (*_NEEDS.get(one, ()), *_MAY_HAVE.get(one, ()))]
            mend = f"{key} belongs to authType: {' or '.join(users)}"
            yield source.problem((*at, key), f"authType {auth_type} never uses {key}", mend, at_key=True)
    if shape.oauth is not None:
        yield from _wrong_with_oauth(shape.oauth, source, (*at, "oauth"))
    yield from _clashing_headers(shape, headers, source, at)
    yield from _wrong_with_clients(shape, source, at)


def _clashing_headers(
    shape: SignInShape, headers: Collection[str], source: Source, at: tuple[str, ...]
) -> Iterator[Problem]:
    """Headers that would be written twice; - and _ are one letter to many servers, and case is none."""
    spelled = [header.lower().replace("_", "-") for header in headers]
    for header, plain in zip(headers, spelled, strict=True):
        if spelled.count(plain) > 1:
            place = (*at, "keys", header)
            yield source.problem(place, f"{header} is written twice", "a header name has no case", at_key=True)
    if shape.caller_token is not None:
        own = shape.caller_token.header
        taken = {*spelled, "authorization"} if shape.auth_type in _BEARERS else {*spelled}
        if own.lower().replace("_", "-") in taken:
            place = (*at, "callerToken", "header")
            yield source.problem(place, f"{own} carries the connection's own credential", "name another header")


def _wrong_with_clients(shape: SignInShape, source: Source, at: tuple[str, ...]) -> Iterator[Problem]:
    kind, audience = shape.client_auth_type, shape.client_audience
    if kind in ENTRA_CLIENTS and not audience:
        mend = "add clientAudience: api://GUID, the App ID URI that clients ask a token for"
        yield source.problem((*at, "clientAuthType"), f"{kind} without clientAudience", mend)
    if kind in (AuthType.NONE, AuthType.CUSTOM_KEYS) and audience:
        mend = "say which token in clientAuthType, or remove it"
        said = f"clientAuthType {kind} has no audience"
        yield source.problem((*at, "clientAudience"), said, mend, at_key=True)


def _wrong_with_oauth(oauth: OAuthShape, source: Source, at: tuple[str, ...]) -> Iterator[Problem]:
    fields = {name: field.alias or name for name, field in OAuthShape.model_fields.items()}
    if oauth.grant == AUTHORIZATION_CODE and not oauth.authorization_url:
        yield source.problem(at, "users consent nowhere", "add authorizationUrl:, or grant: client_credentials")
    if oauth.grant == CLIENT_CREDENTIALS:
        if oauth.client_secret is None:
            yield source.problem(at, "client_credentials without a secret", "add clientSecret: ${env:NAME}")
        for name in ("authorization_url", "refresh_url", "revocation_url"):
            if name in oauth.model_fields_set:
                said, mend = f"{CLIENT_CREDENTIALS} never uses {fields[name]}", "remove it, or remove grant:"
                yield source.problem((*at, fields[name]), said, mend, at_key=True)
    yield from _unfit_urls(oauth, fields, source, at)


def _unfit_urls(oauth: OAuthShape, fields: Mapping[str, str], source: Source, at: tuple[str, ...]) -> Iterator[Problem]:
    for name in ("token_url", "authorization_url", "refresh_url", "revocation_url"):
        try:
            if url := getattr(oauth, name):
                check_url(url, private=oauth.private)
        except Unfit as unfit:
            yield source.problem((*at, fields[name]), f"the URL {unfit}", unfit.mend)
