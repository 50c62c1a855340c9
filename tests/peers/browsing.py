"""What a browser and a client do at a sign-in, step by step and without following anything."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp

from tests.peers.code_flow import s256
from tests.peers.web_peer import WebPeer

CALLBACK: Final = "http://127.0.0.1:1/callback"
VERIFIER: Final = "v" * 43


@dataclass(frozen=True, slots=True)
class Page:
    """What a browser shows, or where it is sent: then `location` is there, and `query` is its query."""

    status: int
    text: str
    location: str = ""

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.location).query))


def authorization(client_id: str, **more: str) -> dict[str, str]:
    """The query of an authorization request (RFC 6749 section 4.1.1, RFC 7636 section 4.3)."""
    return {
        "client_id": client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "code_challenge": s256(VERIFIER),
        "code_challenge_method": "S256",
        "state": "state",
        **more,
    }


async def post(peer: WebPeer, path: str, form: Mapping[str, str], **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a form that is posted."""
    async with aiohttp.ClientSession() as http:
        ssl = peer.tls.client_context() if peer.tls else True
        async with http.post(f"{peer.url}{path}", data=form, ssl=ssl, headers=headers) as response:
            return response.status, json.loads(await response.read())


async def visit(peer: WebPeer, path: str, query: Mapping[str, str], form: Mapping[str, str] | None = None) -> Page:
    """Open a page; with a `form`, post that to it."""
    async with aiohttp.ClientSession() as http:
        ssl = peer.tls.client_context() if peer.tls else True
        url = f"{peer.url}{path}?{urlencode(query)}"
        method = "POST" if form else "GET"
        async with http.request(method, url, data=form, ssl=ssl, allow_redirects=False) as response:
            return Page(response.status, await response.text(), response.headers.get("location", ""))
