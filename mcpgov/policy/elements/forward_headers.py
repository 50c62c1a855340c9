"""forward-headers: names the caller's header fields that cross to the upstream, besides the few that always do.

Our own element: API Management passes on nearly everything, mcpgov nearly nothing. A field that carries the caller's
credential never crosses, whatever is listed: such a name is refused when the document is loaded. A field stays behind
whose value is a gateway key, or in which some credential may come: where the settings expect keys, where a policy in
force looks for a token, where the connection's own goes. Fields by which servers are told where a call came from are
refused too: the upstream would believe the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Texts
from mcpgov.policy.draft import CREDENTIAL_HEADERS
from mcpgov.policy.element import PlainElement
from mcpgov.policy.glob import compile_wildcards
from mcpgov.policy.http_fields import folded, is_ours, is_token

if TYPE_CHECKING:
    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.glob import ToolNames
    from mcpgov.policy.place import Attribute, Place

HEADERS: Final = Texts("headers", "the names, and patterns with *", "header", required=True)
_SAID_BY_US: Final = frozenset({"user-agent", "x-correlation-id"})
_OF_PROXIES: Final = frozenset({"forwarded", "via", "x-real-ip"})
_FORWARDED: Final = "x-forwarded-"
SHORTEST: Final = 2  # characters before the first * of a pattern


@frozen
class ForwardHeaders(PlainElement):
    """The fields that cross, by names in lower case."""

    name: ClassVar[str] = "forward-headers"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (HEADERS,)
    headers: ToolNames

    @classmethod
    def load(cls, place: Place) -> Self:
        """`headers`, at least one."""
        entries = HEADERS.read(place)
        if place.has("headers") and not place.at("headers").value:
            place.note("no header is listed", "add headers: [x-tenant]")
        for here, name in entries:
            _check(here, name.lower())
        return cls(compile_wildcards([name.lower() for _, name in entries]))

    def decide(self, draft: Draft, /) -> Denial | None:
        """Note which of the caller's fields cross."""
        fields = draft.context.request.head.headers.fields
        withheld = {name for name, value in fields if draft.withholds(name, value)}
        for name in dict.fromkeys(name for name, _ in fields):
            if name in self.headers and not why_not(name) and name not in withheld:
                draft.forwarded.append(name)
        return None


def why_not(name: str) -> str:
    """Why the field of this name, in lower case, never crosses; empty where it may."""
    name = folded(name)
    if name in CREDENTIAL_HEADERS:
        return "it carries the caller's credential, which never crosses"
    if name in _OF_PROXIES or name.startswith(_FORWARDED):
        return "the upstream would believe the caller about where a call comes from"
    if name in _SAID_BY_US or is_ours(name):
        return "mcpgov writes it itself"
    return ""


def _check(here: Place, name: str) -> None:
    head, star, _ = name.partition("*")
    if not is_token(name):
        here.note("this is neither a header name nor a pattern", "use letters, digits, - and *; no expression")
    elif star and len(head) < SHORTEST:
        here.note("the pattern names too many headers", f"write at least {SHORTEST} characters before the *")
    elif not star and (reason := why_not(name)):
        here.note(f"the header {name} cannot cross", reason)
