"""set-query-parameter: adds, replaces or deletes a parameter in the query of the URL that the call goes to.

As in Azure API Management: `exists-action` is override (the default), skip, append or delete. Text is literal unless
written `${{ CEL }}`; names and values are percent-encoded on their way. A value may be a key of the upstream, so none
is ever quoted. What differs: the name is literal, and the query is that of the connection's URL, for callers of MCP
have none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import QueryEdit
from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Choice, Templates, Text
from mcpgov.policy.element import BACKEND, INBOUND, PlainElement

if TYPE_CHECKING:
    from mcpgov.policy.draft import Denial, Draft
    from mcpgov.policy.expression import Template
    from mcpgov.policy.place import Attribute, Place

NAME: Final = Text("name", "the parameter")
ACTION: Final = Choice(
    "exists-action", "what happens to a parameter that is there", ("override", "skip", "append", "delete"), "override"
)
VALUE: Final = Templates("value", "its value, or a list of values", "value")
_NAME: Final = re.compile(r"[A-Za-z0-9._~$:\[\]-]{1,128}")
_VALUE: Final = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{0,8192}")


@frozen
class SetQueryParameter(PlainElement):
    """One parameter and what is done with it."""

    name: ClassVar[str] = "set-query-parameter"
    sections: ClassVar[tuple[str, ...]] = (INBOUND, BACKEND)
    attributes: ClassVar[tuple[Attribute[object], ...]] = (NAME, ACTION, VALUE)
    parameter: str
    action: str
    values: tuple[Template, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`name`, `exists-action`, and `value` (text or a list of texts) unless the parameter is deleted."""
        parameter, action, values = NAME.read(place), ACTION.read(place), VALUE.read(place)
        if parameter and not _NAME.fullmatch(parameter):
            mend = "use letters, digits and . _ ~ $ : [ ] -; an expression cannot stand here"
            place.at("name").note("name is not the name of a query parameter", mend)
        if action == "delete" and place.has("value"):
            place.at("value").note("a parameter that is deleted has no value", "remove value:")
        elif action != "delete" and not values and isinstance(place.value, dict):
            place.note("value is missing", "add value:, or exists-action: delete")
        for item, value in zip(_places(place), values, strict=False):
            if not all(_VALUE.fullmatch(part) for part in value.parts if isinstance(part, str)):
                item.note("a parameter may hold no control character, and 8192 characters at most", "remove them")
        return cls(parameter, action, values)

    def decide(self, draft: Draft, /) -> Denial | None:
        """Note the edit. Raises ExpressionError: also for a value that no URL should hold."""
        values = tuple(value.value(draft) for value in self.values)
        computed = any(value.literal is None for value in self.values)
        if computed and not draft.answers.ask(
            draft.at, "can the value be sent", lambda: all(map(_VALUE.fullmatch, values))
        ):
            raise ExpressionError(f"the value for the query parameter {self.parameter} cannot be sent")
        draft.query_edits.append(QueryEdit(self.parameter, self.action, values))
        return None


def _places(place: Place) -> tuple[Place, ...]:
    here = place.at("value")
    return place.items("value") if isinstance(here.value, list) else (here,)
