"""Asks registries for what they list: those of the MCP registry's API, and Azure API Centers as mcpgov's own identity.

Rules: the token of that identity is shown to API Centers alone, whose hosts are Microsoft's; a redirect is a failure,
and so is any answer that is not 200. No message quotes a token or what was answered. Refuses to know: what is listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcpgov.catalog.importers import is_api_center
from mcpgov.credential.references import Unfit
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.web import WebUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcpgov.models import Secret
    from mcpgov.web import Web

SCOPE: Final = "https://azure-apicenter.net/.default"
_REFUSALS: Final = {
    401: ("wants to know who asks", "an API Center wants azure: in mcpgov.yaml; another registry has to be open"),
    403: (
        "does not let mcpgov read it",
        "give its identity the role Azure API Center Data Reader; it takes up to 24 h",
    ),
    404: ("has no registry there", "name the URL that /v0.1/servers follows"),
}


@frozen
class RegistryClient:
    """Implements catalog.importers.Fetch. `token` is None where nothing says who mcpgov is.

    `private` allows a registry of one's own: plain http, loopback and private addresses.
    """

    web: Web
    token: Callable[[], Awaitable[Secret]] | None = None
    private: bool = False

    async def fetch(self, url: str) -> bytes:
        """The body of the answer. Raises Unfit."""
        host = urlsplit(url).hostname or "what was named"
        headers = (("accept", "application/json"),)
        try:
            if self.token is not None and is_api_center(url):
                headers = (*headers, ("authorization", f"Bearer {(await self.token()).reveal()}"))
            answer = await self.web.get(url, headers, private=self.private)
        except Refusal as refusal:
            why = f"{host} wants a token, and mcpgov gets none: {refusal.detail or refusal.message}"
            raise Unfit(why, "look at azure: in mcpgov.yaml, and at the identity it names") from None
        except WebUnavailable as unavailable:
            raise Unfit(
                f"cannot be asked: {unavailable}", "--private allows plain http and private addresses"
            ) from None
        if answer.status != 200:
            said, mend = _REFUSALS.get(answer.status, (f"answered {answer.status}", "try again later"))
            raise Unfit(f"{host} {said}", mend)
        return answer.body
