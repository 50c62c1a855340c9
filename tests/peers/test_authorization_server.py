"""The loopback authorization server is honest, and what every identity peer can be told to do, it does."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from typing import Any, Final

import aiohttp
import jwt
import pytest

from tests.peers.authorization_server import AuthorizationServer
from tests.peers.browsing import CALLBACK, VERIFIER, authorization, post, visit
from tests.peers.signing import claims_of
from tests.peers.web_peer import oauth_error, printed

SECRET: Final = "client-secret-of-an-app"
JSON = dict[str, Any]


@pytest.fixture
async def server() -> AsyncGenerator[AuthorizationServer]:
    """A server with two confidential clients and a public one, at which ada signs in without a form."""
    async with AuthorizationServer(auto_user="ada") as somebody:
        somebody.register("gateway", SECRET, CALLBACK)
        somebody.register("other", SECRET, CALLBACK)
        somebody.register("desktop", "", CALLBACK)
        yield somebody


async def code_of(server: AuthorizationServer, client_id: str = "gateway", **more: str) -> str:
    """The code of a sign-in without a form."""
    back = (await visit(server, "/authorize", authorization(client_id, **more))).query
    assert (back["iss"], back["state"]) == (server.url, "state")
    return back["code"]


async def ask(server: AuthorizationServer, **more: str) -> tuple[int, JSON]:
    """Ask the token endpoint, as the client `gateway` unless told otherwise."""
    return await post(server, "/token", {"client_id": "gateway", "client_secret": SECRET, **more})


async def redeemed(server: AuthorizationServer, code: str, **more: str) -> tuple[int, JSON]:
    """Redeem a code as it should be, but for what is told otherwise."""
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return await ask(server, code=code, **{**form, **more})


async def signed_in(server: AuthorizationServer, user: str = "ada", **more: str) -> JSON:
    """The tokens of a user."""
    status, answer = await redeemed(server, await code_of(server, login_hint=user, **more))
    assert status == 200
    return answer


async def refreshed(server: AuthorizationServer, answer: JSON) -> tuple[int, JSON]:
    return await ask(server, grant_type="refresh_token", refresh_token=answer["refresh_token"])


async def test_it_knows_whose_token_is_whose(server: AuthorizationServer) -> None:
    ada, grace = await signed_in(server, "ada"), await signed_in(server, "grace")
    shown = [ada["access_token"], grace["access_token"]]
    assert [server.user_of(token) for token in shown] == ["ada", "grace"]
    assert server.consents == [("ada", "gateway"), ("grace", "gateway")]
    server.revoke_everything_of("ada")
    assert [server.user_of(token) for token in shown] == ["", "grace"]
    assert (await refreshed(server, ada))[1]["error"] == "invalid_grant"
    server.expire_everything()
    assert server.user_of(shown[1]) == ""
    assert (await refreshed(server, grace))[0] == 200


async def test_its_tokens_can_be_verified_with_the_keys_that_its_metadata_names(server: AuthorizationServer) -> None:
    answer = await signed_in(server, scope="openid read", resource="https://gateway.example/mcp/city", nonce="once")
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{server.url}/.well-known/openid-configuration") as response:
            metadata = json.loads(await response.read())
        async with http.get(metadata["jwks_uri"]) as response:
            keys = jwt.PyJWKSet.from_dict(json.loads(await response.read()))
    key = keys[jwt.get_unverified_header(answer["access_token"])["kid"]]
    audience = "https://gateway.example/mcp/city"
    access = jwt.decode(answer["access_token"], key, ["RS256"], audience=audience, issuer=metadata["issuer"])
    person = jwt.decode(answer["id_token"], key, ["RS256"], audience="gateway", issuer=metadata["issuer"])
    assert (access["sub"], access["scope"], person["nonce"]) == ("ada", "openid read", "once")


async def test_the_form_asks_who_and_whether(server: AuthorizationServer) -> None:
    server.auto_user = ""
    query = authorization("gateway")
    page = await visit(server, "/authorize", query)
    assert (page.status, 'value="deny"' in page.text) == (200, True)
    denied = await visit(server, "/authorize", query, {"user": "ada", "choice": "deny"})
    assert denied.query["error"] == "access_denied"
    allowed = await visit(server, "/authorize", query, {"user": "grace", "choice": "allow"})
    _, answer = await redeemed(server, allowed.query["code"])
    assert server.user_of(answer["access_token"]) == "grace"


REDEEMED_WRONGLY: Final = {
    "another verifier": ({"code_verifier": "w" * 43}, "invalid_grant"),
    "no verifier": ({"code_verifier": ""}, "invalid_grant"),
    "another redirect URI": ({"redirect_uri": f"{CALLBACK}/"}, "invalid_grant"),
    "another client": ({"client_id": "other"}, "invalid_grant"),
    "a wrong secret": ({"client_secret": "wrong"}, "invalid_client"),
    "another grant": ({"grant_type": "password"}, "unsupported_grant_type"),
    "another resource": ({"resource": "https://other.example"}, "invalid_target"),
}


@pytest.mark.parametrize("case", REDEEMED_WRONGLY)
async def test_a_code_is_not_redeemed_wrongly(server: AuthorizationServer, case: str) -> None:
    wrong, error = REDEEMED_WRONGLY[case]
    assert (await redeemed(server, await code_of(server), **wrong))[1]["error"] == error


async def test_a_code_is_good_once(server: AuthorizationServer) -> None:
    code = await code_of(server)
    assert [(await redeemed(server, code))[0] for _ in range(2)] == [200, 400]


async def test_a_refresh_token_rotates_and_its_second_use_revokes_the_family(server: AuthorizationServer) -> None:
    first = await signed_in(server)
    _, second = await refreshed(server, first)
    assert server.user_of(second["access_token"]) == "ada"
    assert (await refreshed(server, first))[1]["error"] == "invalid_grant"
    assert server.user_of(second["access_token"]) == ""
    assert (await refreshed(server, second))[1]["error"] == "invalid_grant"


async def test_a_refresh_token_takes_its_family_along_when_it_is_revoked(server: AuthorizationServer) -> None:
    answer = await signed_in(server)
    form = {"client_id": "gateway", "client_secret": SECRET, "token": answer["refresh_token"]}
    assert await post(server, "/revoke", {**form, "client_secret": "wrong"}) == (401, ANY_CLIENT_ERROR)
    assert server.user_of(answer["access_token"]) == "ada"
    assert [await post(server, "/revoke", form) for _ in range(2)] == [(200, {}), (200, {})]
    assert server.user_of(answer["access_token"]) == ""


ANY_CLIENT_ERROR: Final = {
    "error": "invalid_client",
    "error_description": "the client is unknown, or its secret is wrong",
}
AUTHORIZED_WRONGLY: Final = {
    "no PKCE": ({"code_challenge": ""}, "invalid_request"),
    "plain PKCE": ({"code_challenge_method": "plain"}, "invalid_request"),
    "an implicit grant": ({"response_type": "token"}, "unsupported_response_type"),
    "an unknown scope": ({"scope": "everything"}, "invalid_scope"),
    "an unknown resource": ({"resource": "https://other.example"}, "invalid_target"),
}


@pytest.mark.parametrize("case", AUTHORIZED_WRONGLY)
async def test_a_wrong_authorization_request_is_sent_back(server: AuthorizationServer, case: str) -> None:
    wrong, error = AUTHORIZED_WRONGLY[case]
    server.resources = ("https://gateway.example/mcp/city",)
    back = await visit(server, "/authorize", authorization("gateway", **wrong))
    assert (back.query["error"], back.query["iss"]) == (error, server.url)


@pytest.mark.parametrize("wrong", [{"redirect_uri": "https://thief.example/"}, {"client_id": "nobody"}])
async def test_nobody_is_sent_to_an_unknown_redirect_uri(server: AuthorizationServer, wrong: dict[str, str]) -> None:
    page = await visit(server, "/authorize", {**authorization("gateway"), **wrong})
    assert (page.status, page.location) == (400, "")


async def test_with_the_resource_rule_the_resource_is_where_the_scopes_come_from(server: AuthorizationServer) -> None:
    server.resource_rule = True
    right, other = "https://gateway.example/mcp/city", "https://gateway.example/mcp/town"
    for resource, scope in ((other, f"{right}/read"), (right, "read")):
        back = await visit(server, "/authorize", authorization("gateway", resource=resource, scope=scope))
        assert "AADSTS9010010" in back.query["error_description"]
    answer = await signed_in(server, resource=right, scope=f"{right}/read")
    assert claims_of(answer["access_token"])["aud"] == right


async def test_a_client_signs_in_for_itself_by_http_basic_alone(server: AuthorizationServer) -> None:
    basic = base64.b64encode(f"gateway:{SECRET}".encode()).decode()
    form = {"grant_type": "client_credentials", "scope": "read"}
    status, answer = await post(server, "/token", form, Authorization=f"Basic {basic}")
    assert (status, server.user_of(answer["access_token"]), "refresh_token" in answer) == (200, "gateway", False)
    _, refused = await ask(server, grant_type="client_credentials", client_id="desktop", client_secret="")
    assert refused["error"] == "unauthorized_client"


async def test_a_public_client_redeems_by_pkce_alone(server: AuthorizationServer) -> None:
    code = await code_of(server, "desktop")
    assert (await redeemed(server, code, client_id="desktop", client_secret=""))[0] == 200


async def test_a_client_registers_itself_only_where_that_is_offered(server: AuthorizationServer) -> None:
    async with aiohttp.ClientSession() as http:
        for offered, status in ((False, 404), (True, 201)):
            server.registers = offered
            async with http.post(f"{server.url}/register", json={"redirect_uris": [CALLBACK]}) as response:
                assert response.status == status
    assert len(server.clients) == 4


async def test_a_fault_lasts_as_long_as_it_was_told_to(server: AuthorizationServer) -> None:
    answer = await signed_in(server)
    server.fail("/token", oauth_error(400, "invalid_scope"))
    server.fail("/token", oauth_error(503, "temporarily_unavailable"), times=2)
    found = [(await refreshed(server, answer))[1].get("error") for _ in range(4)]
    assert found == ["invalid_scope", "temporarily_unavailable", "temporarily_unavailable", None]
    server.fail("/token", oauth_error(500, "server_error"), times=None)
    assert [(await refreshed(server, answer))[0] for _ in range(3)] == [500] * 3
    server.mend()
    assert (await ask(server, grant_type="client_credentials"))[0] == 200


async def test_a_peer_hangs_goes_away_and_comes_back_at_the_same_address(server: AuthorizationServer) -> None:
    url, server.hold = server.url, asyncio.Event()
    waiting = asyncio.create_task(ask(server, grant_type="client_credentials"))
    await server.arrived("/token")
    assert not waiting.done()
    server.mend()
    assert (await waiting)[0] == 200
    await server.close()
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(server, grant_type="client_credentials")
    await server.open()
    assert server.url == url
    assert (await ask(server, grant_type="client_credentials"))[0] == 200


async def test_the_ledger_holds_all_that_was_asked(server: AuthorizationServer) -> None:
    await ask(server, grant_type="client_credentials", scope="read")
    [asked] = server.asked("/token")
    assert (asked.method, asked.parameters["scope"], asked.headers["host"]) == ("POST", "read", server.url[7:])
    assert SECRET in printed(asked)
