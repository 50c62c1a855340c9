"""set-variable: gives a value a name, which later expressions of the same call read.

As in Azure API Management, the value keeps its type. In CEL it is read as `variables["name"]`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Text, Value
from mcpgov.policy.element import SECTIONS, PlainElement
from mcpgov.policy.expression import Template

if TYPE_CHECKING:
    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.expression import Typed
    from mcpgov.policy.place import Attribute, Place

MAX_TEXT: Final = 64 * 1024  # characters
NAME: Final = Text("name", "the name of the variable")
VALUE: Final = Value("value", "its value")


@frozen
class SetVariable(PlainElement):
    """One variable."""

    name: ClassVar[str] = "set-variable"
    sections: ClassVar[tuple[str, ...]] = SECTIONS
    attributes: ClassVar[tuple[Attribute[object], ...]] = (NAME, VALUE)
    variable: str
    value: Typed

    @classmethod
    def load(cls, place: Place) -> Self:
        """`name` and `value`."""
        variable, value = NAME.read(place), VALUE.read(place)
        if len(_written(value)) > MAX_TEXT:
            place.at("value").note(f"value is longer than {MAX_TEXT} characters", "shorten it")
        return cls(variable, value)

    def decide(self, draft: Draft, /) -> Denial | None:
        """Set the variable. Raises ExpressionError: also for text that is too long."""
        value = self.value.value(draft)
        if not _written(self.value) and draft.answers.ask(draft.at, "is the value too long", lambda: _too_long(value)):
            raise ExpressionError(f"the value for the variable {self.variable} is longer than {MAX_TEXT} characters")
        draft.variables[self.variable] = value
        return None

    def hides(self, draft: Draft, /) -> bool:
        """Nothing; but a later condition may read the variable."""
        with suppress(ExpressionError):  # a list is asked for without the arguments of a call
            self.decide(draft)
        return False


def _too_long(value: object) -> bool:
    return isinstance(value, str) and len(value) > MAX_TEXT


def _written(value: Typed) -> str:
    """The text, where it is written down as it is."""
    content = value.content
    return (content.literal or "") if isinstance(content, Template) else ""
