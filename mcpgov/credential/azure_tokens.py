"""The identity that the host gives to mcpgov: managed identity, workload identity, or that of the environment.

The one file that knows azure-identity; it is loaded where `azure:` is set. What it adds is what that library leaves to
its caller: a deadline, few tries, no redirect, no proxy, no body in a log, and certificates of our choosing. The
endpoints of a managed identity are those that the host's environment names, link-local by nature; the authority is that
of the settings, and of the public internet unless they say otherwise.

Rules: a credential object lives for one token, because it keeps tokens of its own, and would give one that an upstream
refused again. One kind of identity is asked and never another in its place, so DefaultAzureCredential is not used.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import re
import socket
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.pipeline.transport._aiohttp import AioHttpTransport  # its public name is made on access, and untyped
from azure.identity import CredentialUnavailableError
from azure.identity.aio import EnvironmentCredential, ManagedIdentityCredential, WorkloadIdentityCredential

from mcpgov.credential.cache import no_token
from mcpgov.credential.tokens import AccessToken
from mcpgov.destinations import is_public
from mcpgov.models import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from mcpgov.credential.tokens import AzureIdentity

DEADLINE: Final = 10.0  # seconds; left alone, azure-identity asks IMDS for 75
TRIES: Final = 2  # after the first
BACK_OFF: Final = 0.2  # seconds, doubled each time
_AADSTS: Final = re.compile(r"AADSTS[0-9]{4,8}")

Transport = AsyncHttpTransport[Any, Any]
HostCredential = ManagedIdentityCredential | WorkloadIdentityCredential | EnvironmentCredential


class AzureHost:
    """Implements HostIdentity. `tls` says whose certificates are believed; `deadline` is in seconds."""

    def __init__(
        self, azure: AzureIdentity, tls: ssl.SSLContext, now: Callable[[], datetime], deadline: float = DEADLINE
    ) -> None:
        self._azure = azure
        self._tls = tls
        self._now = now
        self._deadline = deadline
        logging.getLogger("azure").setLevel(logging.CRITICAL)  # its warnings quote whole answers, which may be tokens

    async def token(self, scope: str, client_id: str) -> AccessToken:
        """A new token of the host's identity for `scope`. Raises Refusal (credential-unavailable)."""
        kind = self._azure.identity
        try:
            async with asyncio.timeout(self._deadline), self._transport() as transport:
                got = await self._credential(transport, client_id).get_token_info(scope)
        except TimeoutError:
            raise no_token(f"{kind} identity: not answered in time") from None
        except CredentialUnavailableError:
            raise no_token(f"{kind} identity: this host has none, or not the one that is named") from None
        except (AzureError, ValueError, KeyError, OSError) as error:
            number = _AADSTS.search(str(error))
            raise no_token(f"{kind} identity: {number[0] if number else type(error).__name__}") from None
        expires_at = datetime.fromtimestamp(got.expires_on, UTC)
        now = self._now()
        return AccessToken.lasting(Secret(got.token), (expires_at - now).total_seconds(), now)

    def _credential(self, transport: Transport, client_id: str) -> HostCredential:
        """The one kind of identity that the settings name. Raises Refusal, ValueError."""
        azure = self._azure
        chosen = client_id or None
        if azure.identity == "managed":
            return ManagedIdentityCredential(client_id=chosen, **self._options(transport))
        if azure.identity == "workload":
            return WorkloadIdentityCredential(tenant_id=azure.tenant_id, client_id=chosen, **self._options(transport))
        if chosen:
            raise no_token("environment identity: there is one, and another was named")
        if os.environ.get("AZURE_TENANT_ID", azure.tenant_id).lower() != azure.tenant_id:  # it would sign in there
            raise no_token("environment identity: AZURE_TENANT_ID is another tenant than azure.tenant_id")
        return EnvironmentCredential(**self._options(transport))

    def _options(self, transport: Transport) -> dict[str, Any]:
        tries = {"retry_total": TRIES, "retry_status": TRIES, "retry_connect": 1, "retry_backoff_factor": BACK_OFF}
        return {"transport": transport, "authority": self._azure.authority, "logging_enable": False, **tries}

    @asynccontextmanager
    async def _transport(self) -> AsyncGenerator[Transport, None]:
        """What carries the requests for one token."""
        guarded = "" if self._azure.private else urlsplit(self._azure.authority).hostname or ""
        connector = aiohttp.TCPConnector(ssl=self._tls, resolver=GuardedResolver(guarded))
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, trust_env=False) as session:
            yield AioHttpTransport(session=session, session_owner=False)


class GuardedResolver(AbstractResolver):
    """Resolves names as the system does, but gives no address of `guarded` that is not public."""

    def __init__(self, guarded: str, inner: AbstractResolver | None = None) -> None:
        self._guarded = guarded
        self._inner = inner or aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises OSError."""
        found = await self._inner.resolve(host, port, family)
        if host == self._guarded and not all(is_public(ipaddress.ip_address(each["host"])) for each in found):
            raise OSError("an address that is not public")
        return found

    async def close(self) -> None:
        """Close the resolver underneath."""
        await self._inner.close()
