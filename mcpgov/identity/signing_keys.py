"""The signing keys of issuers: where they are fetched, how long they serve, and how seldom anybody is asked.

Rules: where keys come from is configured and never taken from a token; a redirect is not followed, and a configuration
cannot lead to another origin. A name of a key that nobody knows costs one fetch in five minutes, however many tokens
carry one. Keys are renewed behind the caller's back after an hour, and serve for a day while their issuer is down.
It refuses to know what a token says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from mcpgov.decision import Reason
from mcpgov.destinations import origin
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.json_web_token import KeySet, parse_key_set
from mcpgov.strict_json import JsonLimits, parse
from mcpgov.web import Web, WebUnavailable

REFRESH_AFTER: Final = timedelta(hours=1)
SERVE_FOR: Final = timedelta(hours=24)
BETWEEN_FETCHES: Final = timedelta(minutes=5)  # for a key that is unknown, and to renew keys that still serve
BETWEEN_TRIES: Final = timedelta(seconds=10)  # where there are no keys at all
CONFIGURATION_LIMITS: Final = JsonLimits(body=256 * 1024, depth=8)


@frozen
class KeySource:
    """Where an issuer's keys are: at `keys_url`, or where the OpenID configuration at `configuration_url` says.

    `issuer` is what that configuration must call itself; empty: whatever it says (it stands in the KeySet).
    """

    configuration_url: str = ""
    keys_url: str = ""
    issuer: str = ""


class TrustedKeys(Protocol):
    """Keys to check tokens with."""

    async def of(self, source: KeySource, kid: str) -> KeySet:
        """The keys of `source`, looked up again where none is called `kid`. Raises Refusal: sign-in-unavailable."""
        ...


class _Unusable(Exception):
    """What was answered is no configuration, or no key set."""


@dataclass(slots=True)
class _Kept:
    """What is known of one source. `fetching` is the one fetch under way, which every caller waits for."""

    keys: KeySet | None = None
    fetched_at: datetime | None = None
    tried_at: datetime | None = None
    trouble: str = ""
    fetching: asyncio.Task[None] | None = None


class SigningKeys:
    """The keys of every source that was asked for, kept in memory. `private_origins` (`https://host:port`) are those
    that may be loopback, private or plain http.
    """

    def __init__(self, web: Web, now: Callable[[], datetime], private_origins: tuple[str, ...] = ()) -> None:
        self._web = web
        self._now = now
        self._private = frozenset(map(origin, private_origins)) - {None}
        self._kept: dict[KeySource, _Kept] = {}  # as many as settings and policies name

    async def keys(self, url: str, kid: str = "") -> KeySet:
        """The keys that the OpenID configuration at `url` leads to. Raises Refusal: sign-in-unavailable."""
        return await self.of(KeySource(configuration_url=url), kid)

    async def of(self, source: KeySource, kid: str) -> KeySet:
        """The keys of `source`, looked up again where none is called `kid`. Raises Refusal: sign-in-unavailable."""
        kept = self._kept.setdefault(source, _Kept())
        age = self._since(kept.fetched_at)
        if kept.keys is None or age >= SERVE_FOR:
            await self._fetch(source, kept, BETWEEN_TRIES)
        elif kid and all(key.kid != kid for key in kept.keys.keys):
            await self._fetch(source, kept, BETWEEN_FETCHES)
        elif age >= REFRESH_AFTER:
            self._start(source, kept, BETWEEN_FETCHES)
        if kept.keys is None or self._since(kept.fetched_at) >= SERVE_FOR:
            raise Refusal(Reason.SIGN_IN_UNAVAILABLE, "Tokens cannot be checked at the moment.", detail=kept.trouble)
        return kept.keys

    async def aclose(self) -> None:
        """Give up the fetches that are under way."""
        running = [kept.fetching for kept in self._kept.values() if kept.fetching is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _since(self, at: datetime | None) -> timedelta:
        return timedelta.max if at is None else self._now() - at

    async def _fetch(self, source: KeySource, kept: _Kept, pause: timedelta) -> None:
        self._start(source, kept, pause)
        if kept.fetching is not None:
            await asyncio.shield(kept.fetching)  # a caller that goes away must not take the others' keys with it

    def _start(self, source: KeySource, kept: _Kept, pause: timedelta) -> None:
        if kept.fetching is None and self._since(kept.tried_at) >= pause:
            kept.fetching = asyncio.create_task(self._renew(source, kept))

    async def _renew(self, source: KeySource, kept: _Kept) -> None:
        kept.tried_at = self._now()
        try:
            kept.keys = await self._fetched(source)
            kept.fetched_at = self._now()
            kept.trouble = ""
        except (WebUnavailable, _Unusable) as error:
            kept.trouble = str(error)
        finally:
            kept.fetching = None

    async def _fetched(self, source: KeySource) -> KeySet:
        """Raises WebUnavailable, _Unusable."""
        issuer, keys_url = source.issuer, source.keys_url
        if not keys_url:
            issuer, keys_url = _configured(await self._get(source.configuration_url), source)
        document = await self._get(keys_url)
        try:
            return parse_key_set(document, issuer)
        except ValueError as error:
            raise _Unusable(str(error)) from None

    async def _get(self, url: str) -> bytes:
        answer = await self._web.get(url, private=origin(url) in self._private)
        if answer.status != 200:
            raise _Unusable(f"the issuer answered {answer.status} where its keys should be")
        return answer.body


def _configured(document: bytes, source: KeySource) -> tuple[str, str]:
    """The issuer and the jwks_uri of an OpenID configuration (OpenID Connect Discovery 1.0 section 4.2)."""
    try:
        tree = parse(document, CONFIGURATION_LIMITS)
    except Refusal as refusal:
        raise _Unusable(f"the issuer's configuration cannot be read: {refusal.message}") from None
    members = tree if isinstance(tree, dict) else {}
    issuer, keys_url = members.get("issuer"), members.get("jwks_uri")
    if not isinstance(issuer, str) or not isinstance(keys_url, str):
        raise _Unusable("the issuer's configuration lacks issuer or jwks_uri")
    if source.issuer and issuer != source.issuer:
        raise _Unusable("the configuration is that of another issuer")
    if origin(keys_url) != origin(source.configuration_url):
        raise _Unusable("the keys of the issuer are at another origin; set keys_url if they are to be trusted")
    return issuer, keys_url
