"""Makes calls of Azure Resource Manager, as the identity that the host gives to mcpgov.

Rules: a call is made once, with a token of our own for the management plane and for nothing else; what Azure says
against it is told in its own words, cut short, and the calls after it are not made. That a role was assigned before is
no failure. A list is read to its end or not at all, and no link in it leads anywhere but back to Azure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, Protocol, cast

from mcpgov.errors import Refusal
from mcpgov.publish.arm import MANAGEMENT
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from mcpgov.models import Json, Secret
    from mcpgov.publish.arm import Call
    from mcpgov.web import Fields, WebAnswer

SCOPE: Final = f"{MANAGEMENT}/.default"
EXISTS: Final = "RoleAssignmentExists"
MOST: Final = 300  # characters of what Azure says
PAGES: Final = 50  # of one list


class Tokens(Protocol):
    """Where tokens for the management plane come from."""

    async def token(self) -> Secret:
        """One that holds. Raises Refusal."""
        ...


class Carrier(Protocol):
    """What carries a call."""

    async def get(self, url: str, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        """GET this. Raises WebUnavailable."""
        ...

    async def put(self, url: str, body: bytes, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        """PUT these bytes. Raises WebUnavailable."""
        ...


class CallRefused(Exception):
    """A call that did not do what it says. The text is for people and holds no secret."""


class ArmCaller:
    """Calls Azure at `base`; `private` is for a stand-in on this machine."""

    def __init__(self, web: Carrier, tokens: Tokens, base: str = MANAGEMENT, *, private: bool = False) -> None:
        self._web, self._tokens, self._base, self._private = web, tokens, base, private

    async def make(self, call: Call) -> str:
        """Make a call; `made`, `changed` or `there`. Raises CallRefused."""
        answer = await self._answered(call.target, json.dumps(dict(call.body)).encode())
        if answer.status in {200, 201, 202}:
            return "made" if answer.status == 201 else "changed"
        if answer.status == 409 and said(answer.body)[0] == EXISTS:
            return "there"
        raise refusal_of(answer)

    async def ask(self, call: Call) -> Json:
        """What there is: a resource, or a list with all its pages as one; None where there is none.

        Raises CallRefused.
        """
        target = call.target
        found: list[Json] = []
        for _ in range(PAGES):
            answer = await self._answered(target, None)
            if answer.status == 404 and not found:
                return None
            if answer.status != 200:
                raise refusal_of(answer)
            page = read(answer.body)
            value = page.get("value")
            found += value if isinstance(value, list) else []
            link = page.get("nextLink")
            if not link:
                return {**page, "value": found} if found else page
            if not isinstance(link, str) or not link.startswith(f"{MANAGEMENT}/"):
                raise CallRefused("Azure answered with a list that goes on elsewhere")
            target = link.removeprefix(MANAGEMENT)
        raise CallRefused(f"Azure answered with a list of more than {PAGES} pages")

    async def _answered(self, target: str, body: bytes | None) -> WebAnswer:
        """What Azure says: to a PUT of the body, or without one to a GET."""
        try:
            token = await self._tokens.token()
            headers = (("authorization", f"Bearer {token.reveal()}"), ("content-type", "application/json"))
            url = f"{self._base}{target}"
            if body is None:
                return await self._web.get(url, headers[:1], private=self._private)
            return await self._web.put(url, body, headers, private=self._private)
        except WebUnavailable as unavailable:
            raise CallRefused(str(unavailable)) from None
        except Refusal as refusal:
            raise CallRefused(f"there is no token of mcpgov's own: {refusal.detail or refusal.message}") from None


def refusal_of(answer: WebAnswer) -> CallRefused:
    """What Azure said against it."""
    return CallRefused(f"Azure answered {answer.status}: {' '.join(filter(None, said(answer.body)))[:MOST]}")


def read(body: bytes) -> dict[str, Json]:
    """An answer of Azure. Raises CallRefused."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise CallRefused("Azure answered with what cannot be read")
    return cast("dict[str, Json]", answer)


def said(body: bytes) -> tuple[str, str]:
    """The code and the message of an error of Azure; empty where it said nothing that can be read."""
    try:
        error = json.loads(body)["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return "", ""
