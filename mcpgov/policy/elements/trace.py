"""trace: writes a line for those who run the gateway: a source, a severity, a message, and named values.

As in Azure API Management, in every section. Here the line goes to the log, with the correlation id of the call among
its named values, and `verbose` lines are written only at the level debug. A secret is refused when the document is
loaded, also inside an expression, which could write it in another way; what carries the caller's credential cannot be
read by an expression at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Trace as TraceEffect
from mcpgov.frozen import frozen
from mcpgov.models import Secret
from mcpgov.policy.attributes import Choice, Items, Templated, Text
from mcpgov.policy.element import SECTIONS, Element
from mcpgov.policy.expression import hides

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.expression import Program, Template
    from mcpgov.policy.place import Attribute, Place

CORRELATION: Final = "correlation-id"
SOURCE: Final = Text("source", "what the line is about; literal")
SEVERITY: Final = Choice("severity", "how much it matters", ("verbose", "information", "error"), "verbose")
MESSAGE: Final = Templated("message", "what the line says", xml="message")
NAME: Final = Text("name", "the name of a value")
VALUE: Final = Templated("value", "the value")
METADATA: Final = Items("metadata", "values beside the message", "metadata", (NAME, VALUE))


@frozen
class Trace(Element):
    """One line."""

    name: ClassVar[str] = "trace"
    sections: ClassVar[tuple[str, ...]] = SECTIONS
    attributes: ClassVar[tuple[Attribute[object], ...]] = (SOURCE, SEVERITY, MESSAGE, METADATA)
    source: str
    severity: str
    message: Template
    metadata: tuple[tuple[str, Template], ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`source`, `severity`, `message`, and `metadata`, a list of `name` and `value`."""
        named = tuple((NAME.read(item), open_text(VALUE, item)) for item in METADATA.read(place))
        return cls(SOURCE.read(place), SEVERITY.read(place), open_text(MESSAGE, place), named)

    def run(self, draft: Draft) -> Verdict:
        """Write the line. Raises ExpressionError."""
        metadata = tuple((name, draft.masked(value.value(draft))) for name, value in self.metadata)
        correlation = (CORRELATION, draft.context.request.head.correlation_id)
        message = draft.masked(self.message.value(draft))
        yield TraceEffect(draft.at, self.source, self.severity, message, (correlation, *metadata))


def open_text(attribute: Templated, place: Place) -> Template:
    """Text that is written where people read it: a secret in it is a problem."""
    template = attribute.read(place)
    refuse_secrets(place.at(attribute.name), template.parts)
    return template


def refuse_secrets(place: Place, parts: tuple[str | Secret | Program, ...]) -> None:
    """Note a secret in what is written down, also one that an expression could encode past recognition."""
    if any(isinstance(part, Secret) or hides(part) for part in parts if not isinstance(part, str)):
        place.note("a secret would be written down here", "leave it out")
