"""A signature is checked once by the same keys, and everything else at every call."""

import json
from datetime import timedelta
from typing import Any

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.identity import token_principal
from mcpgov.identity.signing_keys import KeySource
from mcpgov.identity.token_principal import TokenCheck
from mcpgov.identity.verified_tokens import VerifiedTokens
from mcpgov.json_web_token import KeySet, Rules, parse_key_set, parse_token
from tests.identity.tokens import NOW, MemoryKeys, entra_tokens

TOKENS = entra_tokens()
RULES = Rules((TOKENS.issuer(),), (TOKENS.audience,))
JWKS = json.dumps(TOKENS.keys.jwks()).encode()


class Checking:
    """Checks tokens of one issuer, and counts how often a signature was."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int = 10) -> None:
        self.now = NOW
        self.checked = 0
        self.keys = MemoryKeys(parse_key_set(JWKS))
        self.verified = VerifiedTokens(most)
        self.check = TokenCheck(KeySource(), self.keys, ("RS256",), lambda: self.now, self.verified)
        verify = token_principal.verify_signature

        def counted(*given: Any) -> None:
            self.checked += 1
            verify(*given)

        monkeypatch.setattr(token_principal, "verify_signature", counted)

    async def reason(self, text: str, rules: Rules = RULES) -> Reason:
        """Why a token is refused, or that it is not."""
        try:
            token = await self.check.verify(text, rules)
        except Refusal as refusal:
            return refusal.reason
        assert token.claims == parse_token(text).claims
        return Reason.ALLOWED


async def test_the_signature_of_a_token_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checking, text = Checking(monkeypatch), TOKENS.user()
    assert [await checking.reason(text) for _ in range(3)] == [Reason.ALLOWED] * 3
    assert (checking.checked, len(checking.keys.asked)) == (1, 3)


async def test_what_a_known_token_says_is_looked_at_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    checking, text = Checking(monkeypatch), TOKENS.user()
    assert await checking.reason(text) is Reason.ALLOWED
    assert await checking.reason(text, Rules(RULES.issuers, ("api://other",))) is Reason.JWT_AUDIENCE_DENIED
    assert len(checking.verified) == 1
    checking.now = NOW + timedelta(days=1)
    assert await checking.reason(text) is Reason.JWT_EXPIRED
    assert len(checking.verified) == 0


async def test_keys_that_were_fetched_anew_check_it_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    checking, text = Checking(monkeypatch), TOKENS.user()
    assert await checking.reason(text) is Reason.ALLOWED
    checking.keys.key_set = parse_key_set(JWKS)
    assert await checking.reason(text) is Reason.ALLOWED
    assert checking.checked == 2
    checking.keys.key_set = KeySet("", ())
    assert await checking.reason(text) is Reason.JWT_KEY_UNKNOWN
    assert len(checking.verified) == 0


async def test_what_does_not_hold_is_not_kept_and_one_letter_more_is_another_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checking, text = Checking(monkeypatch), TOKENS.user()
    assert await checking.reason(text) is Reason.ALLOWED
    head, claims, signature = text.split(".")
    forged = f"{head}.{claims}.{'A' * 8}{signature[8:]}"
    assert [await checking.reason(forged) for _ in range(2)] == [Reason.JWT_SIGNATURE_INVALID] * 2
    assert len(checking.verified) == 1


async def test_as_many_are_known_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    checking = Checking(monkeypatch, most=2)
    texts = [TOKENS.user(uti=str(number)) for number in range(3)]
    for text in (texts[0], texts[1], texts[0], texts[2], texts[0], texts[1]):
        assert await checking.reason(text) is Reason.ALLOWED
    assert (checking.checked, len(checking.verified)) == (4, 2)


async def test_no_token_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    checking, text = Checking(monkeypatch), TOKENS.user()
    assert await checking.reason(text) is Reason.ALLOWED
    found = checking.verified.find(text)
    assert found is not None
    assert (found[0].signing_input, found[0].signature) == (b"", b"")
