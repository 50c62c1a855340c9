"""set-backend-service: sends the call to another of the connection's servers.

As in Azure API Management, the path of the call is appended to `base-url`, and a later one wins. Here the host must be
the connection's own upstream or one of its `backends`, because the connection's credential goes with the call. That is
checked when the files are put together, and again on every call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from mcpgov.destinations import may_receive, origin
from mcpgov.policy.element import BACKEND, INBOUND, PlainElement
from mcpgov.policy.expression import ExpressionError

if TYPE_CHECKING:
    from mcpgov.policy.context import Context
    from mcpgov.policy.element import Denial, Draft
    from mcpgov.policy.place import Place


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
        if not may_receive(context.connection.upstream, self.base_url):
            raise ExpressionError("the chosen backend is not one of the connection's backends")
        draft.backend = self.base_url
        return None
