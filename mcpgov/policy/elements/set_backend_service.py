"""set-backend-service: sends the call to another of the connection's servers.

As in Azure API Management, the path of the call is appended to `base-url`, and a later one wins. Here the host must be
the connection's own upstream or one of its `backends`, because the connection's credential goes with the call. That is
checked when the files are put together, as far as it is known then, and again on every call. `backend-id` names one of
the `backends` that the catalog entry gives a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.destinations import may_receive, origin
from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.models import RemoteUpstream
from mcpgov.policy.attributes import Templated
from mcpgov.policy.element import BACKEND, INBOUND, PlainElement

if TYPE_CHECKING:
    from mcpgov.models import LocalUpstream
    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.expression import Template
    from mcpgov.policy.place import Attribute, Place

BASE_URL: Final = Templated("base-url", "the URL to use instead of the upstream's own", "")
BACKEND_ID: Final = Templated("backend-id", "the name of one of the connection's backends", "")


@frozen
class SetBackendService(PlainElement):
    """The base URL to use, or the name of one."""

    name: ClassVar[str] = "set-backend-service"
    sections: ClassVar[tuple[str, ...]] = (INBOUND, BACKEND)
    attributes: ClassVar[tuple[Attribute[object], ...]] = (BASE_URL, BACKEND_ID)
    base_url: Template
    backend_id: Template

    @classmethod
    def load(cls, place: Place) -> Self:
        """`base-url` or `backend-id`."""
        base_url, backend_id = BASE_URL.read(place), BACKEND_ID.read(place)
        if isinstance(place.value, dict) and place.has("base-url") == place.has("backend-id"):
            place.note("one of base-url and backend-id is needed", "write base-url: https://host/path")
        written = base_url.literal
        for name in ("base-url", "backend-id"):
            if place.at(name).value == "":
                place.at(name).note(f"{name} is empty", "write one, or remove it")
        if written and (origin(written) is None or "?" in written or "#" in written):
            mend = "write https://host/path, as in the connection's backends"
            place.at("base-url").note("base-url is not an absolute URL without a query", mend)
        return cls(base_url, backend_id)

    def decide(self, draft: Draft, /) -> Denial | None:
        """Choose the backend. Raises ExpressionError where the connection does not name its host."""
        upstream = draft.context.connection.upstream
        name = self.backend_id.value(draft)
        url = backend_named(upstream, name) if name else self.base_url.value(draft)
        allowed = draft.answers.ask(draft.at, "is the host one of the connection's", lambda: _fits(upstream, url))
        if not allowed:
            raise ExpressionError("the chosen backend is not one of the connection's backends")
        draft.backend = url
        return None

    def foreign_to(self, upstream: RemoteUpstream | LocalUpstream) -> str:
        """What `upstream` would have to name for this element to work, or the empty string."""
        name, written = self.backend_id.literal, self.base_url.literal
        if name and not backend_named(upstream, name):
            return name
        return written if written and not may_receive(upstream, written) else ""


def backend_named(upstream: RemoteUpstream | LocalUpstream, name: str) -> str:
    """The URL of the backend of that name, or the empty string."""
    return dict(upstream.backend_names).get(name, "") if isinstance(upstream, RemoteUpstream) else ""


def _fits(upstream: RemoteUpstream | LocalUpstream, url: str) -> bool:
    return may_receive(upstream, url) and "?" not in url and "#" not in url
