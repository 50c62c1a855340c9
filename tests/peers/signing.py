"""Keys that sign tokens, and tokens that are signed: properly, or in the ways in which an attacker would."""

import base64
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

Claims = Mapping[str, Any]


@cache
def rsa_key(kid: str) -> rsa.RSAPrivateKey:
    """The key of that name: made once in a run, for it takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    """The public key as PEM: what an HS256 forger uses as its secret."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def segment(part: bytes | Claims) -> str:
    """One part of a token: base64url without padding (RFC 7515 section 2)."""
    data = part if isinstance(part, bytes) else json.dumps(dict(part), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(header: bytes | Claims, payload: bytes | Claims, signature: bytes = b"") -> str:
    """A token of exactly these parts, whatever they are."""
    return f"{segment(header)}.{segment(payload)}.{segment(signature)}"


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token that nobody checked."""
    return jwt.decode(token, options={"verify_signature": False})


class SigningKeys:
    """The keys of an issuer: the newest signs, and those that are published verify."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._made = 1
        self.published = [f"{prefix}-1"]

    @property
    def kid(self) -> str:
        """The one that signs now."""
        return self.published[-1]

    def rotate(self, *, keep_old: bool = True) -> None:
        """Sign with a new key from now on; with `keep_old` the older ones stay published."""
        self._made += 1
        self.published = [*(self.published if keep_old else ()), f"{self._prefix}-{self._made}"]

    def sign(self, claims: Claims, header: Claims | None = None, *, key: Any = None, algorithm: str = "RS256") -> str:
        """A signed token; `header` is added to alg, typ and kid, `key` signs instead of ours."""
        headers = {"kid": self.kid, **(header or {})}
        return jwt.encode(dict(claims), rsa_key(self.kid) if key is None else key, algorithm, headers)

    def claims(self, token: str, audience: str | None = None) -> dict[str, Any]:
        """The claims of a token of ours that has not expired. Raises jwt.InvalidTokenError."""
        kid = str(jwt.get_unverified_header(token).get("kid"))
        if kid not in self.published:
            raise jwt.InvalidTokenError(f"no key {kid}")
        options: Any = {"verify_aud": audience is not None}
        return jwt.decode(token, rsa_key(kid).public_key(), ["RS256"], options, audience=audience)

    def jwks(self, **more: str) -> dict[str, Any]:
        """The published keys (RFC 7517), each with `more` in it."""
        return {"keys": [{**jwk(rsa_key(kid)), "kid": kid, **more} for kid in self.published]}


def jwk(key: rsa.RSAPrivateKey) -> dict[str, str]:
    """The public half of a key (RFC 7518 section 6.3.1)."""
    numbers = key.public_key().public_numbers()
    return {"kty": "RSA", "use": "sig", "n": segment(_big_endian(numbers.n)), "e": segment(_big_endian(numbers.e))}


def _big_endian(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
