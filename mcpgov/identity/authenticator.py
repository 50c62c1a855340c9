"""Finds the principal by asking each authenticator in turn; nobody else decides who calls.

The order is that of the tuple: gateway keys, Entra, the OIDC issuers as written; then what a proxy vouches for, then
nobody. Rules: who calls never depends on that order, because a caller that presents two credentials is refused. A
credential that an authenticator recognises is its own, for good or ill: a bad one is never offered to the next. One
that nobody recognises is refused as well. What a proxy says counts only where the caller presents nothing itself, and
a stranger that speaks like the proxy is refused, whatever else it presents. Only a caller that presents nothing can be
anonymous, and only where the settings say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.identity.token_principal import bearers
from mcpgov.json_web_token import claimed_issuer
from mcpgov.models import Principal, PrincipalKind

if TYPE_CHECKING:
    from mcpgov.models import RequestHead

ANONYMOUS: Final = Principal(id="anonymous", kind=PrincipalKind.ANONYMOUS, name="anonymous")
AUTHORIZATION: Final = "authorization"  # always a place of credentials, also where keys are sent in another header


class Authenticator(Protocol):
    """One way of proving who calls."""

    def recognises(self, head: RequestHead) -> bool:
        """Whether a credential of this kind is presented, by its form alone: no I/O, and nothing is believed."""
        ...

    async def authenticate(self, head: RequestHead) -> Principal:
        """The principal of a request that it recognises. Raises Refusal where the credential is bad."""
        ...


class Voucher(Authenticator, Protocol):
    """A way that somebody in front of us proves for the caller."""

    def refuse_strangers(self, head: RequestHead) -> None:
        """Raise Refusal (credential-invalid) where another than those in front of us vouches for the caller."""
        ...


@frozen
class Authentication:
    """The authenticators in force, in order. `credential_headers` (lower case) are where a gateway key may stand;
    `proxy` is asked where the caller presents nothing itself.
    """

    authenticators: tuple[Authenticator, ...]
    credential_headers: tuple[str, ...]
    allow_anonymous: bool = False
    proxy: Voucher | None = None

    async def identify(self, head: RequestHead) -> Principal:
        """The caller. Raises Refusal: credential-missing, -ambiguous, or what the authenticator found wrong."""
        if self.proxy is not None:
            self.proxy.refuse_strangers(head)
        presented = self._presented(head)
        recognising = [one for one in self.authenticators if one.recognises(head)]
        if len(recognising) > 1:
            raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, "More than one credential was presented. Send exactly one.")
        if recognising:
            return await recognising[0].authenticate(head)
        if presented and any(claimed_issuer(text) for text in bearers(head)):
            raise Refusal(Reason.JWT_ISSUER_DENIED, "The token is not of an issuer that this gateway accepts.")
        if presented:
            raise Refusal(Reason.CREDENTIAL_INVALID, "The credential presented is not one that this gateway knows.")
        if self.proxy is not None and self.proxy.recognises(head):
            return await self.proxy.authenticate(head)
        if self.allow_anonymous:
            return ANONYMOUS
        raise Refusal(Reason.CREDENTIAL_MISSING, f"A credential is required. Send a gateway key as {self._places}.")

    def _presented(self, head: RequestHead) -> list[str]:
        """The headers that are there and may hold a credential. Raises Refusal (credential-ambiguous) for one that was
        sent twice: of the two, another parser could read the other.
        """
        found = [name for name in (AUTHORIZATION, *self.credential_headers) if name in head.headers]
        for name in found:
            if len(head.headers.all(name)) > 1:
                raise Refusal(Reason.CREDENTIAL_AMBIGUOUS, f"The header {name} was sent twice. Send it once.")
        return found

    @property
    def _places(self) -> str:
        return " or ".join(
            "Authorization: Bearer KEY" if name == AUTHORIZATION else f"{name}: KEY" for name in self.credential_headers
        )
