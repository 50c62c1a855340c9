"""What a verified token offers, and what mcpgov has for a caller elsewhere: Jwt, its Claims, and Authorization.

A claim is a list of texts, as in API Management. Text becomes a Jwt only where an element has verified that very token
on this request: claims that nobody vouches for decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from mcpgov.policy.csharp.moments import from_seconds
from mcpgov.policy.csharp.signatures import Table, method, table
from mcpgov.policy.token_values import Authorization, Jwt

if TYPE_CHECKING:
    from mcpgov.policy.csharp.typed_code import Run

_Claims = Mapping[str, tuple[str, ...]]


def as_jwt(run: Run, text: str) -> Jwt | None:
    """The token in a text, also behind its scheme; None where no element has verified it on this request."""
    return run.draft.verified(text.rpartition(" ")[2])


def _claim(claims: _Claims, name: str) -> tuple[str, ...]:
    return claims[name]


def _claim_text(claims: _Claims, name: str, default: str | None = None) -> str | None:
    return ",".join(claims[name]) if name in claims else default


def _claim_list(claims: _Claims, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    return claims.get(name, default)


def _has_claim(claims: _Claims, name: str) -> bool:
    return name in claims


def _text(claim: str) -> Callable[[Jwt], str]:
    return lambda token: token.text(claim)


def _algorithm(token: Jwt) -> str:
    return token.algorithm


def _type(token: Jwt) -> str:
    return token.kind


def _audiences(token: Jwt) -> tuple[str, ...]:
    return token.audiences


def _claims(token: Jwt) -> _Claims:
    return token.lists


def _moment(claim: str) -> Callable[[Jwt], datetime | None]:
    def moment(token: Jwt) -> datetime | None:
        at = token.claims.get(claim)
        return from_seconds(int(at)) if isinstance(at, int | float) else None

    return moment


def _access_token(authorization: Authorization) -> str:
    return authorization.access_token


def _no_claims(_authorization: Authorization) -> _Claims:
    return {}


JWT_METHODS: Final[Table] = table(
    method("string Id", _text("jti")),
    method("string Issuer", _text("iss")),
    method("string Subject", _text("sub")),
    method("string Algorithm", _algorithm),
    method("string Type", _type),
    method("string[] Audiences", _audiences),
    method("Claims Claims", _claims),
    method("DateTime? ExpirationTime", _moment("exp")),
    method("DateTime? NotBefore", _moment("nbf")),
)
AUTHORIZATION_METHODS: Final[Table] = table(
    method("string AccessToken", _access_token),
    method("Claims Claims", _no_claims),
)
CLAIMS_METHODS: Final[Table] = table(
    method("string[] [](string)", _claim),
    method("bool ContainsKey(string)", _has_claim),
    method("string GetValueOrDefault(string)", _claim_text),
    method("string GetValueOrDefault(string, string?)", _claim_text),
    method("string[] GetValueOrDefault(string, string[])", _claim_list),
)
