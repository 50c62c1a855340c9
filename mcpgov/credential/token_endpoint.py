"""mcpgov as a client of an authorization server's token endpoint (OAuth 2.1; RFC 6749, 7009, 7636, 8707).

Rules: a secret goes in the Authorization header (client_secret_basic), and into the form only where the server refuses
that. What is not a bearer token that fits into a header is no token. An answer is either tokens, or a refusal with the
server's error code, or nothing that can be used; only the first two say anything about the grant.
Refuses to know: whose tokens these are, and where they are kept.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from mcpgov.credential.vault import Tokens
from mcpgov.errors import Refusal
from mcpgov.models import Secret
from mcpgov.strict_json import JsonLimits, parse
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mcpgov.models import Json, OAuthClient
    from mcpgov.web import Web, WebAnswer

JSON_LIMITS: Final = JsonLimits(body=1024 * 1024, depth=16, keys=1000)
LONGEST_LIFE: Final = 366 * 24 * 3600  # seconds; a server that says more does not mean it
_TOKEN: Final = re.compile(r"[!-~]{1,16384}")
_CODE: Final = re.compile(r"[ !#-\[\]-~]{1,200}")  # RFC 6749 section 5.2
# Said by servers that read the secret from the form alone.
_OTHER_WAY: Final = frozenset({"invalid_client", "incorrect_client_credentials", "unauthorized_client"})
_TEMPORARY: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_ACCEPT: Final = (("accept", "application/json"),)


class GrantRefused(Exception):
    """The server said no. `code` is its error code (RFC 6749 section 5.2), visible ASCII or `unknown`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class TokenEndpoint:
    """Asks token endpoints. Every method raises GrantRefused, and WebUnavailable where there is no usable answer."""

    def __init__(self, web: Web, now: Callable[[], datetime]) -> None:
        self._web = web
        self.now = now

    async def redeem(self, client: OAuthClient, code: str, verifier: str, redirect_url: str) -> Mapping[str, Json]:
        """What an authorization code is worth (RFC 7636 section 4.5): the server's whole answer."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_url}
        return await self._ask(client, client.token_url, form | {"code_verifier": verifier} | _resource(client))

    async def refresh(self, client: OAuthClient, tokens: Tokens) -> Tokens:
        """New tokens for old ones; the old refresh token stays where the server issues no other."""
        refresh = tokens.refresh
        form = {"grant_type": "refresh_token", "refresh_token": refresh.reveal() if refresh else ""}
        answer = await self._ask(client, client.refresh_url or client.token_url, form | _resource(client))
        return self.tokens_in(answer, refresh)

    async def client_credentials(self, client: OAuthClient) -> Tokens:
        """A token of the client itself (RFC 6749 section 4.4)."""
        form = {"grant_type": "client_credentials", **_scope(client), **_resource(client)}
        return self.tokens_in(await self._ask(client, client.token_url, form))

    async def revoke(self, client: OAuthClient, tokens: Tokens) -> None:
        """Tell the server that these are no longer wanted (RFC 7009 section 2.1), both of them whatever it says."""
        failures: list[GrantRefused | WebUnavailable] = []
        for token, hint in ((tokens.refresh, "refresh_token"), (tokens.access, "access_token")):
            if token is not None:
                try:
                    await self._revoke(client, {"token": token.reveal(), "token_type_hint": hint})
                except (GrantRefused, WebUnavailable) as failure:
                    failures.append(failure)
        if failures:
            raise failures[0]

    def tokens_in(self, answer: Mapping[str, Json], refresh: Secret | None = None) -> Tokens:
        """The tokens of an answer. Raises WebUnavailable for one that holds none (RFC 6749 section 5.1)."""
        access, kind = answer.get("access_token"), answer.get("token_type", "Bearer")
        if not isinstance(access, str) or not _TOKEN.fullmatch(access) or str(kind).lower() != "bearer":
            raise WebUnavailable("the authorization server answered without a bearer token")
        renewed = answer.get("refresh_token")
        kept = Secret(renewed) if isinstance(renewed, str) and renewed else refresh
        life = _seconds(answer.get("expires_in"))
        return Tokens(Secret(access), None if life is None else int(self.now().timestamp()) + life, kept)

    async def _revoke(self, client: OAuthClient, form: Mapping[str, str]) -> None:
        answer = await self._post(client, client.revocation_url, form)
        if answer.status != 200:
            raise GrantRefused(_code_in(_content(answer)) or f"status {answer.status}")

    async def _ask(self, client: OAuthClient, url: str, form: Mapping[str, str]) -> Mapping[str, Json]:
        answer = await self._post(client, url, form)
        content = _content(answer)
        code = _code_in(content)
        if code in _TEMPORARY or answer.status >= 500 or answer.status == 429:
            raise WebUnavailable(f"{urlsplit(url).hostname} answered {answer.status} {code}".strip())
        if code or answer.status != 200:
            raise GrantRefused(code or f"status {answer.status}")
        return content

    async def _post(self, client: OAuthClient, url: str, form: Mapping[str, str]) -> WebAnswer:
        """POST, as the client. Where the header is refused, nothing was granted: the form may be sent once more."""
        form = {**form, "client_id": client.client_id}
        if client.client_secret is None:
            return await self._web.post(url, form, _ACCEPT, private=client.private)
        secret = client.client_secret.reveal()
        basic = base64.b64encode(f"{quote_plus(client.client_id)}:{quote_plus(secret)}".encode()).decode()
        headers = (*_ACCEPT, ("authorization", f"Basic {basic}"))
        answer = await self._web.post(url, form, headers, private=client.private)
        if answer.status == 401 or _code_in(_content(answer)) in _OTHER_WAY:
            return await self._web.post(url, form | {"client_secret": secret}, _ACCEPT, private=client.private)
        return answer


def authorization_url(client: OAuthClient, redirect_url: str, state: str, verifier: str) -> str:
    """Where a browser asks its user (RFC 6749 section 4.1.1, RFC 7636 section 4.3, RFC 8707 section 2.1)."""
    query = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": redirect_url,
        "state": state,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
        **_scope(client),
        **_resource(client),
    }
    return with_query(client.authorization_url, query)


def with_query(url: str, query: Mapping[str, str]) -> str:
    """`url` with parameters added to those that it has."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def error_code(text: str) -> str:
    """An error code as a server wrote it, or `unknown` where it is none."""
    return text if _CODE.fullmatch(text) else "unknown"


def _scope(client: OAuthClient) -> dict[str, str]:
    return {"scope": " ".join(client.scopes)} if client.scopes else {}


def _resource(client: OAuthClient) -> dict[str, str]:
    return {"resource": client.resource} if client.resource else {}


def _content(answer: WebAnswer) -> Mapping[str, Json]:
    """The answer's members; none where it cannot be read. Some servers answer with a form unless asked nicely."""
    if answer.headers.get("content-type").startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(answer.body.decode("ascii", "replace")))
    try:
        content = parse(answer.body, JSON_LIMITS)
    except Refusal:
        return {}
    return content if isinstance(content, dict) else {}


def _code_in(content: Mapping[str, Json]) -> str:
    code = content.get("error")
    return "" if code is None else error_code(code if isinstance(code, str) else "")


def _seconds(value: Json) -> int | None:
    """expires_in: a number of seconds, which some servers write as text."""
    match value:
        case bool():
            return None
        case int() | float() if value >= 0:
            return int(min(value, LONGEST_LIFE))
        case str() if re.fullmatch(r"[0-9]{1,11}", value):
            return min(int(value), LONGEST_LIFE)
        case _:
            return None
