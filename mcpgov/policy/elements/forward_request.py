"""forward-request: how long the upstream has to answer, and what counts as an answer.

A call is forwarded whether this element stands there or not. What API Management knows besides is accepted where it
changes nothing here, and refused by name where it would: a request is never sent in two steps, a redirect is never
followed with a credential, and HTTP/2 is not spoken to upstreams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Choice, Flag, Number
from mcpgov.policy.element import BACKEND, PlainElement
from mcpgov.policy.place import Attribute

if TYPE_CHECKING:
    from mcpgov.models import Json
    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.expression import Quantity
    from mcpgov.policy.place import Place

LONGEST: Final = 240  # seconds; beyond, load balancers on the way give up
_WRITTEN: Final = 86_400  # seconds; files say 300, and more


@frozen
class Refused(Attribute[None]):
    """An attribute that API Management has, and that cannot be meant here."""

    name: str
    about: str
    xml: str = ""
    required: bool = False

    def read(self, place: Place, /) -> None:
        """Nothing; it is a problem where it is there."""
        if place.has(self.name):
            place.at(self.name).note(f"{self.name} is not supported", f"remove it: {self.about}", at_key=True)

    def schema(self) -> dict[str, Json]:
        """No value fits."""
        return {"not": {}}


TIMEOUT: Final = Number("timeout", "seconds until there must be an answer; else the connection's", 1, _WRITTEN, 0)
TIMEOUT_MS: Final = Number("timeout-ms", "the same in milliseconds", 1, _WRITTEN * 1000, 0)
CONTINUE: Final = Refused("continue-timeout", "a request is never sent in two steps")
REDIRECTS: Final = Flag("follow-redirects", "only false: a redirect is never followed", default=False)
BUFFER_REQUEST: Final = Flag("buffer-request-body", "without effect: policies have read it whole", default=False)
BUFFER_RESPONSE: Final = Flag("buffer-response", "without effect: an answer passes as it comes", default=False)
FAIL: Final = Flag("fail-on-error-status-code", "whether a status of 400 and above is a refusal", default=False)
VERSION: Final = Choice("http-version", "the version of HTTP: always 1.1", ("1", "1.1", "2or1"), "1.1")


@frozen
class ForwardRequest(PlainElement):
    """How the call is forwarded. A time-out of 0 leaves it as it is."""

    name: ClassVar[str] = "forward-request"
    sections: ClassVar[tuple[str, ...]] = (BACKEND,)
    attributes: ClassVar[tuple[Attribute[object], ...]] = (
        *(TIMEOUT, TIMEOUT_MS, CONTINUE, VERSION, REDIRECTS, BUFFER_REQUEST, BUFFER_RESPONSE, FAIL),
    )
    timeout: Quantity
    timeout_ms: Quantity
    fail_on_error: bool

    @classmethod
    def load(cls, place: Place) -> Self:
        """Everything has a default."""
        if place.has("timeout") and place.has("timeout-ms"):
            place.at("timeout-ms").note("timeout stands here too", "keep one of them", at_key=True)
        if REDIRECTS.read(place):
            place.at("follow-redirects").note("a redirect is never followed", "write the final URL into the catalog")
        if BUFFER_RESPONSE.read(place):
            place.at("buffer-response").remark("nothing is buffered here", "write false, as MCP needs it elsewhere too")
        if VERSION.read(place) == "2or1":
            place.at("http-version").remark("HTTP/1.1 is spoken here", "remove it")
        CONTINUE.read(place)
        BUFFER_REQUEST.read(place)
        timeout, timeout_ms = TIMEOUT.read(place), TIMEOUT_MS.read(place)
        for quantity, longest in ((timeout, LONGEST), (timeout_ms, LONGEST * 1000)):
            if isinstance(quantity.content, int) and quantity.content > longest:
                place.remark(f"{LONGEST} seconds is the longest that is waited", "nothing on the way waits longer")
        return cls(timeout, timeout_ms, FAIL.read(place))

    def decide(self, draft: Draft, /) -> Denial | None:
        """Note the time-out, and what counts as an answer. Raises ExpressionError."""
        seconds = self.timeout.value(draft) or self.timeout_ms.value(draft) / 1000
        draft.timeout = min(seconds, LONGEST) or draft.timeout
        draft.fail_on_error = self.fail_on_error
        return None
