"""Microsoft Entra on loopback: one tenant with apps, blueprints, agents, managed identities and users.

It refuses what the real one refuses, with the real one's numbers (AADSTS...): an assertion of somebody else, an app's
token where a user's is needed, a scope of nobody, and a `resource` that does not match the scopes.
"""

import base64
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.responses import Response

from tests.peers.code_flow import Codes, Grant, Wrong, back, checked_challenge, chosen_user, sign_in_page
from tests.peers.entra_tokens import GATEWAY_APP, TOKEN_EXCHANGE, EntraTokens
from tests.peers.web_peer import JSON, Asked, WebPeer, json_answer

OF_AZURE: Final = (  # resources that are in every tenant
    TOKEN_EXCHANGE,
    "https://vault.azure.net",
    "https://search.azure.com",
    "https://ai.azure.com",
    "https://storage.azure.com",
    "https://logic.azure.com",
    "https://graph.microsoft.com",
)
CLIENT_CREDENTIALS: Final = "client_credentials"
JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_OPENID: Final = frozenset({"openid", "profile", "email", "offline_access"})


@dataclass
class App:
    """An app registration. An agent identity is one with a `blueprint` and no credential of its own.

    `uris` are its App ID URIs; its tokens have version `version` and, in version 2, its id as audience. `federated` are
    the (issuer, subject) whose tokens it may show instead of a secret.
    """

    client_id: str
    secret: str = ""
    uris: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("Mcp.Use",)
    redirect_uris: tuple[str, ...] = ()
    blueprint: str = ""
    version: int = 2
    federated: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    @property
    def names(self) -> frozenset[str]:
        """What it may be called as a resource."""
        return frozenset({self.client_id, f"api://{self.client_id}", *self.uris})


@dataclass(frozen=True, slots=True)
class Wanted:
    """The scopes of a request: one resource, and what of it. `openid` are the scopes of OpenID Connect."""

    uri: str
    audience: str
    version: int
    scopes: tuple[str, ...]
    openid: frozenset[str]


def aadsts(error: str, number: int, text: str, status: int = 400, **more: Any) -> Wrong:
    """An error as Entra says it."""
    body = {"error_codes": [number], "trace_id": "trace", "correlation_id": "correlation", "timestamp": "now"}
    return Wrong(error, f"AADSTS{number}: {text} Trace ID: trace Correlation ID: correlation", status, **body, **more)


@dataclass
class Entra(WebPeer):
    """The tenant. Without `open` it mints tokens of the public authority; opened, those of its own address.

    `auto_user` signs in at the authorize endpoint without a form. `consents_missing` holds (client id, resource) that
    a user has not consented to, `interactions_missing` those that need another factor. `roles` are the application
    roles of (client id or object id, resource). `exchanges` are the (blueprint, agent) for which a T1 was issued.
    """

    tokens: EntraTokens = field(default_factory=EntraTokens)
    apps: dict[str, App] = field(default_factory=dict[str, App])
    users: dict[str, str] = field(default_factory=dict[str, str])
    auto_user: str = ""
    consents_missing: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    interactions_missing: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    roles: dict[tuple[str, str], list[str]] = field(default_factory=dict[tuple[str, str], list[str]])
    exchanges: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    trusted: dict[str, rsa.RSAPublicKey] = field(default_factory=dict[str, rsa.RSAPublicKey])
    codes: Codes = field(default_factory=Codes)
    refreshable: dict[str, Grant] = field(default_factory=dict[str, Grant])

    async def open(self) -> None:
        await super().open()
        self.tokens.authority = self.url

    def register(self, client_id: str = GATEWAY_APP, secret: str = "", **more: Any) -> App:
        """Add an app registration (see App)."""
        self.apps[client_id] = App(client_id, secret, **more)
        return self.apps[client_id]

    def federate(self, client_id: str, subject: str, issuer: str = "", key: rsa.RSAPublicKey | None = None) -> None:
        """Let the app show tokens of this subject; of this tenant's managed identity where no issuer is given."""
        self.apps[client_id].federated.add((issuer, subject))
        if key is not None:
            self.trusted[issuer] = key

    def object_id(self, user: str) -> str:
        """The object id of the user of that name, who is there from now on."""
        return self.users.setdefault(user, f"ffffffff-0000-4000-8000-{len(self.users) + 1:012}")

    def revoke(self, user: str) -> None:
        """The user's refresh tokens are good no more."""
        self.refreshable = {token: grant for token, grant in self.refreshable.items() if grant.user != user}

    async def answer(self, asked: Asked) -> Response:
        doors: Mapping[tuple[str, str], Callable[[Asked], Awaitable[Response]]] = {
            ("GET", "/v2.0/.well-known/openid-configuration"): self._configuration,
            ("GET", "/.well-known/openid-configuration"): self._configuration,
            ("GET", "/discovery/v2.0/keys"): self._keys,
            ("GET", "/discovery/keys"): self._keys,
            ("GET", "/oauth2/v2.0/authorize"): self._authorize,
            ("POST", "/oauth2/v2.0/authorize"): self._authorize,
            ("POST", "/oauth2/v2.0/token"): self._token,
        }
        tenant, path = f"/{self.tokens.tenant}", asked.path
        door = doors.get((asked.method, path.removeprefix(tenant))) if path.startswith(tenant) else None
        if door is None:  # RFC 8414's path insertion as well, which Entra has not
            return json_answer(404, {"error": "not_found"})
        try:
            return await door(asked)
        except Wrong as wrong:
            return wrong.answer

    async def _configuration(self, asked: Asked) -> Response:
        base = f"{self.url}/{self.tokens.tenant}"
        version = 2 if "/v2.0/" in asked.path else 1
        return json_answer(
            200,
            {
                "issuer": self.tokens.issuer(version),
                "jwks_uri": f"{base}/discovery/{'v2.0/' if version == 2 else ''}keys",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "response_types_supported": ["code", "id_token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "code_challenge_methods_supported": ["S256"],
            },
        )

    async def _keys(self, asked: Asked) -> Response:
        return json_answer(200, self.tokens.keys.jwks(issuer=self.tokens.issuer()))  # Entra's keys name no alg

    async def _authorize(self, asked: Asked) -> Response:
        query = asked.query
        app = self._app(query.get("client_id", ""))
        if query.get("redirect_uri") not in app.redirect_uris:
            raise aadsts("invalid_request", 50011, "The redirect URI does not match those of the application.")
        try:
            challenge = checked_challenge(query)
            wanted = self._wanted(query)
            user = chosen_user(asked, self.auto_user)
        except Wrong as wrong:
            return back(query, {key: str(wrong.body[key]) for key in ("error", "error_description")})
        if not user:
            return sign_in_page("Sign in to the tenant", app.client_id)
        grant = Grant(
            app.client_id,
            user,
            (*wanted.scopes, *sorted(wanted.openid)),
            wanted.uri,
            query["redirect_uri"],
            challenge,
            query.get("nonce", ""),
        )
        self.object_id(user)
        self.consents_missing.discard((app.client_id, wanted.uri))
        return back(query, {"code": self.codes.issue(grant), "session_state": "session"})

    async def _token(self, asked: Asked) -> Response:
        grants: Mapping[str, Callable[[Mapping[str, str]], JSON]] = {
            CLIENT_CREDENTIALS: self._for_app,
            JWT_BEARER: self._on_behalf,
            "authorization_code": self._for_code,
            "refresh_token": self._refreshed,
        }
        grant = grants.get(asked.form.get("grant_type", ""))
        if grant is None:
            raise aadsts("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        return json_answer(200, grant(asked.form))

    def _for_app(self, form: Mapping[str, str]) -> JSON:
        app = self._authenticated(form)
        wanted = self._wanted(form)
        if wanted.scopes != (".default",):
            raise aadsts("invalid_scope", 1002012, "The provided value for scope is not valid: use /.default.")
        if agent := form.get("fmi_path"):
            return self._answer(self._exchanged(app, agent, wanted))
        claims = {"aud": wanted.audience, "roles": self.roles.get((app.client_id, wanted.uri))}
        if app.blueprint:
            return self._answer(self.tokens.agent(app.client_id, app.blueprint, wanted.version, **claims))
        return self._answer(self.tokens.app(app.client_id, wanted.version, **claims))

    def _exchanged(self, blueprint: App, agent: str, wanted: Wanted) -> str:
        child = self.apps.get(agent)
        if wanted.uri != TOKEN_EXCHANGE or child is None or child.blueprint != blueprint.client_id:
            raise aadsts("invalid_grant", 700211, f"{agent} is no agent identity of this blueprint.")
        self.exchanges.append((blueprint.client_id, agent))
        return self.tokens.exchange(blueprint.client_id, agent)

    def _on_behalf(self, form: Mapping[str, str]) -> JSON:
        app = self._authenticated(form)
        if form.get("requested_token_use") != "on_behalf_of":
            raise aadsts("invalid_request", 900144, "The body must contain requested_token_use=on_behalf_of.")
        claims = self._assertion(form.get("assertion", ""), app)
        wanted = self._wanted(form)
        if (app.client_id, wanted.uri) in self.interactions_missing:
            text = "You must use multi-factor authentication."
            raise aadsts("interaction_required", 50076, text, suberror="basic_action", claims='{"access_token":{}}')
        if (app.client_id, wanted.uri) in self.consents_missing:
            text = "The user or administrator has not consented to use the application."
            raise aadsts("invalid_grant", 65001, text, suberror="consent_required")
        return self._for_user(app, wanted, claims["oid"], {"name": claims.get("name")})

    def _assertion(self, token: str, app: App) -> dict[str, Any]:
        """The claims of a user's token that is meant for the app, or for the blueprint of an agent."""
        try:
            claims = self.tokens.keys.claims(token)
        except jwt.ExpiredSignatureError as error:
            raise aadsts("invalid_grant", 500133, "Assertion is not within its valid time range.") from error
        except jwt.InvalidTokenError as error:
            raise aadsts("invalid_grant", 50013, "Assertion failed signature validation.") from error
        if claims["idtyp"] == "app":
            text = (
                f"Application '{claims.get('azp') or claims.get('appid')}' is not allowed to make on-behalf-of calls."
            )
            raise aadsts("unauthorized_client", 7000114, text)
        if claims["aud"] not in self.apps[app.blueprint or app.client_id].names:
            text = "Assertion audience does not match the Client app presenting the assertion."
            raise aadsts("invalid_grant", 500131, text)
        return claims

    def _for_code(self, form: Mapping[str, str]) -> JSON:
        app = self._authenticated(form, public=True)
        grant = self.codes.redeem(form, app.client_id)
        wanted = self._wanted({"scope": " ".join(_written(grant)), **_only(form, "resource")})
        return self._signed_in(app, wanted, grant)

    def _refreshed(self, form: Mapping[str, str]) -> JSON:
        app = self._authenticated(form, public=True)
        grant = self.refreshable.get(form.get("refresh_token", ""))
        if grant is None or grant.client_id != app.client_id:
            raise aadsts("invalid_grant", 50173, "The provided grant has expired: a fresh token is needed.")
        scope = form.get("scope") or " ".join(_written(grant))
        return self._signed_in(app, self._wanted({"scope": scope, **_only(form, "resource")}), grant)

    def _signed_in(self, app: App, wanted: Wanted, grant: Grant) -> JSON:
        answer = self._for_user(app, wanted, self.object_id(grant.user), {"name": grant.user})
        person = {"oid": self.object_id(grant.user), "sub": f"pairwise-{grant.user}", "name": grant.user}
        if "openid" in wanted.openid:
            nonce = grant.nonce or None
            answer["id_token"] = self.tokens.mint(
                2, aud=app.client_id, nonce=nonce, preferred_username=grant.user, **person
            )
        if "offline_access" in wanted.openid:
            answer["refresh_token"] = secrets.token_urlsafe(32)
            self.refreshable[answer["refresh_token"]] = grant
        about = json.dumps({"uid": person["oid"], "utid": self.tokens.tenant}).encode()
        return {**answer, "client_info": base64.urlsafe_b64encode(about).rstrip(b"=").decode()}

    def _for_user(self, app: App, wanted: Wanted, object_id: str, claims: Mapping[str, Any]) -> JSON:
        scopes = " ".join(self._scopes(wanted))
        make = self.tokens.agent_on_behalf if app.blueprint else self.tokens.user
        actor = {"xms_par_app_azp": app.blueprint} if app.blueprint else {}
        given = {"aud": wanted.audience, "scp": scopes, **actor, **claims}
        token = make(object_id, app.client_id, wanted.version, **given)
        return {**self._answer(token), "scope": " ".join(f"{wanted.uri}/{scope}" for scope in scopes.split())}

    def _scopes(self, wanted: Wanted) -> tuple[str, ...]:
        """.default stands for all that the resource has."""
        owner = self._owner(wanted.uri)
        every = owner.scopes if owner is not None else ("user_impersonation",)
        return every if wanted.scopes in {(), (".default",)} else wanted.scopes

    def _answer(self, token: str) -> JSON:
        life = self.tokens.lifetime
        return {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token}

    def _app(self, client_id: str) -> App:
        if client_id not in self.apps:
            raise aadsts("unauthorized_client", 700016, f"Application '{client_id}' was not found in the directory.")
        return self.apps[client_id]

    def _authenticated(self, form: Mapping[str, str], *, public: bool = False) -> App:
        """The client of the request: by its secret, by an assertion, or (a public one) by PKCE alone."""
        app = self._app(form.get("client_id", ""))
        if "client_assertion" in form:
            self._check_assertion(app, form)
            return app
        needs_secret = not public or bool(app.secret) or "client_secret" in form
        if needs_secret and (not app.secret or form.get("client_secret") != app.secret):
            raise aadsts("invalid_client", 7000215, "Invalid client secret provided.", 401)
        return app

    def _check_assertion(self, app: App, form: Mapping[str, str]) -> None:
        token = form["client_assertion"]
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise aadsts("invalid_request", 900144, "The client_assertion_type is missing or wrong.")
        try:
            issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
            if key := self.trusted.get(issuer):
                claims = jwt.decode(token, key, ["RS256"], audience=TOKEN_EXCHANGE)
            else:
                claims, issuer = self.tokens.keys.claims(token, TOKEN_EXCHANGE), ""
        except jwt.ExpiredSignatureError as error:
            raise aadsts(
                "invalid_client", 700024, "Client assertion is not within its valid time range.", 401
            ) from error
        except jwt.InvalidAudienceError as error:
            text = "No matching federated identity record found for presented assertion audience."
            raise aadsts("invalid_client", 700212, text, 401) from error
        except jwt.InvalidTokenError as error:
            raise aadsts("invalid_client", 700027, "The certificate or token could not be verified.", 401) from error
        allowed = {("", f"/eid1/c/pub/t/{self.tokens.tenant}/a/{app.blueprint}/{app.client_id}")}
        if (issuer, claims["sub"]) not in (allowed if app.blueprint else app.federated):
            text = "No matching federated identity record found for presented assertion subject."
            raise aadsts("invalid_client", 700213, text, 401)

    def _owner(self, uri: str) -> App | None:
        return next((app for app in self.apps.values() if uri in app.names and not app.blueprint), None)

    def _wanted(self, form: Mapping[str, str]) -> Wanted:
        """The one resource of the scopes: it must be registered, and `resource` must match where it is sent."""
        asked = form.get("scope", "").split()
        openid = _OPENID.intersection(asked)
        pairs = [scope.rpartition("/") for scope in asked if scope not in _OPENID]
        uris = {uri or "https://graph.microsoft.com" for uri, _, _ in pairs} or {"https://graph.microsoft.com"}
        if len(uris) > 1:
            raise aadsts("invalid_request", 28000, "The scope contains more than one resource.")
        uri = uris.pop()
        if "resource" in form and form["resource"] != uri:
            text = "The resource parameter provided in the request doesn't match with the requested scopes."
            raise aadsts("invalid_target", 9010010, text)
        owner, names = self._owner(uri), tuple(name for _, _, name in pairs)
        if owner is None and uri.rstrip("/") not in OF_AZURE:
            raise aadsts("invalid_resource", 500011, f"The resource principal named {uri} was not found in the tenant.")
        known = owner.scopes if owner is not None else ("user_impersonation",)
        for name in names:
            if name not in {*known, ".default"}:
                raise aadsts("invalid_client", 650053, f"The scope '{name}' doesn't exist on the resource '{uri}'.")
        version = owner.version if owner is not None else 1
        audience = owner.client_id if owner is not None and version == 2 else uri
        return Wanted(uri, audience, version, names, openid)


def _written(grant: Grant) -> list[str]:
    """The scopes of a grant as they are written in a request."""
    return [scope if scope in _OPENID else f"{grant.resource}/{scope}" for scope in grant.scopes]


def _only(form: Mapping[str, str], name: str) -> dict[str, str]:
    return {name: form[name]} if name in form else {}
