"""Tokens that two readers could read differently, or that tell their reader how to read them: none is a token here."""

from datetime import UTC, datetime
from typing import Any, Final

from mcpgov.decision import Reason
from tests.peers.signing import forged, jwk, rsa_key, segment

NOW: Final = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AT: Final = int(NOW.timestamp())
CLAIMS: Final[dict[str, Any]] = {"iss": "https://issuer.example", "aud": "us", "exp": AT + 60}
HEADER: Final[dict[str, Any]] = {"alg": "RS256", "kid": "one", "typ": "JWT"}
BODY: Final = segment(CLAIMS)
TOP: Final = segment(HEADER)
DEEP: Final = b'{"a":' * 20 + b"1" + b"}" * 20
UNREADABLE: Final = {
    "empty": "",
    "one part": TOP,
    "two parts": f"{TOP}.{BODY}",
    "four parts": f"{TOP}.{BODY}.AA.AA",
    "encrypted": f"{segment({'alg': 'RSA-OAEP', 'enc': 'A256GCM'})}.AA.AA.AA.AA",
    "no signature": f"{TOP}.{BODY}.",
    "no claims": f"{TOP}..AA",
    "padded": f"{TOP}.{BODY}.AA==",
    "standard alphabet": f"{TOP}.{BODY}.+/+/",
    "white space": f"{TOP}.{BODY}.AA AA",
    "line at the end": f"{TOP}.{BODY}.AAAA\n",
    "trailing data": f"{TOP}.{BODY}.AAAA,x",
    "bits left over": f"{TOP}.{BODY}.AB",
    "length of no bytes": f"{TOP}.{BODY}.AAAAA",
    "other digits": f"{TOP}.{BODY}.\uff21\uff21\uff21\uff21",
    "a megabyte": f"{TOP}.{'A' * 1024 * 1024}.AA",
    "header is no JSON": forged(b"{", CLAIMS, b"x"),
    "header is a list": forged(b"[]", CLAIMS, b"x"),
    "header is deep": forged(DEEP, CLAIMS, b"x"),
    "claims are text": forged(HEADER, b'"x"', b"x"),
    "claims are deep": forged(HEADER, DEEP, b"x"),
    "claims are very deep": forged(HEADER, b"[" * 8000, b"x"),
    "claim twice": forged(HEADER, b'{"aud":"us","aud":"them"}', b"x"),
    "issuer twice": forged(HEADER, b'{"iss":"https://issuer.example","\\u0069ss":"x"}', b"x"),
    "algorithm twice": forged(b'{"alg":"none","alg":"RS256"}', CLAIMS, b"x"),
    "NaN": forged(HEADER, b'{"exp":NaN}', b"x"),
    "infinite": forged(HEADER, b'{"exp":1e999}', b"x"),
    "byte order mark": forged(HEADER, b"\xef\xbb\xbf{}", b"x"),
    "UTF-16": forged(HEADER, '{"iss":"x"}'.encode("utf-16-le"), b"x"),
    "half a surrogate": forged(HEADER, b'{"iss":"\\ud800"}', b"x"),
    **{
        f"alg {name!r}": forged({"alg": name}, CLAIMS, b"x")
        for name in ("none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "HS384", "ES256K", "RSA-OAEP", "dir", 7)
    },
    "alg none, not signed": forged({"alg": "none"}, CLAIMS),
    "no alg": forged({"kid": "one"}, CLAIMS, b"x"),
    **{
        f"header has {name}": forged({**HEADER, name: value}, CLAIMS, b"x")
        for name, value in {
            "crit": ["exp"],
            "jku": "https://evil.example/keys",
            "x5u": "https://evil.example/chain",
            "x5c": ["MIIB"],
            "jwk": jwk(rsa_key("one")),
            "zip": "DEF",
            "b64": False,
            "enc": "A256GCM",
            "cty": "JWT",
        }.items()
    },
    **{
        f"kid {str(kid)[:10]}": forged({**HEADER, "kid": kid}, CLAIMS, b"x")
        for kid in ("", 7, None, ["one"], "k" * 257)
    },
    **{
        f"typ {kind}": forged({**HEADER, "typ": kind}, CLAIMS, b"x")
        for kind in ("dpop+jwt", "logout+jwt", "JOSE", "JWE", 1)
    },
}

# RFC 7515 appendix A.3.
POINT: Final = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}


def ec_jwk(**changes: Any) -> dict[str, Any]:
    """The point, changed."""
    return {**POINT, **changes}


UNUSABLE_KEYS: Final[dict[str, dict[str, Any]]] = {
    "for encryption": {**jwk(rsa_key("one")), "use": "enc"},
    "to sign with": {**jwk(rsa_key("one")), "key_ops": ["sign"]},
    "operations as text": {**jwk(rsa_key("one")), "key_ops": "verify"},
    "published private key": {**jwk(rsa_key("one")), "d": "AQAB"},
    "symmetric": {"kty": "oct", "k": segment(bytes(32)), "alg": "HS256"},
    "RSA for HS256": {**jwk(rsa_key("one")), "alg": "HS256"},
    "RSA for encryption": {**jwk(rsa_key("one")), "alg": "RSA-OAEP"},
    "RSA of 1024 bits": {**jwk(rsa_key("one")), "n": segment((1 << 1023 | 1).to_bytes(128, "big"))},
    "RSA of 16384 bits": {**jwk(rsa_key("one")), "n": segment((1 << 16383 | 1).to_bytes(2048, "big"))},
    "RSA with an even exponent": {**jwk(rsa_key("one")), "e": segment(b"\x02")},
    "RSA with a long exponent": {**jwk(rsa_key("one")), "e": segment(b"\x01" + bytes(7) + b"\x01")},
    "RSA without a modulus": {"kty": "RSA", "e": "AQAB"},
    "RSA with a padded modulus": {**jwk(rsa_key("one")), "n": jwk(rsa_key("one"))["n"] + "=="},
    "a point off the curve": ec_jwk(y=segment(bytes(31) + b"\x05")),
    "a curve that is not accepted": ec_jwk(crv="secp256k1"),
    "another curve's algorithm": ec_jwk(alg="ES384"),
    "Ed448": {"kty": "OKP", "crv": "Ed448", "x": segment(bytes(57))},
    "a short Ed25519 key": {"kty": "OKP", "crv": "Ed25519", "x": "AA"},
    "unknown": {"kty": "PQC"},
    "nothing": {},
}


# Claims, by how many seconds the clocks may differ, and what comes of it.
TIMES_AND_TEXTS: Final[list[tuple[dict[str, Any], int, Reason | None]]] = [
    ({"exp": AT + 1}, 0, None),
    ({"exp": AT}, 0, Reason.JWT_EXPIRED),
    ({"exp": AT - 1}, 0, Reason.JWT_EXPIRED),
    ({"exp": AT - 29}, 30, None),
    ({"exp": AT - 30}, 30, Reason.JWT_EXPIRED),
    ({"exp": AT - 31}, 30, Reason.JWT_EXPIRED),
    ({"exp": AT + 0.5}, 0, None),
    ({"nbf": AT - 1}, 0, None),
    ({"nbf": AT}, 0, None),
    ({"nbf": AT + 1}, 0, Reason.JWT_NOT_YET_VALID),
    ({"nbf": AT + 30}, 30, None),
    ({"nbf": AT + 31}, 30, Reason.JWT_NOT_YET_VALID),
    ({"exp": None}, 0, Reason.JWT_MALFORMED),
    ({"exp": str(AT + 60)}, 0, Reason.JWT_MALFORMED),
    ({"exp": True}, 0, Reason.JWT_MALFORMED),
    ({"exp": [AT + 60]}, 0, Reason.JWT_MALFORMED),
    ({"exp": 10**400}, 0, Reason.JWT_MALFORMED),
    ({"exp": 1e300}, 0, Reason.JWT_MALFORMED),
    ({"exp": -1}, 0, Reason.JWT_MALFORMED),
    ({"nbf": "soon"}, 0, Reason.JWT_MALFORMED),
    ({"aud": "them"}, 0, Reason.JWT_AUDIENCE_DENIED),
    ({"aud": ["them", "us"]}, 0, None),
    ({"aud": []}, 0, Reason.JWT_AUDIENCE_DENIED),
    ({"aud": ""}, 0, Reason.JWT_AUDIENCE_DENIED),
    ({"aud": "us "}, 0, Reason.JWT_AUDIENCE_DENIED),
    ({"aud": "US"}, 0, Reason.JWT_AUDIENCE_DENIED),
    ({"aud": "u\u017f"}, 0, Reason.JWT_AUDIENCE_DENIED),  # a long s, which folds to s
    ({"aud": ["us", ["us"]]}, 0, Reason.JWT_MALFORMED),
    ({"aud": {"us": 1}}, 0, Reason.JWT_MALFORMED),
    ({"aud": None}, 0, Reason.JWT_MALFORMED),
    ({"iss": "https://issuer.example/"}, 0, Reason.JWT_ISSUER_DENIED),
    ({"iss": "https://\u0456ssuer.example"}, 0, Reason.JWT_ISSUER_DENIED),  # a Cyrillic i
    ({"iss": ["https://issuer.example"]}, 0, Reason.JWT_ISSUER_DENIED),
]
