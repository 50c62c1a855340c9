"""Somebody's OAuth 2.1 authorization server on loopback, which is an OpenID Connect issuer as well.

It keeps to the letter what clients get wrong: PKCE with S256, exact redirect URIs, codes that are good once, refresh
tokens that rotate and of which a second use revokes them all (RFC 9700 section 4.14.2), `iss` in the answer (RFC 9207).
"""

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

from starlette.responses import Response

from tests.peers.code_flow import Codes, Grant, Wrong, back, checked_challenge, chosen_user, sign_in_page
from tests.peers.signing import SigningKeys
from tests.peers.web_peer import JSON, Asked, WebPeer, json_answer


@dataclass(frozen=True, slots=True)
class Client:
    """A client that was registered beforehand; without a secret it is a public one."""

    client_id: str
    secret: str = ""
    redirect_uris: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Issued:
    """A token that was issued: for what, in which family of refresh tokens, and until when (Unix seconds)."""

    grant: Grant
    family: str
    expires: float


@dataclass
class AuthorizationServer(WebPeer):
    """`auto_user` signs in without the form. `access` and `refresh` hold the tokens that are good.

    `resources` are those that may be named in `resource` (empty: any), and with `resource_rule` a `resource` must be
    where the scopes, `{resource}/{name}`, come from: what Microsoft Entra enforces. `audience` is that of access tokens
    where no resource is named; they are JWTs, so that whoever validates tokens of an issuer can be tested against it.
    `rotate_refresh` gives a new refresh token each time. `consents` are the (user, client id) that agreed, in order.
    """

    clients: dict[str, Client] = field(default_factory=dict[str, Client])
    auto_user: str = ""
    audience: str = "https://api.example.com"
    scopes: tuple[str, ...] = ("read", "write")
    resources: tuple[str, ...] = ()
    resource_rule: bool = False
    registers: bool = False
    rotate_refresh: bool = True
    lifetime: int = 3600
    clock: Callable[[], float] = time.time
    keys: SigningKeys = field(default_factory=lambda: SigningKeys("as"))
    access: dict[str, Issued] = field(default_factory=dict[str, Issued])
    refresh: dict[str, Issued] = field(default_factory=dict[str, Issued])
    spent: dict[str, str] = field(default_factory=dict[str, str])
    consents: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    codes: Codes = field(default_factory=Codes)

    def register(self, client_id: str, secret: str = "", *redirect_uris: str) -> Client:
        """Add a client."""
        self.clients[client_id] = Client(client_id, secret, redirect_uris)
        return self.clients[client_id]

    def user_of(self, access_token: str) -> str:
        """Whose token it is: a user's name, or the client's id; empty when it is not good (any more)."""
        issued = self.access.get(access_token)
        return issued.grant.user if issued is not None and issued.expires > self.clock() else ""

    def revoke_everything_of(self, user: str) -> None:
        """No token of the user is good any more."""
        self._revoke(lambda issued: issued.grant.user == user)

    def expire_everything(self) -> None:
        """No access token is good any more; the refresh tokens are."""
        self.access.clear()

    def claims(self, subject: str, **claims: Any) -> dict[str, Any]:
        """The claims of a token of this issuer for the subject; a claim given as None is left out."""
        now = int(self.clock())
        basic = {
            "iss": self.url,
            "aud": self.audience,
            "sub": subject,
            "iat": now,
            "exp": now + self.lifetime,
            "jti": secrets.token_urlsafe(12),
        }
        return {name: value for name, value in {**basic, **claims}.items() if value is not None}

    def mint(self, subject: str, **claims: Any) -> str:
        """A token of this issuer that no grant stands behind."""
        return self.keys.sign(self.claims(subject, **claims))

    async def answer(self, asked: Asked) -> Response:
        doors: Mapping[tuple[str, str], Callable[[Asked], Response]] = {
            ("GET", "/.well-known/oauth-authorization-server"): self._metadata,
            ("GET", "/.well-known/openid-configuration"): self._metadata,
            ("GET", "/jwks"): self._jwks,
            ("GET", "/authorize"): self._authorize,
            ("POST", "/authorize"): self._authorize,
            ("POST", "/token"): self._token,
            ("POST", "/revoke"): self._revoked,
            ("POST", "/register"): self._registered,
        }
        door = doors.get((asked.method, asked.path))
        if door is None or (door == self._registered and not self.registers):
            return json_answer(404, {"error": "not_found"})
        try:
            return door(asked)
        except Wrong as wrong:
            return wrong.answer

    def _metadata(self, asked: Asked) -> Response:
        registration = {"registration_endpoint": f"{self.url}/register"} if self.registers else {}
        return json_answer(
            200,
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "revocation_endpoint": f"{self.url}/revoke",
                "jwks_uri": f"{self.url}/jwks",
                "scopes_supported": ["openid", *self.scopes],
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
                "code_challenge_methods_supported": ["S256"],
                "authorization_response_iss_parameter_supported": True,
                **registration,
            },
        )

    def _jwks(self, asked: Asked) -> Response:
        return json_answer(200, self.keys.jwks(alg="RS256"))

    def _authorize(self, asked: Asked) -> Response:
        query = asked.query
        client = self.clients.get(query.get("client_id", ""))
        if client is None or query.get("redirect_uri") not in client.redirect_uris:
            raise Wrong("invalid_request", "the client or its redirect_uri is unknown")  # shown here, never sent on
        try:
            challenge, scopes = checked_challenge(query), self._allowed_scopes(query)
            user = chosen_user(asked, self.auto_user)
        except Wrong as wrong:
            said = {key: str(wrong.body[key]) for key in ("error", "error_description")}
            return back(query, {**said, "iss": self.url})
        if not user:
            return sign_in_page("Sign in", client.client_id)
        resource, nonce = query.get("resource", ""), query.get("nonce", "")
        grant = Grant(client.client_id, user, scopes, resource, query["redirect_uri"], challenge, nonce)
        self.consents.append((user, client.client_id))
        return back(query, {"code": self.codes.issue(grant), "iss": self.url})

    def _allowed_scopes(self, asked: Mapping[str, str]) -> tuple[str, ...]:
        """The scopes of the request. Raises Wrong for an unknown one, and for a `resource` that may not be named."""
        scopes = tuple(asked.get("scope", "").split())
        resource = asked.get("resource", "")
        if self.resources and resource and resource not in self.resources:
            raise Wrong("invalid_target", "the resource is unknown")
        for scope in scopes:
            base, _, name = scope.rpartition("/")
            if scope not in {"openid", "profile", "offline_access", *self.scopes} and name not in self.scopes:
                raise Wrong("invalid_scope", f"there is no scope {scope}")
            if self.resource_rule and resource and base and base != resource:
                text = "The resource parameter provided in the request doesn't match with the requested scopes."
                raise Wrong("invalid_target", f"AADSTS9010010: {text}")
        if self.resource_rule and resource and not any(scope.startswith(f"{resource}/") for scope in scopes):
            raise Wrong("invalid_target", "AADSTS9010010: no scope of the resource is asked for.")
        return scopes

    def _token(self, asked: Asked) -> Response:
        grants: Mapping[str, Callable[[Mapping[str, str], Client], JSON]] = {
            "authorization_code": self._for_code,
            "refresh_token": self._refreshed,
            "client_credentials": self._for_client,
        }
        grant = grants.get(asked.form.get("grant_type", ""))
        if grant is None:
            raise Wrong("unsupported_grant_type")
        return json_answer(200, grant(asked.form, self._authenticated(asked)))

    def _for_code(self, form: Mapping[str, str], client: Client) -> JSON:
        grant = self.codes.redeem(form, client.client_id)
        if form.get("resource", grant.resource) != grant.resource:
            raise Wrong("invalid_target", "the resource is not the one of the authorization request")
        return self._issue(grant, secrets.token_urlsafe(8))

    def _refreshed(self, form: Mapping[str, str], client: Client) -> JSON:
        token = form.get("refresh_token", "")
        if family := self.spent.get(token):  # used twice: one of the two was a thief
            self._revoke(lambda issued: issued.family == family)
            raise Wrong("invalid_grant", "the refresh token was used before: all of its family are revoked")
        issued = self.refresh.get(token)
        if issued is None or issued.grant.client_id != client.client_id:
            raise Wrong("invalid_grant", "the refresh token is unknown, expired or revoked")
        fewer = tuple(form.get("scope", "").split()) or issued.grant.scopes
        if not set(fewer) <= set(issued.grant.scopes):
            raise Wrong("invalid_scope", "more than was granted")
        if self.rotate_refresh:
            del self.refresh[token]
            self.spent[token] = issued.family
        return self._issue(replace(issued.grant, scopes=fewer), issued.family)

    def _for_client(self, form: Mapping[str, str], client: Client) -> JSON:
        if not client.secret:
            raise Wrong("unauthorized_client", "a public client has no credentials")
        scopes = self._allowed_scopes(form)
        grant = Grant(client.client_id, client.client_id, scopes, form.get("resource", ""))
        return {name: value for name, value in self._issue(grant, "").items() if name != "refresh_token"}

    def _issue(self, grant: Grant, family: str) -> JSON:
        now, scope = self.clock(), " ".join(grant.scopes)
        audience = grant.resource or self.audience
        claims = self.claims(grant.user, aud=audience, scope=scope, client_id=grant.client_id)
        token = self.keys.sign(claims, {"typ": "at+jwt"})
        self.access[token] = Issued(grant, family, now + self.lifetime)
        answer: JSON = {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime, "scope": scope}
        if family:
            answer["refresh_token"] = secrets.token_urlsafe(32)
            self.refresh[answer["refresh_token"]] = self.access[token]
        if "openid" in grant.scopes:
            answer["id_token"] = self.mint(grant.user, aud=grant.client_id, nonce=grant.nonce or None, name=grant.user)
        return answer

    def _revoked(self, asked: Asked) -> Response:
        """RFC 7009: an unknown token is as good as a revoked one; a refresh token takes its whole family along."""
        self._authenticated(asked)
        token = asked.form.get("token", "")
        if issued := self.refresh.get(token):
            self._revoke(lambda other: other.family == issued.family)
        self.access.pop(token, None)
        return json_answer(200, {})

    def _revoke(self, chosen: Callable[[Issued], bool]) -> None:
        self.access = {token: issued for token, issued in self.access.items() if not chosen(issued)}
        self.refresh = {token: issued for token, issued in self.refresh.items() if not chosen(issued)}

    def _registered(self, asked: Asked) -> Response:
        """Dynamic client registration (RFC 7591) of a public client."""
        asks: JSON = json.loads(asked.body)
        client = self.register(f"client-{len(self.clients) + 1}", "", *asks["redirect_uris"])
        return json_answer(201, {**asks, "client_id": client.client_id, "token_endpoint_auth_method": "none"})

    def _authenticated(self, asked: Asked) -> Client:
        """The client of the request: HTTP Basic, its secret in the form, or (a public one) its id alone."""
        client_id, secret = asked.form.get("client_id", ""), asked.form.get("client_secret", "")
        kind, _, coded = asked.headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            client_id, _, secret = (unquote(part) for part in base64.b64decode(coded).decode().partition(":"))
        client = self.clients.get(client_id)
        if client is None or not secrets.compare_digest(client.secret, secret):
            raise Wrong("invalid_client", "the client is unknown, or its secret is wrong", 401)
        return client
