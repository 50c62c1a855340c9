"""Fetches what `${secret:URL}` stands for from Azure Key Vault, for one load of the files.

Rules: mcpgov's own identity and its token go to Microsoft's vaults only, unless the settings say that `azure:` is
private; a redirect is a failure. Each secret is asked for once in a load, and a vault that does not answer is not asked
again. A version that is not named is the newest one. No message quotes a value, a token or what a vault said.
Refuses to know: where references stand, and how the token is got.
Source: Key Vault REST API, Get Secret, 7.4.
"""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mcpgov.credential.references import Unfit
from mcpgov.errors import Refusal
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcpgov.models import Secret
    from mcpgov.web import Web

    Token = Callable[[str], Awaitable[Secret]]

API_VERSION: Final = "7.4"
MAX_ANSWER: Final = 65_536  # bytes; a secret has at most 25 KB
_VAULT: Final = re.compile(r"[a-z0-9-]{3,24}\.(?P<cloud>vault\.(?:azure\.net|azure\.cn|usgovcloudapi\.net))")
_PUBLIC_CLOUD: Final = "vault.azure.net"
_REFUSALS: Final = {
    401: ("does not know mcpgov's identity", "is the vault of the tenant in azure: ?"),
    403: ("lets mcpgov not read it", "give its identity the role Key Vault Secrets User; look at the vault's firewall"),
    404: ("does not have it", "look at the name and the version"),
}


class KeyVault:
    """The vaults, as one load of the files sees them.

    `token` gives mcpgov's own access token for an audience; it raises Refusal. `private` allows other hosts than
    Microsoft's, and a vault behind a private endpoint.
    """

    def __init__(self, web: Web, token: Token, *, private: bool = False) -> None:
        self._web, self._token, self._private = web, token, private
        self._known: dict[str, str] = {}
        self._failed: dict[str, Unfit] = {}  # by URL, or by host where no secret of it can be had

    def fetch(self, url: str) -> str:
        """The value of the secret at `url`. Blocks, for seconds where a vault is down. Raises Unfit."""
        if url not in self._known:
            host = urlsplit(url).netloc.lower()
            if failed := self._failed.get(host) or self._failed.get(url):
                raise Unfit(str(failed), failed.mend)
            audience = self._audience(host)
            with ThreadPoolExecutor(1) as alone:  # whoever loads files may have an event loop of their own
                self._known[url] = alone.submit(asyncio.run, self._ask(url, host, audience)).result()
        return self._known[url]

    def _audience(self, host: str) -> str:
        """What a token for this vault is made out for."""
        vault = _VAULT.fullmatch(host)
        if vault is None and not self._private:
            mend = f"write https://VAULT.{_PUBLIC_CLOUD}/secrets/NAME, or say private: true in azure: if it is your own"
            raise Unfit(f"comes from {host}, which is no Key Vault", mend)
        return f"https://{vault['cloud'] if vault else _PUBLIC_CLOUD}"

    async def _ask(self, url: str, host: str, audience: str) -> str:
        try:
            token = await self._token(audience)
            bearer = (("authorization", f"Bearer {token.reveal()}"),)
            answer = await self._web.get(f"{url}?api-version={API_VERSION}", bearer, private=self._private)
        except Refusal as refusal:
            why = f"comes from {host}, for which mcpgov gets no token: {refusal.detail or refusal.message}"
            raise self._noted(host, why, "look at azure: in mcpgov.yaml, and at the identity it names") from None
        except WebUnavailable as unavailable:
            mend = "can mcpgov reach it? A private endpoint needs private: true in azure:"
            raise self._noted(host, f"comes from a Key Vault that cannot be asked: {unavailable}", mend) from None
        if answer.status in _REFUSALS:
            said, mend = _REFUSALS[answer.status]
            raise self._noted(url, f"names {url}, and the vault {said}", mend)
        if answer.status != 200:
            raise self._noted(host, f"comes from {host}, which answered {answer.status}", "try again later")
        return _value(answer.body, url)

    def _noted(self, place: str, message: str, mend: str) -> Unfit:
        """The error, remembered for this load: waiting for a vault once for each of its secrets would take minutes."""
        self._failed[place] = unfit = Unfit(message, mend)
        return unfit


def _value(body: bytes, url: str) -> str:
    """The value in a secret bundle. Raises Unfit."""
    try:
        bundle: Any = json.loads(body) if len(body) <= MAX_ANSWER else None
        value = bundle["value"]
    except (ValueError, TypeError, KeyError, RecursionError):  # not JSON, or none that has a value
        value = None
    if not isinstance(value, str):
        raise Unfit(f"names {url}, and what answers there is no Key Vault", "look at the host's name")
    return value
