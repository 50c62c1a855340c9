"""One tenant of Microsoft Entra on loopback, its host's managed identity, and mcpgov's own identities there."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mcpgov.credential.azure_tokens import AzureHost
from mcpgov.credential.cache import TokenCache
from mcpgov.credential.entra_tokens import EntraTokens
from mcpgov.credential.tokens import AzureIdentity, EntraApp
from mcpgov.models import Secret
from mcpgov.web import GuardedWeb
from tests.peers.azure_host import IdentityHost
from tests.peers.entra import Entra
from tests.peers.entra_tokens import AGENT, BLUEPRINT, GATEWAY_APP, MANAGED_IDENTITY, OTHER_AGENT, TENANT
from tests.peers.tls import throw_away_tls

APP_SECRET: Final = "client-secret-of-the-gateway"
SEARCH: Final = "https://search.azure.com"
SEARCH_SCOPE: Final = f"{SEARCH}/.default"
TOKEN_PATH: Final = "/oauth2/v2.0/token"


def wall_clock() -> datetime:
    """The time of the peers, whose tokens are checked by real libraries."""
    return datetime.now(UTC)


@dataclass
class Tenant:
    """The peers, and mcpgov in them: our app has a secret, our blueprint is federated with the managed identity."""

    entra: Entra
    host: IdentityHost
    tls: ssl.SSLContext
    azure: AzureIdentity

    def tokens(self, azure: AzureIdentity | None = None, deadline: float = 10.0) -> EntraTokens:
        """What gets tokens in this tenant, over real sockets."""
        azure = azure or self.azure
        host = AzureHost(azure, self.tls, wall_clock, deadline)
        return EntraTokens(azure, GuardedWeb(self.tls, deadline), host, TokenCache(wall_clock), wall_clock)

    def of_host(self, deadline: float = 10.0, **changes: str | bool) -> AzureHost:
        """The host's identity, the settings changed."""
        return AzureHost(replace(self.azure, **changes), self.tls, wall_clock, deadline)


@asynccontextmanager
async def tenant(folder: Path) -> AsyncGenerator[Tenant, None]:
    """The tenant, its certificates in this folder, until the context is left."""
    tls = throw_away_tls(folder)
    async with Entra(tls) as entra, IdentityHost(entra=entra) as host:
        entra.register(GATEWAY_APP, APP_SECRET)
        entra.register(BLUEPRINT)
        entra.federate(BLUEPRINT, MANAGED_IDENTITY)
        entra.register(AGENT, blueprint=BLUEPRINT)
        entra.register(OTHER_AGENT, blueprint=BLUEPRINT)
        app, blueprint = EntraApp(GATEWAY_APP, Secret(APP_SECRET)), EntraApp(BLUEPRINT)
        azure = AzureIdentity(TENANT, entra.url, private=True, app=app, blueprint=blueprint)
        yield Tenant(entra, host, tls.client_context(), azure)
