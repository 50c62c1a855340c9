"""What the tests of tokens share: a moment, a request that carries a token, and issuers that live in memory."""

import asyncio
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from cryptography.exceptions import InvalidSignature

from mcpgov.decision import Reason
from mcpgov.errors import Refusal
from mcpgov.json_web_token import RSA_ALGORITHMS, KeySet, SigningKey
from mcpgov.models import Headers, Principal, RequestHead
from mcpgov.web import Fields, WebAnswer, WebUnavailable
from tests.peers.entra_tokens import EntraTokens

NOW: Final = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECONDS: Final = int(NOW.timestamp())


def head(*tokens: str, connection: str = "github") -> RequestHead:
    """A request with an Authorization field for each of `tokens`."""
    fields = tuple(("authorization", f"Bearer {token}") for token in tokens)
    return RequestHead("POST", connection, Headers(fields), "192.0.2.1", "192.0.2.1", NOW, "correlation")


def entra_tokens() -> EntraTokens:
    """A tenant whose clock stands at NOW."""
    return EntraTokens(clock=NOW.timestamp)


def nowhere(connection: str) -> tuple[str, ...]:
    """No connection has an audience of its own."""
    return ()


async def refusal_of(authenticating: Awaitable[Principal], token: str) -> Refusal:
    """The refusal that comes of it, which tells and keeps nothing of `token`."""
    with pytest.raises(Refusal) as caught:
        await authenticating
    said = f"{caught.value} {caught.value.message} {caught.value.detail} {caught.value.data}"
    assert [part for part in token.split(".") if part and part in said] == []
    return caught.value


def answer(status: int, body: Mapping[str, Any] | bytes = b"") -> WebAnswer:
    """An answer with this body."""
    return WebAnswer(status, Headers(()), body if isinstance(body, bytes) else json.dumps(body).encode())


@dataclass
class MemoryWeb:
    """A Web of a few pages, which notes what it was asked for. Without a page it is as if the host were down.

    While `gate` is not set, every answer waits for it.
    """

    pages: dict[str, WebAnswer] = field(default_factory=dict[str, WebAnswer])
    asked: list[tuple[str, bool]] = field(default_factory=list[tuple[str, bool]])
    gate: asyncio.Event | None = None

    async def get(self, url: str, headers: Fields = (), *, private: bool = False) -> WebAnswer:
        self.asked.append((url, private))
        if self.gate is not None:
            await self.gate.wait()
        if url not in self.pages:
            raise WebUnavailable("the host did not answer in time")
        return self.pages[url]

    async def post(
        self, url: str, form: Mapping[str, str], headers: Fields = (), *, private: bool = False
    ) -> WebAnswer:
        raise WebUnavailable("nothing is posted for keys")


@dataclass
class CountingKey:
    """The key of nobody: no signature is its own, and every check is counted."""

    checks: int = 0

    def verify(self, *signed: object) -> None:
        self.checks += 1
        raise InvalidSignature

    def named(self, kid: str) -> SigningKey:
        """It, as the key of that name."""
        return SigningKey(kid, RSA_ALGORITHMS, self)


@dataclass
class MemoryKeys:
    """TrustedKeys of one set, or of none; which names were asked for is noted."""

    key_set: KeySet | None
    asked: list[str] = field(default_factory=list[str])

    async def of(self, source: object, kid: str) -> KeySet:
        self.asked.append(kid)
        if self.key_set is None:
            raise Refusal(Reason.SIGN_IN_UNAVAILABLE, "Tokens cannot be checked at the moment.")
        return self.key_set
