"""The token of a dry run holds for the keys of a dry run, and is the same everywhere."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mcpgov.json_web_token import ASYMMETRIC, Rules, TokenRefused, parse_token, verify_claims, verify_signature
from mcpgov.policy.assumed_token import assumed_keys, assumed_token

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_it_is_signed_and_in_force() -> None:
    text = assumed_token({"iss": "https://i"}, NOW)
    token = parse_token(text)
    verify_signature(token, assumed_keys({"iss": "https://i"}), ASYMMETRIC)
    verify_claims(token, Rules(issuers=("https://i",)), NOW)
    assert text == assumed_token({"iss": "https://i"}, NOW)


def test_it_says_when_it_expires_if_it_is_told() -> None:
    token = parse_token(assumed_token({"exp": 1}, NOW))
    with pytest.raises(TokenRefused):
        verify_claims(token, Rules(), NOW)


@pytest.mark.parametrize(("claims", "issuer"), [({"iss": "i"}, "i"), ({"iss": 5}, ""), ({}, "")])
def test_the_issuer_of_its_keys_is_its_own(claims: dict[str, str | int], issuer: str) -> None:
    assert assumed_keys({**claims}).issuer == issuer
