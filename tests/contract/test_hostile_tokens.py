"""Hostile tokens at the door: each one is a 401 with its reason, at the cost of one check of a signature at most."""

from typing import Any, Final

import jwt
import pytest

from mcpgov.decision import Reason
from mcpgov.errors import ANSWERS, Refusal
from mcpgov.identity.authenticator import Authentication, Authenticator
from mcpgov.identity.entra_token import EntraAuthenticator, EntraTenant
from mcpgov.identity.oidc_token import OidcAuthenticator, OidcIssuer
from mcpgov.json_web_token import KeySet
from mcpgov.models import RequestHead
from tests.contract.hostile_tokens import UNREADABLE
from tests.identity.tokens import NOW, SECONDS, CountingKey, MemoryKeys, entra_tokens, head, nowhere, refusal_of
from tests.peers.entra_tokens import GATEWAY_APP, TENANT
from tests.peers.signing import forged, jwk, public_pem, rsa_key, segment

TOKENS: Final = entra_tokens()
KID: Final = TOKENS.keys.kid
OURS: Final = TOKENS.claims(oid=TENANT, sub=TENANT, azp=TENANT)
EVIL: Final = rsa_key("evil")


class Door:
    """Entra and an OIDC issuer at the door, their keys counted."""

    def __init__(self) -> None:
        self.key = CountingKey()
        self.keys = MemoryKeys(KeySet("", (self.key.named(KID),)))
        entra = EntraTenant(TENANT, (f"api://{GATEWAY_APP}",))
        oidc = OidcIssuer("https://issuer.example", ("us",))
        self.authenticators: tuple[Authenticator, ...] = (
            EntraAuthenticator(entra, self.keys, nowhere, lambda: NOW),
            OidcAuthenticator(oidc, self.keys, nowhere, lambda: NOW),
        )
        self.authentication = Authentication(self.authenticators, ("authorization", "x-api-key"))

    async def reason(self, token: str) -> Reason:
        refusal = await refusal_of(self.authentication.identify(head(token)), token)
        assert ANSWERS[refusal.reason].status == 401
        return refusal.reason


def header(**members: Any) -> dict[str, Any]:
    return {"alg": "RS256", "typ": "JWT", "kid": KID, **members}


def signed_by_public_key() -> str:
    start = f"{segment(header(alg='HS256'))}.{segment(OURS)}"
    return f"{start}.{segment(jwt.get_algorithm_by_name('HS256').sign(start.encode(), public_pem(rsa_key(KID))))}"


def evil(**members: Any) -> str:
    return TOKENS.keys.sign(OURS, members, key=EVIL)


MALFORMED: Final = Reason.JWT_MALFORMED
INVALID: Final = Reason.JWT_SIGNATURE_INVALID
# The token, its reason, and how many keys were asked for and how many signatures checked.
HOSTILE: Final[dict[str, tuple[str, Reason, int, int]]] = {
    **{f"alg {name}": (forged(header(alg=name), OURS), MALFORMED, 0, 0) for name in ("none", "None", "NONE", "nOnE")},
    "HS256 with the public key": (signed_by_public_key(), INVALID, 0, 0),
    "own key, our name for it": (evil(), INVALID, 1, 1),
    "own key in the header": (evil(jwk=jwk(EVIL)), MALFORMED, 0, 0),
    "jku": (evil(jku="https://evil.example/keys"), MALFORMED, 0, 0),
    "x5u": (evil(x5u="https://evil.example/chain"), MALFORMED, 0, 0),
    "x5c": (evil(x5c=["MIIB"]), MALFORMED, 0, 0),
    "crit": (evil(crit=["exp"]), MALFORMED, 0, 0),
    "path as kid": (evil(kid="../../etc/passwd"), Reason.JWT_KEY_UNKNOWN, 1, 0),
    "query as kid": (evil(kid="x' UNION SELECT 'k"), Reason.JWT_KEY_UNKNOWN, 1, 0),
    "nested": (forged(header(cty="JWT"), TOKENS.user().encode(), b"x"), Reason.CREDENTIAL_INVALID, 0, 0),
    "a megabyte": (forged(header(), {**OURS, "fill": "x" * 1024 * 1024}, b"x"), Reason.CREDENTIAL_INVALID, 0, 0),
    "just too long": (f"{forged(header(), OURS, b'x')}{'A' * 16 * 1024}", Reason.CREDENTIAL_INVALID, 0, 0),
    "encrypted": (f"{segment(header(enc='A256GCM'))}.AA.AA.AA.AA", Reason.CREDENTIAL_INVALID, 0, 0),
    "signature removed": (f"{segment(header())}.{segment(OURS)}.", MALFORMED, 0, 0),
    "trailing data": (f"{evil()}AAAA=", MALFORMED, 0, 0),
    "another audience, forged": (TOKENS.user(aud="api://other"), INVALID, 1, 1),
    "another tenant": (TOKENS.user(iss="https://sts.windows.net/other/"), Reason.JWT_ISSUER_DENIED, 0, 0),
    "expired": (TOKENS.user(exp=SECONDS - 30), Reason.JWT_EXPIRED, 0, 0),
    "not yet valid": (TOKENS.user(nbf=SECONDS + 31), Reason.JWT_NOT_YET_VALID, 0, 0),
    "expiry as text": (TOKENS.user(exp=str(SECONDS + 60)), MALFORMED, 0, 0),
    "expiry beyond time": (TOKENS.user(exp=10**30), MALFORMED, 0, 0),
    "no expiry": (TOKENS.user(exp=None), Reason.JWT_CLAIM_DENIED, 0, 0),
    "ID token": (TOKENS.user(nonce="n", scp=None), Reason.JWT_CLAIM_DENIED, 0, 0),
}


@pytest.mark.parametrize(("token", "reason", "asked", "checks"), HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_token_is_refused_for_its_reason_and_costs_little(
    token: str, reason: Reason, asked: int, checks: int
) -> None:
    door = Door()
    assert await door.reason(token) is reason
    assert (len(door.keys.asked), door.key.checks) == (asked, checks)


@pytest.mark.parametrize("token", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_token_that_cannot_be_read_is_refused_without_a_key(token: str) -> None:
    door = Door()
    reason = await door.reason(token)
    # Where it does not say whose it is, or says so in a way that only some parsers read, nobody takes it for theirs.
    assert reason in {MALFORMED, Reason.CREDENTIAL_INVALID, Reason.JWT_ISSUER_DENIED}
    for authenticator in door.authenticators:
        refusal = await refusal_of(authenticator.authenticate(head(token)), token)
        assert refusal.reason is MALFORMED
    assert (door.keys.asked, door.key.checks) == ([], 0)


async def test_a_storm_of_unknown_keys_checks_no_signature() -> None:
    door = Door()
    for number in range(1000):
        token = forged(header(kid=f"unknown-{number}"), OURS, b"x")
        assert await door.reason(token) is Reason.JWT_KEY_UNKNOWN
    assert door.key.checks == 0


@pytest.mark.parametrize("tokens", [(evil(), evil()), (evil(), "other"), ("other", evil())])
async def test_two_authorization_fields_are_refused(tokens: tuple[str, str]) -> None:
    door = Door()
    request: RequestHead = head(*tokens)
    with pytest.raises(Refusal) as caught:
        await door.authentication.identify(request)
    assert caught.value.reason is Reason.CREDENTIAL_AMBIGUOUS
    assert (door.keys.asked, door.key.checks) == ([], 0)
