"""The console over HTTP: who is let in, by which cookie; forms that come from elsewhere are refused.

Rules: without a session there is nothing but the page to sign in. A cookie is HttpOnly, SameSite=Strict, and with https
one that no other host may set (`__Host-`). A form counts only from a page of this origin, and with the token of its
session. Every page is checked against the role that it declares.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from mcpgov.admin.access import ACTED, AdminRefusal, Fault, Role, deed, require
from mcpgov.admin.asgi import answer, body_of, fields_of, headers_of, send_reply
from mcpgov.admin.routes import matched
from mcpgov.admin.sessions import COOKIE
from mcpgov.console.down import AGAIN, down_page
from mcpgov.console.layout import CONSOLE, Frame, Layout
from mcpgov.console.pages import ConsolePages, PageRoute, Shown, Visit
from mcpgov.console.sign_in import refused_page, sign_in_page
from mcpgov.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from mcpgov.admin.parts import AdminParts
    from mcpgov.admin.sessions import Gate, Session
    from mcpgov.models import Headers

    Scope = Mapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

FORM_TYPE: Final = "application/x-www-form-urlencoded"
LIFE: Final = 12 * 3600  # seconds, as the session's own
HTML: Final = "text/html; charset=utf-8"


class Console:
    """The ASGI application of /console. `secure`: browsers reach it over https."""

    def __init__(self, parts: AdminParts, gate: Gate, *, secure: bool = False) -> None:
        self._parts = parts
        self._gate = gate
        self._secure = secure
        self._layout = Layout()
        self.routes = ConsolePages(parts).routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, whose host was checked. Raises AdminRefusal; to whom asks for no page, also
        StoreUnavailable.
        """
        headers = headers_of(scope)
        try:
            await self._serve(scope, receive, send, headers)
        except StoreUnavailable:
            if "text/html" not in headers.get("accept").lower():
                raise
            await self._html(
                send, 503, self._layout.bare("The store is down", down_page()), ("retry-after", str(AGAIN))
            )

    async def _serve(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        method = str(scope["method"])
        path = str(scope["raw_path"].decode("latin-1")).removeprefix(CONSOLE).removesuffix("/")
        form: Mapping[str, str] = {}
        try:
            if method == "POST":
                raw = await self._form(receive, headers)
                if raw is None:
                    return  # the browser left
                form = fields_of(raw)
            if path in {"/sign-in", "/open"}:
                await self._let_in(send, path, form, fields_of(scope["query_string"]))
                return
            session = await self._gate.session(self._cookie_in(headers))
            if session is None:
                await self._sign_in(send, 200 if method == "GET" and not path else 401)
                return
            if method == "POST":
                self._gate.check_form(session, form.get("form", ""))
            if (method, path) == ("POST", "/sign-out"):
                await self._go(send, CONSOLE, cookie="", life=0)
                return
            await self._show(scope, send, session, form)
        except AdminRefusal as refusal:
            await self._page(send, refusal.status, refused_page(refusal.message))

    async def _form(self, receive: Receive, headers: Headers) -> bytes | None:
        """A form's body. Raises AdminRefusal unless a page of this very origin sends it (OWASP, CSRF prevention)."""
        origin = headers.get("origin").partition("://")[2]
        if not origin or origin != headers.get("host") or headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise AdminRefusal(Fault.ORIGIN_DENIED, "This form was not sent by a page of this console.")
        if headers.get("content-type").partition(";")[0].strip().lower() != FORM_TYPE:
            raise AdminRefusal(Fault.INVALID_REQUEST, "This is not a form.")
        return await body_of(receive, headers)

    async def _let_in(self, send: Send, path: str, form: Mapping[str, str], query: Mapping[str, str]) -> None:
        """Exchange a key, or the link, for a cookie."""
        try:
            if path == "/open":
                cookie = await self._gate.open_link(query.get("token", ""))
            elif not form:
                await self._sign_in(send, 200)
                return
            else:
                cookie = await self._gate.sign_in(form.get("key", ""))
        except AdminRefusal as refusal:
            await self._sign_in(send, refusal.status, refusal.message)
            return
        await self._go(send, CONSOLE, cookie=cookie, life=LIFE)

    async def _sign_in(self, send: Send, status: int, problem: str = "") -> None:
        await self._page(send, status, sign_in_page(problem, has_link=await self._gate.has_link()))

    async def _show(self, scope: Scope, send: Send, session: Session, form: Mapping[str, str]) -> None:
        path = str(scope["raw_path"].decode("latin-1")).removeprefix(CONSOLE).removesuffix("/")
        method = "GET" if scope["method"] == "HEAD" else str(scope["method"])
        route, named = found(self.routes, method, path)
        require(session.person, route.role)
        if route.role is not Role.VIEWER:
            await self._parts.note(ACTED, deed(session.person, f"{method} {CONSOLE}{path}"))
        state = await asyncio.to_thread(self._parts.review.state)
        frame = Frame(session, self._gate.form_token(session), state, self._parts.now())
        shown = await route.show(Visit(frame, named, fields_of(scope["query_string"]), form))
        await self._send(send, shown, frame)

    async def _send(self, send: Send, shown: Shown, frame: Frame) -> None:
        if shown.file is not None:
            await send_reply(send, shown.file)
        elif shown.body is None:
            await answer(send, 303, (("location", shown.to),), b"")
        else:
            page = self._layout.page(shown.title, shown.body, frame, shown.here)
            # The header, and not the element of that name: a page that asks for itself has to be asked to first.
            live = (("refresh", str(shown.live)),) if shown.live else ()
            await self._html(send, shown.status, page, *live)

    async def _page(self, send: Send, status: int, body: Any) -> None:
        await self._html(send, status, self._layout.bare("Sign in", body))

    async def _html(self, send: Send, status: int, page: bytes, *more: tuple[str, str]) -> None:
        fields = (("content-type", HTML), ("content-security-policy", self._layout.policy), *more)
        await answer(send, status, fields, page)

    async def _go(self, send: Send, to: str, *, cookie: str, life: int) -> None:
        """Send the browser on, with a cookie."""
        said = f"{self._cookie}={cookie}; Path=/; Max-Age={life}; HttpOnly; SameSite=Strict"
        await answer(send, 303, (("location", to), ("set-cookie", said + ("; Secure" if self._secure else ""))), b"")

    @property
    def _cookie(self) -> str:
        """With https the name is one that no other host may set (RFC 6265bis section 4.1.3.2)."""
        return f"__Host-{COOKIE}" if self._secure else COOKIE

    def _cookie_in(self, headers: Headers) -> str:
        """Our cookie; empty where there is none, or not just one."""
        pairs = [item.strip().partition("=") for value in headers.all("cookie") for item in value.split(";")]
        values = [value for name, _, value in pairs if name == self._cookie]
        return values[0] if len(values) == 1 else ""


def found(routes: tuple[PageRoute, ...], method: str, path: str) -> tuple[PageRoute, Mapping[str, str]]:
    """The page that a request is for. Raises AdminRefusal (not-found, method-not-allowed)."""
    there = [(route, named) for route in routes if (named := matched(route.path, path)) is not None]
    for route, named in there:
        if route.method == method:
            return route, named
    if there:
        raise AdminRefusal(Fault.METHOD_NOT_ALLOWED, "This is not how this page is asked for.")
    raise AdminRefusal(Fault.NOT_FOUND, "There is no such page.")
