"""What the entries of the catalog need of mcpgov.yaml: who mcpgov is, and whose tokens it takes. Pure.

Rules: a connection that could never be signed in to, or never be called, is an error when files are loaded, at the
place in the catalog that asks for it, and not the first call's. Refuses to know: how anybody signs in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.catalog.sign_in import ENTRA_CLIENTS
from mcpgov.identity_settings import is_guid
from mcpgov.models import AuthType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mcpgov.catalog.entries import Entry
    from mcpgov.errors import Problem
    from mcpgov.identity_settings import App, Azure
    from mcpgov.models import Connection
    from mcpgov.settings import Settings

Unmet = tuple[str, str, str]  # the key of the connection that asks for it, what is wrong, the mend

# Which part of `azure:` is who mcpgov is; none is the host's identity.
_AS_WHOM: Final[Mapping[AuthType, str]] = {
    AuthType.PROJECT_MANAGED_IDENTITY: "",
    AuthType.AGENTIC_IDENTITY: "blueprint",
    AuthType.USER_ENTRA: "app",
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
    if (auth_type := connection.auth_type) in _AS_WHOM:
        yield from _of_identity("authType", auth_type, _AS_WHOM[auth_type], azure)
    if sign_in.caller_token:
        yield from _of_identity("callerToken", "callerToken", _AS_WHOM[AuthType.USER_ENTRA], azure)
    if sign_in.identity and azure and azure.identity == "environment":
        mend = "remove it, or change azure.identity in mcpgov.yaml"
        yield "identity", "mcpgov's identity is that of the environment, and no managed one", mend
    for key, exchanged_by, acts_for_users in (
        ("authType", AuthType.USER_ENTRA, auth_type is AuthType.USER_ENTRA),
        ("onBehalfOf", AuthType.AGENTIC_IDENTITY, sign_in.on_behalf_of),
        ("callerToken", AuthType.USER_ENTRA, sign_in.caller_token is not None),
    ):
        if acts_for_users:
            yield from _of_users(key, _AS_WHOM[exchanged_by], connection, settings)
    if sign_in.oauth and sign_in.oauth.per_user:
        yield from _of_consent(settings)


def _of_identity(key: str, purpose: str, part: str, azure: Azure | None) -> Iterator[Unmet]:
    """What it takes to be somebody in Entra."""
    if azure is None or (part and getattr(azure, part) is None):
        keys = f"with tenant_id and {part}" if part else "{ tenant_id: GUID }"
        yield key, f"nothing says who mcpgov is for {purpose}", f"add azure: {keys} to mcpgov.yaml"


def _of_consent(settings: Settings) -> Iterator[Unmet]:
    """What it takes to hold tokens of users of another authorization server."""
    if not settings.public_url:
        yield "oauth", "users have no URL to consent at", "add public_url to mcpgov.yaml"
    if settings.secrets.key is None:
        mend = "add secrets: { key: … } to mcpgov.yaml"
        yield "oauth", "there is no key that users' tokens could be sealed with", mend


def _of_users(key: str, part: str, connection: Connection, settings: Settings) -> Iterator[Unmet]:
    """What it takes to act on behalf of users: their tokens, of the tenant and for the app that exchanges them."""
    azure, entra = settings.azure, settings.identity.entra
    if entra is None:
        mend = "add identity: { entra: … } to mcpgov.yaml"
        yield key, "mcpgov takes no tokens of Entra, and could act on behalf of nobody", mend
    elif azure and azure.tenant_id != entra.tenant_id:
        mend = "let azure.tenant_id and identity.entra.tenant_id be one tenant"
        yield key, "the users' tokens are of another tenant than mcpgov's own identity", mend
    elif (app := getattr(azure, part, None)) and not _may_be_for(app, (*entra.audiences, connection.client_audience)):
        mend = f"add {app.client_id}, for which users then bring their tokens, to identity.entra.audiences"
        yield key, f"no user's token that is accepted here is for azure.{part}, which exchanges it", mend


def _may_be_for(app: App, audiences: Iterable[str]) -> bool:
    """Whether an accepted token may be for `app`. An App ID URI without an id in it does not say whose it is."""
    ids = [audience.removeprefix("api://").lower() for audience in audiences if audience]
    return app.client_id in ids or not all(map(is_guid, ids))


def _of_clients(connection: Connection, settings: Settings) -> Iterator[Unmet]:
    """What it takes for clients to sign in to mcpgov."""
    kind, identity = connection.client_auth_type, settings.identity
    if kind is AuthType.NONE and not identity.allow_anonymous:
        open_it = "add identity: { allow_anonymous: true } to mcpgov.yaml, or " if settings.is_local else ""
        mend = f"{open_it}remove it"
        yield "clientAuthType", "clients that sign in with nothing are not let in", mend
    if kind in ENTRA_CLIENTS and identity.entra is None:
        mend = "add identity: { entra: … } to mcpgov.yaml"
        yield "clientAuthType", f"clients bring {kind}, and no tokens of Entra are taken", mend
    if kind is AuthType.OAUTH2 and not (identity.entra or identity.oidc):
        mend = "add identity: { oidc: […] } or { entra: … } to mcpgov.yaml"
        yield "clientAuthType", "clients bring OAuth2 tokens, and nobody's are taken", mend
