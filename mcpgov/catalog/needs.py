"""What the entries of the catalog need of mcpgov.yaml: who mcpgov is, and whose tokens it takes. Pure.

Rules: a connection that could never be signed in to, or never be called, is an error when files are loaded, at the
place in the catalog that asks for it, and not the first call's. Refuses to know: how anybody signs in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.catalog.sign_in import ENTRA_CLIENTS
from mcpgov.models import AuthType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mcpgov.catalog.entries import Entry
    from mcpgov.errors import Problem
    from mcpgov.identity_settings import Azure
    from mcpgov.models import Connection
    from mcpgov.settings import Settings

Unmet = tuple[str, str, str]  # the key of the connection that asks for it, what is wrong, the mend

_AS_WHOM: Final[Mapping[AuthType, str]] = {
    AuthType.PROJECT_MANAGED_IDENTITY: "add azure: { tenant_id: GUID } to mcpgov.yaml",
    AuthType.AGENTIC_IDENTITY: "add azure: with tenant_id and blueprint to mcpgov.yaml",
    AuthType.USER_ENTRA: "add azure: with tenant_id and app to mcpgov.yaml",
}


def unmet(entries: Iterable[Entry], settings: Settings) -> Iterator[Problem]:
    """Everything that `entries` need and `settings` do not have, with its place in the entry's file."""
    for entry in entries:
        for served in entry.connections:
            connection = served.connection
            for key, message, mend in (*_of_upstream(connection, settings), *_of_clients(connection, settings)):
                yield entry.source.problem(("connections", connection.name, key), message, mend)


def _of_upstream(connection: Connection, settings: Settings) -> Iterator[Unmet]:
    """What it takes to sign in to the upstream."""
    sign_in, azure = connection.sign_in, settings.azure
    yield from _of_identity("authType", connection.auth_type, azure)
    if sign_in.caller_token:
        yield from _of_identity("callerToken", AuthType.USER_ENTRA, azure)
    if sign_in.identity and azure and azure.identity == "environment":
        mend = "remove it, or change azure.identity in mcpgov.yaml"
        yield "identity", "mcpgov's identity is that of the environment, and no managed one", mend
    for key, acts_for_users in (
        ("authType", connection.auth_type is AuthType.USER_ENTRA),
        ("onBehalfOf", sign_in.on_behalf_of),
        ("callerToken", sign_in.caller_token is not None),
    ):
        if acts_for_users:
            yield from _of_users(key, settings)
    if sign_in.oauth and sign_in.oauth.per_user:
        yield from _of_consent(settings)


def _of_identity(key: str, auth_type: AuthType, azure: Azure | None) -> Iterator[Unmet]:
    """What it takes to be somebody in Entra."""
    parts = {AuthType.AGENTIC_IDENTITY: "blueprint", AuthType.USER_ENTRA: "app"}
    if auth_type in _AS_WHOM and (azure is None or (auth_type in parts and getattr(azure, parts[auth_type]) is None)):
        yield key, f"nothing says who mcpgov is for {auth_type}", _AS_WHOM[auth_type]


def _of_consent(settings: Settings) -> Iterator[Unmet]:
    """What it takes to hold tokens of users of another authorization server."""
    if not settings.public_url:
        yield "oauth", "users have no URL to consent at", "add public_url to mcpgov.yaml"
    if settings.secrets.key is None:
        mend = "add secrets: { key: … } to mcpgov.yaml"
        yield "oauth", "there is no key that users' tokens could be sealed with", mend


def _of_users(key: str, settings: Settings) -> Iterator[Unmet]:
    """What it takes to act on behalf of users: their tokens, of the tenant that exchanges them."""
    azure, entra = settings.azure, settings.identity.entra
    if entra is None:
        mend = "add identity: { entra: … } to mcpgov.yaml"
        yield key, "mcpgov takes no tokens of Entra, and could act on behalf of nobody", mend
    elif azure and azure.tenant_id != entra.tenant_id:
        mend = "let azure.tenant_id and identity.entra.tenant_id be one tenant"
        yield key, "the users' tokens are of another tenant than mcpgov's own identity", mend


def _of_clients(connection: Connection, settings: Settings) -> Iterator[Unmet]:
    """What it takes for clients to sign in to mcpgov."""
    kind, identity = connection.client_auth_type, settings.identity
    if kind is AuthType.NONE and not identity.allow_anonymous:
        mend = "add identity: { allow_anonymous: true } to mcpgov.yaml, or remove it"
        yield "clientAuthType", "clients that sign in with nothing are not let in", mend
    if kind in ENTRA_CLIENTS and identity.entra is None:
        mend = "add identity: { entra: … } to mcpgov.yaml"
        yield "clientAuthType", f"clients bring {kind}, and no tokens of Entra are taken", mend
    if kind is AuthType.OAUTH2 and not (identity.entra or identity.oidc):
        mend = "add identity: { oidc: […] } or { entra: … } to mcpgov.yaml"
        yield "clientAuthType", "clients bring OAuth2 tokens, and nobody's are taken", mend
