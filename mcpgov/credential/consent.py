"""How a user lets mcpgov use a server on their behalf: from the link to the tokens in the vault.

    /consent/{ticket}  ask  →  prove who you are  →  the authorization server asks  →  /oauth/callback  →  vault

Rules: whoever opens a link proves to be the one who called before anything else happens: by signing in at the issuer of
the caller's token, or by the gateway key itself; else one user could have another one's tokens put into their own
entry (the confused deputy of MCP, Security Best Practices). A form and a state are good in the one browser that they
were given to (a cookie holds its name), a link and a state once. Consent is written down before the tokens are kept,
and they are kept before the page says so.
Refuses to know: what a page looks like, and what HTTP is.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcpgov.credential.browser_sign_in import BrowserSignIns, SignInRefused
from mcpgov.credential.tickets import ConsentLinks, Ticket, plain_of, ticket_of
from mcpgov.credential.token_endpoint import GrantRefused, TokenEndpoint, authorization_url, error_code
from mcpgov.credential.vault import Vault
from mcpgov.decision import Reason
from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.models import Connection, OAuthClient, Principal, RemoteUpstream, Secret
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from mcpgov.models import Json

GIVEN: Final = "consent-given"
REFUSED: Final = "consent-refused"
STATE_LIFE: Final = timedelta(minutes=15)  # to sign in elsewhere, with whatever that asks for
SIGN_IN: Final = "sign-in"
AUTHORIZE: Final = "authorize"
FORM: Final = "form"
Note = Callable[[str, Mapping[str, str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class EntraConsent:
    """Where users of Microsoft Entra consent to tokens on their behalf, and to whose app registration."""

    authorization_url: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Step:
    """What a browser is shown next: a page by its name, what stands on it, and where it leads."""

    page: str
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    leads_to: str = field(default="", repr=False)  # holds a state


@dataclass(frozen=True, slots=True)
class State:
    """What comes back with a browser that was sent away: of which ticket, and for what."""

    id: str
    phase: str
    verifier: str = field(repr=False)
    until: datetime
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Consents:
    """The steps of consent. `browser` is the name that a cookie gives to a browser.

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

    async def show(self, link: str, browser: str) -> Step:
        """GET of a link. Changes nothing: mail programs and chats look at links, too."""
        ticket = self.links.open(link)
        if ticket is None:
            return Step("explained" if _may_be_name(link) else "expired")
        connection = self._connection(ticket)
        if connection is None:
            return Step("gone")
        facts = self._facts(ticket, connection)
        return Step("ask", facts | {"form": self.links.states.close_text({"ticket": ticket.id}, FORM, browser)})

    async def proceed(self, link: str, browser: str, form: Mapping[str, str]) -> Step:
        """POST of the form on that page: the browser shows who it is, or is sent to where it can."""
        ticket = self.links.open(link)
        if ticket is None:
            return Step("expired")
        opened = self.links.states.open_text(form.get("form", ""), FORM, browser)
        if opened is None or opened.get("ticket") != ticket.id:
            return Step("not-yours")
        connection = self._connection(ticket)
        if connection is None:
            return Step("gone")
        try:
            return await self._proved(ticket, connection, browser, form)
        except (StoreUnavailable, WebUnavailable):
            return Step("unavailable")
        except SignInRefused as refused:
            return await self._refuse(ticket, "sign-in-failed", str(refused))

    async def come_back(self, query: Mapping[str, str], browser: str) -> Step:
        """GET of the redirect URL: from where the browser signed in, or from where it was asked."""
        state = self._state(query.get("state", ""), browser)
        if state is None:
            return Step("not-yours")
        try:
            if state.until <= self.now() or not await self.vault.spend(state.id, state.until):
                return Step("expired")
            connection = self._connection(state.ticket)
            if connection is None:
                return Step("gone")
            if "error" in query:
                return await self._refuse(state.ticket, "denied", error_code(query["error"]))
            if state.phase == SIGN_IN:
                return await self._signed_in(state, connection, query, browser)
            return await self._agreed(state, connection, query)
        except (StoreUnavailable, WebUnavailable):
            return Step("unavailable")
        except (SignInRefused, GrantRefused) as refused:
            return await self._refuse(state.ticket, "sign-in-failed", str(refused))

    # -- who is it -----------------------------------------------------------------------------------------------------

    async def _proved(self, ticket: Ticket, connection: Connection, browser: str, form: Mapping[str, str]) -> Step:
        if ticket.entra:  # each person consents for themselves, and nothing comes back to us
            return await self._away(ticket, connection, browser)
        if ticket.by_key:
            return await self._by_key(ticket, connection, browser, form)
        sign_in = self.links.sign_in_of(ticket)
        if sign_in is None:
            return Step("gone")
        state = self._new_state(SIGN_IN, ticket)
        sealed = self._sealed(state, browser)
        return _leaving(await self.browsers.url(sign_in, self.links.redirect_url, sealed, state.verifier, state.id))

    async def _by_key(self, ticket: Ticket, connection: Connection, browser: str, form: Mapping[str, str]) -> Step:
        try:
            holder = await self.key_holder(Secret(form.get("key", "").strip()))
        except Refusal as refusal:
            if refusal.reason is Reason.KEYS_UNAVAILABLE:
                return Step("unavailable")
            return await self._refuse(ticket, "wrong-key", refusal.reason)
        if holder.id != ticket.principal:
            return await self._refuse(ticket, "other-person", f"{holder.id} opened the link of {ticket.principal}")
        return await self._away(ticket, connection, browser)

    async def _signed_in(self, state: State, connection: Connection, query: Mapping[str, str], browser: str) -> Step:
        ticket, sign_in = state.ticket, self.links.sign_in_of(state.ticket)
        if sign_in is None:
            return Step("gone")
        _require_issuer(query, sign_in.issuer)
        person = await self.browsers.person(
            sign_in, query.get("code", ""), state.verifier, self.links.redirect_url, state.id
        )
        if not ticket.is_of(person):
            who = person.object_id or person.subject
            return await self._refuse(ticket, "other-person", f"{who} opened the link of {ticket.principal}")
        return await self._away(ticket, connection, browser)

    # -- and do they agree ---------------------------------------------------------------------------------------------

    async def _away(self, ticket: Ticket, connection: Connection, browser: str) -> Step:
        """To where the user is asked; from here on the link is used up."""
        if not await self.vault.spend(ticket.id, ticket.until):
            return Step("expired")
        state = self._new_state(AUTHORIZE, ticket)
        client = self._client(ticket, connection)
        return _leaving(
            authorization_url(client, self.links.redirect_url, self._sealed(state, browser), state.verifier)
        )

    async def _agreed(self, state: State, connection: Connection, query: Mapping[str, str]) -> Step:
        ticket, client = state.ticket, self._client(state.ticket, connection)
        if "iss" in query and _origin(query["iss"]) != _origin(client.authorization_url):  # RFC 9207 section 2.4
            return await self._refuse(ticket, "sign-in-failed", "the answer names another issuer")
        facts = self._facts(ticket, connection)
        if ticket.entra:
            await self._note(GIVEN, ticket, "at Microsoft Entra, by whoever opened the link")
            return Step("done", facts)
        answer = await self.tokens.redeem(client, query.get("code", ""), state.verifier, self.links.redirect_url)
        tokens = self.tokens.tokens_in(answer)
        await self._note(GIVEN, ticket, " ".join(client.scopes))
        await self.vault.keep(ticket.principal, connection, client, tokens)
        return Step("done", facts)

    async def _refuse(self, ticket: Ticket, page: str, why: str) -> Step:
        try:
            await self._note(REFUSED, ticket, why)
        except StoreUnavailable:
            return Step("unavailable")
        return Step(page, {"name": ticket.name or ticket.principal, "why": why if page == "denied" else ""})

    # -- what they work with -------------------------------------------------------------------------------------------

    async def _note(self, event: str, ticket: Ticket, detail: str) -> None:
        await self.note(event, {"principal": ticket.principal, "connection": ticket.connection, "detail": detail})

    def _connection(self, ticket: Ticket) -> Connection | None:
        """The ticket's connection, while its users are still asked."""
        found = self.connection(ticket.connection)
        oauth = found.sign_in.oauth if found else None
        asks = self.entra is not None if ticket.entra else oauth is not None and oauth.per_user
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
        sign_in = None if ticket.entra or ticket.by_key else self.links.sign_in_of(ticket)
        return {
            "name": ticket.name or ticket.principal,
            "principal": ticket.principal,
            "connection": connection.name,
            "server": _host(upstream.url) if isinstance(upstream, RemoteUpstream) else connection.server,
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
