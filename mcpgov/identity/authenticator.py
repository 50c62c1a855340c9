"""Finds the principal by asking each authenticator in turn; nobody else decides who calls.

Rules: an authenticator that recognises a credential as its own settles it, for good or ill: a bad one is refused and
never offered to the next. A credential that nobody recognises is refused as well. Only a caller that presents nothing
can be anonymous, and only where the settings say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.models import Principal, PrincipalKind

if TYPE_CHECKING:
    from mcpgov.models import RequestHead

ANONYMOUS = Principal(id="anonymous", kind=PrincipalKind.ANONYMOUS, name="anonymous")


class Authenticator(Protocol):
    """One way of proving who calls."""

    async def authenticate(self, head: RequestHead) -> Principal | None:
        """The principal; None when the credential is not of this kind. Raises Refusal when it is, and is bad."""
        ...


@dataclass(frozen=True, slots=True)
class Authentication:
    """The authenticators in force, in order. `credential_headers` (lower case) are where a credential may stand."""

    authenticators: tuple[Authenticator, ...]
    credential_headers: tuple[str, ...]
    allow_anonymous: bool = False

    async def identify(self, head: RequestHead) -> Principal:
        """The caller. Raises Refusal: credential-missing, or whatever the authenticator found wrong."""
        for authenticator in self.authenticators:
            principal = await authenticator.authenticate(head)
            if principal is not None:
                return principal
        if any(name in head.headers for name in self.credential_headers):
            raise Refusal(Reason.CREDENTIAL_INVALID, "The credential presented is not one that this gateway issued.")
        if self.allow_anonymous:
            return ANONYMOUS
        places = " or ".join(
            "Authorization: Bearer KEY" if name == "authorization" else f"{name}: KEY"
            for name in self.credential_headers
        )
        raise Refusal(Reason.CREDENTIAL_MISSING, f"A gateway key is required. Send it as {places}.")
