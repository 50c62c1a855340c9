"""Tokens of the identity that the host gives to mcpgov, for what mcpgov itself writes to: Azure Monitor.

Rules: one token for one scope, kept while it holds; one that was refused is replaced, though not more than once a
minute (credential.cache). Refuses to know: what the token is shown to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.credential.cache import TokenCache, TokenKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mcpgov.credential.tokens import AccessToken, HostIdentity
    from mcpgov.models import Secret


class HostTokens:
    """Tokens for `scope`, such as https://monitor.azure.com/.default; `client_id` chooses one of several identities."""

    def __init__(self, host: HostIdentity, scope: str, client_id: str, now: Callable[[], datetime]) -> None:
        self._host, self._scope, self._client_id = host, scope, client_id
        self._cache = TokenCache(now)
        self._key = TokenKey("host", scopes=(scope,), identity=client_id)
        self._last: AccessToken | None = None

    async def token(self) -> Secret:
        """One that holds. Raises Refusal (credential-unavailable)."""
        self._last = await self._cache.get(self._key, self._fetch)
        return self._last.secret

    def reject(self) -> None:
        """Note that the last one was refused where it was shown."""
        if self._last is not None:
            self._cache.reject(self._key, self._last)

    async def _fetch(self) -> AccessToken:
        return await self._host.token(self._scope, self._client_id)
