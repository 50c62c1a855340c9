"""Who calls with a token of any OpenID Connect issuer: `sub`, and nothing else, says so."""

from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.identity.oidc_token import OidcAuthenticator, OidcIssuer
from mcpgov.identity.signing_keys import KeySource
from mcpgov.json_web_token import KeySet, key_of_modulus
from mcpgov.models import Principal, PrincipalKind
from tests.identity.tokens import NOW, SECONDS, MemoryKeys, head, nowhere, refusal_of
from tests.peers import signing

NAME: Final = "https://issuer.example/realms/one"
HERE: Final = OidcIssuer(NAME, ("mcpgov",))
SIGNER: Final = signing.SigningKeys("oidc")
NUMBERS: Final = signing.jwk(signing.rsa_key("oidc-1"))
KEYS: Final = KeySet("", (key_of_modulus(NUMBERS["n"], NUMBERS["e"], "oidc-1"),))
CLAIMS: Final[dict[str, Any]] = {
    "iss": NAME,
    "aud": "mcpgov",
    "exp": SECONDS + 60,
    "sub": "ada",
    "name": "Ada Lovelace",
    "azp": "vscode",
    "jti": "unique",
    "scope": "openid mcp.use",
    "roles": ["reader"],
    "team": "payments",
}


def token(*, algorithm: str = "RS256", **claims: Any) -> str:
    return SIGNER.sign({k: v for k, v in {**CLAIMS, **claims}.items() if v is not None}, algorithm=algorithm)


async def principal_of(text: str, issuer: OidcIssuer = HERE) -> Principal:
    return await OidcAuthenticator(issuer, MemoryKeys(KEYS), nowhere, lambda: NOW).authenticate(head(text))


async def reason_of(text: str, issuer: OidcIssuer = HERE) -> Reason:
    return (await refusal_of(principal_of(text, issuer), text)).reason


async def test_the_claims_of_a_token_are_its_principal() -> None:
    found = await principal_of(token())
    assert found == Principal(
        id=f"oidc:{NAME}#ada",
        kind=PrincipalKind.USER,
        name="Ada Lovelace",
        credential="oidc token unique",
        roles=("reader",),
        scopes=("openid", "mcp.use"),
        app_id="vscode",
        token_id="unique",
        issuer=NAME,
        subject="ada",
    )
    assert found.assertion is None


async def test_which_claims_are_read_is_a_setting() -> None:
    issuer = replace(HERE, name_claim="nick", project_claim="team", roles_claim="https://example.com/roles")
    found = await principal_of(token(nick="Countess", **{"https://example.com/roles": "a b"}), issuer)
    assert (found.name, found.project, found.roles) == ("Countess", "payments", ("a", "b"))
    assert (await principal_of(token(scp=["a", "b"]))).scopes == ("a", "b")


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "vscode"},
        {"sub": "robot", "azp": None, "client_id": "robot"},
        {"sub": "vscode@clients"},
        {"gty": "client-credentials"},
        {"grant_type": "client_credentials"},
        {"idtyp": "app"},
        {"is_robot": True},
    ],
)
async def test_a_client_that_calls_for_itself_is_an_app(claims: dict[str, Any]) -> None:
    assert (await principal_of(token(**claims), replace(HERE, app_claim="is_robot"))).kind is PrincipalKind.APP


async def test_who_is_no_client_is_a_user() -> None:
    for claims in ({"is_robot": False}, {"azp": None}, {"sub": "@clients", "azp": None}):
        found = await principal_of(token(**dict[str, Any](claims)), replace(HERE, app_claim="is_robot"))
        assert found.kind is PrincipalKind.USER


async def test_long_subjects_have_ids_that_records_hold_whole() -> None:
    first, second = [await principal_of(token(sub="x" * 250 + end)) for end in ("a", "b")]
    assert first.id != second.id
    assert first.id.startswith("oidc:sha256:")
    assert len(first.id) < 256
    assert first.subject.endswith("a")


@pytest.mark.parametrize("subject", [None, "", 7, "x" * 256, "ada\n", "ada\x00", "\u202eada"])
async def test_a_subject_that_is_none_is_refused(subject: object) -> None:
    assert await reason_of(token(sub=subject)) is Reason.JWT_CLAIM_DENIED


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": f"{NAME}/"}, Reason.JWT_ISSUER_DENIED),
        ({"aud": "vscode"}, Reason.JWT_AUDIENCE_DENIED),
        ({"aud": None}, Reason.JWT_AUDIENCE_DENIED),
        ({"exp": SECONDS - 30}, Reason.JWT_EXPIRED),
        ({"exp": None}, Reason.JWT_CLAIM_DENIED),
        ({"nonce": "n", "scope": None}, Reason.JWT_CLAIM_DENIED),
        ({"at_hash": "n"}, Reason.JWT_CLAIM_DENIED),
    ],
)
async def test_a_token_that_is_not_for_us_is_refused(claims: dict[str, Any], reason: Reason) -> None:
    assert await reason_of(token(**claims)) is reason


@pytest.mark.parametrize("algorithm", ["RS512", "PS256"])
async def test_other_asymmetric_algorithms_are_accepted(algorithm: str) -> None:
    assert await principal_of(token(algorithm=algorithm))


async def test_one_of_the_scopes_is_needed_where_there_are_some() -> None:
    issuer = replace(HERE, scopes=("mcp.use", "mcp.admin"))
    assert await principal_of(token(), issuer)
    text = token(scope="openid")
    refusal = await refusal_of(principal_of(text, issuer), text)
    assert (refusal.reason, refusal.detail) == (Reason.SCOPE_MISSING, f"oidc:{NAME}#ada")
    assert "mcp.use or mcp.admin" in refusal.message


async def test_without_an_audience_of_its_own_only_that_of_the_connection_is_right() -> None:
    def audiences_at(connection: str) -> tuple[str, ...]:
        return (f"https://mcpgov.example/mcp/{connection}",)

    ours = OidcAuthenticator(OidcIssuer(NAME), MemoryKeys(KEYS), audiences_at, lambda: NOW)
    text = token(aud="https://mcpgov.example/mcp/jira")
    assert await ours.authenticate(head(text, connection="jira"))
    refusal = await refusal_of(ours.authenticate(head(text, connection="github")), text)
    assert refusal.reason is Reason.JWT_AUDIENCE_DENIED
    assert await reason_of(text, OidcIssuer(NAME)) is Reason.JWT_AUDIENCE_DENIED


def test_only_tokens_of_this_issuer_are_recognised() -> None:
    ours = OidcAuthenticator(HERE, MemoryKeys(KEYS), nowhere, lambda: NOW)
    assert ours.recognises(head(token()))
    assert not ours.recognises(head(token(iss=f"{NAME}/")))


def test_keys_come_from_the_issuers_configuration_or_the_url_that_is_set() -> None:
    configuration = f"{NAME}/.well-known/openid-configuration"
    assert HERE.keys == KeySource(configuration_url=configuration, issuer=NAME)
    assert OidcIssuer(f"{NAME}/").keys == KeySource(configuration_url=configuration, issuer=f"{NAME}/")
    assert OidcIssuer(NAME, keys_url="https://keys.example/").keys == KeySource(keys_url="https://keys.example/")


WHO: Final = st.tuples(
    st.sampled_from([NAME, "https://issuer.example", "https://issuer.example/realms"]),
    st.text(alphabet="ab#:/", min_size=1, max_size=8),
)


@given(WHO, WHO)
async def test_two_callers_never_share_an_id(one: tuple[str, str], other: tuple[str, str]) -> None:
    ids = [
        (await principal_of(token(iss=issuer, sub=subject), OidcIssuer(issuer, ("mcpgov",)))).id
        for issuer, subject in (one, other)
    ]
    assert (ids[0] == ids[1]) is (one == other)
