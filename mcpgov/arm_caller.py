"""Makes calls of Azure Resource Manager, as the identity that the host gives to mcpgov.

Rules: a call is made once, with a token of our own for the management plane and for nothing else; what Azure says
against it is told in its own words, cut short, and the calls after it are not made. That a role was assigned before is
no failure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Protocol

from mcpgov.catalog.arm import MANAGEMENT
from mcpgov.errors import Refusal
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from mcpgov.catalog.arm import Call
    from mcpgov.models import Secret
    from mcpgov.web import Fields, WebAnswer

SCOPE: Final = f"{MANAGEMENT}/.default"
EXISTS: Final = "RoleAssignmentExists"
MOST: Final = 300  # characters of what Azure says


class Tokens(Protocol):
    """Where tokens for the management plane come from."""

    async def token(self) -> Secret:
        """One that holds. Raises Refusal."""
        ...


class Puts(Protocol):
    """What carries a call."""

    async def put(self, url: str, body: bytes, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        """PUT these bytes. Raises WebUnavailable."""
        ...


class CallRefused(Exception):
    """A call that did not do what it says. The text is for people and holds no secret."""


class ArmCaller:
    """Calls Azure at `base`; `private` is for a stand-in on this machine."""

    def __init__(self, web: Puts, tokens: Tokens, base: str = MANAGEMENT, *, private: bool = False) -> None:
        self._web, self._tokens, self._base, self._private = web, tokens, base, private

    async def make(self, call: Call) -> str:
        """Make a call; `made`, `changed` or `there`. Raises CallRefused."""
        try:
            token = await self._tokens.token()
            headers = (("authorization", f"Bearer {token.reveal()}"), ("content-type", "application/json"))
            body = json.dumps(dict(call.body)).encode()
            answer = await self._web.put(f"{self._base}{call.target}", body, headers, private=self._private)
        except WebUnavailable as unavailable:
            raise CallRefused(str(unavailable)) from None
        except Refusal as refusal:
            raise CallRefused(f"there is no token of mcpgov's own: {refusal.detail or refusal.message}") from None
        if answer.status in {200, 201, 202}:
            return "made" if answer.status == 201 else "changed"
        code, message = said(answer.body)
        if answer.status == 409 and code == EXISTS:
            return "there"
        raise CallRefused(f"Azure answered {answer.status}: {' '.join(filter(None, (code, message)))[:MOST]}")


def said(body: bytes) -> tuple[str, str]:
    """The code and the message of an error of Azure; empty where it said nothing that can be read."""
    try:
        error = json.loads(body)["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return "", ""
