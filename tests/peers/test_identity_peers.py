"""The identity peers are honest: azure-identity and PyJWT are content with them, and wrong requests are refused.

azure-identity is the real library with its own transport; where Entra has a request that it cannot make, the documented
form is posted.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity import CredentialUnavailableError
from azure.identity.aio import (
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
    OnBehalfOfCredential,
    WorkloadIdentityCredential,
)

from tests.peers.azure_host import IdentityHost, KeyVault
from tests.peers.browsing import CALLBACK, VERIFIER, authorization, post, visit
from tests.peers.entra import ASSERTION_TYPE, JWT_BEARER, Entra
from tests.peers.entra_tokens import (
    AGENT,
    BLUEPRINT,
    CLIENT_APP,
    GATEWAY_APP,
    MANAGED_IDENTITY,
    OTHER_AGENT,
    TENANT,
    TOKEN_EXCHANGE,
    USER,
)
from tests.peers.signing import claims_of, rsa_key
from tests.peers.tls import Tls, throw_away_tls

SECRET: Final = "client-secret-of-an-app"
SEARCH: Final = "https://search.azure.com"
GATEWAY_SCOPE: Final = f"api://{GATEWAY_APP}/.default"


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return throw_away_tls(tmp_path)


@pytest.fixture
async def entra(tls: Tls) -> AsyncGenerator[Entra]:
    """A tenant: the gateway's app, a blueprint that trusts the managed identity, one agent, one public client."""
    async with Entra(tls) as tenant:
        tenant.register(GATEWAY_APP, SECRET)
        tenant.register(BLUEPRINT)
        tenant.federate(BLUEPRINT, MANAGED_IDENTITY)
        tenant.register(AGENT, blueprint=BLUEPRINT)
        tenant.register(CLIENT_APP, redirect_uris=(CALLBACK,))
        yield tenant


@pytest.fixture
async def host(entra: Entra) -> AsyncGenerator[IdentityHost]:
    async with IdentityHost(entra=entra) as beside:
        yield beside


def put(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


async def got(credential: Any, scope: str) -> dict[str, Any]:
    """The claims of the token that this credential gets."""
    async with credential:
        return claims_of((await credential.get_token(scope)).token)


def over(entra: Entra) -> dict[str, Any]:
    """How azure-identity reaches the peer: its address, and the authority that it trusts."""
    assert entra.tls is not None
    return {"authority": entra.url, "transport": AioHttpTransport(connection_verify=str(entra.tls.ca_file))}


async def token(entra: Entra, **form: str) -> tuple[int, dict[str, Any]]:
    return await post(entra, f"/{TENANT}/oauth2/v2.0/token", form)


async def exchanged(entra: Entra, host: IdentityHost, agent: str = AGENT) -> tuple[int, dict[str, Any]]:
    """The first leg of an agent's sign-in: the blueprint, by its host's managed identity."""
    async with aiohttp.ClientSession() as http:
        query = {"api-version": "2019-08-01", "resource": TOKEN_EXCHANGE}
        header = {"X-IDENTITY-HEADER": host.header_secret}
        async with http.get(f"{host.url}/MSI/token", params=query, headers=header) as response:
            assertion = json.loads(await response.read())["access_token"]
    return await token(
        entra,
        client_id=BLUEPRINT,
        scope=f"{TOKEN_EXCHANGE}/.default",
        fmi_path=agent,
        client_assertion_type=ASSERTION_TYPE,
        client_assertion=assertion,
        grant_type="client_credentials",
    )


async def test_azure_identity_gets_a_managed_identity_token_from_imds(
    host: IdentityHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, host.imds_environment)
    claims = await got(ManagedIdentityCredential(), f"{SEARCH}/.default")
    assert (claims["oid"], claims["aud"], claims["idtyp"]) == (MANAGED_IDENTITY, SEARCH, "app")
    assert host.resources == [SEARCH]


async def test_azure_identity_gets_a_managed_identity_token_from_app_service(
    host: IdentityHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, host.msi_environment)
    host.identities["chosen"] = "object-of-chosen"
    claims = await got(ManagedIdentityCredential(client_id="chosen"), f"{SEARCH}/.default")
    assert (claims["oid"], claims["appid"]) == ("object-of-chosen", "chosen")
    with pytest.raises(ClientAuthenticationError):
        await got(ManagedIdentityCredential(client_id="not-there"), f"{SEARCH}/.default")


async def test_app_service_gives_the_exchange_token_of_an_agent(
    host: IdentityHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, host.msi_environment)
    claims = await got(ManagedIdentityCredential(identity_config={"fmi_path": AGENT}), f"{TOKEN_EXCHANGE}/.default")
    assert claims["sub"] == f"/eid1/c/pub/t/{TENANT}/a/{MANAGED_IDENTITY}/{AGENT}"


async def test_imds_without_an_identity_says_so(host: IdentityHost, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, host.imds_environment)
    host.object_id = ""
    with pytest.raises(CredentialUnavailableError):
        await got(ManagedIdentityCredential(), f"{SEARCH}/.default")


async def test_azure_identity_signs_in_by_a_client_secret(entra: Entra) -> None:
    entra.roles[GATEWAY_APP, SEARCH] = ["Search.Read"]
    claims = await got(ClientSecretCredential(TENANT, GATEWAY_APP, SECRET, **over(entra)), f"{SEARCH}/.default")
    assert (claims["appid"], claims["roles"]) == (GATEWAY_APP, ["Search.Read"])
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        await got(ClientSecretCredential(TENANT, GATEWAY_APP, "wrong", **over(entra)), f"{SEARCH}/.default")


async def test_azure_identity_signs_in_by_workload_identity(entra: Entra, tmp_path: Path) -> None:
    cluster = rsa_key("cluster")
    subject = "system:serviceaccount:mcpgov:mcpgov"
    entra.federate(GATEWAY_APP, subject, "https://cluster.example", cluster.public_key())
    now = int(entra.tokens.clock())
    claims = {"iss": "https://cluster.example", "sub": subject, "aud": TOKEN_EXCHANGE, "exp": now + 60}
    file = tmp_path / "federated"
    file.write_text(jwt.encode(claims, cluster, "RS256"))
    credential = WorkloadIdentityCredential(
        tenant_id=TENANT, client_id=GATEWAY_APP, token_file_path=str(file), **over(entra)
    )
    assert (await got(credential, f"{SEARCH}/.default"))["appid"] == GATEWAY_APP


async def test_an_agent_identity_signs_in_with_its_blueprints_exchange(entra: Entra, host: IdentityHost) -> None:
    status, first = await exchanged(entra, host)
    assert status == 200
    credential = ClientAssertionCredential(TENANT, AGENT, lambda: first["access_token"], **over(entra))
    claims = await got(credential, GATEWAY_SCOPE)
    assert (claims["azp"], claims["xms_par_app_azp"], claims["aud"]) == (AGENT, BLUEPRINT, GATEWAY_APP)
    assert "11" in claims["xms_act_fct"].split()
    assert "11" in claims["xms_sub_fct"].split()
    assert entra.exchanges == [(BLUEPRINT, AGENT)]


async def test_the_exchange_of_one_agent_is_good_for_no_other(entra: Entra, host: IdentityHost) -> None:
    assert (await exchanged(entra, host, OTHER_AGENT))[1]["error_codes"] == [700211]
    entra.register(OTHER_AGENT, blueprint=BLUEPRINT)
    _, first = await exchanged(entra, host, AGENT)
    credential = ClientAssertionCredential(TENANT, OTHER_AGENT, lambda: first["access_token"], **over(entra))
    with pytest.raises(ClientAuthenticationError, match="AADSTS700213"):
        await got(credential, GATEWAY_SCOPE)


async def test_an_agent_has_no_secret_and_a_caller_token_is_no_assertion(entra: Entra) -> None:
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        await got(ClientSecretCredential(TENANT, AGENT, SECRET, **over(entra)), GATEWAY_SCOPE)
    shown = entra.tokens.agent()
    with pytest.raises(ClientAuthenticationError, match="AADSTS700212"):
        await got(ClientAssertionCredential(TENANT, AGENT, lambda: shown, **over(entra)), GATEWAY_SCOPE)


async def test_a_users_token_is_exchanged_on_their_behalf(entra: Entra) -> None:
    credential = OnBehalfOfCredential(
        TENANT, GATEWAY_APP, client_secret=SECRET, user_assertion=entra.tokens.user(), **over(entra)
    )
    claims = await got(credential, f"{SEARCH}/.default")
    assert (claims["oid"], claims["appid"], claims["aud"], claims["idtyp"]) == (USER, GATEWAY_APP, SEARCH, "user")


async def test_an_agent_acts_on_behalf_of_a_user_of_its_blueprint(entra: Entra, host: IdentityHost) -> None:
    _, first = await exchanged(entra, host)
    credential = OnBehalfOfCredential(
        TENANT,
        AGENT,
        client_assertion_func=lambda: first["access_token"],
        user_assertion=entra.tokens.user(aud=BLUEPRINT),
        **over(entra),
    )
    claims = await got(credential, GATEWAY_SCOPE)
    assert (claims["oid"], claims["azp"], claims["xms_par_app_azp"]) == (USER, AGENT, BLUEPRINT)


ASSERTIONS: Final[Mapping[str, tuple[int, Callable[[Entra], str]]]] = {
    "of an app": (7000114, lambda entra: entra.tokens.app()),
    "of an agent": (7000114, lambda entra: entra.tokens.agent()),
    "for another app": (500131, lambda entra: entra.tokens.user(aud=BLUEPRINT)),
    "expired": (500133, lambda entra: entra.tokens.user(exp=1)),
    "that is none": (50013, lambda entra: "e30.e30."),
    "of another key": (50013, lambda entra: jwt.encode(entra.tokens.claims(), rsa_key("as-1"), "RS256")),
}


@pytest.mark.parametrize("case", ASSERTIONS)
async def test_an_assertion_is_refused(entra: Entra, case: str) -> None:
    number, made = ASSERTIONS[case]
    _, answer = await token(
        entra,
        client_id=GATEWAY_APP,
        client_secret=SECRET,
        grant_type=JWT_BEARER,
        requested_token_use="on_behalf_of",
        scope=f"{SEARCH}/.default",
        assertion=made(entra),
    )
    assert answer["error_codes"] == [number]


async def test_entra_asks_for_consent_and_for_a_factor(entra: Entra) -> None:
    entra.consents_missing.add((GATEWAY_APP, SEARCH))
    asks = {"client_secret": SECRET, "user_assertion": entra.tokens.user()}
    with pytest.raises(ClientAuthenticationError, match="AADSTS65001"):
        await got(OnBehalfOfCredential(TENANT, GATEWAY_APP, **asks, **over(entra)), f"{SEARCH}/.default")
    entra.interactions_missing.add((GATEWAY_APP, SEARCH))
    with pytest.raises(ClientAuthenticationError, match="AADSTS50076"):
        await got(OnBehalfOfCredential(TENANT, GATEWAY_APP, **asks, **over(entra)), f"{SEARCH}/.default")


@pytest.mark.parametrize("path", ["/discovery/v2.0/keys", "/discovery/keys"])
async def test_pyjwt_verifies_tokens_of_every_version_over_rotation(entra: Entra, path: str) -> None:
    assert entra.tls is not None
    client = jwt.PyJWKClient(f"{entra.url}/{TENANT}{path}", ssl_context=entra.tls.client_context())
    for version, shown in ((1, entra.tokens.agent(version=1)), (2, entra.tokens.agent_user())):
        entra.tokens.keys.rotate()
        key = await asyncio.to_thread(client.get_signing_key_from_jwt, shown)
        claims = jwt.decode(shown, key, ["RS256"], audience=entra.tokens.audience, issuer=entra.tokens.issuer(version))
        assert claims["ver"] == f"{version}.0"
    entra.tokens.keys.rotate(keep_old=False)
    with pytest.raises(jwt.InvalidTokenError):
        entra.tokens.keys.claims(shown)


async def test_a_user_signs_in_at_entra_by_the_form(entra: Entra) -> None:
    scope = f"api://{GATEWAY_APP}/Mcp.Use openid offline_access"
    query = authorization(CLIENT_APP, scope=scope, nonce="once", resource=f"api://{GATEWAY_APP}")
    path = f"/{TENANT}/oauth2/v2.0/authorize"
    page = await visit(entra, path, query)
    assert (page.status, 'name="user"' in page.text) == (200, True)
    code = (await visit(entra, path, query, {"user": "ada", "choice": "allow"})).query["code"]
    form = {"client_id": CLIENT_APP, "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    _, answer = await token(entra, grant_type="authorization_code", **form)
    claims, person = claims_of(answer["access_token"]), claims_of(answer["id_token"])
    assert (claims["aud"], claims["scp"], claims["oid"]) == (GATEWAY_APP, "Mcp.Use", entra.object_id("ada"))
    assert (person["aud"], person["nonce"], person["name"]) == (CLIENT_APP, "once", "ada")
    refresh = {"client_id": CLIENT_APP, "refresh_token": answer["refresh_token"], "grant_type": "refresh_token"}
    assert (await token(entra, **refresh))[0] == 200
    entra.revoke("ada")
    assert (await token(entra, **refresh))[1]["error_codes"] == [50173]


SCOPES: Final[Mapping[str, tuple[int, dict[str, str]]]] = {
    "resource of the URL": (
        9010010,
        {"scope": f"api://{GATEWAY_APP}/Mcp.Use", "resource": "https://gateway.example/mcp/city"},
    ),
    "unknown resource": (500011, {"scope": "https://nobody.example/Mcp.Use"}),
    "unknown scope": (650053, {"scope": f"api://{GATEWAY_APP}/Other.Scope"}),
    "scope of nobody": (650053, {"scope": "Mcp.Use"}),
    "two resources": (28000, {"scope": f"api://{GATEWAY_APP}/Mcp.Use {SEARCH}/user_impersonation"}),
}


@pytest.mark.parametrize("case", SCOPES)
async def test_entra_sends_a_wrong_scope_or_resource_back(entra: Entra, case: str) -> None:
    number, asked = SCOPES[case]
    entra.auto_user = "ada"
    back = await visit(entra, f"/{TENANT}/oauth2/v2.0/authorize", authorization(CLIENT_APP, **asked))
    assert f"AADSTS{number}:" in back.query["error_description"]


async def test_key_vault_gives_a_secret_to_whoever_may_read_it(
    entra: Entra, host: IdentityHost, tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, host.imds_environment)
    async with ManagedIdentityCredential() as credential:
        right = (await credential.get_token("https://vault.azure.net/.default")).token
    async with KeyVault(tls, entra=entra, secrets={"key": ["old", "new"]}) as vault, aiohttp.ClientSession() as http:

        async def read(path: str, shown: str) -> tuple[int, Any]:
            headers = {"Authorization": f"Bearer {shown}"} if shown else {}
            url = f"{vault.url}{path}?api-version=7.4"
            async with http.get(url, headers=headers, ssl=tls.client_context()) as response:
                body = json.loads(await response.read())
                return response.status, body.get("value") or response.headers.get("www-authenticate", "")

        assert await read("/secrets/key", right) == (200, "new")
        assert await read("/secrets/key/1", right) == (200, "old")
        assert (await read("/secrets/other", right))[0] == 404
        status, challenge = await read("/secrets/key", "")
        assert (status, 'resource="https://vault.azure.net"' in challenge) == (401, True)
        assert (await read("/secrets/key", entra.tokens.app()))[0] == 401
        vault.readers = frozenset({USER})
        assert (await read("/secrets/key", right))[0] == 403
