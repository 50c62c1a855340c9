"""include-fragment: the elements of a fragment, run where it is included.

A fragment is a file of the policies folder whose root is `fragment`, in either syntax; `fragment-id` is its name. It is
read anew at each place that includes it, because what may stand in it depends on the section.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Text
from mcpgov.policy.element import RETURN, SECTIONS, Element, Step, hides, run
from mcpgov.yaml_source import nearest

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.place import Attribute, Place

FRAGMENT_ID: Final = Text("fragment-id", "the name of the fragment's file, without its ending")
ROOT: Final = "fragment"
MAX_DEPTH: Final = 8


@frozen
class IncludeFragment(Element):
    """The elements of a fragment."""

    name: ClassVar[str] = "include-fragment"
    sections: ClassVar[tuple[str, ...]] = (*SECTIONS, RETURN)
    attributes: ClassVar[tuple[Attribute[object], ...]] = (FRAGMENT_ID,)
    steps: tuple[Step, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`fragment-id`."""
        name = FRAGMENT_ID.read(place)
        known, here = place.reading.fragments, place.at(FRAGMENT_ID.name)
        fragment = known.get(name) if name else None
        if fragment is None:
            if place.has(FRAGMENT_ID.name):  # otherwise it was told that the attribute is missing
                here.note(f"there is no fragment {name}", nearest(name, known) if known else _written(name, place))
            return cls(())
        if name in place.including or len(place.including) >= MAX_DEPTH:
            here.note(f"the fragment {name} includes itself, or lies too deep", "take it apart")
            return cls(())
        place.reading.parts.append(fragment.digest)
        inside = replace(
            place,
            source=fragment.source,
            path=(),
            value=fragment.source.value,
            dialect=fragment.dialect,
            rule=f"{place.rule}.",
            including=(*place.including, name),
        )
        return cls(inside.steps(ROOT))

    def run(self, draft: Draft) -> Verdict:
        """Run the elements. Raises ExpressionError."""
        return (yield from run(self.steps, draft))

    def hides(self, draft: Draft, /) -> bool:
        """Whether one of the elements hides the tool. Raises ExpressionError."""
        return hides(self.steps, draft)

    def inner(self) -> tuple[Step, ...]:
        """The elements."""
        return self.steps


def _written(name: str, place: Place) -> str:
    """How a fragment is written, in the syntax of the file that includes it."""
    how = f"{name}.xml with <fragment> … </fragment>" if place.dialect.xml else f"{name}.yaml with fragment: [ … ]"
    return f"write {how} beside this file"
