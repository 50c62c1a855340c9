"""set-backend-service: sends the call to another of the connection's servers.

As in Azure API Management, the path of the call is appended to `base-url`, and a later one wins. Here the host must be
the connection's own upstream or one of its `backends`, because the connection's credential goes with the call. That is
checked when the files are put together, and again on every call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.models import RemoteUpstream
from mcpgov.policy.element import BACKEND, INBOUND, PlainElement
from mcpgov.policy.expression import ExpressionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Connection
    from mcpgov.policy.context import Context
    from mcpgov.policy.element import Denial, Draft
    from mcpgov.policy.place import Place

_PORTS: Final[Mapping[str, int]] = {"https": 443, "http": 80}
_URL: Final = re.compile(
    r"(?P<scheme>(?i:https?))://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?:[/?][!-~]*)?"
)


@dataclass(frozen=True, slots=True)
class SetBackendService(PlainElement):
    """The base URL to use instead of the upstream's own."""

    name: ClassVar[str] = "set-backend-service"
    sections: ClassVar[tuple[str, ...]] = (INBOUND, BACKEND)
    base_url: str

    @classmethod
    def load(cls, place: Place) -> Self:
        """`base-url`, literal."""
        place.only("base-url")
        base_url = place.text("base-url")
        if base_url and (origin(base_url) is None or "?" in base_url or "#" in base_url):
            mend = "write https://host/path, as in the connection's backends; an expression is not allowed here"
            place.at("base-url").note("base-url is not an absolute URL without a query", mend)
        return cls(base_url)

    def decide(self, context: Context, draft: Draft, /) -> Denial | None:
        """Choose the backend. Raises ExpressionError where the connection does not name its host."""
        if not may_receive(context.connection, self.base_url):
            raise ExpressionError("the chosen backend is not one of the connection's backends")
        draft.backend = self.base_url
        return None


def may_receive(connection: Connection, base_url: str) -> bool:
    """Whether `base_url` is on the connection's own host, or on one that its `backends` name."""
    upstream = connection.upstream
    if not isinstance(upstream, RemoteUpstream):
        return False
    return origin(base_url) in {origin(url) for url in (upstream.url, *upstream.backends)} - {None}


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an absolute http URL; None for any other text, also where a user name stands in it."""
    if not (parts := _URL.fullmatch(url)):
        return None
    scheme = parts["scheme"].lower()
    return scheme, parts["host"].lower(), int(parts["port"] or _PORTS[scheme])
