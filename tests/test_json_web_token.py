"""Tokens are read in one way only, held against keys that were trusted before, and refused for a reason."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import jwt
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.decision import Reason
from mcpgov.json_web_token import (
    ASYMMETRIC,
    LONGEST_TOKEN,
    RSA_ALGORITHMS,
    SYMMETRIC,
    UNNAMED_TRIED,
    KeySet,
    RequiredClaim,
    Rules,
    SigningKey,
    Token,
    TokenRefused,
    claimed_issuer,
    key_of_modulus,
    parse_key_set,
    parse_token,
    symmetric_key,
    verify_claims,
    verify_signature,
)
from tests.contract.hostile_tokens import AT, CLAIMS, HEADER, NOW, POINT, TIMES_AND_TEXTS, UNREADABLE, UNUSABLE_KEYS
from tests.peers.signing import forged, jwk, public_pem, rsa_key, segment

RSA: Final = rsa_key("one")
SECRET: Final = bytes(range(32))


def reason_of(reading: Callable[[], object]) -> Reason:
    with pytest.raises(TokenRefused) as caught:
        reading()
    return caught.value.reason


def signed(header: dict[str, Any] | None = None, key: Any = RSA, algorithm: str = "RS256", **claims: Any) -> str:
    return jwt.encode({**CLAIMS, **claims}, key, algorithm, {"kid": "one", **(header or {})})


def unsigned(**claims: Any) -> Token:
    return parse_token(forged(HEADER, {**CLAIMS, **claims}, b"x"))


def key_set(*keys: dict[str, Any]) -> KeySet:
    return parse_key_set(json.dumps({"keys": keys}).encode())


OURS: Final = key_set({**jwk(RSA), "kid": "one"})


# -- reading


def test_a_signed_token_is_read_and_verified() -> None:
    token = parse_token(signed())
    verify_signature(token, OURS, ("RS256",))
    verify_claims(token, Rules(("https://issuer.example",), ("us",)), NOW)
    assert (token.kid, token.algorithm, token.issuer) == ("one", "RS256", "https://issuer.example")
    assert token.text("exp") == ""


def test_a_token_does_not_print() -> None:
    assert repr(parse_token(signed())) == "Token()"
    assert "object at" not in repr(OURS)


# RFC 7515 appendices A.1 and A.3: the members of their JSON are broken over lines, and none of it is ours.
PUBLISHED: Final = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"


def test_the_tokens_of_the_specification_verify() -> None:
    shared = base64.urlsafe_b64decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    )
    text = f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PUBLISHED}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    verify_signature(parse_token(text), KeySet("", (symmetric_key(shared),)), SYMMETRIC)
    signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    keys = key_set(dict(POINT))
    verify_signature(parse_token(f"eyJhbGciOiJFUzI1NiJ9.{PUBLISHED}.{signature}"), keys, ASYMMETRIC)


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_token_that_two_readers_could_read_differently_is_refused(text: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        parse_token(text)
    assert caught.value.reason is Reason.JWT_MALFORMED
    assert [part for part in text.split(".") if len(part) > 3 and part in str(caught.value)] == []
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"])
def test_types_of_access_tokens_are_read(kind: str) -> None:
    assert parse_token(signed({"typ": kind})).claims["aud"] == "us"


def test_a_token_of_the_greatest_length_is_read_and_a_longer_one_is_not() -> None:
    room = LONGEST_TOKEN - len(signed(fill=""))
    fits = signed(fill="x" * (room * 3 // 4 - 4))
    assert parse_token(fits).text("fill")
    assert reason_of(lambda: parse_token(fits + "A" * 64)) is Reason.JWT_MALFORMED


@given(
    st.text(alphabet="AQgw._-={}=\n", max_size=60)
    | st.binary(max_size=60).map(segment).map(f"{segment(HEADER)}.{{}}.AA".format)
)
def test_whatever_is_sent_is_refused_and_breaks_nothing(text: str) -> None:
    assert claimed_issuer(text) == ""
    assert reason_of(lambda: parse_token(text)) is Reason.JWT_MALFORMED


# -- whose it says to be


def test_the_claimed_issuer_is_found_also_in_a_token_that_will_be_refused() -> None:
    twice = b'{"iss":"x","iss":"https://issuer.example"}'
    for text in (signed(), forged({"alg": "none"}, CLAIMS), forged(HEADER, twice, b"x")):
        assert claimed_issuer(text) == "https://issuer.example"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "a.b.c.d.e",
        "a.%.c",
        "a.\u00e9.c",
        forged({}, b"[1]"),
        forged({}, {"iss": 1}),
        forged({}, {}),
        "x." * 9,
        forged({}, b"[" * 8000),
        forged({}, {"iss": "x", "fill": "x" * LONGEST_TOKEN}),
    ],
)
def test_a_token_that_names_no_issuer_is_nobodys(text: str) -> None:
    assert claimed_issuer(text) == ""


# -- signatures

EC_CURVES: Final = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
PRIVATE: Final[dict[str, Any]] = {
    **dict.fromkeys(RSA_ALGORITHMS, RSA),
    **{name: ec.generate_private_key(curve) for name, curve in EC_CURVES.items()},
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def published(name: str) -> dict[str, Any]:
    """The public key of an algorithm as a JWK."""
    found: dict[str, Any] = jwt.get_algorithm_by_name(name).to_jwk(PRIVATE[name].public_key(), as_dict=True)
    return {**found, "kid": "one"}


@pytest.mark.parametrize("name", ASYMMETRIC)
def test_each_algorithm_verifies_what_its_key_signed_and_nothing_else(name: str) -> None:
    keys = key_set(published(name))
    text = signed(key=PRIVATE[name], algorithm=name)
    verify_signature(parse_token(text), keys, ASYMMETRIC)
    token = parse_token(text)
    start, middle, _ = text.split(".")
    for wrong in (bytes(len(token.signature)), token.signature[:-1], token.signature + b"\0", b"\0"):
        changed = parse_token(f"{start}.{middle}.{segment(wrong)}")
        assert reason_of(lambda changed=changed: verify_signature(changed, keys, ASYMMETRIC)) is (
            Reason.JWT_SIGNATURE_INVALID
        )
    other = parse_token(f"{start}.{segment({**CLAIMS, 'aud': 'them'})}.{segment(token.signature)}")
    assert reason_of(lambda: verify_signature(other, keys, ASYMMETRIC)) is Reason.JWT_SIGNATURE_INVALID


def test_an_algorithm_that_is_not_asked_for_is_refused_before_any_key_is_looked_at() -> None:
    token = parse_token(signed(algorithm="RS512"))
    assert reason_of(lambda: verify_signature(token, OURS, ("RS256",))) is Reason.JWT_SIGNATURE_INVALID


def test_a_secret_verifies_hs256_and_no_public_key_algorithm() -> None:
    keys = KeySet("", (symmetric_key(SECRET),))
    verify_signature(parse_token(signed(key=SECRET, algorithm="HS256")), keys, SYMMETRIC)
    assert reason_of(lambda: verify_signature(parse_token(signed()), keys, ASYMMETRIC)) is Reason.JWT_KEY_UNKNOWN


@pytest.mark.parametrize(
    "kid", ["../../etc/passwd", "/dev/null", "one' OR '1'='1", "https://evil.example", "One", "one "]
)
def test_the_name_of_a_key_is_compared_and_nothing_else(kid: str) -> None:
    token = parse_token(signed({"kid": kid}))
    assert reason_of(lambda: verify_signature(token, OURS, ASYMMETRIC)) is Reason.JWT_KEY_UNKNOWN


class Refusing:
    """A key that signed nothing, and counts how often it is tried."""

    def __init__(self) -> None:
        self.tries = 0

    def verify(self, *signed: object) -> None:
        self.tries += 1
        raise InvalidSignature


@pytest.mark.parametrize(
    ("kids", "kid", "tries"),
    [
        (["one", "two", "three"], "one", 1),
        (["one", "one", "one"], "one", 1),
        (["one", "two"], "", 0),  # of which is not said
        (["one"], "", 1),
        (["one"], "two", 0),
        ([""], "two", 1),
        (["one", ""], "one", 1),
        ([""] * 20, "one", UNNAMED_TRIED),
    ],
)
def test_a_refused_token_costs_no_more_checks_than_there_are_keys_it_could_mean(
    kids: list[str], kid: str, tries: int
) -> None:
    key = Refusing()
    keys = KeySet("", tuple(SigningKey(name, RSA_ALGORITHMS, key) for name in kids))
    token = parse_token(forged({"alg": "RS256", **({"kid": kid} if kid else {})}, CLAIMS, b"x"))
    expected = Reason.JWT_SIGNATURE_INVALID if tries else Reason.JWT_KEY_UNKNOWN
    assert reason_of(lambda: verify_signature(token, keys, ASYMMETRIC)) is expected
    assert key.tries == tries


# -- keys


@pytest.mark.parametrize("key", UNUSABLE_KEYS.values(), ids=UNUSABLE_KEYS.keys())
def test_a_key_that_may_not_verify_is_left_out_and_the_others_serve(key: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no key that verifies"):
        key_set(key)
    assert [found.kid for found in key_set(key, {**jwk(RSA), "kid": "one"}).keys] == ["one"]


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[1]}', b'{"keys":[],"keys":[]}'])
def test_a_document_without_keys_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match="key set"):
        parse_key_set(document)


def test_a_key_may_be_used_for_what_it_says_and_nothing_else() -> None:
    assert key_set({**jwk(RSA), "alg": "PS256", "key_ops": ["verify"]}).keys[0].algorithms == ("PS256",)
    assert parse_key_set(json.dumps({"keys": [jwk(RSA)]}).encode(), "https://issuer.example").issuer == (
        "https://issuer.example"
    )


def test_a_modulus_and_its_exponent_are_a_key() -> None:
    numbers = jwk(RSA)
    keys = KeySet("", (key_of_modulus(numbers["n"], numbers["e"], "one"),))
    verify_signature(parse_token(signed()), keys, ("RS256",))
    with pytest.raises(ValueError, match="2048 to 8192 bits"):
        key_of_modulus("AQAB", "AQAB")


def certificate(key: CertificateIssuerPrivateKeyTypes) -> x509.Certificate:
    """A certificate of `key`, signed by itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW - timedelta(days=900))
    return builder.not_valid_after(NOW - timedelta(days=800)).sign(key, hashes.SHA256())


def test_a_short_or_public_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        symmetric_key(SECRET[:31])
    for public in (public_pem(RSA), certificate(RSA).public_bytes(Encoding.DER)):
        with pytest.raises(ValueError, match="not a secret"):
            symmetric_key(public)


# -- claims


@pytest.mark.parametrize(("claims", "skew", "reason"), TIMES_AND_TEXTS)
def test_times_audience_and_issuer_are_exact(claims: dict[str, Any], skew: int, reason: Reason | None) -> None:
    rules = Rules(("https://issuer.example",), ("us",), skew)
    if reason is None:
        verify_claims(unsigned(**claims), rules, NOW)
    else:
        assert reason_of(lambda: verify_claims(unsigned(**claims), rules, NOW)) is reason


def test_claims_that_are_missing_or_look_alike_are_not_there() -> None:
    def bare(**claims: Any) -> Token:
        return parse_token(forged(HEADER, claims, b"x"))

    both = Rules(("https://issuer.example",), ("us",))
    assert reason_of(lambda: verify_claims(bare(), both, NOW)) is Reason.JWT_ISSUER_DENIED
    assert reason_of(lambda: verify_claims(bare(), Rules(audiences=("us",)), NOW)) is Reason.JWT_AUDIENCE_DENIED
    alike = parse_token(forged(HEADER, {"\u0430ud": "us", "exp": AT + 60}, b"x"))  # a Cyrillic a
    assert reason_of(lambda: verify_claims(alike, Rules(audiences=("us",)), NOW)) is Reason.JWT_AUDIENCE_DENIED
    assert reason_of(lambda: verify_claims(bare(), Rules(), NOW)) is Reason.JWT_CLAIM_DENIED
    verify_claims(bare(), Rules(require_expiration=False), NOW)
    expired = bare(exp=AT)
    assert reason_of(lambda: verify_claims(expired, Rules(require_expiration=False), NOW)) is Reason.JWT_EXPIRED


LIST: Final = ["a", "b"]


@pytest.mark.parametrize(
    ("value", "required"),
    [
        ("a", RequiredClaim("c")),
        ("a", RequiredClaim("c", ("a",))),
        ("a b", RequiredClaim("c", ("a",), separator=" ")),
        ("a b", RequiredClaim("c", ("a", "b"), separator=" ")),
        ("a b", RequiredClaim("c", ("a", "z"), match_any=True, separator=" ")),
        (LIST, RequiredClaim("c", ("b", "a"))),
        (True, RequiredClaim("c", ("true",))),
        (7, RequiredClaim("c", ("7",))),
    ],
)
def test_a_required_claim_holds_what_is_asked_for(value: Any, required: RequiredClaim) -> None:
    verify_claims(unsigned(c=value), Rules(required_claims=(required,)), NOW)


@pytest.mark.parametrize(
    ("value", "required"),
    [
        (None, RequiredClaim("c")),
        ("a b", RequiredClaim("c", ("a",))),
        ("a b", RequiredClaim("c", ("a", "z"), separator=" ")),
        (LIST, RequiredClaim("c", ("z",), match_any=True)),
        ([["a"]], RequiredClaim("c", ("a",))),
    ],
)
def test_a_required_claim_that_does_not_hold_is_refused(value: Any, required: RequiredClaim) -> None:
    rules = Rules(required_claims=(required,))
    assert reason_of(lambda: verify_claims(unsigned(c=value), rules, NOW)) is Reason.JWT_CLAIM_DENIED
