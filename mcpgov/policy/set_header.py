"""set-header: adds, replaces or deletes a header of the request that goes upstream.

As in Azure API Management: `exists-action` is override (the default), skip, append or delete. Text is literal unless
written `${{ CEL }}`. The connection's own credential is added last and always wins. Headers that frame or route the
message are refused when the document is loaded; a value that could end a line is refused there or denies the call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from mcpgov.decision import HeaderEdit
from mcpgov.policy.element import BACKEND, INBOUND, PlainElement
from mcpgov.policy.expression import ExpressionError, Template
from mcpgov.policy.http_fields import is_ours, is_token, is_value

if TYPE_CHECKING:
    from mcpgov.policy.context import Context
    from mcpgov.policy.element import Denial, Draft
    from mcpgov.policy.place import Place


@dataclass(frozen=True, slots=True)
class SetHeader(PlainElement):
    """One header and what is done with it. `header` is in lower case."""

    name: ClassVar[str] = "set-header"
    sections: ClassVar[tuple[str, ...]] = (INBOUND, BACKEND)
    header: str
    action: str
    values: tuple[Template, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`name`, `exists-action`, and `value` (text or a list of texts) unless the header is deleted."""
        place.only("name", "exists-action", "value")
        header = place.text("name")
        if header and not is_token(header):
            place.at("name").note("name is not a header name", "use letters, digits and -")
        elif is_ours(header):
            place.at("name").note(f"no policy may touch the header {header}", "it is part of how the message travels")
        action = place.choice("exists-action", ("override", "skip", "append", "delete"), "override")
        return cls(header.lower(), action, tuple(_value(item) for item in _values(place, action)))

    def decide(self, context: Context, draft: Draft, /) -> Denial | None:
        """Note the edit. Raises ExpressionError: also for a value that cannot be sent."""
        values = tuple(value.value(context) for value in self.values)
        if not all(map(is_value, values)):
            raise ExpressionError(f"the value for the header {self.header} is not visible ASCII")
        draft.header_edits.append(HeaderEdit(self.header, self.action, values))
        return None


def _values(place: Place, action: str) -> tuple[Place, ...]:
    here = place.at("value")
    values = place.items("value") if isinstance(here.value, list) else (here,) if here.value is not None else ()
    if action == "delete" and here.value is not None:
        here.note("a header that is deleted has no value", "remove value:")
    elif action != "delete" and not values and isinstance(place.value, dict):
        place.note("value is missing", "add value:, or exists-action: delete")
    return values


def _value(place: Place) -> Template:
    if not isinstance(place.value, str):
        place.note("a header value must be text", "put it in quotes")
        return Template(())
    template = place.template()
    if not is_value("".join(part if isinstance(part, str) else "x" for part in template.parts)):
        place.note("a header value may only hold visible ASCII, on one line", "remove the other characters")
    return template
