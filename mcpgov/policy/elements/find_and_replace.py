"""find-and-replace: replaces a piece of text in what the server answers.

As in Azure API Management, every occurrence; but in the text of a JSON-RPC message, not in its bytes: in every string
of a result, of an error, and of what the server says on its own; never in a key, nor in the base64 of a content block.
It works on streams, one message at a time. It stands in outbound only.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Templated
from mcpgov.policy.element import BACKEND, INBOUND, ON_ERROR, SECTIONS, PlainElement
from mcpgov.policy.message_text import PAYLOADS, with_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Json
    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.expression import Template
    from mcpgov.policy.place import Attribute, Place

FROM: Final = Templated("from", "the text to look for")
TO: Final = Templated("to", "the text to put in its place; it may be empty")
_REQUEST: Final = "what policies read of a request is what goes upstream"
_ELSEWHERE: Final[Mapping[str, str]] = {
    INBOUND: _REQUEST,
    BACKEND: _REQUEST,
    ON_ERROR: "a refusal is one message of ours; set-body makes another",
}


@frozen
class FindAndReplace(PlainElement):
    """What is looked for, and what stands there instead."""

    name: ClassVar[str] = "find-and-replace"
    sections: ClassVar[tuple[str, ...]] = SECTIONS
    attributes: ClassVar[tuple[Attribute[object], ...]] = (FROM, TO)
    old: Template
    new: Template

    @classmethod
    def load(cls, place: Place) -> Self:
        """`from` and `to`."""
        if why := _ELSEWHERE.get(place.section):
            place.note(f"find-and-replace may not stand in {place.section}: {why}", "move it to outbound", at_key=True)
        old = FROM.read(place)
        if place.has("from") and old.literal == "":
            place.at("from").note("from must not be empty")
        if place.dialect.xml:
            place.remark(
                "API Management replaces in the bytes of the answer, mcpgov in its text, keys left alone", at_key=True
            )
        return cls(old, TO.read(place))

    def decide(self, draft: Draft, /) -> Denial | None:
        """Look at each message of the answer. Raises ExpressionError."""
        old = self.old.value(draft)
        if not old:
            raise ExpressionError("there is no text to look for")
        draft.rewriters.append(Replacing(old, self.new.value(draft)))
        return None


@frozen
class Replacing:
    """Replaces `old` by `new` in each message of an answer. Implements draft.Rewriter."""

    old: str = field(repr=False)
    new: str = field(repr=False)

    def concerns(self, data: bytes) -> bool:
        """Whether the text may be there: as it is, or under escapes; or where nobody can tell, in another encoding."""
        return self.old.encode("utf-8", "surrogatepass") in data or b"\\" in data or b"\0" in data

    def rewritten(self, message: dict[str, Json]) -> dict[str, Json]:
        """The message with every occurrence replaced; the same object where there is none."""
        changed = {
            key: with_texts(value, self._replaced) if key in PAYLOADS else value for key, value in message.items()
        }
        return message if changed == message else changed

    def _replaced(self, text: str) -> str:
        return text.replace(self.old, self.new)
