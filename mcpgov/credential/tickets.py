"""The link that a caller is given where a person must act, and the ticket inside it.

Rules: a link is good for ten minutes, for the one connection and the one principal that called, and says nothing to
whoever finds it. It is given only where the browser that opens it can be asked to prove who it is: otherwise one user
could send another one a link and come by that one's tokens (MCP 2025-11-25, Elicitation, "Phishing"). A caller that
stands for no one person gets a page that explains, the same for every connection.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mcpgov.credential.sealing import Seal
from mcpgov.credential.vault import client_digest
from mcpgov.decision import Reason
from mcpgov.destinations import CALLBACK_PATH, CONSENT_PATH
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.models import PrincipalKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcpgov.credential.browser_sign_in import BrowserSignIn, Person
    from mcpgov.models import Connection, Json, Principal

LABEL: Final = "mcpgov consent link 1"
LIFE: Final = timedelta(minutes=10)


@frozen
class Ticket:
    """Who called for what, until when (seconds since 1970). The rest are the claims that a browser must show.

    `client` is the digest of what is asked for, and of whom (vault.client_digest): another one is not asked with this
    link. `entra`: the person consents at Microsoft Entra to a token on their behalf, and nothing is kept here.
    """

    id: str
    principal: str
    kind: str
    name: str
    connection: str
    expires_at: int
    client: str = ""
    entra: bool = False
    tenant_id: str = ""
    object_id: str = ""
    issuer: str = ""
    subject: str = ""

    @property
    def by_key(self) -> bool:
        """Whether the caller is known by a gateway key."""
        return self.kind == PrincipalKind.KEY

    @property
    def until(self) -> datetime:
        """When it expires."""
        return datetime.fromtimestamp(self.expires_at, UTC)

    def is_of(self, person: Person) -> bool:
        """Whether the person who signed in is the one who called."""
        if self.tenant_id and self.object_id:
            return (person.tenant_id, person.object_id) == (self.tenant_id, self.object_id)
        return bool(self.subject) and (person.issuer, person.subject) == (self.issuer, self.subject)


class ConsentLinks:
    """Makes links, and reads the tickets in them. `public_url` is where browsers reach us, without a slash behind."""

    def __init__(
        self,
        public_url: str,
        key: bytes,
        sign_ins: tuple[BrowserSignIn, ...],
        now: Callable[[], datetime],
    ) -> None:
        self._public_url = public_url
        self._sign_ins = sign_ins
        self._now = now
        self._seal = Seal(key, LABEL)
        self.states = Seal(key, "mcpgov consent state 1")

    def redirect_url(self, connection: str = "") -> str:
        """Where browsers come back to: from the authorization server of a connection, or from an issuer."""
        return redirect_url(self._public_url, connection)

    def required(self, connection: Connection, principal: Principal) -> Refusal:
        """The refusal of a call that waits for its user's consent, with the link."""
        if not stands_for_one(principal):
            return self.user_required(connection)
        if principal.kind is not PrincipalKind.KEY and not self._sign_in_of(principal):
            return Refusal(
                Reason.CONSENT_REQUIRED,
                "You have to let this gateway use the server on your behalf, and its consent page cannot tell who you "
                "are. An administrator must set up sign_in for the issuer of your token (identity.entra.sign_in or "
                "identity.oidc[].sign_in in mcpgov.yaml).",
                detail=f"no sign_in for the issuer of {principal.id}",
            )
        return self._refusal(self._link(connection, principal, entra=False))

    def entra_link(self, connection: Connection, principal: Principal) -> str:
        """The link to where a user consents at Microsoft Entra itself (AADSTS65001)."""
        return self._link(connection, principal, entra=True)

    def user_required(self, connection: Connection) -> Refusal:
        """The refusal of a caller that is no person and holds no key of its own, with a link to the explanation."""
        refusal = Refusal(
            Reason.USER_REQUIRED,
            "This server acts for one user at a time, and this call comes from nobody in particular. "
            "Call it on behalf of a user, or with a gateway key of your own.",
        )
        refusal.link = f"{self._public_url}{CONSENT_PATH}{connection.name}"
        return refusal

    def open(self, text: str) -> Ticket | None:
        """The ticket in a link; None where there is none, or its time is over."""
        plain = self._seal.open_text(text)
        ticket = None if plain is None else ticket_of(plain)
        return ticket if ticket and ticket.until > self._now() else None

    def sign_in_of(self, ticket: Ticket) -> BrowserSignIn | None:
        """Where the caller of this ticket signs in; None where that is no longer set up."""
        by_tenant = (one for one in self._sign_ins if one.tenant_id and one.tenant_id == ticket.tenant_id)
        by_issuer = (one for one in self._sign_ins if not one.tenant_id and one.issuer == ticket.issuer)
        return next(by_tenant, None) or next(by_issuer, None)

    def _sign_in_of(self, principal: Principal) -> BrowserSignIn | None:
        return next((one for one in self._sign_ins if one.knows(principal)), None)

    def _link(self, connection: Connection, principal: Principal, *, entra: bool) -> str:
        oauth = None if entra else connection.sign_in.oauth
        ticket = Ticket(
            id=secrets.token_urlsafe(12),
            principal=principal.id,
            kind=principal.kind,
            name=principal.name,
            connection=connection.name,
            expires_at=int((self._now() + LIFE).timestamp()),
            client=client_digest(connection, oauth) if oauth else "",
            entra=entra,
            tenant_id=principal.tenant_id,
            object_id=principal.object_id,
            issuer=principal.issuer,
            subject=principal.subject,
        )
        return f"{self._public_url}{CONSENT_PATH}{self._seal.close_text(plain_of(ticket))}"

    @staticmethod
    def _refusal(link: str) -> Refusal:
        message = "You have to let this gateway use the server on your behalf. Open the link, then call again."
        refusal = Refusal(Reason.CONSENT_REQUIRED, message)
        refusal.link = link
        return refusal


def redirect_url(public_url: str, connection: str = "") -> str:
    """What is registered as redirect URL: of an OAuth2 connection its own, else that of sign_in and of azure.app.

    One for each authorization server, so that none can pass another one's code off as its own (RFC 9700 section 4.4.2).
    """
    return f"{public_url}{CALLBACK_PATH}{connection and '/'}{connection}"


def stands_for_one(principal: Principal) -> bool:
    """Whether a principal may own a consent: a person, or the one holder of a gateway key."""
    return principal.kind.is_user or principal.kind is PrincipalKind.KEY


def plain_of(ticket: Ticket) -> dict[str, Json]:
    """A ticket as it is sealed; what is empty is left out, for links are read by people."""
    return {name: value for name, value in asdict(ticket).items() if value}


def ticket_of(plain: Mapping[str, Json]) -> Ticket:
    """A ticket from what plain_of() made of one."""
    texts = {name: value for name, value in plain.items() if isinstance(value, str)}
    until = plain.get("expires_at")
    return Ticket(
        id=texts.get("id", ""),
        principal=texts.get("principal", ""),
        kind=texts.get("kind", ""),
        name=texts.get("name", ""),
        connection=texts.get("connection", ""),
        expires_at=until if isinstance(until, int) else 0,
        client=texts.get("client", ""),
        entra=plain.get("entra") is True,
        tenant_id=texts.get("tenant_id", ""),
        object_id=texts.get("object_id", ""),
        issuer=texts.get("issuer", ""),
        subject=texts.get("subject", ""),
    )
