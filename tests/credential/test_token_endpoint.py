"""mcpgov as a client of a token endpoint: what it sends, and what it makes of the answers."""

import base64
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from mcpgov.credential.token_endpoint import GrantRefused, authorization_url, challenge_of, error_code
from mcpgov.credential.vault import Tokens
from mcpgov.models import Headers, Secret
from mcpgov.web import WebAnswer, WebUnavailable
from tests.credential.consenting import CLIENT, House, answer, issued

OLD = Tokens(Secret("access-0"), None, Secret("refresh-0"))
PUBLIC = replace(CLIENT, client_secret=None)
INVALID_CLIENT = answer(401, error="invalid_client")


async def test_a_secret_goes_in_the_header_and_the_id_in_the_form() -> None:
    house = House()
    house.will(issued())
    client = replace(CLIENT, client_id="a b", client_secret=Secret("p:w/+ö"))
    await house.endpoint.redeem(client, "code-1", "verifier-1", "https://mcp.contoso.com/oauth/callback")
    sent = house.script.posts[0]
    assert base64.b64decode(sent.headers["authorization"].removeprefix("Basic ")) == b"a+b:p%3Aw%2F%2B%C3%B6"
    assert sent.form == {
        "grant_type": "authorization_code",
        "code": "code-1",
        "code_verifier": "verifier-1",
        "redirect_uri": "https://mcp.contoso.com/oauth/callback",
        "client_id": "a b",
    }


@pytest.mark.parametrize(
    "refusal", [INVALID_CLIENT, answer(400, error="invalid_client"), answer(200, error="incorrect_client_credentials")]
)
async def test_a_server_that_refuses_the_header_is_sent_the_form(refusal: WebAnswer) -> None:
    house = House()
    house.will(refusal, issued())
    assert (await house.endpoint.refresh(CLIENT, OLD)).access == Secret("access-1")
    first, second = house.script.posts
    assert "client_secret" not in first.form
    assert "authorization" not in second.headers
    assert second.form["client_secret"] == "client-secret-of-mcpgov"


async def test_a_client_without_a_secret_sends_its_id_alone_and_once() -> None:
    house = House()
    house.will(INVALID_CLIENT)
    with pytest.raises(GrantRefused, match="invalid_client"):
        await house.endpoint.refresh(PUBLIC, OLD)
    assert [(post.form["client_id"], "authorization" in post.headers) for post in house.script.posts] == [
        ("gateway", False)
    ]


async def test_a_refresh_goes_to_its_own_url_and_keeps_the_old_refresh_token_where_there_is_no_new_one() -> None:
    house = House()
    house.will(issued(refresh=None), issued(refresh="refresh-2"))
    elsewhere = replace(CLIENT, refresh_url="https://auth.example.com/refresh", resource="https://api.example.com")
    assert (await house.endpoint.refresh(elsewhere, OLD)).refresh == Secret("refresh-0")
    assert (await house.endpoint.refresh(CLIENT, OLD)).refresh == Secret("refresh-2")
    assert [post.url for post in house.script.posts] == [elsewhere.refresh_url, CLIENT.token_url]
    assert house.script.posts[0].form == {
        "grant_type": "refresh_token",
        "refresh_token": "refresh-0",
        "resource": "https://api.example.com",
        "client_id": "gateway",
    }


async def test_client_credentials_ask_for_the_scopes() -> None:
    house = House()
    house.will(issued(refresh=None))
    tokens = await house.endpoint.client_credentials(CLIENT)
    assert house.script.posts[0].form == {
        "grant_type": "client_credentials",
        "scope": "repo read:org",
        "client_id": "gateway",
    }
    assert tokens == Tokens(Secret("access-1"), int(house.clock.at.timestamp()) + 3600, None)


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [(60, 60), ("60", 60), (59.9, 59), (10**12, 366 * 86400), (None, None), (-1, None), ("soon", None), (True, None)],
)
def test_how_long_a_token_lives(expires_in: Any, seconds: int | None) -> None:
    house = House()
    tokens = house.endpoint.tokens_in({"access_token": "a", "expires_in": expires_in})
    expected = None if seconds is None else int(house.clock.at.timestamp()) + seconds
    assert tokens.expires_at == expected


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"access_token": None},
        {"access_token": ""},
        {"access_token": "two\r\nlines"},
        {"access_token": "a b"},
        {"access_token": "ä"},
        {"access_token": "a" * 16385},
        {"access_token": "a", "token_type": "DPoP"},
        {"access_token": "a", "token_type": 7},
    ],
)
def test_what_is_no_bearer_token_is_no_token(content: dict[str, Any]) -> None:
    with pytest.raises(WebUnavailable):
        House().endpoint.tokens_in(content)


def test_an_empty_or_odd_refresh_token_is_none() -> None:
    endpoint = House().endpoint
    assert endpoint.tokens_in({"access_token": "a", "refresh_token": ""}).refresh is None
    assert endpoint.tokens_in({"access_token": "a", "refresh_token": 7}).refresh is None


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (answer(400, error="invalid_grant"), "invalid_grant"),
        (answer(200, error="bad_refresh_token"), "bad_refresh_token"),
        (answer(400, error="<script>\n"), "unknown"),
        (answer(400, error=7), "unknown"),
        (answer(403), "status 403"),
        (answer(302), "status 302"),
        (WebAnswer(400, Headers(), b"<html>"), "status 400"),
        (WebAnswer(400, Headers(), b"[]"), "status 400"),
    ],
)
async def test_a_refusal_says_why(said: WebAnswer, code: str) -> None:
    house = House()
    house.will(said)
    with pytest.raises(GrantRefused) as caught:
        await house.endpoint.refresh(PUBLIC, OLD)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "said", [answer(500), answer(503, error="server_error"), answer(429), answer(400, error="temporarily_unavailable")]
)
async def test_a_server_in_trouble_says_nothing_of_the_grant(said: WebAnswer) -> None:
    house = House()
    house.will(said)
    with pytest.raises(WebUnavailable, match=r"auth\.example\.com answered"):
        await house.endpoint.refresh(PUBLIC, OLD)


async def test_an_answer_as_a_form_is_read_as_well() -> None:
    house = House()
    form = Headers((("content-type", "application/x-www-form-urlencoded; charset=utf-8"),))
    house.will(WebAnswer(200, form, b"access_token=a&token_type=bearer"), WebAnswer(200, form, b"error=invalid_grant"))
    assert (await house.endpoint.refresh(PUBLIC, OLD)).access == Secret("a")
    with pytest.raises(GrantRefused, match="invalid_grant"):
        await house.endpoint.refresh(PUBLIC, OLD)


async def test_revoking_names_both_tokens() -> None:
    house = House()
    house.will(answer(), answer(), answer())
    client = replace(CLIENT, revocation_url="https://auth.example.com/revoke")
    await house.endpoint.revoke(client, OLD)
    await house.endpoint.revoke(client, replace(OLD, refresh=None))
    sent = [(post.form["token"], post.form["token_type_hint"]) for post in house.script.posts]
    assert sent == [("refresh-0", "refresh_token"), ("access-0", "access_token"), ("access-0", "access_token")]


@pytest.mark.parametrize("said", [answer(400, error="unsupported_token_type"), answer(503)])
async def test_a_revocation_that_was_not_heard_is_told(said: WebAnswer) -> None:
    house = House()
    house.will(said)
    with pytest.raises(GrantRefused):
        await house.endpoint.revoke(replace(PUBLIC, revocation_url="https://auth.example.com/revoke"), OLD)


@pytest.mark.parametrize("said", [answer(400, error="unsupported_token_type"), WebUnavailable("down")])
async def test_a_refresh_token_that_cannot_be_revoked_keeps_no_access_token_from_it(
    said: WebAnswer | WebUnavailable,
) -> None:
    house = House()
    house.will(said, answer())
    with pytest.raises((GrantRefused, WebUnavailable)):
        await house.endpoint.revoke(replace(PUBLIC, revocation_url="https://auth.example.com/revoke"), OLD)
    assert [post.form["token_type_hint"] for post in house.script.posts] == ["refresh_token", "access_token"]


def test_the_authorization_url_has_what_the_specifications_ask_for() -> None:
    client = replace(CLIENT, authorization_url="https://auth.example.com/authorize?p=1", resource="https://r.example")
    url = urlsplit(authorization_url(client, "https://mcp.contoso.com/oauth/callback", "state&1", "verifier"))
    assert (url.netloc, url.path) == ("auth.example.com", "/authorize")
    assert dict(parse_qsl(url.query)) == {
        "p": "1",
        "response_type": "code",
        "client_id": "gateway",
        "redirect_uri": "https://mcp.contoso.com/oauth/callback",
        "state": "state&1",
        "code_challenge": challenge_of("verifier"),
        "code_challenge_method": "S256",
        "scope": "repo read:org",
        "resource": "https://r.example",
    }


def test_without_scopes_and_resource_neither_is_asked_for() -> None:
    url = authorization_url(replace(CLIENT, scopes=()), "https://x/oauth/callback", "s", "v")
    assert not {"scope", "resource"} & dict(parse_qsl(urlsplit(url).query)).keys()


def test_the_challenge_is_that_of_the_rfc() -> None:
    # RFC 7636, appendix B
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(("text", "code"), [("access_denied", "access_denied"), ('a"b', "unknown"), ("", "unknown")])
def test_an_error_code_is_what_the_rfc_lets_it_be(text: str, code: str) -> None:
    assert error_code(text) == code


@pytest.mark.parametrize(
    ("said", "why"),
    [(answer(400, error="unsupported_token_type"), "unsupported_token_type"), (answer(503), "status 503")],
)
async def test_a_revocation_that_fails_says_why(said: WebAnswer, why: str) -> None:
    house = House()
    house.will(said, answer())
    with pytest.raises(GrantRefused) as caught:
        await house.endpoint.revoke(replace(PUBLIC, revocation_url="https://auth.example.com/revoke"), OLD)
    assert (caught.value.code, str(caught.value)) == (why, why)


@pytest.mark.parametrize(
    ("most", "over"),
    [
        ('"x": "%s"' % ("x" * (1_048_576 - 37)), '"x": "%s"' % ("x" * (1_048_576 - 36))),
        ('"x": ' + "[" * 15 + "]" * 15, '"x": ' + "[" * 16 + "]" * 16),
        (", ".join(f'"k{number}": 1' for number in range(999)), ", ".join(f'"k{number}": 1' for number in range(1000))),
    ],
    ids=["size", "depth", "keys"],
)
async def test_an_answer_is_read_to_its_bounds(most: str, over: str) -> None:
    house = House()
    good, large = (f'{{"access_token": "access-1", {members}}}'.encode() for members in (most, over))
    house.will(*(replace(answer(), body=body) for body in (good, large)))
    assert (await house.endpoint.client_credentials(PUBLIC)).access == Secret("access-1")
    with pytest.raises(WebUnavailable):
        await house.endpoint.client_credentials(PUBLIC)


async def test_without_a_refresh_token_none_is_sent() -> None:
    house = House()
    house.will(answer(400, error="invalid_grant"))
    with pytest.raises(GrantRefused):
        await house.endpoint.refresh(PUBLIC, replace(OLD, refresh=None))
    assert house.script.posts[0].form["refresh_token"] == ""
