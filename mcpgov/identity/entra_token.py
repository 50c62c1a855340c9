"""Callers with a token of one Microsoft Entra tenant: agents, users, managed identities and apps.

Rules: the tenant is pinned, by the issuer and by `tid`; keys come from the configured authority. Who calls is told by
claims that Entra alone can set. A user's token needs one of the scopes, any other one of the roles. Being the agent of
a blueprint is recorded and can be allowed, and makes nobody a user. An identity is written with GUIDs only, so that no
two can be spelled alike.

Source: Microsoft identity platform, "Access token claims reference", and "Tokens in agent identities" for the facets:
11 among the actor's is an agent identity, 13 among the subject's an agent's own user account.
"""

from __future__ import annotations

import re
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
from mcpgov.json_web_token import Rules, Token
from mcpgov.models import Principal, PrincipalKind, RequestHead, Secret

ALGORITHMS: Final = ("RS256",)
AGENT_IDENTITY: Final = "11"
AGENT_USER: Final = "13"
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_API: Final = "api://"


@frozen
class AllowedCallers:
    """Who may call at all, where anything is listed: one match of any list is enough. GUIDs in lower case."""

    object_ids: tuple[str, ...] = ()
    app_ids: tuple[str, ...] = ()
    blueprint_ids: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@frozen
class EntraTenant:
    """Whose tokens are accepted, and which. GUIDs in lower case; `authority` without a slash at its end;
    `clock_skew` in seconds. Empty `scopes` or `roles` are not asked for.
    """

    tenant_id: str
    audiences: tuple[str, ...]
    authority: str = "https://login.microsoftonline.com"
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    allowed: AllowedCallers = AllowedCallers()
    shared_agents: tuple[str, ...] = ()
    clock_skew: int = 30

    @property
    def issuers(self) -> tuple[str, str]:
        """The issuer of version 1 tokens, and that of version 2."""
        return f"https://sts.windows.net/{self.tenant_id}/", f"{self.authority}/{self.tenant_id}/v2.0"

    @property
    def keys(self) -> KeySource:
        """Where the tenant's keys are."""
        return KeySource(keys_url=f"{self.authority}/{self.tenant_id}/discovery/v2.0/keys")


class EntraAuthenticator:
    """Recognises bearer tokens of one tenant. `audiences_at` has the audiences of a connection itself."""

    def __init__(
        self, tenant: EntraTenant, keys: TrustedKeys, audiences_at: AudiencesAt, now: Callable[[], datetime]
    ) -> None:
        self._tenant = tenant
        self._audiences_at = audiences_at
        self._check = TokenCheck(tenant.keys, keys, ALGORITHMS, now)

    def recognises(self, head: RequestHead) -> bool:
        """Whether a bearer token says that this tenant issued it."""
        return is_from(head, self._tenant.issuers)

    async def authenticate(self, head: RequestHead) -> Principal:
        """The caller. Raises Refusal: one of jwt-…, scope-missing, caller-not-allowed, credential-ambiguous,
        sign-in-unavailable.
        """
        text = only_bearer(head)
        audiences = (*self._tenant.audiences, *self._audiences_at(head.connection))
        rules = Rules(self._tenant.issuers, _both_spellings(audiences), self._tenant.clock_skew)
        token = await self._check.verify(text, rules)
        if token.text("tid") != self._tenant.tenant_id:
            raise Refusal(Reason.JWT_ISSUER_DENIED, "The token is of another tenant.")
        principal = _principal(token, self._tenant, text)
        _require_permission(principal, self._tenant)
        _require_allowed(principal, self._tenant.allowed)
        return principal


def _both_spellings(audiences: tuple[str, ...]) -> tuple[str, ...]:
    """Each audience, and the other way that Entra writes it: version 1 says api://GUID, version 2 GUID."""
    bare = (audience.removeprefix(_API) for audience in audiences)
    return (*audiences, *(spelled for guid in bare if _GUID.fullmatch(guid) for spelled in (guid, _API + guid)))


def _principal(token: Token, tenant: EntraTenant, text: str) -> Principal:
    kind = _kind(token)
    object_id = _guid(token, "oid")
    app_id = _guid(token, "appid" if token.issuer == tenant.issuers[0] else "azp")
    blueprint_id = _guid(token, "xms_par_app_azp") if "xms_par_app_azp" in token.claims else ""
    is_agent = kind in {PrincipalKind.AGENT, PrincipalKind.AGENT_ON_BEHALF, PrincipalKind.AGENT_USER}
    token_id = label(token.text("uti"))
    behalf = f":by:{app_id}" if kind is PrincipalKind.AGENT_ON_BEHALF else ""
    return Principal(
        id=f"entra:{tenant.tenant_id}:{object_id}{behalf}",
        kind=kind,
        name=label(token.text("name") or token.text("app_displayname")),
        credential=f"entra token {token_id}".rstrip(),
        agent_id=app_id if is_agent else "",
        blueprint_id=blueprint_id,
        object_id=object_id,
        roles=words(token.claims, "roles"),
        scopes=scopes_of(token),
        tenant_id=tenant.tenant_id,
        app_id=app_id,
        token_id=token_id,
        issuer=token.issuer,
        subject=label(token.text("sub")),
        shared=not {object_id, app_id, blueprint_id}.isdisjoint(tenant.shared_agents),
        assertion=Secret(text) if kind.is_user else None,
    )


def _guid(token: Token, claim: str) -> str:
    found = token.text(claim).lower()
    if not _GUID.fullmatch(found):
        raise refuse_claim("The token does not say who calls.", f"the claim {claim} is missing, or is no GUID")
    return found


def _kind(token: Token) -> PrincipalKind:
    actor, subject = _facets(token, "xms_act_fct"), _facets(token, "xms_sub_fct")
    by_agent = AGENT_IDENTITY in actor or AGENT_IDENTITY in subject or "xms_par_app_azp" in token.claims
    if _is_user(token):
        if not by_agent:
            return PrincipalKind.USER
        return PrincipalKind.AGENT_USER if AGENT_USER in subject else PrincipalKind.AGENT_ON_BEHALF
    if by_agent:
        return PrincipalKind.AGENT
    return PrincipalKind.MANAGED_IDENTITY if "xms_mirid" in token.claims else PrincipalKind.APP


def _facets(token: Token, claim: str) -> tuple[str, ...]:
    """Numbers in a text, or listed. Raises Refusal for any other shape: an agent would be taken for its user."""
    value = token.claims.get(claim, "")
    listed = value.split(" ") if isinstance(value, str) else value if isinstance(value, list) else [value]
    if any(isinstance(one, bool) or not isinstance(one, str | int) for one in listed):
        raise refuse_claim("The token does not say who calls.", f"the claim {claim} is no list of numbers")
    return tuple(str(one) for one in listed)


def _is_user(token: Token) -> bool:
    """Whether there is a user. `idtyp` says so; where it is not configured, an app's token is about itself and has
    no scopes.
    """
    kind = token.text("idtyp")
    if kind == "user" or (not kind and scopes_of(token)):
        return True
    if kind == "app" or (not kind and token.text("sub") == token.text("oid")):
        return False
    raise refuse_claim("The token is neither a user's nor an app's.", "by idtyp, scp, sub and oid")


def _require_permission(principal: Principal, tenant: EntraTenant) -> None:
    if principal.kind.is_user:
        needed, held, what = tenant.scopes, principal.scopes, "scope"
    else:
        needed, held, what = tenant.roles, principal.roles, "application role"
    # A token carries the last part of api://…/Mcp.Use; the audience has been checked.
    if needed and {name.rpartition("/")[2] for name in needed}.isdisjoint(held):
        raise Refusal(
            Reason.SCOPE_MISSING,
            f"The token has no {what} that is needed here: {' or '.join(needed)}.",
            detail=_who(principal),
        )


def _require_allowed(principal: Principal, allowed: AllowedCallers) -> None:
    lists = (
        (allowed.object_ids, (principal.object_id,)),
        (allowed.app_ids, (principal.app_id,)),
        (allowed.blueprint_ids, (principal.blueprint_id,)),
        (allowed.roles, principal.roles),
    )
    listed = any(wanted for wanted, _ in lists)
    if listed and all(set(wanted).isdisjoint(held) for wanted, held in lists):
        raise Refusal(Reason.CALLER_NOT_ALLOWED, "This caller is not allowed here.", detail=_who(principal))


def _who(principal: Principal) -> str:
    """Verified ids, so that the record of a refusal names an agent that nobody knew of."""
    blueprint = f", blueprint {principal.blueprint_id}" if principal.blueprint_id else ""
    return f"{principal.kind} {principal.object_id}, app {principal.app_id}{blueprint}"
