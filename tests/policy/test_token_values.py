"""A verified token as expressions see it: nothing of it prints."""

from __future__ import annotations

from mcpgov.decision import Reason
from mcpgov.policy.token_values import Authorization, Checked, Jwt

TOKEN = Jwt(
    {"alg": "RS256", "typ": "at+jwt"},
    {"aud": "a", "iss": "i", "sub": 5, "roles": ["r", "s"], "n": 5, "on": True, "none": None, "map": {"a": 1}},
)


def test_every_claim_is_a_list_of_texts() -> None:
    assert TOKEN.lists == {
        "aud": ("a",),
        "iss": ("i",),
        "sub": ("5",),
        "roles": ("r", "s"),
        "n": ("5",),
        "on": ("true",),
        "map": ('{"a":1}',),
    }
    assert Jwt({}, {}).audiences == ()


def test_cel_sees_what_it_says() -> None:
    mapping = TOKEN.mapping
    assert mapping.pop("claims") == TOKEN.claims
    assert mapping == {
        "id": "",
        "issuer": "i",
        "subject": "",
        "audiences": ["a"],
        "algorithm": "RS256",
        "type": "at+jwt",
    }
    assert Authorization("t").mapping == {"access_token": "t", "claims": {}}


def test_none_of_them_prints() -> None:
    printed = repr((TOKEN, Authorization("t0ken"), Checked("t0ken", Reason.JWT_EXPIRED, TOKEN)))
    assert "t0ken" not in printed
    assert "at+jwt" not in printed
