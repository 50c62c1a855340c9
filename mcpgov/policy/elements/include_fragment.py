"""include-fragment: the elements of a fragment, run where it is included.

A fragment is a file of the policies folder whose root is `fragment`, in either syntax; `fragment-id` is its name. It is
read anew at each place that includes it, because what may stand in it depends on the section.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final, Self

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


@dataclass(frozen=True, slots=True)
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
        fragment = place.reading.fragments.get(name)
        here = place.at("fragment-id")
        if fragment is None:
            if name:
                known = place.reading.fragments
                mend = nearest(name, known) if known else f"write {name}.yaml with fragment: [ … ] beside this file"
                here.note(f"there is no fragment {name}", mend)
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
