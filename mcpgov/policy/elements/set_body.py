"""set-body: the body of a reply that a policy makes itself: in return-response, and in on-error.

As in Azure API Management, text with expressions in it. It does not stand where that platform would rewrite a message
that passes: a request goes upstream as it was decided on, and an answer is a JSON-RPC message that streams. The type of
the body is what set-header says, else application/json for a JSON object or array, else text/plain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.errors import ExpressionError, Refusal
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Templated, Text
from mcpgov.policy.element import BACKEND, INBOUND, OUTBOUND, RETURN, SECTIONS, PlainElement
from mcpgov.strict_json import JsonLimits, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.expression import Template
    from mcpgov.policy.place import Attribute, Place

VALUE: Final = Templated("value", "the body; it may be empty", xml=".")
TEMPLATE: Final = Text("template", "API Management's template language; none is supported", "")
LIMITS: Final = JsonLimits()
_REQUEST: Final = ("what policies read of a request is what goes upstream", "answer yourself with return-response")
_ELSEWHERE: Final[Mapping[str, tuple[str, str]]] = {
    INBOUND: _REQUEST,
    BACKEND: _REQUEST,
    OUTBOUND: (
        "the answer is a JSON-RPC message, which may stream",
        "use find-and-replace or result-rules, or return-response to answer yourself",
    ),
}


@frozen
class SetBody(PlainElement):
    """The body."""

    name: ClassVar[str] = "set-body"
    sections: ClassVar[tuple[str, ...]] = (*SECTIONS, RETURN)
    attributes: ClassVar[tuple[Attribute[object], ...]] = (VALUE, TEMPLATE)
    value: Template

    @classmethod
    def load(cls, place: Place) -> Self:
        """`value`."""
        if place.section in _ELSEWHERE:
            why, mend = _ELSEWHERE[place.section]
            place.note(f"set-body may not stand in {place.section}: {why}", mend, at_key=True)
        if template := TEMPLATE.read(place):
            place.at("template").note(
                f"{template} templates are not supported", "write the text with expressions in it"
            )
        value = VALUE.read(place)
        if value.literal and place.section == RETURN and not is_message(value.literal):
            place.at("value").remark("this is no JSON-RPC message: MCP clients read nothing else")
        return cls(value)

    def decide(self, draft: Draft, /) -> Denial | None:
        """Note the body. Raises ExpressionError."""
        try:
            draft.reply_body = self.value.value(draft).encode()
        except UnicodeEncodeError:
            raise ExpressionError("the body holds half a surrogate pair") from None
        return None


def is_message(text: str) -> bool:
    """Whether `text` is one JSON-RPC message."""
    try:
        message = parse(text.encode("utf-8", "surrogatepass"), LIMITS)
    except Refusal:
        return False
    return isinstance(message, dict) and message.get("jsonrpc") == "2.0"
