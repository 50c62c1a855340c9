"""The settings of who calls and of who mcpgov is: `identity:` and `azure:` in mcpgov.yaml.

Rules: a tenant is pinned by its id, never `common`; an issuer is one exact text; where keys and tokens come from is
written here and never taken from a token. A list or mapping that is written and empty would read as "nobody" and mean
"everybody", so it is refused. What asks a Key Vault does not come from one. Refuses to know: what is done with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, model_validator
from pydantic import ValidationInfo as Info

from mcpgov.catalog.urls import check_url
from mcpgov.credential.references import Unfit, has_secret_of_vault
from mcpgov.credential.strength import check_issued
from mcpgov.endpoint.metadata import CONNECTION, GATEWAY
from mcpgov.models import Secret
from mcpgov.shapes import NUMBER, TEXT, Filled, Flag, Shape, Written, count, key_header, resolved_text

if TYPE_CHECKING:
    from collections.abc import Iterator

Contradiction = tuple[tuple[str | int, ...], str, str]  # where, what is wrong, the mend

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_VISIBLE: Final = re.compile(r"[!-~]{1,512}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_RESOURCE: Final = re.compile(r"(?:https|api)://[!-~]{1,500}")
_BARE_HOST: Final = re.compile(r"https://[^/]+/?")


def own_header(name: str) -> str:
    """A header that callers or proxies send us, in lower case. Raises Unfit."""
    if "_" in key_header(name):
        raise Unfit("has a _ in it, and such headers are dropped at the door", "write it with a -")
    return name.lower()


def is_guid(text: str) -> bool:
    """Whether a text has the form of Entra's ids."""
    return _GUID.fullmatch(text) is not None


def _scope(text: str) -> str:
    """RFC 6749 section 3.3: what is quoted in a challenge may hold neither quote nor backslash."""
    if '"' in text or "\\" in text:
        raise Unfit("is not a scope", 'write it without " and \\')
    return text


def _guid(text: str) -> str:
    if not is_guid(text):
        raise Unfit("is not an id of Entra", "write the GUID, like 00000000-1111-2222-3333-444444444444")
    return text.lower()


def _visible(text: str) -> str:
    if not _VISIBLE.fullmatch(text):
        raise Unfit("is not 1 to 512 visible ASCII characters", "write it as it stands in the token")
    return text


def _resource(text: str) -> str:
    if text not in (CONNECTION, GATEWAY) and (not _RESOURCE.fullmatch(text) or "#" in text):
        raise Unfit("is not a resource", f"write {CONNECTION}, {GATEWAY}, or an App ID URI, like api://GUID")
    return text


def _entra_resource(text: str) -> str:
    if text == GATEWAY or _BARE_HOST.fullmatch(text):
        mend = f"write {CONNECTION}, or an App ID URI with a path, like https://mcp.contoso.com/mcp"
        raise Unfit("is a bare host, which clients ask for with a slash at its end, and Entra refuses that", mend)
    return text


def _entra_scope(text: str) -> str:
    if "/" in text:
        raise Unfit("has a resource in front, which is put there for clients", "write the last part alone: Mcp.Use")
    return text


def _url(url: str) -> str:
    check_url(url, private=True)  # whether it must be public is asked when `private` is known
    return url


def _issuer(url: str) -> str:
    if "?" in _url(url):
        raise Unfit("has a query, and issuers have none", "write it exactly as it stands in tokens")
    return url  # a slash at its end included


def _reachable(url: str, info: Info) -> str:
    """A URL whose field stands behind `private`; where that is wrong itself, it is all that is told."""
    check_url(url, private=info.data.get("private", True))
    return url


def _authority(url: str) -> str:
    host = _url(url).removesuffix("/")
    if not re.fullmatch(r"https://[^/?]+", host):
        mend = "write https and the host, like https://login.microsoftonline.com; the tenant has a key of its own"
        raise Unfit("is not an authority of Entra", mend)
    return host


def client_secret(value: object, info: Info) -> Secret:
    """A secret of a client, its references resolved. Raises Unfit for one that is short or a placeholder."""
    secret = resolved_text(value, info)
    check_issued(secret.reveal())
    return secret


def _entra_secret(value: object, info: Info) -> Secret:
    secret = client_secret(value, info)
    if is_guid(secret.reveal()):
        raise Unfit("is the id of a secret, not the secret", "copy the column Value of the app registration, not ID")
    return secret


def _app_secret(value: object, info: Info) -> Secret:
    if isinstance(value, str) and has_secret_of_vault(value):
        raise Unfit("is what Key Vault is asked with, and cannot come from there", "write ${env:NAME} or ${file:PATH}")
    return _entra_secret(value, info)


def _fingerprint(text: str) -> str:
    plain = text.lower().replace(":", "")
    if not _SHA256.fullmatch(plain):
        raise Unfit("is not the SHA-256 of a certificate", "write its 64 hex digits")
    return plain


Guid = Annotated[str, AfterValidator(_guid)]
Visible = Annotated[str, AfterValidator(_visible)]
Resource = Annotated[str, AfterValidator(_resource)]
EntraResource = Annotated[Resource, AfterValidator(_entra_resource)]
Url = Annotated[str, AfterValidator(_url)]
Reachable = AfterValidator(_reachable)
Authority = Annotated[str, AfterValidator(_authority), Reachable]
Issuer = Annotated[str, AfterValidator(_issuer), Reachable]
OwnHeader = Annotated[str, AfterValidator(own_header)]
ClientSecret = Annotated[Secret | None, PlainValidator(client_secret), TEXT]
EntraSecret = Annotated[Secret | None, PlainValidator(_entra_secret), TEXT]
AppSecret = Annotated[Secret | None, PlainValidator(_app_secret), TEXT]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
Skew = Annotated[int, count("seconds", 0, 300), NUMBER]
Guids = Annotated[tuple[Guid, ...], Filled]
Texts = Annotated[tuple[Visible, ...], Filled]
Scope = Annotated[Visible, AfterValidator(_scope)]
Scopes = Annotated[tuple[Scope, ...], Filled]
EntraScopes = Annotated[tuple[Annotated[Visible, AfterValidator(_entra_scope)], ...], Filled]


class BrowserSignIn(Shape):
    """mcpgov as a client of the issuer, so that a consent page knows who opened it."""

    client_id: Visible
    client_secret: ClientSecret = None


class EntraSignIn(BrowserSignIn):
    """mcpgov as an app registration of the tenant, so that a consent page knows who opened it."""

    client_secret: EntraSecret = None


class Allowed(Shape):
    """Who may call at all, where anything is listed: one match of any list is enough."""

    object_ids: Guids = ()
    app_ids: Guids = ()
    blueprint_ids: Guids = ()
    roles: Texts = ()


class Entra(Shape):
    """Tokens of one Microsoft Entra tenant.

    `resource` is what our protected-resource metadata says that we are: `connection` the URL of each connection, or an
    App ID URI. `scopes` (of which a user's token needs one) and `roles` (of which an app's token needs one) may be left
    out. `shared_agents` are ids of identities that several agents go by. `clock_skew` is in seconds. `private` allows
    an authority of one's own.
    """

    tenant_id: Guid
    audiences: Texts
    private: Flag = False
    authority: Authority = "https://login.microsoftonline.com"
    resource: EntraResource = CONNECTION
    scopes: EntraScopes = ()
    roles: Texts = ()
    allowed: Annotated[Allowed, Filled] = Allowed()
    shared_agents: Guids = ()
    clock_skew: Skew = 30
    sign_in: Annotated[EntraSignIn | None, Written] = None

    @property
    def issuers(self) -> tuple[str, str]:
        """Who issues this tenant's tokens of version 1 and of version 2."""
        return f"https://sts.windows.net/{self.tenant_id}/", f"{self.authority}/{self.tenant_id}/v2.0"


class Oidc(Shape):
    """Tokens of one OpenID Connect issuer. `keys_url` stands in for what its configuration says.

    `resource` may be `gateway` too: the public URL.
    """

    private: Flag = False
    issuer: Issuer
    audiences: Texts = ()  # none: the metadata's resource alone
    keys_url: Annotated[Url, Reachable] = ""
    resource: Resource = CONNECTION
    scopes: Scopes = ()
    name_claim: Visible = "name"
    project_claim: Visible = ""
    roles_claim: Visible = "roles"
    app_claim: Visible | Literal[""] = ""
    clock_skew: Skew = 30
    sign_in: Annotated[BrowserSignIn | None, Written] = None


class ProxyIdentity(Shape):
    """Identities that a trusted proxy has checked. Only what comes from `trusted_proxies` is believed.

    `user_header` names a person; `certificate_header` is X-Forwarded-Client-Cert, of which the certificates whose
    SHA-256 is listed are let in, under the name they are given here.
    """

    user_header: OwnHeader = ""
    certificate_header: OwnHeader = ""
    certificates: dict[Fingerprint, Visible] = Field(default_factory=dict[str, str])

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if not self.user_header and not self.certificate_header:
            raise Unfit("names no header", "add user_header: or certificate_header:")
        if bool(self.certificate_header) != bool(self.certificates):
            raise Unfit("needs certificate_header and certificates together", "add the one that is missing")
        if self.user_header == self.certificate_header:
            raise Unfit("reads a person and a certificate from one header", "name two")
        return self


class Identity(Shape):
    """How callers prove who they are. `key_headers` are in lower case."""

    allow_anonymous: Flag = False
    key_headers: Annotated[tuple[OwnHeader, ...], Filled] = ("authorization", "x-api-key")
    entra: Annotated[Entra | None, Written] = None
    oidc: Annotated[tuple[Oidc, ...], Filled] = ()
    proxy: Annotated[ProxyIdentity | None, Written] = None

    @property
    def caller_headers(self) -> tuple[str, ...]:
        """The headers in which something of the caller's own may stand that no upstream gets."""
        proxy = (self.proxy.user_header, self.proxy.certificate_header) if self.proxy else ()
        return (*self.key_headers, *filter(None, proxy))

    @property
    def token_issuers(self) -> Iterator[tuple[str | int, ...]]:
        """Where an issuer of tokens is written."""
        if self.entra:
            yield "identity", "entra"
        yield from (("identity", "oidc", number) for number, _ in enumerate(self.oidc))

    @property
    def sign_ins(self) -> Iterator[tuple[str | int, ...]]:
        """Where a browser's sign-in is written."""
        if self.entra and self.entra.sign_in:
            yield "identity", "entra", "sign_in"
        yield from (("identity", "oidc", number, "sign_in") for number, one in enumerate(self.oidc) if one.sign_in)


class App(Shape):
    """An app registration that mcpgov signs in as: by its secret, or `federated`, with the managed identity's token."""

    client_id: Guid
    client_secret: AppSecret = None
    federated: Flag = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.federated is (self.client_secret is not None):
            raise Unfit("needs a client_secret or federated: true, and not both", "write one of the two")
        return self


class Azure(Shape):
    """Who mcpgov is in Microsoft Entra.

    `identity`: `managed` (managed identity of the host), `workload` (Kubernetes workload identity) or `environment`
    (AZURE_CLIENT_ID and its secret). `managed_identity` is the client id of a user-assigned one. `app` is mcpgov's own
    registration, for on-behalf-of; `blueprint` the agent identity blueprint whose agents it may be.
    """

    tenant_id: Guid
    private: Flag = False
    authority: Authority = "https://login.microsoftonline.com"
    identity: Literal["managed", "workload", "environment"] = "managed"
    managed_identity: Guid = ""
    app: Annotated[App | None, Written] = None
    blueprint: Annotated[App | None, Written] = None


def contradictions(identity: Identity, azure: Azure | None) -> Iterator[Contradiction]:
    """What each section allows and both of them together do not."""
    known = set(identity.entra.issuers if identity.entra else ())
    for number, one in enumerate(identity.oidc):
        if one.issuer in known:
            at = ("identity", "oidc", number, "issuer")
            yield at, "the issuer is there already, and its tokens would be judged in two ways", "remove one"
        known.add(one.issuer)
    for key in ("user_header", "certificate_header") if identity.proxy else ():
        header: str = getattr(identity.proxy, key)
        if header in ("authorization", *identity.key_headers):
            at = ("identity", "proxy", key)
            yield at, f"callers send their own credential in {header}", "let the proxy use another header"
    if azure:
        yield from _of_azure(azure)


def _of_azure(azure: Azure) -> Iterator[Contradiction]:
    if azure.managed_identity and azure.identity != "managed":
        at = ("azure", "managed_identity")
        yield at, f"managed_identity is not used with identity: {azure.identity}", "remove one of the two"
    for key, app in (("app", azure.app), ("blueprint", azure.blueprint)):
        if app and app.federated and azure.identity == "environment":
            at = ("azure", key, "federated")
            yield at, "an identity of the environment cannot stand in for a secret", "write a client_secret"
