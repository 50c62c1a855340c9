"""set-header: adds, replaces or deletes a header: of the request that goes upstream, or of the reply to the caller.

As in Azure API Management: `exists-action` is override (the default), skip, append or delete. Text is literal unless
written `${{ CEL }}`. The connection's own credential is added last and always wins. Headers that frame or route the
message are refused when the document is loaded; a value that could end a line is refused there or denies the call.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import HeaderEdit
from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Choice, Templates, Text
from mcpgov.policy.element import BACKEND, INBOUND, ON_ERROR, RETURN, SECTIONS, PlainElement
from mcpgov.policy.http_fields import is_ours, is_token, is_value

if TYPE_CHECKING:
    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.expression import Template
    from mcpgov.policy.place import Attribute, Place

NAME: Final = Text("name", "the header")
ACTION: Final = Choice(
    "exists-action", "what happens to a header that is there", ("override", "skip", "append", "delete"), "override"
)
VALUE: Final = Templates("value", "its value, or a list of values", "value")
# No list, so that several values cannot be joined by commas (RFC 9110 section 5.3; RFC 6265 section 3).
_ONE_VALUE: Final = frozenset({"cookie", "set-cookie", "user-agent", "www-authenticate", "date", "expires", "warning"})

_KEYS: Final = frozenset({"authorization", "x-api-key", "api-key", "x-functions-key", "ocp-apim-subscription-key"})


@frozen
class SetHeader(PlainElement):
    """One header and what is done with it. `header` is in lower case."""

    name: ClassVar[str] = "set-header"
    sections: ClassVar[tuple[str, ...]] = (*SECTIONS, RETURN)
    attributes: ClassVar[tuple[Attribute[object], ...]] = (NAME, ACTION, VALUE)
    header: str
    action: str
    values: tuple[Template, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`name`, `exists-action`, and `value` (text or a list of texts) unless the header is deleted."""
        header, action, values = _header(place), ACTION.read(place), VALUE.read(place)
        if action == "delete" and place.has("value"):
            place.at("value").note("a header that is deleted has no value", "remove value:")
        elif action != "delete" and not values and isinstance(place.value, dict):
            place.note("value is missing", "add value:, or exists-action: delete")
        if len(values) > 1 and header.lower() in _ONE_VALUE:
            place.at("value").note(f"the header {header} is no list", "give it one value")
        for item, value in zip(_places(place), values, strict=False):
            if not is_value("".join(part if isinstance(part, str) else "x" for part in value.parts)):
                item.note("a header value may only hold visible ASCII, on one line", "remove the other characters")
        _remark_key(place, header, action)
        return cls(header.lower(), action, values)

    def decide(self, draft: Draft, /) -> Denial | None:
        """Note the edit. Raises ExpressionError: also for a value that cannot be sent."""
        values = tuple(value.value(draft) for value in self.values)
        computed = any(value.literal is None for value in self.values)
        if computed and not draft.answers.ask(draft.at, "can the value be sent", lambda: all(map(is_value, values))):
            raise ExpressionError(f"the value for the header {self.header} is not visible ASCII")
        edit = HeaderEdit(self.header, self.action, values)
        if draft.section in (INBOUND, BACKEND):
            draft.edit_request(edit)
        else:
            draft.reply_edits.append(edit)
        return None

    def hides(self, draft: Draft, /) -> bool:
        """Nothing; but a later condition may read the header."""
        with suppress(ExpressionError):  # a list is asked for without the arguments of a call
            self.decide(draft)
        return False


def _remark_key(place: Place, header: str, action: str) -> None:
    """Say that a header is deleted that the server may need."""
    if action == "delete" and header.lower() in _KEYS and place.section in (INBOUND, BACKEND):
        what = f"API Management would send {header} no more, and the server may need it"
        place.at("name").remark(what, "mcpgov adds the keys of the connection after the policies")


def _header(place: Place) -> str:
    """The name, which a policy must be allowed to touch; the type of a body only where a policy writes the body."""
    header = NAME.read(place)
    of_own_body = header.lower() == "content-type" and place.section in (RETURN, ON_ERROR)
    if header and not is_token(header):
        place.at("name").note("name is not a header name", "use letters, digits and -; no expression")
    elif is_ours(header) and not of_own_body:
        place.at("name").note(f"no policy may touch the header {header}", "it is part of how the message travels")
    return header


def _places(place: Place) -> tuple[Place, ...]:
    here = place.at("value")
    return place.items("value") if isinstance(here.value, list) else (here,)
