"""The control plane's client reaches what it checked, over https, and takes back no more than it asked for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from mcpgov.models import Headers
from mcpgov.upstream.memory import ScriptedAnswer
from mcpgov.web import MAX_BODY, GuardedWeb, WebUnavailable, system_addresses
from tests.upstream.certificates import self_signed
from tests.upstream.loopback import Fault, Loopback, Then, loopback

OUTSIDE = ("93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c")
NAME = "login.example"


@dataclass
class Names:
    """A name service that gives the answers of a script, and the last one for ever."""

    answers: list[tuple[str, ...]]
    asked: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    async def __call__(self, host: str, port: int) -> tuple[str, ...]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@dataclass
class Wire(httpx2.AsyncBaseTransport):
    """Carries nothing: notes where it was to connect to, and refuses the addresses that are told."""

    refuses: tuple[str, ...] = ()
    connected: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])

    def __call__(self, tls: ssl.SSLContext) -> Wire:
        assert tls.verify_mode is ssl.CERT_REQUIRED
        return self

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.connected.append((request.url.host, request.headers["host"], request.extensions["sni_hostname"]))
        if request.url.host in self.refuses:
            raise httpx2.ConnectError("refused")
        return httpx2.Response(200, stream=httpx2.ByteStream(b"{}"))


@dataclass
class Served:
    """A server with a certificate for NAME on a loopback port, and a client that resolves NAME to it."""

    server: Loopback
    web: GuardedWeb
    url: str


@pytest.fixture
async def served(tmp_path: Path) -> AsyncGenerator[Served, None]:
    certificate = self_signed(tmp_path, (NAME,))
    web = GuardedWeb(ssl.create_default_context(cafile=certificate), resolve=Names([("127.0.0.1",)]))
    async with loopback(certificate) as server:
        yield Served(server, web, f"https://{NAME}:{server.port}/token")


async def test_a_form_is_posted_and_the_answer_is_whole(served: Served) -> None:
    served.server.script(ScriptedAnswer(401, chunks=(b'{"error"', b":1}"), headers=(("X-A", "1"), ("x-a", "2"))))
    answer = await served.web.post(served.url, {"a b": "c&d"}, (("authorization", "Basic x"),), private=True)
    assert (answer.status, answer.body, answer.headers.all("x-a")) == (401, b'{"error":1}', ("1", "2"))
    sent = served.server.ledger[0]
    assert (sent.http_method, sent.url, sent.body) == ("POST", "/token", b"a+b=c%26d")
    assert sent.headers.get("content-type") == "application/x-www-form-urlencoded"
    assert sent.headers.get("accept-encoding") == "identity"
    assert sent.headers.get("authorization") == "Basic x"


async def test_host_and_certificate_are_those_of_the_name(served: Served) -> None:
    await served.web.get(served.url + "?a=b", private=True)
    sent = served.server.ledger[0]
    assert (sent.http_method, sent.url, sent.headers.all("host")) == (
        "GET",
        "/token?a=b",
        (f"{NAME}:{served.server.port}",),
    )
    with pytest.raises(WebUnavailable, match=r"other\.example could not be reached"):
        await served.web.get(f"https://other.example:{served.server.port}/", private=True)
    assert len(served.server.ledger) == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused(served: Served) -> None:
    stranger = GuardedWeb(resolve=Names([("127.0.0.1",)]))
    with pytest.raises(WebUnavailable, match="ConnectError"):
        await stranger.get(served.url, private=True)
    assert served.server.ledger == []


async def test_a_literal_address_is_asked_for_by_its_own_certificate(served: Served) -> None:
    answer = await served.web.get(f"https://127.0.0.1:{served.server.port}/keys", private=True)
    assert answer.status == 200


async def test_a_redirect_is_an_answer_and_no_cookie_is_kept(served: Served) -> None:
    moved = (("location", served.url + "/canary"), ("set-cookie", "a=b"))
    served.server.script(ScriptedAnswer(307, headers=moved))
    assert (await served.web.post(served.url, {}, private=True)).status == 307
    await served.web.get(served.url, private=True)
    assert [sent.url for sent in served.server.ledger] == ["/token", "/token"]
    assert "cookie" not in served.server.ledger[1].headers


async def test_no_connection_is_used_twice(served: Served) -> None:
    await asyncio.gather(*(served.web.get(served.url, private=True) for _ in range(5)))
    assert served.server.connections == 5


async def test_a_proxy_of_the_environment_is_not_used(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await served.web.get(served.url, private=True)).status == 200


async def test_the_certificates_of_the_environment_are_believed(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    assert (await GuardedWeb(resolve=served.web.resolve).get(served.url, private=True)).status == 200


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (ScriptedAnswer(headers=(("content-encoding", "gzip"),), chunks=(b"\x1f\x8b",)), "encoded an answer"),
        (ScriptedAnswer(chunks=(b"x" * MAX_BODY, b"x")), "too large"),
        (Fault(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), "broke off: RemoteProtocolError"),
        (Fault(b"no http at all\r\n\r\n"), "broke off: RemoteProtocolError"),
        (Fault(then=Then.RESET), "broke off"),
        (Fault(then=Then.HANG), "did not answer in time"),
        (Fault(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha", Then.HANG), "did not answer in time"),
    ],
    ids=["encoded", "too large", "cut", "not http", "reset", "silent", "stalled"],
)
async def test_an_answer_that_cannot_be_read_is_none(served: Served, answer: ScriptedAnswer | Fault, why: str) -> None:
    served.server.script(answer)
    web = GuardedWeb(served.web.tls, deadline=0.5, resolve=served.web.resolve)
    with pytest.raises(WebUnavailable, match=f"{NAME} .*{why}"):
        await web.get(served.url, private=True)


async def test_an_answer_of_the_largest_size_is_read(served: Served) -> None:
    served.server.script(ScriptedAnswer(chunks=(b"x" * MAX_BODY,)))
    assert len((await served.web.get(served.url, private=True)).body) == MAX_BODY


@pytest.mark.parametrize(
    "url",
    [
        f"http://{NAME}/",
        "https://user:pass@login.example/",
        "https://login.example:99999/",
        "file:///etc/passwd",
        "https://login.example\\@127.0.0.1/",
        "",
    ],
)
async def test_only_https_urls_are_asked(url: str) -> None:
    wire = Wire()
    with pytest.raises(WebUnavailable, match="not an https URL"):
        await GuardedWeb(resolve=Names([OUTSIDE]), transport=wire).get(url)
    assert wire.connected == []


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("169.254.169.254",),
        ("::ffff:10.0.0.1",),
        ("168.63.129.16",),
        (*OUTSIDE, "10.0.0.1"),
        ("fe80::1%eth0",),
    ],
    ids=lambda addresses: addresses[-1],
)
async def test_a_name_with_any_address_that_is_not_public_is_not_asked(addresses: tuple[str, ...]) -> None:
    wire = Wire()
    with pytest.raises(WebUnavailable, match="has an address that is not public"):
        await GuardedWeb(resolve=Names([addresses]), transport=wire).get(f"https://{NAME}/")
    assert wire.connected == []


async def test_a_metadata_service_is_not_asked_where_private_addresses_are_allowed_either() -> None:
    wire = Wire()
    with pytest.raises(WebUnavailable, match="metadata service"):
        await GuardedWeb(resolve=Names([("10.0.0.1", "::ffff:a9fe:a9fe")]), transport=wire).get(
            f"https://{NAME}/", private=True
        )
    assert wire.connected == []


async def test_a_name_that_is_rebound_after_the_check_leads_nowhere_else() -> None:
    wire, names = Wire(), Names([OUTSIDE, ("127.0.0.1",)])
    web = GuardedWeb(resolve=names, transport=wire)
    assert (await web.get(f"https://{NAME}/keys")).body == b"{}"
    assert (names.asked, wire.connected) == ([(NAME, 443)], [(OUTSIDE[0], NAME, NAME)])
    with pytest.raises(WebUnavailable, match="not public"):
        await web.get(f"https://{NAME}/keys")
    assert len(wire.connected) == 1


async def test_the_next_address_is_tried_where_one_cannot_be_connected_to() -> None:
    wire = Wire(refuses=OUTSIDE[:1])
    answer = await GuardedWeb(resolve=Names([OUTSIDE]), transport=wire).get(f"https://{NAME}:8443/")
    assert (answer.status, answer.headers) == (200, Headers())
    assert [there for there, *_ in wire.connected] == list(OUTSIDE)
    with pytest.raises(WebUnavailable, match="ConnectError"):
        await GuardedWeb(resolve=Names([OUTSIDE]), transport=Wire(refuses=OUTSIDE)).get(f"https://{NAME}/")


async def test_a_name_without_an_address_is_not_asked() -> None:
    with pytest.raises(WebUnavailable, match="has no address"):
        await GuardedWeb(resolve=Names([()])).get(f"https://{NAME}/")


async def test_the_system_resolves_names_and_says_where_there_is_none() -> None:
    assert set(await system_addresses("localhost", 443)) <= {"127.0.0.1", "::1"}
    assert await system_addresses("127.1", 443) == ("127.0.0.1",)  # forms that only a resolver reads are seen through
    with pytest.raises(OSError, match="not a host name"):
        await system_addresses("a" * 64 + ".example", 443)
    with pytest.raises(WebUnavailable, match="OSError"):
        await GuardedWeb().get("https://..example/")


async def test_no_error_tells_a_path_a_query_or_a_header() -> None:
    url = f"https://{NAME}/path-canary?key=query-canary"
    for web in (GuardedWeb(resolve=Names([("10.0.0.1",)])), GuardedWeb(resolve=Names([()]))):
        with pytest.raises(WebUnavailable) as caught:
            await web.post(url, {"client_secret": "form-canary"}, (("authorization", "header-canary"),))
        assert "canary" not in str(caught.value)
