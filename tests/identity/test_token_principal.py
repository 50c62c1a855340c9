"""A token is checked for nothing before it costs something, and only access tokens let anybody in."""

import json
from typing import Any, Final

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.identity.signing_keys import KeySource
from mcpgov.identity.token_principal import LONGEST_LABEL, TokenCheck, bearers, is_from, label, only_bearer, words
from mcpgov.json_web_token import KeySet, Rules, parse_key_set
from mcpgov.models import Headers, Json, RequestHead
from tests.identity.tokens import NOW, CountingKey, MemoryKeys, entra_tokens, head

TOKENS: Final = entra_tokens()
RULES: Final = Rules((TOKENS.issuer(),), (TOKENS.audience,))
KEYS: Final = parse_key_set(json.dumps(TOKENS.keys.jwks()).encode())


def fields(*values: str) -> RequestHead:
    headers = Headers(tuple(("authorization", value) for value in values))
    return RequestHead("POST", "github", headers, "192.0.2.1", "192.0.2.1", NOW, "correlation")


async def refused(token: str, rules: Rules = RULES) -> tuple[Reason, list[str], int]:
    """Why a token is refused, which keys were asked for, and how many signatures were checked."""
    key = CountingKey()
    keys = MemoryKeys(KeySet("", (key.named("entra-1"),)))
    with pytest.raises(Refusal) as caught:
        await TokenCheck(KeySource(), keys, ("RS256",), lambda: NOW).verify(token, rules)
    return caught.value.reason, keys.asked, key.checks


async def test_a_token_that_holds_but_for_its_signature_costs_one_check() -> None:
    assert await refused(TOKENS.user()) == (Reason.JWT_SIGNATURE_INVALID, ["entra-1"], 1)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://sts.windows.net/other/"}, Reason.JWT_ISSUER_DENIED),
        ({"exp": 1}, Reason.JWT_EXPIRED),
        ({"at_hash": "x"}, Reason.JWT_CLAIM_DENIED),
        ({"c_hash": "x"}, Reason.JWT_CLAIM_DENIED),
        ({"nonce": "x", "scp": None}, Reason.JWT_CLAIM_DENIED),
        ({"cnf": {"jkt": "x"}}, Reason.JWT_CLAIM_DENIED),
    ],
)
async def test_what_the_claims_rule_out_costs_neither_a_key_nor_a_check(claims: dict[str, Any], reason: Reason) -> None:
    assert await refused(TOKENS.user(**claims)) == (reason, [], 0)


async def test_a_stranger_does_not_learn_for_whom_tokens_may_be() -> None:
    for audience in (TOKENS.audience, "api://other"):  # forged alike, they are answered alike
        assert await refused(TOKENS.user(aud=audience)) == (Reason.JWT_SIGNATURE_INVALID, ["entra-1"], 1)


async def test_a_token_for_somebody_else_is_recorded_with_for_whom_it_may_be() -> None:
    rules = Rules((TOKENS.issuer(),), ("api://a", "api://b", "api://a"))
    details: list[str] = []
    for wanted, token in ((rules, TOKENS.user()), (Rules(rules.issuers), TOKENS.user()), (RULES, TOKENS.user(exp=1))):
        with pytest.raises(Refusal) as caught:
            await TokenCheck(KeySource(), MemoryKeys(KEYS), ("RS256",), lambda: NOW).verify(token, wanted)
        details.append(caught.value.detail)
    assert details == ["accepted audiences: api://a, api://b", "accepted audiences: none", ""]


async def test_an_access_token_may_carry_a_nonce() -> None:
    assert (await refused(TOKENS.user(nonce="x")))[0] is Reason.JWT_SIGNATURE_INVALID


async def test_another_algorithm_costs_neither_a_key_nor_a_check() -> None:
    token = TOKENS.keys.sign(TOKENS.claims(), algorithm="RS512")
    assert await refused(token) == (Reason.JWT_SIGNATURE_INVALID, [], 0)


async def test_where_no_audience_is_known_none_is_right() -> None:
    with pytest.raises(Refusal, match="jwt-audience-denied"):
        await TokenCheck(KeySource(), MemoryKeys(KEYS), ("RS256",), lambda: NOW).verify(
            TOKENS.user(), Rules((TOKENS.issuer(),))
        )


async def test_without_keys_nobody_is_let_in() -> None:
    check = TokenCheck(KeySource(), MemoryKeys(None), ("RS256",), lambda: NOW)
    with pytest.raises(Refusal, match="sign-in-unavailable"):
        await check.verify(TOKENS.user(), RULES)


def test_a_bearer_token_stands_after_its_scheme() -> None:
    assert bearers(fields("Bearer a", "bearer  b", "BEARER c ", "Basic d", "Bearer")) == ("a", "b", "c", "")


def test_an_issuer_is_recognised_whatever_else_is_sent() -> None:
    token = TOKENS.user()
    assert is_from(head(token), (TOKENS.issuer(),))
    assert is_from(head("x", token), (TOKENS.issuer(),))
    assert not is_from(head(token), ("https://issuer.example",))
    assert not is_from(fields(f"Basic {token}"), (TOKENS.issuer(),))


@pytest.mark.parametrize("values", [(), ("Bearer a", "Bearer a"), ("Basic a", "Bearer a"), ("Basic a",)])
def test_who_calls_is_not_chosen_among_several_fields(values: tuple[str, ...]) -> None:
    with pytest.raises(Refusal) as caught:
        only_bearer(fields(*values))
    assert caught.value.reason is Reason.CREDENTIAL_AMBIGUOUS
    assert only_bearer(fields("Bearer a")) == "a"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a b", ("a", "b")), (" a  b ", ("a", "b")), (["a", 1, "b", "", ["c"]], ("a", "b")), (7, ()), (None, ())],
)
def test_the_words_of_a_claim_are_texts(value: Json, expected: tuple[str, ...]) -> None:
    assert words({"scp": value}, "scp", "scope") == expected
    assert words({"other": value}, "scp") == ()


def test_a_label_prints_and_ends() -> None:
    assert label("Ada\n\x1b[31m\u202eLovelace") == "Ada[31mLovelace"
    assert len(label("x" * 1000)) == LONGEST_LABEL
