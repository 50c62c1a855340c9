"""Reads a JSON Web Token so that nobody else can read it differently, and says whether it holds.

Rules: the token says nothing about how it is checked. Keys come from a KeySet that its caller trusts, each key has the
algorithms that it may be used with, and a header that brings a key, a place of keys or a demand of its own is refused
(RFC 8725 sections 2 and 3). HS256 is for a secret that was configured, never for a public key. What needs no key is
looked at first, and a refused token costs one check of a signature at most. A message quotes nothing of the token.

Sources: RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518 (JWA), RFC 7519 (JWT), RFC 8037 (EdDSA), RFC 9068 (at+jwt).
It refuses to know where keys come from, what the time is, and what the claims mean.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Final, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import Algorithm, get_default_algorithms
from jwt.exceptions import InvalidKeyError

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Json
from mcpgov.strict_json import JsonLimits, parse

LONGEST_TOKEN: Final = 16 * 1024  # characters
LONGEST_KEY_ID: Final = 256
SHORTEST_SECRET: Final = 32  # bytes; RFC 7518 section 3.2
RSA_BITS: Final = range(2048, 8193)  # RFC 7518 section 3.3; a larger key would make each check dear
UNNAMED_TRIED: Final = 4

RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
ASYMMETRIC: Final = (*RSA_ALGORITHMS, "ES256", "ES384", "ES512", "EdDSA")
SYMMETRIC: Final = ("HS256",)

_EC_ALGORITHMS: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_CURVES: Final[Mapping[str, type[ec.EllipticCurve]]] = {
    "P-256": ec.SECP256R1,
    "P-384": ec.SECP384R1,
    "P-521": ec.SECP521R1,
}
_ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    name: algorithm for name, algorithm in get_default_algorithms().items() if name in {*ASYMMETRIC, *SYMMETRIC}
}
_PART: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEADER_LIMITS: Final = JsonLimits(body=LONGEST_TOKEN, depth=4, keys=50, values=200)
_CLAIMS_LIMITS: Final = JsonLimits(body=LONGEST_TOKEN, depth=16, keys=1000, values=4000)
# A key, a place of keys, compression, or a rule of its own: whoever obeys these lets the token decide.
_REFUSED_MEMBERS: Final = frozenset({"crit", "jku", "jwk", "x5u", "x5c", "zip", "b64", "enc", "epk"})
_TYPES: Final = frozenset({"", "jwt", "at+jwt", "application/at+jwt"})
_LATEST: Final = 253_402_300_799  # the end of the year 9999, in seconds since 1970


class TokenRefused(Exception):
    """A token that does not hold. `message` is told to the caller and quotes nothing of the token."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


@frozen
class Token:
    """A token that was read; whether it holds is another question. It does not print: with it one could call."""

    header: Mapping[str, Json] = field(repr=False)
    claims: Mapping[str, Json] = field(repr=False)
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def kid(self) -> str:
        """The name of the key, or the empty string. It is only ever compared, never a path or a query."""
        return _text(self.header, "kid")

    @property
    def algorithm(self) -> str:
        """The algorithm that the token claims, one of ASYMMETRIC or SYMMETRIC."""
        return _text(self.header, "alg")

    @property
    def issuer(self) -> str:
        """Who issued it, or the empty string."""
        return self.text("iss")

    def text(self, claim: str) -> str:
        """A claim that is text; the empty string where it is absent or is none."""
        return _text(self.claims, claim)


@frozen
class SigningKey:
    """A key, and the algorithms that it may be used with. `kid` may be empty for a key that was configured."""

    kid: str
    algorithms: tuple[str, ...]
    key: Any = field(repr=False, compare=False)


@frozen
class KeySet:
    """The keys of one issuer. `issuer` is what its own configuration calls it, empty where nothing says so."""

    issuer: str
    keys: tuple[SigningKey, ...]

    def find(self, token: Token) -> tuple[SigningKey, ...]:
        """The keys that may have signed: the one that is named, else the few without a name, else the only one."""
        fitting = tuple(key for key in self.keys if token.algorithm in key.algorithms)
        named = tuple(key for key in fitting if key.kid and key.kid == token.kid)
        unnamed = tuple(key for key in fitting if not key.kid)
        only = fitting if len(fitting) == 1 and not token.kid else ()
        return named[:1] or unnamed[:UNNAMED_TRIED] or only


@frozen
class RequiredClaim:
    """A claim that must be there and hold each of `values`, or one of them (`match_any`); without values, anything.

    `separator` splits a claim that is one text, as a space does `scp`.
    """

    name: str
    values: tuple[str, ...] = ()
    match_any: bool = False
    separator: str = ""


@frozen
class Rules:
    """What the claims must say. Empty `issuers` or `audiences` are not asked for; `clock_skew` is in seconds."""

    issuers: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    clock_skew: int = 0
    require_expiration: bool = True
    required_claims: tuple[RequiredClaim, ...] = ()


def claimed_issuer(text: str) -> str:
    """Who says to have issued `text`, unverified and leniently read: only to choose who checks it, for good or ill."""
    parts = text.split(".")
    if len(text) > LONGEST_TOKEN or len(parts) != 3:
        return ""
    try:
        claims = cast("object", json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))))
    except (ValueError, RecursionError):
        return ""
    issuer = cast("dict[str, object]", claims).get("iss") if isinstance(claims, dict) else None
    return issuer if isinstance(issuer, str) else ""


def parse_token(text: str) -> Token:
    """The token in `text` (JWS compact serialization, RFC 7515 section 7.1). Raises TokenRefused: jwt-malformed."""
    if len(text) > LONGEST_TOKEN:
        raise _malformed(f"It has more than {LONGEST_TOKEN} characters.")
    parts = text.split(".")
    if len(parts) == 5:
        raise _malformed("It is encrypted; send one that is signed.")
    if len(parts) != 3:
        raise _malformed("It does not have three parts.")
    if not parts[2]:
        raise _malformed("It is not signed.")
    try:
        header, claims, signature = (_decoded(part) for part in parts)
    except ValueError:
        raise _malformed("It is not base64url without padding.") from None
    token = Token(
        header=_object(header, _HEADER_LIMITS),
        claims=_object(claims, _CLAIMS_LIMITS),
        signing_input=f"{parts[0]}.{parts[1]}".encode("ascii"),
        signature=signature,
    )
    _check_header(token)
    return token


def _check_header(token: Token) -> None:
    header = token.header
    if token.algorithm not in _ALGORITHMS:  # exactly as written: none, None and nOnE are none of these
        raise _malformed("Its algorithm is none that is accepted.")
    if not _REFUSED_MEMBERS.isdisjoint(header):
        raise _malformed("Its header brings a key, or a rule for how it is to be read.")
    kid = header.get("kid", "-")
    if not isinstance(kid, str) or not 0 < len(kid) <= LONGEST_KEY_ID:
        raise _malformed("Its header names no key that could be looked up.")
    kind = header.get("typ", "")
    if not isinstance(kind, str) or kind.lower() not in _TYPES or "cty" in header:
        raise _malformed("It is a token of another kind, or holds one.")


def verify_algorithm(token: Token, algorithms: tuple[str, ...]) -> None:
    """Whether `token` claims one of `algorithms`. Raises TokenRefused: jwt-signature-invalid."""
    if token.algorithm not in algorithms:
        raise TokenRefused(Reason.JWT_SIGNATURE_INVALID, "The token is signed with an algorithm not accepted here.")


def verify_signature(token: Token, keys: KeySet, algorithms: tuple[str, ...]) -> None:
    """Whether a key of `keys` signed `token`, with one of `algorithms`.

    Raises TokenRefused: jwt-signature-invalid, jwt-key-unknown.
    """
    verify_algorithm(token, algorithms)
    candidates = keys.find(token)
    if not candidates:
        raise TokenRefused(Reason.JWT_KEY_UNKNOWN, "The token is signed with a key that its issuer does not publish.")
    algorithm = _ALGORITHMS[token.algorithm]
    if not any(algorithm.verify(token.signing_input, candidate.key, token.signature) for candidate in candidates):
        raise TokenRefused(Reason.JWT_SIGNATURE_INVALID, "The signature of the token is not valid.")


def verify_claims(token: Token, rules: Rules, now: datetime) -> None:
    """Whether the claims say what `rules` ask for. In force from nbf until just before exp (RFC 7519 section 4.1).

    Raises TokenRefused: jwt-issuer-denied, jwt-audience-denied, jwt-not-yet-valid, jwt-expired, jwt-claim-denied,
    jwt-malformed.
    """
    if rules.issuers and token.issuer not in rules.issuers:
        raise TokenRefused(Reason.JWT_ISSUER_DENIED, "The token is from an issuer that is not trusted here.")
    if rules.audiences and not set(audiences(token)) & set(rules.audiences):
        raise TokenRefused(Reason.JWT_AUDIENCE_DENIED, "The token was issued for somebody else.")
    begins, ends = _time(token, "nbf"), _time(token, "exp")
    at = now.timestamp()
    if begins is not None and at < begins - rules.clock_skew:
        raise TokenRefused(Reason.JWT_NOT_YET_VALID, "The token is not valid yet.")
    if ends is None and rules.require_expiration:
        raise TokenRefused(Reason.JWT_CLAIM_DENIED, "The token has no time at which it expires.")
    if ends is not None and at >= ends + rules.clock_skew:
        raise TokenRefused(Reason.JWT_EXPIRED, "The token has expired.")
    for claim in rules.required_claims:
        if not _holds(token.claims.get(claim.name), claim):
            raise TokenRefused(Reason.JWT_CLAIM_DENIED, "The token lacks a claim that is required here.")


def audiences(token: Token) -> tuple[str, ...]:
    """Whom the token is for: aud is one text or a list of texts. Raises TokenRefused: jwt-malformed."""
    found = token.claims.get("aud", [])
    listed = found if isinstance(found, list) else [found]
    texts = tuple(item for item in listed if isinstance(item, str))
    if len(texts) != len(listed):
        raise _malformed("Its audience is neither a text nor a list of texts.")
    return texts


def _time(token: Token, claim: str) -> int | float | None:
    """A NumericDate in seconds since 1970 (RFC 7519 section 2), or None where there is none."""
    if claim not in token.claims:
        return None
    value = token.claims[claim]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise _malformed("One of its times is no number of seconds since 1970.")
    return value


def _holds(value: Json, required: RequiredClaim) -> bool:
    if value is None:
        return False
    if isinstance(value, str) and required.separator:
        found = set(value.split(required.separator))
    else:
        found = {_written(item) for item in (value if isinstance(value, list) else [value])}
    matches = [item in found for item in required.values]
    return not matches or (any(matches) if required.match_any else all(matches))


def _written(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def parse_key_set(document: bytes, issuer: str = "") -> KeySet:
    """The keys of a JWK Set (RFC 7517 section 5) that may verify signatures.

    Left out are keys for encryption, of an unknown kind or size, and those whose private part is published: anybody
    can sign with them. Raises ValueError where none remains.
    """
    try:
        tree = parse(document, JsonLimits(body=1024 * 1024))
    except Refusal as refusal:
        raise ValueError(f"the key set cannot be read: {refusal.message}") from None
    listed = tree.get("keys") if isinstance(tree, dict) else None
    found = [_key_of_jwk(item) for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    keys = tuple(key for key in found if key is not None)
    if not keys:
        raise ValueError("the key set has no key that verifies signatures")
    return KeySet(issuer, keys)


def _key_of_jwk(jwk: dict[str, Json]) -> SigningKey | None:
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations or "d" in jwk:
        return None
    try:
        key = _signing_key(_public_key(jwk), _text(jwk, "kid"))
    except (ValueError, UnsupportedAlgorithm):
        return None
    algorithms = key.algorithms if "alg" not in jwk else tuple(name for name in key.algorithms if name == jwk["alg"])
    return SigningKey(key.kid, algorithms, key.key) if algorithms else None


def _public_key(jwk: dict[str, Json]) -> object:
    kind, curve = _text(jwk, "kty"), _text(jwk, "crv")
    if kind == "RSA":
        return _rsa_key(_text(jwk, "n"), _text(jwk, "e"))
    if kind == "EC" and curve in _CURVES:
        return ec.EllipticCurvePublicNumbers(_integer(jwk, "x"), _integer(jwk, "y"), _CURVES[curve]()).public_key()
    if kind == "OKP" and curve == "Ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(_decoded(_text(jwk, "x")))
    raise ValueError("no kind of key that is known")


def _rsa_key(n: str, e: str) -> rsa.RSAPublicKey:
    modulus, exponent = (int.from_bytes(_decoded(number), "big") for number in (n, e))
    if modulus.bit_length() not in RSA_BITS or exponent.bit_length() > 32:
        raise ValueError(f"an RSA key must have {RSA_BITS.start} to {RSA_BITS.stop - 1} bits, its exponent at most 32")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _signing_key(key: object, kid: str) -> SigningKey:
    """What `key` may be used for. Raises ValueError where that is nothing."""
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in RSA_BITS:
        return SigningKey(kid, RSA_ALGORITHMS, key)
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _EC_ALGORITHMS:
        return SigningKey(kid, (_EC_ALGORITHMS[key.curve.name],), key)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return SigningKey(kid, ("EdDSA",), key)
    raise ValueError("the key is of a kind or size that is not accepted")


def key_of_modulus(n: str, e: str, kid: str = "") -> SigningKey:
    """An RSA key from its modulus and exponent, in base64url. Raises ValueError."""
    return _signing_key(_rsa_key(n, e), kid)


def symmetric_key(secret: bytes, kid: str = "") -> SigningKey:
    """A shared secret for HS256. Raises ValueError where it is short, or is a public key (CVE-2016-10555)."""
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"a secret for HS256 must have {SHORTEST_SECRET} bytes or more")
    try:
        return SigningKey(kid, SYMMETRIC, _ALGORITHMS["HS256"].prepare_key(secret))
    except InvalidKeyError:
        raise ValueError("this is a key or a certificate, not a secret for HS256") from None


def _malformed(why: str) -> TokenRefused:
    return TokenRefused(Reason.JWT_MALFORMED, f"The token is not one that is read here. {why}")


def _text(members: Mapping[str, Json], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _integer(jwk: dict[str, Json], name: str) -> int:
    return int.from_bytes(_decoded(_text(jwk, name)), "big")


def _object(document: bytes, limits: JsonLimits) -> Mapping[str, Json]:
    try:
        tree = parse(document, limits)
    except Refusal:  # its message may quote a key of the token
        tree = None
    if not isinstance(tree, dict):
        raise _malformed("A part of it is not one strict JSON object.")
    return tree


def _decoded(part: str) -> bytes:
    """Bytes from base64url without padding (RFC 7515 section 2). Raises ValueError, also where bits are left over:
    another spelling of the same token would pass as another token.
    """
    if not _PART.fullmatch(part):
        raise ValueError("not base64url")
    found = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(found).rstrip(b"=").decode("ascii") != part:
        raise ValueError("not canonical")
    return found
