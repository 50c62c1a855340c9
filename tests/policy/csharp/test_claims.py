"""What expressions of API Management read of a token that was verified."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mcpgov.policy.draft import Draft
from mcpgov.policy.token_values import Authorization, Checked, Jwt
from tests.policy.csharp.drafts import draft, failure, value

TOKEN = Jwt(
    {"alg": "RS256", "typ": "JWT"},
    {"iss": "i", "sub": "s", "jti": "t", "aud": ["a", "b"], "exp": 1000, "roles": ["r", "w"], "email": "ann@x"},
)
JWT = '((Jwt)context.Variables["jwt"])'


def verified() -> Draft:
    given = draft(jwt=TOKEN, auth=Authorization("t0ken"), nothing=None)
    given.tokens["a#1"] = Checked("aaa.bbb.ccc", jwt=TOKEN)
    given.tokens["a#2"] = "t0ken"
    return given


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{JWT}.Issuer", "i"),
        (f"{JWT}.Subject", "s"),
        (f"{JWT}.Id", "t"),
        (f"{JWT}.Algorithm", "RS256"),
        (f"{JWT}.Type", "JWT"),
        (f"{JWT}.Audiences.Length", 2),
        (f"{JWT}.ExpirationTime", datetime(1970, 1, 1, 0, 16, 40, tzinfo=UTC)),
        (f"{JWT}.NotBefore == null", True),
        (f'{JWT}.Claims["roles"][1]', "w"),
        (f'{JWT}.Claims.ContainsKey("scp")', False),
        (f'{JWT}.Claims.GetValueOrDefault("roles")', "r,w"),
        (f'{JWT}.Claims.GetValueOrDefault("email", "n/a")', "ann@x"),
        (f'{JWT}.Claims.GetValueOrDefault("phone", "n/a")', "n/a"),
        (f'{JWT}.Claims.GetValueOrDefault("phone", new string[]{{""}})[0]', ""),
        (f'{JWT}.Claims.GetValueOrDefault("email", new string[]{{""}})[0]', "ann@x"),
        ('context.Variables.GetValueOrDefault<Jwt>("jwt").Subject', "s"),
        ('(context.Variables["jwt"] as Jwt)?.Subject', "s"),
        ('context.Variables["jwt"] is Jwt', True),
        ('context.Variables["auth"] is Jwt', False),
        ('((Authorization)context.Variables["auth"]).AccessToken', "t0ken"),
        ('((Authorization)context.Variables.GetValueOrDefault("auth"))?.AccessToken', "t0ken"),
        ('((Authorization)context.Variables.GetValueOrDefault("nothing"))?.AccessToken', None),
        ('((Authorization)context.Variables["auth"]).Claims.ContainsKey("a")', False),
        ('"Bearer aaa.bbb.ccc".AsJwt().Subject', "s"),
        ('"aaa.bbb.ccc".AsJwt()?.Subject', "s"),
        ('"aaa.bbb.ddd".AsJwt() == null', True),
        ('context.Variables["jwt"].Subject', "s"),
        ('@{ var j = (Jwt)context.Variables["jwt"]; return j.Issuer; }', "i"),
    ],
)
def test_a_token_is_read_as_in_api_management(text: str, expected: object) -> None:
    assert value(text, verified()) == expected


def test_claims_that_nobody_vouches_for_are_not_there() -> None:
    assert "is asked of null" in failure('"x.y.z".AsJwt().Subject', verified())


def test_a_token_is_no_text() -> None:
    assert failure('(string)context.Variables["jwt"]', verified()) == "a value cannot be cast to string"
