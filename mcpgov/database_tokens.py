"""Tokens of Microsoft Entra with which mcpgov signs in to its databases, each renewed in a thread of its own.

A database is connected to from the event loop, from the thread of the ledger, and by verbs without any loop; none of
them can wait for a token in the middle of a call. So a thread keeps one, and gets the next at half of its life. While
Entra is away the last one is shown for as long as it holds; then nobody signs in any more, until Entra is back.

A room of the composition root: app.py says how the host's identity is had. Nobody else imports it.
"""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mcpgov.errors import Refusal, StoreUnavailable
from mcpgov.stage_settings import azure_identity
from mcpgov.trust import system_trust

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from mcpgov.credential.tokens import AccessToken, AzureIdentity, HostIdentity
    from mcpgov.identity_settings import Azure
    from mcpgov.models import Secret

    Host = Callable[[AzureIdentity, ssl.SSLContext], HostIdentity]
    Fetch = Callable[[], Awaitable[AccessToken]]

# Whom a token is for, in the public cloud: Azure Database for PostgreSQL, Azure Managed Redis.
POSTGRES: Final = "https://ossrdbms-aad.database.windows.net/.default"
REDIS: Final = "https://redis.azure.com/.default"
PATIENCE: Final = 12.0  # seconds for the first one; a fetch gives up after ten
CLOSING: Final = 1.0  # seconds; a fetch that hangs holds up nobody's end
RETRY: Final = 5.0  # seconds after a fetch that failed
LOOK: Final = 30.0  # seconds at most between two looks at the clock: a machine that slept has not waited


class KeptToken:
    """One token. `fetch` gets a new one; `now` is the time."""

    def __init__(self, fetch: Fetch, now: Callable[[], datetime], *, look: float = LOOK) -> None:
        self._fetch, self._now, self._look = fetch, now, look
        self._token: AccessToken | None = None
        self._trouble = "none was given yet"
        self._failed_at: datetime | None = None
        self._tried, self._ended, self._begin = threading.Event(), threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None

    def current(self) -> Secret:
        """One that holds. Raises StoreUnavailable."""
        self._kept()
        token = self._token
        if token is None or self._now() >= token.expires_at:
            raise StoreUnavailable(f"there is no token to sign in with: {self._trouble}")
        return token.secret

    def first(self) -> Secret:
        """The same, after the first try. Raises StoreUnavailable."""
        self._kept()
        self._tried.wait(PATIENCE)
        return self.current()

    def close(self) -> None:
        """Renew no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(CLOSING)

    def _kept(self) -> None:
        """See to it that somebody renews it."""
        with self._begin:
            if (self._thread is None or not self._thread.is_alive()) and not self._ended.is_set():
                self._thread = threading.Thread(target=self._keep, name="mcpgov-token", daemon=True)
                self._thread.start()

    def _keep(self) -> None:
        while not self._ended.is_set():
            if self._is_due():
                self._renew()
            self._tried.set()
            self._ended.wait(self._look)

    def _is_due(self) -> bool:
        now = self._now()
        if self._failed_at is not None and now < self._failed_at + timedelta(seconds=RETRY):
            return False
        return self._token is None or now >= self._token.refresh_at

    def _renew(self) -> None:
        try:
            self._token, self._failed_at = asyncio.run(self._got()), None
        except Refusal as refusal:
            self._trouble, self._failed_at = refusal.detail or refusal.message, self._now()

    async def _got(self) -> AccessToken:
        return await self._fetch()


class DatabaseTokens:
    """The tokens of the host's identity, one for each kind of database, got once somebody connects."""

    def __init__(self, azure: Azure, host: Host, now: Callable[[], datetime]) -> None:
        self._azure, self._host, self._now = azure_identity(azure), host, now
        self._kept: dict[str, KeptToken] = {}

    def of(self, scope: str) -> KeptToken:
        """The token for `scope`."""

        async def fetch() -> AccessToken:
            host = self._host(self._azure, system_trust())
            return await host.token(scope, self._azure.managed_identity)

        return self._kept.setdefault(scope, KeptToken(fetch, self._now))

    def close(self) -> None:
        """Renew none any more."""
        for token in self._kept.values():
            token.close()


def database_tokens(azure: Azure | None, host: Host, now: Callable[[], datetime]) -> DatabaseTokens | None:
    """The tokens of these settings; None where they say nothing of an identity."""
    return None if azure is None else DatabaseTokens(azure, host, now)
