"""set-status: the HTTP status of the reply, in return-response, outbound and on-error.

As in Azure API Management, `code` is needed. A `reason` is accepted for its sake and not sent: HTTP/2 has no reason
phrase, and no MCP client reads one. A status that stands before an answer (1xx) is refused, and so is one without a
body where there is a body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Number, Templated
from mcpgov.policy.element import ON_ERROR, OUTBOUND, RETURN, PlainElement

if TYPE_CHECKING:
    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.expression import Quantity
    from mcpgov.policy.place import Attribute, Place

BODILESS: Final = (204, 205, 304)  # RFC 9110 sections 15.3.5, 15.3.6, 15.4.5
CODE: Final = Number("code", "the HTTP status", 200, 599)
REASON: Final = Templated("reason", "the reason phrase, which is not sent", "")


@frozen
class SetStatus(PlainElement):
    """The status."""

    name: ClassVar[str] = "set-status"
    sections: ClassVar[tuple[str, ...]] = (OUTBOUND, ON_ERROR, RETURN)
    attributes: ClassVar[tuple[Attribute[object], ...]] = (CODE, REASON)
    code: Quantity

    @classmethod
    def load(cls, place: Place) -> Self:
        """`code`, 200 to 599; and `reason`."""
        code = CODE.read(place)
        REASON.read(place)
        if place.section != RETURN and code.content in BODILESS:
            place.at("code").note(f"an answer with status {code.content} has no body", "use return-response")
        if place.dialect.xml and place.has("reason"):
            place.at("reason").remark("API Management sends the reason phrase, mcpgov does not")
        return cls(code)

    def decide(self, draft: Draft, /) -> Denial | None:
        """Note the status. Raises ExpressionError."""
        code = self.code.value(draft)
        if draft.section != RETURN and code in BODILESS:
            raise ExpressionError(f"an answer with status {code} has no body")
        draft.reply_status = code
        return None
