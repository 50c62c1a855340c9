"""The authorization code grant with PKCE (RFC 6749 section 4.1, RFC 7636), as the peers that sign users in share it."""

import base64
import hashlib
import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from tests.peers.web_peer import Asked, json_answer, page, redirect


class Wrong(Exception):
    """A request that is refused, with an error of RFC 6749; `more` joins the error's JSON."""

    def __init__(self, error: str, description: str = "", status: int = 400, **more: Any) -> None:
        super().__init__(f"{error}: {description}")
        self.status = status
        self.body = {"error": error, "error_description": description or error, **more}

    @property
    def answer(self) -> Response:
        """As a token endpoint says it."""
        return json_answer(self.status, self.body)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a user agreed to: who may have what of whom, and where the code is sent."""

    client_id: str
    user: str
    scopes: tuple[str, ...]
    resource: str = ""
    redirect_uri: str = ""
    challenge: str = ""
    nonce: str = ""


@dataclass
class Codes:
    """The codes that wait to be redeemed. Each is good once."""

    waiting: dict[str, Grant] = field(default_factory=dict[str, Grant])

    def issue(self, grant: Grant) -> str:
        """A code for the grant."""
        code = secrets.token_urlsafe(24)
        self.waiting[code] = grant
        return code

    def redeem(self, form: Mapping[str, str], client_id: str) -> Grant:
        """The grant behind the code. Raises Wrong for another client, redirect URI or verifier, or a second try."""
        grant = self.waiting.pop(form.get("code", ""), None)
        if grant is None:
            raise Wrong("invalid_grant", "the code is unknown, or was redeemed before")
        if grant.client_id != client_id or grant.redirect_uri != form.get("redirect_uri"):
            raise Wrong("invalid_grant", "the code was issued to another client, or for another redirect_uri")
        if grant.challenge and s256(form.get("code_verifier", "")) != grant.challenge:
            raise Wrong("invalid_grant", "the code_verifier does not fit the code_challenge")
        return grant


def s256(verifier: str) -> str:
    """The challenge of a verifier (RFC 7636 section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def checked_challenge(query: Mapping[str, str]) -> str:
    """The challenge of an authorization request. Raises Wrong unless it is S256, and for a code."""
    if query.get("response_type") != "code":
        raise Wrong("unsupported_response_type", "response_type=code is required")
    challenge, method = query.get("code_challenge", ""), query.get("code_challenge_method", "")
    if not challenge or method != "S256":
        raise Wrong("invalid_request", "code_challenge with code_challenge_method=S256 is required")
    return challenge


def sign_in_page(title: str, client_id: str) -> Response:
    """A form with a user name, Allow and Deny; it posts to its own URL."""
    asks = f"<p>{html.escape(client_id)} asks for access.</p>"
    user = '<label>User <input name="user" autofocus></label>'
    buttons = "".join(f'<button name="choice" value="{word.lower()}">{word}</button>' for word in ("Allow", "Deny"))
    return page(title, f'<form method="post">{asks}{user}{buttons}</form>')


def chosen_user(asked: Asked, auto_user: str) -> str:
    """Who signs in: of the form, of login_hint, or `auto_user`; empty when the form has to be shown.

    Raises Wrong when the user said no.
    """
    if asked.form.get("choice") == "deny":
        raise Wrong("access_denied", "the user said no")
    return asked.form.get("user") or asked.query.get("login_hint") or auto_user


def back(query: Mapping[str, str], answer: Mapping[str, str]) -> Response:
    """To the client's redirect URI with the answer and its `state`."""
    state = {"state": query["state"]} if "state" in query else {}
    target = query["redirect_uri"]
    return redirect(f"{target}{'&' if '?' in target else '?'}{urlencode({**answer, **state})}")
