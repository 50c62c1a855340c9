"""What a probe saw, in words: what is wrong with a connection, and how to mend it. Pure.

The table of docs/sign-in.md. It is told what happened and guesses no more than that allows: where two faults look the
same from outside, it names both. No secret comes in here but the connection's own keys, of which it looks at nothing
but whether there is a scheme in front, and says nothing but that.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcpgov.decision import Reason
from mcpgov.errors import UNKNOWN_CALLER
from mcpgov.frozen import frozen
from mcpgov.models import AuthType, PrincipalKind
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Connection, Credential, Principal

CONSENT_REQUIRED: Final = -32007  # JSON-RPC code of an upstream that waits for somebody's consent
_OF_THE_CALLER: Final = UNKNOWN_CALLER | {Reason.SCOPE_MISSING, Reason.CALLER_NOT_ALLOWED}
_LINK: Final = re.compile(r'https://[^\s"\\<>]{1,2000}')
_AADSTS: Final = re.compile(r"AADSTS[0-9]{4,9}")
_NO_IDENTITY_HERE: Final = re.compile(r"(\w+) identity: (?:this host has none|not answered in time)")
_OAUTH_CLIENT: Final = re.compile(r"\b(?:invalid_client|incorrect_client_credentials|unauthorized_client)\b")
_SCHEMELESS: Final = re.compile(r"\S+")
_MICROSOFT: Final = frozenset({AuthType.PROJECT_MANAGED_IDENTITY, AuthType.AGENTIC_IDENTITY, AuthType.USER_ENTRA})


@frozen
class Diagnosis:
    """One thing that is wrong: a short name for it, what it is, how to mend it, and where, if that is a page."""

    name: str
    what: str
    mend: str
    link: str = ""


@frozen
class Seen:
    """What is known when a probe has ended.

    `connection` is None where there is none of that name. `reason`, `message` and `detail` are those of the refusal
    that ended it, `status` the upstream's HTTP status behind that; `code` and `told` are of a JSON-RPC error that the
    upstream answered with. `link` is where it can be mended. `tools` counts those that were listed, None where no list
    was had, `waiting` those that wait for a person. `known` are the names of all connections. `principal` is who asked,
    None for one who was not let in; `record` the correlation id of what failed.
    """

    name: str
    connection: Connection | None
    credential: Credential | None = None
    reason: Reason | None = None
    message: str = ""
    detail: str = ""
    status: int | None = None
    link: str = ""
    code: int | None = None
    told: str = ""
    tools: int | None = None
    waiting: int = 0
    known: tuple[str, ...] = ()
    principal: Principal | None = None
    record: str = ""


def link_in(error: str) -> str:
    """The first https link in the text of a JSON-RPC error, or nothing."""
    link = _LINK.search(error)
    return link[0] if link else ""


def diagnose(seen: Seen) -> Diagnosis | None:
    """What is wrong, or None."""
    if seen.connection is None and seen.reason is Reason.UNKNOWN_CONNECTION:
        return _unknown(seen)
    if seen.code is not None:
        return _answered_with_error(seen)
    if seen.reason is None:
        return _no_tools(seen) if not seen.tools else None
    if seen.connection is not None and seen.reason is Reason.UPSTREAM_UNAUTHORIZED:
        return _unauthorized(seen, seen.connection)
    if seen.connection is not None and seen.reason is Reason.CREDENTIAL_UNAVAILABLE:
        return _no_credential(seen, seen.connection)
    if seen.connection is not None and seen.principal is not None and seen.reason is Reason.USER_REQUIRED:
        return _no_user(seen, seen.connection, seen.principal)
    if seen.reason in {Reason.UPSTREAM_UNREACHABLE, Reason.CIRCUIT_OPEN}:
        return _unreachable(seen)
    return _refused(seen, seen.reason)


def untested(connection: Connection | None, principal: Principal | None) -> str:
    """What a test of `connection` as `principal` cannot prove, or nothing: who is no user goes without a user's token.

    What cannot do without one is refused, and so no part of this.
    """
    if connection is None or (principal is not None and principal.kind.is_user and principal.assertion is not None):
        return ""
    second = connection.sign_in.caller_token is not None
    return "on behalf of a user (--token-env)" if second or connection.sign_in.on_behalf_of else ""


def _unknown(seen: Seen) -> Diagnosis:
    mend = nearest(seen.name, seen.known) if seen.known else "the catalog has no connection yet"
    return Diagnosis("unknown-connection", f"There is no connection {seen.name}.", mend)


def _answered_with_error(seen: Seen) -> Diagnosis:
    if seen.code == CONSENT_REQUIRED:
        what = "The upstream itself waits for somebody's consent."
        mend = "open the link as the user whose consent it is, then try again"
        return Diagnosis("upstream-consent-required", what, mend, seen.link)
    what = f"The upstream answered with the JSON-RPC error {seen.code}: {seen.told}"
    return Diagnosis("upstream-error", what, "its own documentation says what that means")


def _no_tools(seen: Seen) -> Diagnosis:
    if seen.waiting:
        what = f"The tools of the server wait for approval: {seen.waiting}."
        return Diagnosis("tools-wait", what, f"look at them, and decide: mcpgov catalog diff {seen.name}")
    microsoft = seen.connection is not None and seen.connection.auth_type in _MICROSOFT
    audience = f"{_audience(seen)}, is the one that the server expects" if microsoft else "are those that it expects"
    checked = (
        f"check that the audience, {audience}" if microsoft else f"check that the credential and the URL {audience}"
    )
    mend = f"{checked}, that its identity has a role there, and that no policy hides every tool (mcpgov policy explain)"
    what = "The server lists no tools. Servers of Foundry answer so when the audience or the identity is wrong."
    return Diagnosis("no-tools", what, mend)


# -- what the upstream made of our credential --------------------------------------------------------------------------


def _unauthorized(seen: Seen, connection: Connection) -> Diagnosis:
    if seen.status == 407:
        what = "A proxy in front of the upstream asks for a credential (407)."
        return Diagnosis("proxy-in-between", what, "reach the upstream without that proxy")
    if seen.status == 403:
        return _forbidden(seen, connection)
    sent = _sent(seen)
    match connection.auth_type:
        case AuthType.NONE:
            what = "The upstream asks for a credential (401), and this connection has authType None."
            return Diagnosis("credential-expected", what, "set authType and what goes with it in the catalog")
        case AuthType.CUSTOM_KEYS:
            what = f"The upstream did not accept the key (401). Sent: {sent}."
            mend = "check the header's name and format in the server's documentation, and that the key has not expired"
            if _lacks_scheme(connection):
                mend = 'write the scheme in front of the key: Authorization: "Bearer ${env:NAME}"'
            return Diagnosis("key-refused", what, mend)
        case AuthType.OAUTH2:
            what = f"The upstream did not accept the token (401). Sent: {sent}."
            again = "; then revoke the consent and give it again" if _per_user(connection) else ""
            return Diagnosis("token-refused", what, f"check scopes: and resource: in the catalog{again}")
        case _:
            what = f"The upstream did not accept a token for the audience {_audience(seen)} (401). Sent: {sent}."
            mend = "set audience: to the App ID URI that the server expects; its documentation or its 401 names it"
            return Diagnosis("wrong-audience", what, mend)


def _forbidden(seen: Seen, connection: Connection) -> Diagnosis:
    if connection.auth_type in _MICROSOFT:
        who = seen.credential.identity if seen.credential else ""
        what = f"The upstream knows {who or 'the identity'} and does not let it in (403): it has no role there."
        mend = "assign the role or app role that the server asks for; it may take ten minutes, for some services a day"
        return Diagnosis("role-missing", what, mend)
    what = f"The upstream does not let this credential in (403). Sent: {_sent(seen)}."
    mend = "give the key or account the permission that the server asks for, and check whether it allows our address"
    return Diagnosis("permission-missing", what, mend)


def _per_user(connection: Connection) -> bool:
    """Whether each user consents to a token of their own."""
    return connection.sign_in.oauth is not None and connection.sign_in.oauth.per_user


def _lacks_scheme(connection: Connection) -> bool:
    """Whether an Authorization header holds one word: a key without `Bearer` or `Basic`."""
    return any(
        name.lower() == "authorization" and _SCHEMELESS.fullmatch(value.reveal()) is not None
        for name, value in connection.keys
    )


def _sent(seen: Seen) -> str:
    names = [name for name, _ in seen.credential.headers] if seen.credential else []
    return f"header {', '.join(names)}" if names else "no header"


def _audience(seen: Seen) -> str:
    audience = seen.credential.audience if seen.credential else ""
    return audience or (seen.connection.sign_in.audience if seen.connection else "") or "(none)"


# -- what came before the upstream -------------------------------------------------------------------------------------

_FEDERATION: Final = (
    "federation-missing",
    "No federated credential of the app registration fits mcpgov's identity, or the agent is not the blueprint's.",
    "check its issuer, audience and subject (a managed identity's object id); agents have to be under azure.blueprint",
)
_FOR_ANOTHER: Final = (
    "user-token-wrong",
    "Entra does not exchange the user's token: it is for another application than ours, or no longer holds.",
    "sign in anew for {exchanger}: its client id is the audience that the user's token needs",
)
# Source: Microsoft Entra, "authentication and authorization error codes".
_ENTRA: Final[Mapping[str, tuple[str, str, str]]] = {
    "AADSTS500011": (
        "wrong-audience",
        "Entra knows no application with the audience {audience}.",
        "set audience: to the App ID URI of the server's app registration, in the same tenant",
    ),
    "AADSTS501051": (
        "role-missing",
        "The identity has no role at {audience}, which wants one assigned.",
        "assign one of its app roles to the identity in Entra, under Enterprise applications",
    ),
    "AADSTS50105": (
        "role-missing",
        "The user is not assigned to the application behind {audience}.",
        "assign the user, or a group, in Entra, under Enterprise applications",
    ),
    "AADSTS65001": (
        "consent-required",
        "Nobody has consented that mcpgov asks for {audience}.",
        "open the link as the user, or let an administrator consent for everybody",
    ),
    "AADSTS700016": (
        "application-unknown",
        "Entra does not know mcpgov's own client id in this tenant.",
        "check azure.tenant_id and the client_id of azure.app or azure.blueprint",
    ),
    "AADSTS7000215": (
        "secret-wrong",
        "Entra does not accept mcpgov's client secret.",
        "use the secret's value, not its id; make a new one if in doubt",
    ),
    "AADSTS7000222": (
        "secret-expired",
        "mcpgov's client secret has expired.",
        "make a new secret in the app registration, or use federated: true",
    ),
    "AADSTS70021": _FEDERATION,
    "AADSTS700211": _FEDERATION,
    "AADSTS700213": _FEDERATION,
    "AADSTS700024": (
        "clock-wrong",
        "Entra finds that a proof which mcpgov sent is not valid at this time.",
        "set the clock of this machine right",
    ),
    "AADSTS50013": _FOR_ANOTHER,
    "AADSTS500131": _FOR_ANOTHER,
    "AADSTS7000114": (
        "user-token-wrong",
        "An app's token was to be exchanged, and Entra exchanges those of users only.",
        "call on behalf of a user, or use another authType",
    ),
    "AADSTS90002": (
        "tenant-unknown",
        "Entra knows no tenant with the id in the settings.",
        "check azure.tenant_id, and azure.authority for a national cloud",
    ),
    "AADSTS53003": (
        "access-conditional",
        "A Conditional Access policy of the tenant does not let mcpgov's identity have a token.",
        "the tenant's sign-in log names the policy",
    ),
}


def _no_credential(seen: Seen, connection: Connection) -> Diagnosis:
    code = _AADSTS.search(seen.detail)
    if code is not None and code[0] in _ENTRA:
        name, what, mend = _ENTRA[code[0]]
        told = f"{what.format(audience=_audience(seen))} ({code[0]})"
        return Diagnosis(name, told, mend.format(exchanger=_exchanger(connection)), seen.link)
    if code is not None:
        what = f"Entra gave no token ({code[0]})."
        return Diagnosis("token-refused", what, f"look {code[0]} up in the list of Entra's error codes")
    kind = _NO_IDENTITY_HERE.search(seen.detail)
    if kind is not None and connection.auth_type in _MICROSOFT:
        what = f"This machine has no {kind[1]} identity, or not the one that is named."
        mend = "run this where mcpgov has it, or choose with azure.identity: managed, workload or environment"
        return Diagnosis("identity-missing", what, mend)
    refused = _OAUTH_CLIENT.search(seen.detail)
    if refused is not None and connection.auth_type is AuthType.OAUTH2:
        what = f"The authorization server does not accept mcpgov as its client ({refused[0]})."
        mend = "check clientId: and clientSecret: in the catalog, and make a new secret if in doubt"
        return Diagnosis("client-refused", what, mend)
    what = f"The credential of this connection cannot be had: {seen.detail or seen.message}"
    return Diagnosis("credential-unavailable", what, "mend what it says, then try again")


def _exchanger(connection: Connection) -> str:
    """Whom a user's token has to be for, so that it can be exchanged."""
    return "azure.blueprint" if connection.sign_in.on_behalf_of else "azure.app"


def _no_user(seen: Seen, connection: Connection, principal: Principal) -> Diagnosis:
    """Which of the two tokens of a user is missing, and why the one who asked has none."""
    caller, sign_in, second = principal.kind, connection.sign_in, connection.sign_in.caller_token
    consents = _per_user(connection) and not (caller.is_user or caller is PrincipalKind.KEY)
    own = consents or connection.auth_type is AuthType.USER_ENTRA or (sign_in.on_behalf_of and caller.is_user)
    token = "The token in Authorization" if own or second is None else f"callerToken, in {second.header},"
    lacks = "is no user and holds no gateway key" if consents else "brings no user's token of Entra"
    what = f"{token} is got for the calling user. This was asked as {principal.id} ({caller}), which {lacks}."
    bring = "a user's token or a gateway key" if consents else "the token of a user who is signed in with Entra"
    mend = f"put {bring} into a variable, and add --token-env with its name"
    return Diagnosis("user-required", what, mend, seen.link)


def _unreachable(seen: Seen) -> Diagnosis:
    if "DNS" in seen.detail:
        what = "The name of the upstream's host is not known here."
        return Diagnosis(
            "name-unknown", what, "check upstream: for a typing error, and the name service of this machine"
        )
    if "Certificate" in seen.detail or "SSL" in seen.detail:
        what = "The upstream's certificate is not one that this machine trusts."
        mend = "check the host's name; for a private authority point SSL_CERT_FILE at its certificates"
        return Diagnosis("certificate-refused", what, mend)
    what = "Nothing answers at the upstream's address."
    return Diagnosis("unreachable", what, "check host and port in upstream:, and the network between here and there")


# By reason, where the reason alone tells everything.
_PLAIN: Final[Mapping[Reason, tuple[str, str]]] = {
    Reason.UPSTREAM_ADDRESS_DENIED: (
        "The upstream has plain http or an address that is not public, which this connection may not reach.",
        "use https and a public address; or write private: true in its catalog entry if it is your own network",
    ),
    Reason.UPSTREAM_TIMEOUT: (
        "The upstream did not answer in time.",
        "see whether it is up and answers from here; give it longer with timeout: in its catalog entry",
    ),
    Reason.UPSTREAM_RESET: (
        "The upstream broke off the connection.",
        "look into the server's own log; a proxy in between may have a limit",
    ),
    Reason.UPSTREAM_REDIRECTED: (
        "The upstream sends elsewhere, and a redirect is never followed with a credential.",
        "write the final address in upstream:; often it is https instead of http, or a slash at the end",
    ),
    Reason.UPSTREAM_INVALID: (
        "What answers there is not an MCP server, or not at this path.",
        "check the path of upstream: (many servers have theirs at /mcp); a web page often means a sign-in or a portal",
    ),
    Reason.UPSTREAM_RATE_LIMITED: ("The upstream limits the rate of calls.", "try again later"),
    Reason.UPSTREAM_ERROR: ("The upstream failed.", "look into the server's own log; check the path of upstream:"),
    Reason.CONSENT_REQUIRED: (
        "This user has not consented yet.",
        "open the link as that user, then run this again",
    ),
    Reason.AUDIT_UNAVAILABLE: (
        "The ledger cannot be written, so nothing is forwarded.",
        "mend the audit store: see audit.store, the disk's free space and who may write there",
    ),
    Reason.CONNECTION_DENIED: (
        "The caller's key does not hold for this connection.",
        "make one that does: mcpgov keys create --connection",
    ),
    Reason.SOURCE_IP_DENIED: (
        "A policy lets in certain addresses only, and the probe comes from 127.0.0.1.",
        "callers may still be let in; to probe too, let 127.0.0.1 in",
    ),
}


# What another caller would do, by reason; `{detail}` names the audiences that are accepted.
_OF_TOKENS: Final[Mapping[Reason, str]] = {
    Reason.JWT_AUDIENCE_DENIED: "get a token that is made out for this gateway ({detail})",
    Reason.JWT_EXPIRED: "get a new token; if it is new, set the clock of this machine right",
    Reason.JWT_NOT_YET_VALID: "set the clock of this machine right, or that of the issuer",
}
_ELSE: Final = "get a token for this gateway's own audience, or a key that holds; docs/tokens.md has what is checked"


def _refused(seen: Seen, reason: Reason) -> Diagnosis:
    if reason in _OF_THE_CALLER:
        what = f"The gateway does not let this caller in: {seen.message}"
        mend = _OF_TOKENS.get(reason, _ELSE).format(detail=seen.detail or "docs/identity.md has which")
        return Diagnosis(str(reason), what, mend)
    if reason is Reason.CONSENT_REQUIRED and not seen.link:
        mend = "an administrator has to set that up; then run this again"
        return Diagnosis(str(reason), f"Nobody has consented, and no link can be given: {seen.message}", mend)
    if reason in _PLAIN:
        what, mend = _PLAIN[reason]
        if seen.detail and reason in {Reason.UPSTREAM_INVALID, Reason.UPSTREAM_ERROR}:
            what = f"{what.removesuffix('.')} ({seen.detail})."
        return Diagnosis(str(reason), what, mend, seen.link)
    what = f"The gateway itself said no: {seen.message}"
    shown = f"mcpgov audit show {seen.record}".rstrip()
    mend = f"policies and limits bind a probe as they bind everybody; {shown} has the rule that decided"
    return Diagnosis(str(reason), what, mend, seen.link)
