"""The pages of consent: what is escaped, what no page may do, and to which browser a step belongs."""

import base64
import hashlib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from mcpgov.endpoint.consent_pages import FORM_TYPE, SAID, ConsentPages, Visitor, fields_of
from mcpgov.endpoint.limits import Sites

PUBLIC = "https://mcp.contoso.com"
LINK = "A" * 200
HOSTILE = """"><script>alert('x')</script>&amp;$name ${style}"""
FACTS = {
    "name": "Alice",
    "principal": "oidc:alice",
    "connection": "github",
    "server": "api.example.com",
    "entry": "com.contoso/github",
    "asks_at": "auth.example.com",
    "scopes": "repo read:org",
    "issuer": "login.example.com",
    "proof": "key",
    "form": "sealed-form",
    "host": "auth.example.com",
    "why": "access_denied",
}
COOKIE = re.compile(r"(?:__Host-)?mcpgov-consent=([A-Za-z0-9_-]{43}); ")


@dataclass
class Next:
    """A step."""

    page: str = "ask"
    facts: Mapping[str, str] = field(default_factory=lambda: FACTS)
    leads_to: str = ""


@dataclass
class ToldFlow:
    """A flow that says what it is told to, and remembers what it was asked."""

    step: Next = field(default_factory=Next)
    asked: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list[tuple[str, str, Mapping[str, str]]])

    visitors: list[Visitor] = field(default_factory=list[Visitor])

    async def show(self, link: str, visitor: Visitor) -> Next:
        return self._asked("show " + link, visitor, {})

    async def proceed(self, link: str, visitor: Visitor, form: Mapping[str, str]) -> Next:
        return self._asked("proceed " + link, visitor, form)

    async def come_back(self, connection: str, query: Mapping[str, str], visitor: Visitor) -> Next:
        return self._asked(f"come_back {connection}", visitor, query)

    def _asked(self, what: str, visitor: Visitor, fields: Mapping[str, str]) -> Next:
        self.visitors.append(visitor)
        self.asked.append((what, visitor.browser, fields))
        return self.step


@dataclass
class Shown:
    """What the browser got."""

    status: int
    headers: dict[str, str]
    body: str


@dataclass
class Browser:
    """A browser that keeps the one cookie."""

    flow: ToldFlow = field(default_factory=ToldFlow)
    public: str = PUBLIC
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    gone: bool = False

    async def ask(self, method: str = "GET", path: str = f"/consent/{LINK}", query: str = "") -> Shown:
        """One request."""
        pages = ConsentPages(self.flow, self.public, Sites.of("127.0.0.1", self.public), told)
        fields = {"host": "mcp.contoso.com", **self.headers, **({"cookie": self.cookie} if self.cookie else {})}
        scope = {
            "method": method,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "client": ("10.0.0.9", 1),
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"} if self.gone else {"type": "http.request", "body": self.body}

        async def send(message: Any) -> None:
            sent.append(message)

        await pages(scope, receive, send)
        if not sent:
            return Shown(0, {}, "")
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Shown(sent[0]["status"], headers, sent[1]["body"].decode())

    async def post(
        self, fields: Mapping[str, str] | str, content_type: str = "application/x-www-form-urlencoded"
    ) -> Shown:
        """A form."""
        self.headers |= {"content-type": content_type, "origin": "null"}
        self.body = (fields if isinstance(fields, str) else urlencode(fields)).encode()
        return await self.ask("POST")


def told(peer: str, forwarded: tuple[str, ...]) -> str:
    """The address, as a gateway behind one proxy reads it."""
    return forwarded[-1] if forwarded else peer


PAGES = [*SAID, "ask", "leaving"]


@pytest.mark.parametrize("page", PAGES)
async def test_every_page_forbids_scripts_frames_caches_and_referrers(page: str) -> None:
    shown = await Browser(ToldFlow(Next(page, FACTS, "https://auth.example.com/a?b=c&d=e"))).ask()
    assert shown.status == (SAID[page][0] if page in SAID else 200)
    style = re.search(r"<style>(.*)</style>", shown.body, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = shown.headers["content-security-policy"]
    assert policy.startswith(
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; frame-ancestors 'none'"
    )
    assert "unsafe" not in policy
    told = {name: shown.headers[name] for name in ("cache-control", "referrer-policy", "x-content-type-options")}
    assert told == {"cache-control": "no-store", "referrer-policy": "no-referrer", "x-content-type-options": "nosniff"}
    assert "<script" not in shown.body
    assert "style=" not in shown.body
    assert "$" not in shown.body


@pytest.mark.parametrize("proof", ["key", "sign-in", "none"])
@pytest.mark.parametrize("page", PAGES)
async def test_nothing_that_stands_on_a_page_can_be_markup(page: str, proof: str) -> None:
    facts = dict.fromkeys(FACTS, HOSTILE) | {"proof": proof}
    shown = await Browser(ToldFlow(Next(page, facts, HOSTILE))).ask()
    assert "<script" not in shown.body
    assert "alert('" not in shown.body
    if page in {"ask", "leaving"}:
        assert html.escape("<script>alert('x')</script>") in shown.body


async def test_a_page_that_leads_elsewhere_follows_itself_and_has_a_link() -> None:
    url = "https://auth.example.com/authorize?state=a&scope=b"
    shown = await Browser(ToldFlow(Next("leaving", FACTS, url))).ask()
    assert f'<meta http-equiv="refresh" content="0;url={html.escape(url)}">' in shown.body
    assert f'href="{html.escape(url)}"' in shown.body


async def test_the_server_is_named_as_the_catalog_names_it_too() -> None:
    assert "<dd>api.example.com<small>com.contoso/github</small></dd>" in (await Browser().ask()).body


async def test_who_has_to_show_a_key_is_asked_for_it_and_nobody_else() -> None:
    for proof, asked in (("key", True), ("sign-in", False), ("none", False)):
        shown = await Browser(ToldFlow(Next("ask", {**FACTS, "proof": proof}))).ask()
        assert ('type="password"' in shown.body) is asked
    assert "its usual rights" in (await Browser(ToldFlow(Next("ask", {**FACTS, "scopes": ""}))).ask()).body


async def test_a_browser_gets_its_name_once_and_keeps_it() -> None:
    browser = Browser()
    first = await browser.ask()
    name = COOKIE.match(first.headers["set-cookie"])
    assert name is not None
    assert first.headers["set-cookie"] == f"__Host-mcpgov-consent={name[1]}; Path=/; HttpOnly; SameSite=Lax; Secure"
    browser.cookie = f"other=1; __Host-mcpgov-consent={name[1]}"
    assert "set-cookie" not in (await browser.ask()).headers
    await browser.post({"form": "x"})
    await browser.ask(path="/oauth/callback", query="state=s&code=c")
    assert browser.flow.asked == [
        (f"show {LINK}", name[1], {}),
        (f"show {LINK}", name[1], {}),
        (f"proceed {LINK}", name[1], {"form": "x"}),
        ("come_back ", name[1], {"state": "s", "code": "c"}),
    ]


async def test_a_browser_comes_back_to_the_redirect_url_of_a_connection() -> None:
    browser = Browser()
    await browser.ask(path="/oauth/callback/git-hub", query="state=s&code=c")
    assert browser.flow.asked[0][0] == "come_back git-hub"
    for path in (
        "/oauth/callback/",
        "/oauth/callback/a/b",
        "/oauth/callback/A",
        "/oauth/callback/..",
        "/oauth/callbackx",
    ):
        assert (await browser.ask(path=path, query="state=s")).status == 400
    assert len(browser.flow.asked) == 1


async def test_every_step_knows_where_it_was_asked_from_and_which_request_it_was() -> None:
    browser = Browser()
    first = await browser.ask()
    browser.headers["x-forwarded-for"] = "203.0.113.7"
    await browser.ask()
    assert [visitor.source for visitor in browser.flow.visitors] == ["10.0.0.9", "203.0.113.7"]
    ids = [visitor.correlation_id for visitor in browser.flow.visitors]
    assert len(set(ids)) == 2
    assert first.headers["x-correlation-id"] == ids[0]


async def test_who_shows_a_key_is_told_that_it_may_be_shared() -> None:
    shown = await Browser(ToldFlow(Next("ask", {**FACTS, "proof": "key"}))).ask()
    assert "Everybody who holds this key will act as you." in shown.body


async def test_without_https_the_cookie_can_not_be_bound_to_it() -> None:
    browser = Browser(public="http://127.0.0.1:8080", headers={"host": "127.0.0.1:8080"})
    assert (await browser.ask()).headers["set-cookie"].startswith("mcpgov-consent=")
    assert "Secure" not in (await browser.ask()).headers["set-cookie"]


@pytest.mark.parametrize(
    "cookie",
    [
        "__Host-mcpgov-consent=short",
        f"mcpgov-consent={'a' * 43}",
        f"__Host-mcpgov-consent={'a' * 43}; __Host-mcpgov-consent={'b' * 43}",
        f"__Host-mcpgov-consent={'ä' * 43}",
    ],
)
async def test_a_cookie_that_is_not_ours_names_nobody(cookie: str) -> None:
    browser = Browser(cookie=cookie)
    assert "set-cookie" in (await browser.ask()).headers
    assert browser.flow.asked[0][1] not in cookie


async def test_a_head_request_gets_the_headers_alone() -> None:
    shown = await Browser().ask("HEAD")
    assert (shown.status, shown.body) == (200, "")
    assert int(shown.headers["content-length"]) > 1000


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("PUT", f"/consent/{LINK}", ""),
        ("POST", "/oauth/callback", "state=s"),
        ("HEAD", "/oauth/callback", "state=s"),
        ("GET", "/oauth/callback", "state=s&state=t"),
        ("GET", "/oauth/callback", "state=%FF"),
        ("GET", "/oauth/callback", "&".join(f"a{number}=1" for number in range(33))),
        ("GET", "/oauth/callback", "a=" + "b" * 20_000),
    ],
)
async def test_what_no_page_asks_for_reaches_no_step(method: str, path: str, query: str) -> None:
    browser = Browser()
    assert (await browser.ask(method, path, query)).status == 400
    assert browser.flow.asked == []


@pytest.mark.parametrize("link", ["", "a/b", "a%20b", "A" * 4097, "<script>"])
async def test_what_can_be_no_link_is_over(link: str) -> None:
    browser = Browser()
    assert (await browser.ask(path=f"/consent/{link}")).status == 410
    assert browser.flow.asked == []


@pytest.mark.parametrize(
    ("form", "content_type", "status"),
    [
        ("form=a", "text/plain", 400),
        ("form=a&form=b", FORM_TYPE, 400),
        ("form=" + "a" * 20_000, FORM_TYPE, 413),
    ],
)
async def test_a_form_that_is_none_or_too_large_reaches_no_step(form: str, content_type: str, status: int) -> None:
    browser = Browser()
    assert (await browser.post(form, content_type)).status == status
    assert browser.flow.asked == []


async def test_a_browser_that_leaves_gets_no_answer() -> None:
    browser = Browser(gone=True)
    assert (await browser.post({"form": "x"})).status == 0


@pytest.mark.parametrize(
    ("headers", "status"), [({"host": "evil.example.com"}, 421), ({"origin": "https://evil.example.com"}, 403)]
)
async def test_another_host_or_origin_is_refused(headers: dict[str, str], status: int) -> None:
    browser = Browser(headers=headers)
    assert (await browser.ask()).status == status
    assert browser.flow.asked == []


def test_fields_are_text_and_stand_once() -> None:
    assert fields_of(b"a=1&b=&c=%C3%A4") == {"a": "1", "b": "", "c": "ä"}
    for raw in (b"a=1&a=1", b"a=%FF", "a=ä".encode()):
        assert fields_of(raw) is None
