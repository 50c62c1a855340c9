"""validate-jwt: lets a request in only with a token that holds: signed by a trusted key, in force, for us.

As in Azure API Management, with its reasons. What differs: a token that is not signed, or is encrypted, never holds;
one in the query is not read, as MCP sends none there; where no issuers are named, a configuration speaks for its own
issuer only. The caller's own header is read here and goes nowhere.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, ClassVar, Final, Self
from urllib.parse import urlsplit

from mcpgov.frozen import frozen
from mcpgov.json_web_token import Rules, SigningKey, key_of_modulus, symmetric_key
from mcpgov.models import Secret
from mcpgov.policy.attributes import Flag, Items, Templated, Templates, Text
from mcpgov.policy.element import Element
from mcpgov.policy.token_rules import (
    AUDIENCES,
    CLAIMS,
    SKEW,
    WHERE,
    Claim,
    Trust,
    Validation,
    read_claims,
    read_validation,
    remark_audiences,
    texts,
)

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.expression import Template
    from mcpgov.policy.place import Attribute, Place

SCHEME: Final = Text("require-scheme", "the scheme before the token in the header", "")
EXPIRATION: Final = Flag("require-expiration-time", "whether it must say when it expires", default=True)
SIGNED: Final = Flag("require-signed-tokens", "always: one that is not signed never holds", default=True)
URL: Final = Text("url", "the address of the configuration")
CONFIGURATIONS: Final = Items(
    "openid-config", "where an issuer publishes its configuration, which leads to its keys", "openid-config", (URL,)
)
ID: Final = Text("id", "the name of the key (kid)", "")
CERTIFICATE: Final = Text("certificate-id", "not here: there is no store of certificates", "")
MODULUS: Final = Text("n", "the modulus of an RSA key, in base64url", "")
EXPONENT: Final = Text("e", "its exponent, in base64url", "")
SECRET: Final = Templated("secret", "the secret of an HS256 key, in base64; a named value or a reference", "", ".")
KEYS: Final = Items(
    "issuer-signing-keys",
    "keys that are written down",
    "issuer-signing-keys/key",
    (ID, CERTIFICATE, MODULUS, EXPONENT, SECRET),
)
DECRYPTION: Final = Items("decryption-keys", "not here: an encrypted token is not read", "decryption-keys/key", (ID,))
ISSUERS: Final = Templates("issuers", "who may have issued it", "issuers/issuer")
_EVERY_TENANT: Final = ("/common/", "/organizations/", "/consumers/")


@frozen
class ValidateJwt(Element):
    """What is asked of a token, and whose signature counts."""

    name: ClassVar[str] = "validate-jwt"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (
        *WHERE,
        *(SCHEME, EXPIRATION, SIGNED, SKEW, CONFIGURATIONS, KEYS, DECRYPTION, AUDIENCES, ISSUERS, CLAIMS),
    )
    validation: Validation
    trust: Trust
    audiences: tuple[Template, ...]
    issuers: tuple[Template, ...]
    claims: tuple[Claim, ...]
    clock_skew: int
    require_expiration: bool

    @classmethod
    def load(cls, place: Place) -> Self:
        """`header-name` or `token-value`, and `openid-config` or `issuer-signing-keys`; the rest has defaults."""
        trust = Trust(tuple(map(_url, CONFIGURATIONS.read(place))), tuple(_keys(place)))
        if isinstance(place.value, dict) and not (place.has(CONFIGURATIONS.name) or place.has(KEYS.name)):
            place.note("nothing says whose signature counts", "add openid-config, or issuer-signing-keys")
        if place.has(DECRYPTION.name):
            place.at(DECRYPTION.name).note("an encrypted token is not read here", "have it signed only", at_key=True)
        if not SIGNED.read(place):
            place.at(SIGNED.name).note("a token that is not signed never holds", f"remove {SIGNED.name}", at_key=True)
        remark_audiences(place, AUDIENCES.name)
        for url in trust.urls:
            if any(part in url for part in _EVERY_TENANT) and not place.has(ISSUERS.name):
                message = "these are the keys of every tenant: without issuers no token holds"
                place.at(CONFIGURATIONS.name).remark(message, "name the tenant in the URL, or add issuers", at_key=True)
        return cls(
            read_validation(place, scheme=SCHEME.read(place)),
            trust,
            AUDIENCES.read(place),
            ISSUERS.read(place),
            read_claims(place),
            SKEW.read(place),
            EXPIRATION.read(place),
        )

    def run(self, draft: Draft) -> Verdict:
        """Deny a request whose token does not hold. Raises ExpressionError, Refusal (sign-in-unavailable)."""
        rules = Rules(
            texts(self.issuers, draft),
            texts(self.audiences, draft),
            self.clock_skew,
            self.require_expiration,
            tuple(claim.required(draft) for claim in self.claims),
        )
        return (yield from self.validation.run(draft, lambda _token: rules, self.trust))

    def hides(self, draft: Draft, /) -> bool:
        """Nothing; but a later condition may read the token."""
        self.validation.recall(draft)
        return False


def _url(place: Place) -> str:
    url = URL.read(place)
    if url and (urlsplit(url).scheme != "https" or not urlsplit(url).hostname):
        place.at(URL.name).note("url is not an https URL", "write https://…/.well-known/openid-configuration")
    return url


def _keys(place: Place) -> list[SigningKey]:
    """The keys that are written down; what is wrong with one is noted."""
    found: list[SigningKey] = []
    for item in KEYS.read(place):
        if item.has(CERTIFICATE.name):
            mend = "write the n and e of its key, or use openid-config"
            item.at(CERTIFICATE.name).note("there is no store of certificates here", mend, at_key=True)
            continue
        try:
            found.append(_key(item))
        except ValueError as error:
            item.note(f"this is no key: {error}", "write n and e in base64url, or a secret in base64")
    return found


def _key(place: Place) -> SigningKey:
    """One key. Raises ValueError; its text quotes nothing of the key."""
    kid, modulus, exponent, secret = (ID.read(place), MODULUS.read(place), EXPONENT.read(place), SECRET.read(place))
    if modulus or exponent:
        if secret.parts:
            raise ValueError("it has a secret beside n and e")
        return key_of_modulus(modulus, exponent, kid)
    parts = [part.reveal() if isinstance(part, Secret) else part for part in secret.parts]
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("a secret is not computed")
    if parts and not any(isinstance(part, Secret) for part in secret.parts):
        place.remark("a secret stands in the policy", "make it a named value, or a reference to a variable or a file")
    try:
        return symmetric_key(base64.b64decode("".join(map(str, parts)), validate=True), kid)
    except binascii.Error:
        raise ValueError("the secret is not base64") from None
