"""A connection as its callers see it: the gateway's URL, and how one signs in there. Pure.

What is generated for clients and for the platform is made from this and from nothing else: it knows no upstream, no key
and no policy, so none of them can get into a file that people hand around.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mcpgov.frozen import frozen
from mcpgov.models import AuthType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcpgov.models import Connection

AUTHORIZATION: Final = "authorization"
WITH_AUDIENCE: Final = frozenset(
    {AuthType.PROJECT_MANAGED_IDENTITY, AuthType.AGENTIC_IDENTITY, AuthType.USER_ENTRA}
)  # callers who bring a token of Entra for clientAudience


class NotOffered(ValueError):
    """What cannot be made: what is wrong, and how to mend it."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(f"{message} ({mend})")
        self.mend = mend


@frozen
class Issuer:
    """Where people sign in, and for what. The URLs are empty where only the issuer's own configuration has them."""

    issuer: str
    scopes: tuple[str, ...] = ()
    authorization_url: str = ""
    token_url: str = ""


@frozen
class KeyHeader:
    """Where a gateway key stands in a request, and what is written before it."""

    name: str
    prefix: str = ""

    def value(self, key: str) -> str:
        """The whole value, for a key or for what stands for one."""
        return self.prefix + key


@frozen
class Offer:
    """A connection at `url`. `audience` is whom Entra tokens are for; `issuer` where people get a token; `members` the
    connections, or patterns of them, that are one server there.
    """

    name: str
    url: str
    auth: AuthType = AuthType.CUSTOM_KEYS
    audience: str = ""
    key_header: KeyHeader = KeyHeader("Authorization", "Bearer ")
    issuer: Issuer | None = None
    members: tuple[str, ...] = ()

    @property
    def base(self) -> str:
        """The gateway: scheme and host."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def offer_of(connection: Connection, base: str, header: KeyHeader, issuer: Issuer | None = None) -> Offer:
    """The offer of a connection, where the gateway is called at `base`."""
    auth, url = connection.client_auth_type, f"{base}/mcp/{connection.name}"
    return Offer(connection.name, url, auth, connection.client_audience, header, issuer)


def key_header(names: Sequence[str]) -> KeyHeader:
    """Where a key is sent, of the headers (lower case) that are read: `Authorization: Bearer KEY` if that is one."""
    if AUTHORIZATION in names:
        return KeyHeader("Authorization", "Bearer ")
    return KeyHeader("-".join(part.capitalize() for part in names[0].split("-")))


def require_https(url: str, *, but: bool = False) -> None:
    """Raise NotOffered for a URL that the platform would not call; `but` lets plain http pass, to look at."""
    if not url.startswith("https://") and not but:
        mend = "set public_url: https://HOST in mcpgov.yaml, or add --allow-http only to look at it"
        raise NotOffered(f"the platform calls https alone, and the gateway is {url}", mend)
