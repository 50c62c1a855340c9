"""What every kind of token shares: where it stands, how it is checked, and how its claims are read.

Rules: what needs no key is checked first, so that a bad token costs no fetch, and at most one check of a signature.
Whom it is for is told last: with forged tokens a stranger could ask which connections there are. An ID token is for the
client that asked for it and lets nobody in here; a token that is bound to a key (RFC 8705 and RFC 9449) is refused,
because no proof of that key is asked for. Nothing of a token that was not verified is told or kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Final, Protocol

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.identity.signing_keys import KeySource, TrustedKeys
from mcpgov.identity.verified_tokens import VerifiedTokens
from mcpgov.json_web_token import (
    Rules,
    Token,
    TokenRefused,
    audiences,
    claimed_issuer,
    parse_token,
    verify_algorithm,
    verify_claims,
    verify_signature,
)
from mcpgov.models import Json, RequestHead

LONGEST_LABEL: Final = 256  # characters
_OF_ID_TOKENS: Final = frozenset({"at_hash", "c_hash", "s_hash"})  # OpenID Connect Core 1.0 section 3.3.2.11
_SCOPES: Final = ("scp", "scope")


class AudiencesAt(Protocol):
    """Which audiences a token may have at a connection, besides those of its issuer; none for one that there is not."""

    def __call__(self, connection: str, /) -> tuple[str, ...]:
        """Exactly as they stand in tokens."""
        ...


@frozen
class TokenCheck:
    """How the tokens of one issuer are checked; a signature that was found good only once by the same keys."""

    source: KeySource
    keys: TrustedKeys
    algorithms: tuple[str, ...]
    now: Callable[[], datetime]
    verified: VerifiedTokens = field(default_factory=VerifiedTokens)

    async def verify(self, text: str, rules: Rules) -> Token:
        """The token in `text`. Raises Refusal: one of jwt-…, sign-in-unavailable."""
        known = self.verified.find(text)
        try:
            token = known[0] if known else parse_token(text)
            verify_algorithm(token, self.algorithms)
            verify_claims(token, replace(rules, audiences=()), self.now())
            _check_use(token)
            keys = await self.keys.of(self.source, token.kid)
            if known is None or known[1] is not keys:
                token = parse_token(text) if known else token
                verify_signature(token, keys, self.algorithms)
                self.verified.keep(text, token, keys)
            _check_audience(token, rules)
        except TokenRefused as refused:
            if refused.reason is not Reason.JWT_AUDIENCE_DENIED:  # for somebody else here, and perhaps for us elsewhere
                self.verified.forget(text)
            raise Refusal(refused.reason, refused.message, detail=_accepted(refused.reason, rules)) from None
        return token


def _accepted(reason: Reason, rules: Rules) -> str:
    """For a token that is made out for somebody else: for whom it may be, which is ours and no secret."""
    if reason is not Reason.JWT_AUDIENCE_DENIED:
        return ""
    return f"accepted audiences: {', '.join(dict.fromkeys(rules.audiences)) or 'none'}"


def _check_audience(token: Token, rules: Rules) -> None:
    """Here no audience at all means none, not any."""
    if set(audiences(token)).isdisjoint(rules.audiences):
        raise TokenRefused(Reason.JWT_AUDIENCE_DENIED, "The token was issued for somebody else.")


def _check_use(token: Token) -> None:
    names = token.claims.keys()
    scoped = any(name in names for name in _SCOPES)
    if names & _OF_ID_TOKENS or ("nonce" in names and not scoped):
        raise TokenRefused(Reason.JWT_CLAIM_DENIED, "This is an ID token; send an access token.")
    if "cnf" in names:
        raise TokenRefused(Reason.JWT_CLAIM_DENIED, "The token is bound to a key; send a plain bearer token.")


def bearers(head: RequestHead) -> tuple[str, ...]:
    """What stands after `Bearer` in each Authorization field (RFC 6750 section 2.1)."""
    fields = (value.partition(" ") for value in head.headers.all("authorization"))
    return tuple(rest.strip(" ") for scheme, _, rest in fields if scheme.lower() == "bearer")


def is_from(head: RequestHead, issuers: tuple[str, ...]) -> bool:
    """Whether a bearer token says that one of `issuers` issued it. Nothing is believed by that."""
    return any(claimed_issuer(text) in issuers for text in bearers(head))


def only_bearer(head: RequestHead) -> str:
    """The bearer token. Raises Refusal (credential-ambiguous) where Authorization was sent more than once."""
    found = bearers(head)
    if len(found) != 1 or len(head.headers.all("authorization")) > 1:
        raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, "The header authorization was not sent once. Send it once.")
    return found[0]


def words(claims: Mapping[str, Json], *names: str) -> tuple[str, ...]:
    """The words of the first of the claims `names` that is there: a text is split at spaces, of a list every text
    counts.
    """
    value = next((claims[name] for name in names if name in claims), None)
    listed = value.split(" ") if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(item for item in listed if isinstance(item, str) and item)


def label(text: str) -> str:
    """Text of a claim that may be shown and recorded: printable, and no longer than a label."""
    return "".join(character for character in text[:LONGEST_LABEL] if character.isprintable())


def refuse_claim(message: str, detail: str = "") -> Refusal:
    """The refusal of a token that was verified, and does not say who calls as it should."""
    return Refusal(Reason.JWT_CLAIM_DENIED, message, detail=detail)


def scopes_of(token: Token) -> tuple[str, ...]:
    """What the token may be used for: `scp` (Entra), else `scope` (RFC 9068 section 2.2.3)."""
    return words(token.claims, *_SCOPES)
