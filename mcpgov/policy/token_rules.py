"""What the elements that verify a caller's token have in common: where it stands, and what is asked of it, in order.

What needs no key is asked first, so that a token that cannot hold makes nobody fetch keys; a refused one costs at most
one check of a signature, however often the policies are asked about its request. Where no keys can be had the call is
refused: nothing passes unverified. What came of each question is kept in a letter, so that the decision can be made
again without the token, which no record, trace, message or explanation holds.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from mcpgov.decision import FetchKeys, Reason, Reply
from mcpgov.errors import ExpressionError, Refusal
from mcpgov.frozen import frozen
from mcpgov.json_web_token import (
    ASYMMETRIC,
    KeySet,
    RequiredClaim,
    Rules,
    SigningKey,
    Token,
    TokenRefused,
    parse_token,
    verify_algorithm,
    verify_claims,
    verify_signature,
)
from mcpgov.policy.attributes import Choice, Items, Number, Templated, Templates, Text, WholeNumber
from mcpgov.policy.draft import Denial
from mcpgov.policy.http_fields import is_token
from mcpgov.policy.token_values import Checked, Jwt

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from datetime import datetime

    from mcpgov.decision import Effect
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.expression import Quantity, Template
    from mcpgov.policy.place import Place

UNAUTHORIZED: Final = 401
MAX_SKEW: Final = 3600  # seconds
BEARER: Final = "bearer"
SHORTEST: Final = 16  # characters; masking less would let a caller blot out the log lines about its own call

HEADER: Final = Text("header-name", "the header that has the token", "")
QUERY: Final = Text("query-parameter-name", "not read here: a token has no place in a URL", "")
VALUE: Final = Templated("token-value", "the token itself, where it is not taken from a header", "")
CODE: Final = Number("failed-validation-httpcode", "the HTTP status of the refusal", 400, 599, UNAUTHORIZED)
MESSAGE: Final = Templated("failed-validation-error-message", "what the caller is told", "")
VARIABLE: Final = Text("output-token-variable-name", "the variable that gets the token", "")
SKEW: Final = WholeNumber("clock-skew", "by how many seconds clocks may differ", 0, MAX_SKEW, 0)
AUDIENCES: Final = Templates("audiences", "whom the token may be for", "audiences/audience")
CLAIM: Final = Text("name", "the claim")
MATCH: Final = Choice("match", "whether each value must be there, or one of them", ("all", "any"), "all")
SEPARATOR: Final = Text("separator", "what separates the values of a claim that is one text", "")
VALUES: Final = Templates("value", "what the claim must hold; none: it only has to be there", "value")
CLAIMS: Final = Items(
    "required-claims", "what the token must say", "required-claims/claim", (CLAIM, MATCH, SEPARATOR, VALUES)
)
WHERE: Final = (HEADER, QUERY, VALUE, CODE, MESSAGE, VARIABLE)


@frozen
class _Check:
    """A question about a token, what the caller is told where the answer is no, and API Management's word for that."""

    question: str
    message: str
    word: str


_CHECKS: Final = {
    Reason.CREDENTIAL_MISSING: _Check("is there a token", "JWT not present.", "TokenNotPresent"),
    Reason.JWT_MALFORMED: _Check("can it be read", "The token is not one that is read here.", "JwtInvalid"),
    Reason.JWT_ISSUER_DENIED: _Check(
        "is its issuer trusted", "The token is from an issuer that is not trusted here.", "TokenIssuerNotAllowed"
    ),
    Reason.JWT_AUDIENCE_DENIED: _Check(
        "is it for one of the audiences", "The token was issued for somebody else.", "TokenAudienceNotAllowed"
    ),
    Reason.JWT_NOT_YET_VALID: _Check("is it valid by now", "The token is not valid yet.", "JwtInvalid"),
    Reason.JWT_EXPIRED: _Check("is it still valid", "The token has expired.", "TokenExpired"),
    Reason.JWT_CLAIM_DENIED: _Check(
        "has it the claims that are required",
        "The token lacks a claim that is required here.",
        "TokenClaimValueNotAllowed",
    ),
    Reason.JWT_KEY_UNKNOWN: _Check(
        "is its key known", "The token is signed with a key that is not known here.", "TokenSignatureKeyNotFound"
    ),
    Reason.JWT_SIGNATURE_INVALID: _Check(
        "is its signature valid", "The signature of the token is not valid.", "TokenSignatureInvalid"
    ),
}
_CLAIM_ABSENT: Final = "TokenClaimNotFound"


@frozen
class Trust:
    """Whose signature counts: the keys that configurations at `urls` lead to, and those that are written down."""

    urls: tuple[str, ...] = ()
    keys: tuple[SigningKey, ...] = ()

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What a token may be signed with. A published key is never the secret of an HMAC (RFC 8725 section 3.1)."""
        written = tuple(name for key in self.keys for name in key.algorithms)
        return (*ASYMMETRIC, *written) if self.urls else written


@frozen
class Claim:
    """A claim that must be there, and what it must hold."""

    name: str
    values: tuple[Template, ...]
    match_any: bool
    separator: str

    def required(self, draft: Draft) -> RequiredClaim:
        """The same for this request. Raises ExpressionError."""
        return RequiredClaim(self.name, texts(self.values, draft), self.match_any, self.separator)


@frozen
class TokenSource:
    """Where a token stands: in a header (in lower case), or, without one, `value` is it. An empty `scheme` is any."""

    header: str
    value: Template
    scheme: str = ""

    def text(self, draft: Draft) -> str:
        """The token, or the empty string. What cannot be evaluated has none."""
        if not self.header:
            try:
                return self.value.value(draft, secret=True).strip()
            except ExpressionError:
                return ""
        scheme, blank, token = ", ".join(draft.header_values(self.header)).strip().partition(" ")
        if not blank:
            return "" if self.scheme or scheme.lower() == BEARER else scheme
        return token.strip() if scheme.lower() == (self.scheme.lower() or BEARER) else ""


@frozen
class Validation:
    """One token, and what the caller is told where it does not hold."""

    source: TokenSource
    code: Quantity
    message: Template
    variable: str

    def run(self, draft: Draft, rules_of: Callable[[Token], Rules], trust: Trust) -> Verdict:
        """Deny where the token does not hold. Raises ExpressionError, Refusal (sign-in-unavailable)."""
        text = self.source.text(draft)
        checked = draft.tokens.get(draft.at)
        if not isinstance(checked, Checked) or checked.text != text:
            checked = yield from _checked(text, rules_of, trust, draft.context.request.head.received_at)
        draft.keep_secret(
            text if len(text) >= SHORTEST else "", *(_said(checked.jwt) if draft.answers.seen is not None else ())
        )
        for reason, check in _CHECKS.items():
            if not draft.answers.ask(draft.at, check.question, partial(operator.is_not, checked.refused, reason)):
                draft.tokens[draft.at] = replace(checked, refused=reason)
                return self._denial(draft, reason, _CLAIM_ABSENT if checked.absent else check.word)
        draft.tokens[draft.at] = replace(
            checked, refused=None
        )  # as the answers have it, which may be those of a record
        self.recall(draft)
        return None

    def recall(self, draft: Draft) -> None:
        """Set the variable to what came of the token on this request; where it was refused, nothing comes after it."""
        checked = draft.tokens.get(draft.at)
        if not isinstance(checked, Checked) or checked.refused is not None:
            draft.ended = checked is not None or bool(self.variable)
        elif self.variable:
            draft.variables[self.variable] = checked.jwt

    def _denial(self, draft: Draft, reason: Reason, word: str) -> Denial:
        message, code = self.message.value(draft) or _CHECKS[reason].message, self.code.value(draft)
        return Denial(reason, message, reply=None if code == UNAUTHORIZED else Reply(code), error_reason=word)


def texts(templates: tuple[Template, ...], draft: Draft) -> tuple[str, ...]:
    """The value of each. Raises ExpressionError."""
    return tuple(template.value(draft) for template in templates)


def _checked(
    text: str, rules_of: Callable[[Token], Rules], trust: Trust, now: datetime
) -> Generator[Effect, Any, Checked]:
    """What comes of a token. Yields FetchKeys once nothing else speaks against it. Raises Refusal."""
    if not text:
        return Checked(text, Reason.CREDENTIAL_MISSING)
    absent = False
    try:
        token = parse_token(text)
        verify_algorithm(token, trust.algorithms)
        rules = rules_of(token)
        absent = any(claim.name not in token.claims for claim in rules.required_claims)
        verify_claims(token, rules, now)
        verify_signature(token, (yield from _keys(token, trust, rules)), trust.algorithms)
    except TokenRefused as refused:
        return Checked(text, refused.reason, absent=absent and refused.reason is Reason.JWT_CLAIM_DENIED)
    return Checked(text, jwt=Jwt(token.header, token.claims))


def _keys(token: Token, trust: Trust, rules: Rules) -> Generator[Effect, Any, KeySet]:
    """The keys that may have signed. Where no issuer is named, a configuration speaks for its own issuer only, or one
    of several could sign in the name of another. Raises TokenRefused, Refusal (sign-in-unavailable).
    """
    fetched: list[SigningKey] = []
    failure: Refusal | TokenRefused | None = None
    for url in trust.urls:
        try:
            keys: KeySet = yield FetchKeys(url, token.kid)
        except Refusal as refusal:
            failure = refusal
            continue
        if rules.issuers or (keys.issuer and keys.issuer == token.issuer):
            fetched += keys.keys
            if keys.find(token):
                break
        else:
            failure = failure or TokenRefused(Reason.JWT_ISSUER_DENIED, "")
    known = KeySet("", (*fetched, *trust.keys))
    if failure is not None and not known.find(token):
        raise failure
    return known


def _said(jwt: Jwt | None) -> Iterator[str]:
    """Everything that a token says, as text."""
    return (text for listed in (jwt.lists.values() if jwt else ()) for text in listed)


def read_validation(place: Place, default_header: str = "", scheme: str = "") -> Validation:
    """Where the token stands, and how it is refused: the attributes WHERE. What is wrong is noted."""
    named = [attribute.name for attribute in (HEADER, VALUE) if place.has(attribute.name)]
    if place.has(QUERY.name):
        mend = "use header-name: MCP sends no token in a URL, where it would be written down on its way"
        place.at(QUERY.name).note("a token in the query is not read here", mend, at_key=True)
    elif isinstance(place.value, dict) and (len(named) > 1 or not (named or default_header)):
        place.note("the token is taken from one place", "write header-name, or token-value")
    header = HEADER.read(place) or ("" if place.has(VALUE.name) else default_header)
    if header and not is_token(header):
        place.at(HEADER.name).note("header-name is not a header name", "use letters, digits and -; no expression")
    source = TokenSource(header.lower(), VALUE.read(place), scheme)
    return Validation(source, CODE.read(place), MESSAGE.read(place), VARIABLE.read(place))


def read_claims(place: Place) -> tuple[Claim, ...]:
    """The claims that are required."""
    return tuple(
        Claim(CLAIM.read(item), VALUES.read(item), MATCH.read(item) == "any", SEPARATOR.read(item))
        for item in CLAIMS.read(place)
    )


def remark_audiences(place: Place, *names: str) -> None:
    """Remark that any audience will do, where none of the attributes `names` is written."""
    if not any(place.has(name) for name in names):
        message = "without audiences a token that was issued for somebody else holds too"
        place.remark(message, "add the audience of this gateway", at_key=True)
