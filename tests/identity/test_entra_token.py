"""Who calls with a token of Entra, by the claims that Entra alone can set; and who is not let in."""

from dataclasses import replace
from typing import Any, Final

import pytest

from mcpgov.decision import Reason
from mcpgov.identity.entra_token import AllowedCallers, EntraAuthenticator, EntraTenant
from mcpgov.identity.signing_keys import KeySource
from mcpgov.json_web_token import KeySet, key_of_modulus
from mcpgov.models import Principal, PrincipalKind
from tests.identity.tokens import NOW, SECONDS, MemoryKeys, entra_tokens, head, nowhere, refusal_of
from tests.peers.entra_tokens import (
    AGENT,
    BLUEPRINT,
    CLIENT_APP,
    GATEWAY_APP,
    MANAGED_IDENTITY,
    OTHER_AGENT,
    OTHER_TENANT,
    TENANT,
    USER,
)
from tests.peers.signing import jwk, rsa_key

TOKENS: Final = entra_tokens()
NUMBERS: Final = jwk(rsa_key("entra-1"))
KEYS: Final = KeySet("", (key_of_modulus(NUMBERS["n"], NUMBERS["e"], "entra-1"),))
HERE: Final = EntraTenant(TENANT, (f"api://{GATEWAY_APP}",))


def authenticator(tenant: EntraTenant = HERE) -> EntraAuthenticator:
    return EntraAuthenticator(tenant, MemoryKeys(KEYS), nowhere, lambda: NOW)


async def principal_of(token: str, tenant: EntraTenant = HERE) -> Principal:
    return await authenticator(tenant).authenticate(head(token))


async def reason_of(token: str, tenant: EntraTenant = HERE) -> Reason:
    return (await refusal_of(principal_of(token, tenant), token)).reason


KINDS: Final = [
    ("agent", PrincipalKind.AGENT, f"entra:{TENANT}:{AGENT}", AGENT),
    ("agent_on_behalf", PrincipalKind.AGENT_ON_BEHALF, f"entra:{TENANT}:{USER}:by:{AGENT}", AGENT),
    ("agent_user", PrincipalKind.AGENT_USER, f"entra:{TENANT}:{USER}", AGENT),
    ("managed_identity", PrincipalKind.MANAGED_IDENTITY, f"entra:{TENANT}:{MANAGED_IDENTITY}", ""),
    ("app", PrincipalKind.APP, f"entra:{TENANT}:{CLIENT_APP}", ""),
    ("user", PrincipalKind.USER, f"entra:{TENANT}:{USER}", ""),
]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("mint", "kind", "name", "agent"), KINDS)
async def test_each_kind_of_caller_is_told_apart(
    mint: str, kind: PrincipalKind, name: str, agent: str, version: int
) -> None:
    token = getattr(TOKENS, mint)(version=version, uti="unique")
    found = await principal_of(token)
    assert (found.kind, found.id, found.agent_id) == (kind, name, agent)
    assert found.blueprint_id == (BLUEPRINT if agent else "")
    assert (found.tenant_id, found.token_id, found.credential) == (TENANT, "unique", "entra token unique")
    assert found.issuer == TOKENS.issuer(version)
    assert found.roles == (() if kind.is_user else ("Mcp.Invoke",))
    assert found.scopes == (("Mcp.Use",) if kind.is_user else ())
    assert (found.assertion.reveal() if found.assertion else "") == (token if kind.is_user else "")
    assert token not in repr(found)


async def test_the_claims_of_a_user_are_their_principal() -> None:
    found = await principal_of(TOKENS.user(uti=None))
    assert (found.name, found.subject, found.object_id) == ("Ada Lovelace", f"pairwise-{USER}", USER)
    assert (found.app_id, found.credential, found.project, found.shared) == (CLIENT_APP, "entra token", "", False)


@pytest.mark.parametrize(
    ("mint", "claims", "kind"),
    [
        ("user", {"idtyp": None}, PrincipalKind.USER),
        ("app", {"idtyp": None}, PrincipalKind.APP),
        ("agent", {"xms_par_app_azp": None, "xms_act_fct": None}, PrincipalKind.AGENT),  # the subject says so
        ("agent", {"xms_act_fct": None, "xms_sub_fct": None}, PrincipalKind.AGENT),  # the blueprint does
        ("app", {"xms_act_fct": "111 1 99"}, PrincipalKind.APP),
        ("user", {"xms_sub_fct": "13"}, PrincipalKind.USER),  # without an agent that acts
        ("user", {"xms_act_fct": [9, 11]}, PrincipalKind.AGENT_ON_BEHALF),  # numbers in whatever shape
        ("user", {"xms_act_fct": ["11"], "xms_sub_fct": 13}, PrincipalKind.AGENT_USER),
    ],
)
async def test_a_claim_that_is_left_out_does_not_make_somebody_else(
    mint: str, claims: dict[str, Any], kind: PrincipalKind
) -> None:
    assert (await principal_of(getattr(TOKENS, mint)(**claims))).kind is kind


@pytest.mark.parametrize(
    "claims",
    [
        {"idtyp": "device"},
        {"xms_act_fct": {"11": True}},
        {"xms_act_fct": [True]},
        {"idtyp": None, "scp": None},  # neither scopes, nor about itself
        {"oid": None},
        {"oid": "*"},
        {"oid": f"{USER}:by:{AGENT}"},
        {"oid": [USER]},
        {"azp": None},  # an ID token has none
        {"azp": None, "appid": CLIENT_APP},  # the name of version 1 in a token of version 2
        {"xms_par_app_azp": "blueprint"},
    ],
)
async def test_a_token_that_does_not_say_who_calls_is_refused(claims: dict[str, Any]) -> None:
    assert await reason_of(TOKENS.user(**claims)) is Reason.JWT_CLAIM_DENIED


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"tid": OTHER_TENANT}, Reason.JWT_ISSUER_DENIED),
        ({"tid": None}, Reason.JWT_ISSUER_DENIED),
        ({"iss": f"https://sts.windows.net/{OTHER_TENANT}/"}, Reason.JWT_ISSUER_DENIED),
        ({"iss": f"https://login.microsoftonline.com/{OTHER_TENANT}/v2.0"}, Reason.JWT_ISSUER_DENIED),
        ({"iss": "https://login.microsoftonline.com/common/v2.0"}, Reason.JWT_ISSUER_DENIED),
        ({"iss": f"https://login.microsoftonline.com.evil.example/{TENANT}/v2.0"}, Reason.JWT_ISSUER_DENIED),
        ({"aud": "00000003-0000-0000-c000-000000000000"}, Reason.JWT_AUDIENCE_DENIED),
        ({"exp": SECONDS - 30}, Reason.JWT_EXPIRED),
        ({"nbf": SECONDS + 31}, Reason.JWT_NOT_YET_VALID),
    ],
)
async def test_a_token_for_or_from_somebody_else_is_refused(claims: dict[str, Any], reason: Reason) -> None:
    assert await reason_of(TOKENS.user(**claims)) is reason


async def test_clocks_may_differ_a_little() -> None:
    assert await principal_of(TOKENS.user(exp=SECONDS - 29))
    assert await principal_of(TOKENS.user(nbf=SECONDS + 30))


@pytest.mark.parametrize("written", [GATEWAY_APP, f"api://{GATEWAY_APP}"])
@pytest.mark.parametrize("carried", [GATEWAY_APP, f"api://{GATEWAY_APP}"])
async def test_both_spellings_of_an_audience_are_one(written: str, carried: str) -> None:
    assert await principal_of(TOKENS.user(aud=carried), replace(HERE, audiences=(written,)))


async def test_an_audience_that_is_a_name_has_one_spelling() -> None:
    tenant = replace(HERE, audiences=("api://mcpgov.contoso.com",))
    assert await principal_of(TOKENS.user(aud="api://mcpgov.contoso.com"), tenant)
    assert await reason_of(TOKENS.user(aud="mcpgov.contoso.com"), tenant) is Reason.JWT_AUDIENCE_DENIED


async def test_the_audience_of_a_connection_is_accepted_there_and_nowhere_else() -> None:
    def audiences_at(connection: str) -> tuple[str, ...]:
        return ("https://mcpgov.example/mcp/jira",) if connection == "jira" else ()

    ours = EntraAuthenticator(HERE, MemoryKeys(KEYS), audiences_at, lambda: NOW)
    token = TOKENS.user(aud="https://mcpgov.example/mcp/jira")
    assert await ours.authenticate(head(token, connection="jira"))
    refusal = await refusal_of(ours.authenticate(head(token, connection="github")), token)
    assert refusal.reason is Reason.JWT_AUDIENCE_DENIED


async def test_a_user_needs_one_of_the_scopes_and_an_app_one_of_the_roles() -> None:
    tenant = replace(HERE, scopes=("Mcp.Use", "Mcp.Admin"), roles=("Mcp.Invoke",))
    for mint in (TOKENS.user, TOKENS.agent_user, TOKENS.agent_on_behalf):
        assert await principal_of(mint(), tenant)
        assert await reason_of(mint(scp="Other", roles=["Mcp.Invoke", "Mcp.Use"]), tenant) is Reason.SCOPE_MISSING
    for mint in (TOKENS.app, TOKENS.agent, TOKENS.managed_identity):
        assert await principal_of(mint(), tenant)
        assert await reason_of(mint(roles=["Other"]), tenant) is Reason.SCOPE_MISSING
        assert await reason_of(mint(roles=None), tenant) is Reason.SCOPE_MISSING


async def test_a_scope_may_be_written_with_its_resource() -> None:
    tenant = replace(HERE, scopes=(f"api://{GATEWAY_APP}/Mcp.Use",))
    assert await principal_of(TOKENS.user(), tenant)
    token = TOKENS.user(scp="Other")
    refusal = await refusal_of(principal_of(token, tenant), token)
    assert f"api://{GATEWAY_APP}/Mcp.Use" in refusal.message


@pytest.mark.parametrize(
    "allowed",
    [
        AllowedCallers(object_ids=(AGENT,)),
        AllowedCallers(app_ids=(OTHER_AGENT, AGENT)),
        AllowedCallers(blueprint_ids=(BLUEPRINT,)),
        AllowedCallers(roles=("Mcp.Invoke",)),
        AllowedCallers(object_ids=(OTHER_AGENT,), roles=("Mcp.Invoke",)),
    ],
)
async def test_one_match_of_any_list_is_enough(allowed: AllowedCallers) -> None:
    assert await principal_of(TOKENS.agent(), replace(HERE, allowed=allowed))


async def test_an_agent_that_nobody_listed_is_named_in_the_record_and_not_to_itself() -> None:
    tenant = replace(HERE, allowed=AllowedCallers(app_ids=(OTHER_AGENT,), blueprint_ids=(CLIENT_APP,)))
    token = TOKENS.agent()
    refusal = await refusal_of(principal_of(token, tenant), token)
    assert (refusal.reason, refusal.message) == (Reason.CALLER_NOT_ALLOWED, "This caller is not allowed here.")
    assert refusal.detail == f"agent {AGENT}, app {AGENT}, blueprint {BLUEPRINT}"
    token = TOKENS.app()  # whose empty blueprint matches nothing
    assert (await refusal_of(principal_of(token, tenant), token)).detail == f"app {CLIENT_APP}, app {CLIENT_APP}"


@pytest.mark.parametrize("shared", [AGENT, BLUEPRINT])
async def test_an_identity_that_several_agents_go_by_is_marked(shared: str) -> None:
    tenant = replace(HERE, shared_agents=(shared,))
    assert (await principal_of(TOKENS.agent(), tenant)).shared
    assert not (await principal_of(TOKENS.app(), tenant)).shared


def test_only_tokens_of_this_tenant_are_recognised() -> None:
    ours = authenticator()
    for version in (1, 2):
        assert ours.recognises(head(TOKENS.user(version=version)))
    for other in (OTHER_TENANT, "common"):
        assert not ours.recognises(head(TOKENS.mint(iss=f"https://login.microsoftonline.com/{other}/v2.0")))
    assert not ours.recognises(head("mcpgov_key"))
    assert not ours.recognises(head())


def test_keys_come_from_the_authority_and_the_tenant() -> None:
    tenant = EntraTenant(TENANT, ("api://x",), authority="https://login.microsoftonline.us")
    assert tenant.keys == KeySource(keys_url=f"https://login.microsoftonline.us/{TENANT}/discovery/v2.0/keys")
    assert tenant.issuers[1] == f"https://login.microsoftonline.us/{TENANT}/v2.0"
