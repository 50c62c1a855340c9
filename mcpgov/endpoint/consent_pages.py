"""The pages on which a person lets mcpgov use a server on their behalf: /consent/… and /oauth/callback…, as HTML.

Rules: no script, nothing from elsewhere, no frame around it, nothing cached, no address given away; every value that
stands on a page is escaped. A cookie gives the browser a name, to which forms and states are bound; it says no more.
What leads elsewhere is a page with a link that follows itself, and not the redirect of a form: browsers hold those, and
every redirect after them, against form-action.
Refuses to know: what consent is. It shows the step that the flow says comes next.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import parse_qsl

from mcpgov.destinations import CALLBACK_PATH, CONSENT_PATH
from mcpgov.endpoint.limits import read_body
from mcpgov.errors import ANSWERS, Refusal
from mcpgov.frozen import frozen
from mcpgov.models import Headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    from mcpgov.endpoint.limits import Sites

    Scope = Mapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

CONSENT: Final = CONSENT_PATH.encode()
CALLBACK: Final = CALLBACK_PATH.encode()
COOKIE: Final = "mcpgov-consent"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
LONGEST_LINK: Final = 4096  # characters
LONGEST_FORM: Final = 16 * 1024  # bytes, of a form or a query
MOST_FIELDS: Final = 32
_CALLBACK: Final = re.compile(re.escape(CALLBACK) + rb"(?:/([a-z0-9][a-z0-9-]{0,62}))?")
_LINK: Final = re.compile(rb"[A-Za-z0-9_-]+")
_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_PROOFS: Final = ("key", "sign-in", "none")
_TEMPLATES: Final = ("layout", "ask", "leaving", "said", *(f"prove_{proof}" for proof in _PROOFS))
# A page's status, its title, what it says, and what to do now.
SAID: Final[Mapping[str, tuple[int, str, str, str]]] = {
    "done": (
        *(200, "Done", "From now on, your calls of $connection act on your behalf at $server."),
        "You can close this page. Go back to where you called the tool; if it does not go on by itself, call it again.",
    ),
    "returned": (
        *(200, "You are back", "If you agreed, your calls of $connection act on your behalf at $server."),
        "You can close this page. Go back to where you called the tool, and call it again.",
    ),
    "explained": (
        *(200, "This server needs a person", "It acts for one user at a time, and the call came from no one person."),
        "Call it on behalf of a signed-in user, or with a gateway key of your own; then you get a link to agree.",
    ),
    "denied": (
        *(403, "Permission was not given", "The server that was asked said: $why"),
        "Nothing was kept. If that was not what you meant, call the tool again for a new link.",
    ),
    "other-person": (
        *(403, "This link is somebody else's", "It was made for $name, and you are signed in as somebody else."),
        "Nothing was kept. Call the tool yourself for a link of your own. If somebody sent you this one, ignore it.",
    ),
    "wrong-key": (
        *(403, "That is not a valid key", "The gateway does not accept the key that was typed in."),
        "Go back and try again. The key is the one that your client calls with.",
    ),
    "sign-in-failed": (
        *(403, "It did not work", "What came back could not be verified, so nothing was kept."),
        "Call the tool again for a new link. If this goes on, whoever runs the gateway finds the cause in its records.",
    ),
    "expired": (
        *(410, "This link is over", "It was used before, or more than ten minutes have passed, or it is not complete."),
        "Call the tool again for a new link.",
    ),
    "not-yours": (
        *(403, "This did not begin here", "What was sent does not belong to a page that this browser was shown."),
        "Open the link from your tool once more, with cookies allowed for this page.",
    ),
    "gone": (
        *(410, "Nothing to agree to", "The connection of this link is gone, or was changed meanwhile."),
        "Call the tool again.",
    ),
    "unavailable": (
        *(503, "Not possible right now", "A server that is needed did not answer, so nothing was kept."),
        "Call the tool again in a moment for a new link.",
    ),
    "malformed": (400, "This cannot be read", "The request is not one that a page of this gateway makes.", ""),
}


@frozen
class Visitor:
    """Who asks for a page: the browser as a cookie names it, the address it asks from, and the id of the request."""

    browser: str
    source: str = ""
    correlation_id: str = ""


class ConsentStep(Protocol):
    """What a browser is shown next."""

    @property
    def page(self) -> str:
        """`ask`, `leaving`, or one of SAID."""
        ...

    @property
    def facts(self) -> Mapping[str, str]:
        """What stands on it, as plain text."""
        ...

    @property
    def leads_to(self) -> str:
        """The URL that `leaving` leads to."""
        ...


class ConsentFlow(Protocol):
    """The steps of consent."""

    async def show(self, link: str, visitor: Visitor) -> ConsentStep:
        """A link is opened."""
        ...

    async def proceed(self, link: str, visitor: Visitor, form: Mapping[str, str]) -> ConsentStep:
        """The form on its page is sent."""
        ...

    async def come_back(self, connection: str, query: Mapping[str, str], visitor: Visitor) -> ConsentStep:
        """The browser comes back from where it was led, to the redirect URL of a connection, or of none."""
        ...


class ConsentPages:
    """The ASGI application of /consent/… and /oauth/callback…. `public_url` is where browsers reach us.

    `source_of` tells the caller's address from the peer's and from what X-Forwarded-For has.
    """

    def __init__(
        self,
        flow: ConsentFlow,
        public_url: str,
        sites: Sites,
        source_of: Callable[[str, tuple[str, ...]], str],
    ) -> None:
        self._flow = flow
        self._public_url = public_url
        self._sites = sites
        self._source_of = source_of
        folder = files("mcpgov.endpoint") / "templates"
        self._templates = {name: Template((folder / f"{name}.html").read_text("utf-8")) for name in _TEMPLATES}
        self._style = (folder / "style.css").read_text("utf-8")
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        self._policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; frame-ancestors 'none'; "
            "base-uri 'none'"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        headers = Headers(tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]))
        browser = self._browser(headers)
        fresh = "" if browser else secrets.token_urlsafe(32)
        peer = str(scope["client"][0]) if scope.get("client") else ""
        source = self._source_of(peer, headers.all("x-forwarded-for"))
        visitor = Visitor(browser or fresh, source, secrets.token_hex(16))
        try:
            # A page without a referrer posts its form with the origin null; the form's own seal says whose it is.
            self._sites.check(headers, ("null",))
            found = await self._step(scope, receive, headers, visitor)
        except Refusal as refusal:
            status, body = ANSWERS[refusal.reason].status, self._said("malformed", {})
        else:
            if found is None:
                return  # the client left
            status, body = self._page(*found)
        raw = body.encode()
        await send({"type": "http.response.start", "status": status, "headers": self._headers(raw, fresh, visitor)})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else raw})

    async def _step(
        self, scope: Scope, receive: Receive, headers: Headers, visitor: Visitor
    ) -> tuple[str, Mapping[str, str], str] | None:
        path, method = scope["raw_path"], scope["method"]
        if path.startswith(CALLBACK):
            query, named = fields_of(scope["query_string"]), _CALLBACK.fullmatch(path)
            if method != "GET" or query is None or named is None:
                return "malformed", {}, ""
            return _parts(await self._flow.come_back((named[1] or b"").decode(), query, visitor))
        link = path.removeprefix(CONSENT)
        if not _LINK.fullmatch(link) or len(link) > LONGEST_LINK:
            return "expired", {}, ""
        if method in {"GET", "HEAD"}:
            return _parts(await self._flow.show(link.decode(), visitor))
        if method != "POST" or headers.get("content-type").partition(";")[0].strip().lower() != FORM_TYPE:
            return "malformed", {}, ""
        body = await read_body(receive, headers, LONGEST_FORM)
        if body is None:
            return None
        form = fields_of(body)
        return ("malformed", {}, "") if form is None else _parts(await self._flow.proceed(link.decode(), visitor, form))

    # -- what it looks like --------------------------------------------------------------------------------------------

    def _page(self, name: str, facts: Mapping[str, str], leads_to: str) -> tuple[int, str]:
        """The status and the HTML of a step."""
        escaped = {key: html.escape(value) for key, value in facts.items()}
        if name == "ask":
            scopes = " ".join(f"<code>{html.escape(scope)}</code>" for scope in facts["scopes"].split())
            proof = self._templates[f"prove_{facts['proof']}"].substitute(escaped)
            body = self._templates["ask"].substitute(escaped | {"scopes": scopes or "its usual rights", "proof": proof})
            return 200, self._laid_out("Your permission", body)
        if name == "leaving":
            url = html.escape(leads_to)
            body = self._templates["leaving"].substitute(escaped | {"url": url})
            follow = f'<meta http-equiv="refresh" content="0;url={url}">\n'
            return 200, self._laid_out("On your way", body, follow)
        return SAID[name][0], self._said(name, escaped)

    def _said(self, name: str, escaped: Mapping[str, str]) -> str:
        _, title, text, then = SAID[name]
        said = Template(html.escape(text)).substitute(escaped)
        body = self._templates["said"].substitute(title=title, text=said, then=html.escape(then))
        return self._laid_out(title, body)

    def _laid_out(self, title: str, body: str, head: str = "") -> str:
        return self._templates["layout"].substitute(title=title, body=body, head=head, style=self._style)

    def _headers(self, body: bytes, fresh: str, visitor: Visitor) -> list[tuple[bytes, bytes]]:
        secure = self._public_url.startswith("https://")
        cookie = f"{self._cookie}={fresh}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
        fields = {
            "content-type": "text/html; charset=utf-8",
            "content-length": str(len(body)),
            "content-security-policy": self._policy,
            "x-frame-options": "DENY",
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cache-control": "no-store",
            "x-correlation-id": visitor.correlation_id,
            **({"set-cookie": cookie} if fresh else {}),
        }
        return [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]

    # -- who it is for -------------------------------------------------------------------------------------------------

    @property
    def _cookie(self) -> str:
        """With https the name is one that no other host may set (RFC 6265bis section 4.1.3.2)."""
        return f"__Host-{COOKIE}" if self._public_url.startswith("https://") else COOKIE

    def _browser(self, headers: Headers) -> str:
        """The name that our cookie gives to the browser; empty where there is none, or not just one."""
        pairs = [item.strip().partition("=") for value in headers.all("cookie") for item in value.split(";")]
        found = [value for name, _, value in pairs if name == self._cookie]
        return found[0] if len(found) == 1 and _BROWSER.fullmatch(found[0]) else ""


def _parts(step: ConsentStep) -> tuple[str, Mapping[str, str], str]:
    return step.page, step.facts, step.leads_to


def fields_of(raw: bytes) -> Mapping[str, str] | None:
    """The fields of a form or a query; None where it cannot be read, or names one twice."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        return None
    fields = dict(pairs)
    return fields if len(raw) <= LONGEST_FORM and len(fields) == len(pairs) else None
