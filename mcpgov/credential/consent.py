"""How a user lets mcpgov use a server on their behalf: from the link to the tokens in the vault.

    /consent/{ticket}  ask  →  prove who you are  →  the server asks  →  /oauth/callback/{connection}  →  vault

Rules: whoever opens a link proves to be the one who called before anything else happens: by signing in at the issuer of
the caller's token, or by the gateway key itself; else one user could have another one's tokens put into their own
entry (the confused deputy of MCP, Security Best Practices). A form and a state are good in the one browser that got
them (a cookie holds its name), a link and a state once, and each form that is sent takes one of a link's few tries.
Each authorization server sends back to a URL of its own, so none can pass another one's code off as its own (RFC 9700
section 4.4.2), and what was changed meanwhile is asked anew. Consent is written down before the tokens are kept, and
they are kept before the page says so; so is every refusal of a link that opened. At Microsoft Entra nothing is kept
here, and consent is written down only where the person was known.
Refuses to know: what a page looks like, and what HTTP is.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from mcpgov.credential.browser_sign_in import BrowserSignIns, SignInRefused
from mcpgov.credential.tickets import ConsentLinks, Ticket, plain_of, ticket_of
from mcpgov.credential.token_endpoint import GrantRefused, TokenEndpoint, authorization_url, error_code
from mcpgov.credential.vault import Vault, client_digest
from mcpgov.decision import Reason
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.frozen import frozen
from mcpgov.models import Connection, OAuthClient, Principal, RemoteUpstream, Secret
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from mcpgov.models import Json

GIVEN: Final = "consent-given"
REFUSED: Final = "consent-refused"
RETURNED: Final = "consent-page-returned"  # by somebody, from Microsoft Entra: it says no more than that
TRIES: Final = 5  # of one link: each costs writes, and a key may be guessed
STATE_LIFE: Final = timedelta(minutes=15)  # to sign in elsewhere, with whatever that asks for
SIGN_IN: Final = "sign-in"
AUTHORIZE: Final = "authorize"
UNPROVED: Final = "authorize-unproved"  # where the issuer has no sign_in, and nothing is kept
FORM: Final = "form"
Note = Callable[[str, Mapping[str, str]], Awaitable[None]]


class Visitor(Protocol):
    """Who asks for a page."""

    @property
    def browser(self) -> str:
        """The name that a cookie gives to the browser."""
        ...

    @property
    def source(self) -> str:
        """The address that it asks from."""
        ...

    @property
    def correlation_id(self) -> str:
        """The id of this one request."""
        ...


@frozen
class EntraConsent:
    """Where users of Microsoft Entra consent to tokens on their behalf, and to whose app registration."""

    authorization_url: str
    client_id: str


@frozen
class Step:
    """What a browser is shown next: a page by its name, what stands on it, and where it leads."""

    page: str
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    leads_to: str = field(default="", repr=False)  # holds a state


@frozen
class State:
    """What comes back with a browser that was sent away: of which ticket, and for what."""

    id: str
    phase: str
    verifier: str = field(repr=False)
    until: datetime
    ticket: Ticket

    @property
    def comes_back_to(self) -> str:
        """Whose redirect URL: the connection's own, or none where the one who is asked is an issuer."""
        return self.ticket.connection if self.phase == AUTHORIZE and not self.ticket.entra else ""


@frozen
class Consents:
    """The steps of consent.

    `connection` finds one that is in force; `key_holder` is whose gateway key it is, and raises Refusal; `note` writes
    an event and its details into the ledger, and raises StoreUnavailable.
    """

    links: ConsentLinks
    vault: Vault
    tokens: TokenEndpoint
    browsers: BrowserSignIns
    connection: Callable[[str], Connection | None]
    key_holder: Callable[[Secret], Awaitable[Principal]]
    note: Note
    now: Callable[[], datetime]
    entra: EntraConsent | None = None

    async def show(self, link: str, visitor: Visitor) -> Step:
        """GET of a link. Changes nothing: mail programs and chats look at links, too."""
        ticket = self.links.open(link)
        if ticket is None:
            return Step("explained" if _may_be_name(link) else "expired")
        connection = self._connection(ticket)
        if connection is None:
            return Step("gone")
        try:
            if await self.vault.is_spent(ticket.id):
                return Step("expired")
        except StoreUnavailable:
            return Step("unavailable")
        facts = self._facts(ticket, connection)
        return Step("ask", facts | {"form": self.links.states.close_text({"ticket": ticket.id}, FORM, visitor.browser)})

    async def proceed(self, link: str, visitor: Visitor, form: Mapping[str, str]) -> Step:
        """POST of the form on that page: the browser shows who it is, or is sent to where it can."""
        ticket = self.links.open(link)
        if ticket is None:
            return Step("expired")
        try:
            if not await self._may_try(ticket):
                return Step("expired")
            opened = self.links.states.open_text(form.get("form", ""), FORM, visitor.browser)
            if opened is None or opened.get("ticket") != ticket.id:
                return await self._refuse(ticket, visitor, "not-yours", "the form of another browser or link")
            connection = self._connection(ticket)
            if connection is None:
                return await self._gone(ticket, visitor)
            return await self._proved(ticket, connection, visitor, form)
        except (StoreUnavailable, WebUnavailable):
            return Step("unavailable")
        except SignInRefused as refused:
            return await self._refuse(ticket, visitor, "sign-in-failed", str(refused))

    async def come_back(self, connection: str, query: Mapping[str, str], visitor: Visitor) -> Step:
        """GET of a redirect URL: from where the browser signed in, or from where it was asked.

        `connection` is whose redirect URL it is, empty for that of sign_in.
        """
        state = self._state(query.get("state", ""), visitor.browser)
        if state is None:
            return Step("not-yours")
        ticket = state.ticket
        try:
            if state.until <= self.now():
                return Step("expired")
            if not await self.vault.spend(state.id, state.until):
                return await self._again(state, visitor)
            if connection != state.comes_back_to:
                return await self._refuse(ticket, visitor, "sign-in-failed", "it came back to another redirect URL")
            return await self._came_back(state, query, visitor)
        except (StoreUnavailable, WebUnavailable):
            return Step("unavailable")
        except (SignInRefused, GrantRefused) as refused:
            return await self._refuse(ticket, visitor, "sign-in-failed", str(refused))

    async def _came_back(self, state: State, query: Mapping[str, str], visitor: Visitor) -> Step:
        connection = self._connection(state.ticket)
        if connection is None:
            return await self._gone(state.ticket, visitor)
        if "error" in query:
            return await self._refuse(state.ticket, visitor, "denied", error_code(query["error"]))
        if not query.get("code"):
            return await self._refuse(state.ticket, visitor, "sign-in-failed", "no code came back")
        if state.phase == SIGN_IN:
            return await self._signed_in(state, connection, query, visitor)
        return await self._agreed(state, connection, query, visitor)

    # -- who is it -----------------------------------------------------------------------------------------------------

    async def _proved(self, ticket: Ticket, connection: Connection, visitor: Visitor, form: Mapping[str, str]) -> Step:
        if ticket.by_key:
            return await self._by_key(ticket, connection, visitor, form)
        sign_in = self.links.sign_in_of(ticket)
        if sign_in is None:
            if ticket.entra:  # each person consents for themselves, and nothing is kept here
                return await self._away(ticket, connection, visitor, UNPROVED)
            return await self._gone(ticket, visitor)
        state = self._new_state(SIGN_IN, ticket)
        sealed = self._sealed(state, visitor.browser)
        return _leaving(await self.browsers.url(sign_in, self.links.redirect_url(), sealed, state.verifier, state.id))

    async def _by_key(self, ticket: Ticket, connection: Connection, visitor: Visitor, form: Mapping[str, str]) -> Step:
        try:
            holder = await self.key_holder(Secret(form.get("key", "").strip()))
        except Refusal as refusal:
            if refusal.reason is Reason.KEYS_UNAVAILABLE:
                return Step("unavailable")
            return await self._refuse(ticket, visitor, "wrong-key", refusal.reason)
        if holder.id != ticket.principal:
            why = f"{holder.id} opened the link of {ticket.principal}"
            return await self._refuse(ticket, visitor, "other-person", why)
        return await self._away(ticket, connection, visitor, AUTHORIZE)

    async def _signed_in(
        self, state: State, connection: Connection, query: Mapping[str, str], visitor: Visitor
    ) -> Step:
        ticket, sign_in = state.ticket, self.links.sign_in_of(state.ticket)
        if sign_in is None:
            return await self._gone(ticket, visitor)
        _require_issuer(query, sign_in.issuer)
        person = await self.browsers.person(sign_in, query["code"], state.verifier, self.links.redirect_url(), state.id)
        if not ticket.is_of(person):
            who = person.object_id or person.subject
            return await self._refuse(ticket, visitor, "other-person", f"{who} opened the link of {ticket.principal}")
        return await self._away(ticket, connection, visitor, AUTHORIZE)

    # -- and do they agree ---------------------------------------------------------------------------------------------

    async def _away(self, ticket: Ticket, connection: Connection, visitor: Visitor, phase: str) -> Step:
        """To where the user is asked; from here on the link is used up."""
        if not await self.vault.spend(ticket.id, ticket.until):
            return await self._refuse(ticket, visitor, "expired", "the link was used before")
        state = self._new_state(phase, ticket)
        redirect_url = self.links.redirect_url(state.comes_back_to)
        sealed = self._sealed(state, visitor.browser)
        return _leaving(authorization_url(self._client(ticket, connection), redirect_url, sealed, state.verifier))

    async def _agreed(self, state: State, connection: Connection, query: Mapping[str, str], visitor: Visitor) -> Step:
        ticket, client = state.ticket, self._client(state.ticket, connection)
        if "iss" in query and _origin(query["iss"]) != _origin(client.authorization_url):  # RFC 9207 section 2.4
            return await self._refuse(ticket, visitor, "sign-in-failed", "the answer names another issuer")
        facts = self._facts(ticket, connection)
        if state.phase == UNPROVED:
            await self._note(RETURNED, ticket, visitor, "from Microsoft Entra; nobody was asked who they are")
            return Step("returned", facts)
        if ticket.entra:
            await self._note(GIVEN, ticket, visitor, "at Microsoft Entra, by the caller")
            return Step("done", facts)
        redirect_url = self.links.redirect_url(state.comes_back_to)
        answer = await self.tokens.redeem(client, query["code"], state.verifier, redirect_url)
        tokens = self.tokens.tokens_in(answer)
        await self._note(GIVEN, ticket, visitor, " ".join(client.scopes))
        await self.vault.keep(ticket.principal, connection, client, tokens)
        return Step("done", facts)

    # -- and if not ----------------------------------------------------------------------------------------------------

    async def _may_try(self, ticket: Ticket) -> bool:
        """Take one of the link's tries, before anything is checked, so that two at once are two."""
        for number in range(TRIES):
            if await self.vault.spend(f"{ticket.id}/{number}", ticket.until):
                return True
        return False

    async def _again(self, state: State, visitor: Visitor) -> Step:
        """A state that was used: written down the first time, for it may come as often as somebody likes."""
        if await self.vault.spend(f"{state.id}/again", state.until):
            return await self._refuse(state.ticket, visitor, "expired", "the answer came a second time")
        return Step("expired")

    async def _gone(self, ticket: Ticket, visitor: Visitor) -> Step:
        return await self._refuse(ticket, visitor, "gone", "the connection no longer asks for this")

    async def _refuse(self, ticket: Ticket, visitor: Visitor, page: str, why: str) -> Step:
        try:
            await self._note(REFUSED, ticket, visitor, why)
        except StoreUnavailable:
            return Step("unavailable")
        return Step(page, {"name": ticket.name or ticket.principal, "why": why if page == "denied" else ""})

    # -- what they work with -------------------------------------------------------------------------------------------

    async def _note(self, event: str, ticket: Ticket, visitor: Visitor, detail: str) -> None:
        who = {"principal": ticket.principal, "connection": ticket.connection, "link": ticket.id}
        where = {"source": visitor.source, "correlation_id": visitor.correlation_id}
        await self.note(event, {**who, **where, "detail": detail})

    def _connection(self, ticket: Ticket) -> Connection | None:
        """The ticket's connection, while its users are still asked, and for what the link was given for."""
        found = self.connection(ticket.connection)
        if found is None or ticket.entra:
            return found if self.entra else None
        oauth = found.sign_in.oauth
        asks = oauth is not None and oauth.per_user and client_digest(found, oauth) == ticket.client
        return found if asks else None

    def _client(self, ticket: Ticket, connection: Connection) -> OAuthClient:
        """Who mcpgov is where the user is asked."""
        if ticket.entra and self.entra:
            token = connection.sign_in.caller_token
            audience = connection.sign_in.audience or (token.audience if token else "")
            scopes = (f"{audience}/.default",)
            return OAuthClient(self.entra.client_id, None, "", self.entra.authorization_url, scopes=scopes)
        return connection.sign_in.oauth or OAuthClient("", None, "")

    def _facts(self, ticket: Ticket, connection: Connection) -> dict[str, str]:
        """What a person should know before they agree."""
        client, upstream = self._client(ticket, connection), connection.upstream
        sign_in = None if ticket.by_key else self.links.sign_in_of(ticket)
        return {
            "name": ticket.name or ticket.principal,
            "principal": ticket.principal,
            "connection": connection.name,
            "server": _host(upstream.url) if isinstance(upstream, RemoteUpstream) else connection.server,
            "entry": connection.server,
            "asks_at": _host(client.authorization_url),
            "scopes": " ".join(client.scopes),
            "proof": "key" if ticket.by_key else "sign-in" if sign_in else "none",
            "issuer": _host(sign_in.issuer) if sign_in else "",
        }

    def _new_state(self, phase: str, ticket: Ticket) -> State:
        return State(secrets.token_urlsafe(24), phase, secrets.token_urlsafe(32), self.now() + STATE_LIFE, ticket)

    def _sealed(self, state: State, browser: str) -> str:
        plain: dict[str, Json] = {
            "id": state.id,
            "phase": state.phase,
            "verifier": state.verifier,
            "until": int(state.until.timestamp()),
            "ticket": plain_of(state.ticket),
        }
        return self.links.states.close_text(plain, "state", browser)

    def _state(self, sealed: str, browser: str) -> State | None:
        match self.links.states.open_text(sealed, "state", browser):
            case {
                "id": str(name),
                "phase": str(phase),
                "verifier": str(verifier),
                "until": int(until),
                "ticket": dict(t),
            }:
                return State(name, phase, verifier, datetime.fromtimestamp(until, UTC), ticket_of(t))
            case _:
                return None


def _leaving(url: str) -> Step:
    return Step("leaving", {"host": _host(url)}, url)


def _require_issuer(query: Mapping[str, str], issuer: str) -> None:
    if query.get("iss", issuer) != issuer:  # RFC 9207 section 2.4
        raise SignInRefused("the answer names another issuer")


def _may_be_name(link: str) -> bool:
    """Whether what stands in a link may be the name of a connection (no ticket is as short). It is not looked up."""
    return len(link) < 64


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc
