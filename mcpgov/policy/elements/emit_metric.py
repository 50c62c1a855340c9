"""emit-metric: a measurement, with the dimensions that it is told apart by.

As in Azure API Management: `value` is 1 unless said otherwise, there are at most 10 dimensions, and some of them have a
value by their name. Here the measurement goes to the log.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Metric
from mcpgov.errors import ExpressionError
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Items, Templated, Text, Value
from mcpgov.policy.element import SECTIONS, Element
from mcpgov.policy.elements.trace import open_text, refuse_secrets
from mcpgov.policy.expression import Constant, Template, Typed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mcpgov.policy.context import Context
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.place import Attribute, Place

MAX_DIMENSIONS: Final = 10
GATEWAY: Final = "mcpgov"
DEFAULTS: Final[Mapping[str, Callable[[Context], str]]] = {
    "API ID": lambda context: context.connection.name,
    "Operation ID": lambda context: context.request.tool or context.request.method,
    "Product ID": lambda context: context.principal.project,
    "Subscription ID": lambda context: context.principal.id,
    "User ID": lambda context: context.principal.object_id or context.principal.id,
    "Client IP address": lambda context: context.request.head.source_address,
    "Backend ID": lambda context: context.connection.server,
    "Gateway ID": lambda _context: GATEWAY,
    "Location": lambda _context: "",
}


NAME: Final = Text("name", "the name of the measurement")
VALUE: Final = Value("value", "how much; 1 where nothing is said", required=False)
NAMESPACE: Final = Text("namespace", "what the name belongs to", "")
DIMENSION: Final = Text("name", "the name of a dimension")
SAID: Final = Templated("value", "its value; some have one by their name", "")
DIMENSIONS: Final = Items("dimensions", "what it is told apart by", "dimension", (DIMENSION, SAID))


@frozen
class EmitMetric(Element):
    """One measurement. A dimension without a template has its value by its name."""

    name: ClassVar[str] = "emit-metric"
    sections: ClassVar[tuple[str, ...]] = SECTIONS
    attributes: ClassVar[tuple[Attribute[object], ...]] = (NAME, VALUE, NAMESPACE, DIMENSIONS)
    metric: str
    value: Typed
    namespace: str
    dimensions: tuple[tuple[str, Template | None], ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`name`, `value`, `namespace`, and `dimensions`, a list of `name` and `value`."""
        value = VALUE.read(place) if place.has(VALUE.name) else Typed(Constant(1))
        content = value.content
        refuse_secrets(place.at(VALUE.name), content.parts if isinstance(content, Template) else (content,))
        literal = content.literal if isinstance(content, Template) else None
        if literal and _number(literal) is None:
            place.at(VALUE.name).note("value must be a number")
        dimensions = tuple(map(_dimension, DIMENSIONS.read(place)))
        if len(dimensions) > MAX_DIMENSIONS:
            place.at(DIMENSIONS.name).note(f"there are more than {MAX_DIMENSIONS} dimensions", "leave some out")
        if place.dialect.xml and not dimensions:
            place.remark("API Management wants at least one dimension", at_key=True)
        return cls(NAME.read(place), value, NAMESPACE.read(place), dimensions)

    def run(self, draft: Draft) -> Verdict:
        """Emit it. Raises ExpressionError, also for a value that is no number."""
        value = _number(self.value.value(draft))
        computed = not isinstance(self.value.content, Constant)
        if computed and not draft.answers.ask(draft.at, "is it a number", lambda: value is not None):
            raise ExpressionError("the value of a metric is no number")
        dimensions = tuple(
            (name, DEFAULTS[name](draft.context) if said is None else draft.masked(said.value(draft)))
            for name, said in self.dimensions
        )
        yield Metric(draft.at, self.metric, value or 0, self.namespace, dimensions)


def _dimension(place: Place) -> tuple[str, Template | None]:
    name = DIMENSION.read(place)
    if place.has(SAID.name):
        return name, open_text(SAID, place)
    if name and name not in DEFAULTS:
        place.note(
            f"the dimension {name} has no value of its own", f"add value:; these have one: {', '.join(DEFAULTS)}"
        )
    return name, None


def _number(value: object) -> float | None:
    """A finite number, also where it is written as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
