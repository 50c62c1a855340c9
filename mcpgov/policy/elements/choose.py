"""choose: the first `when` whose condition is true has its elements run, else those of `otherwise`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Items, Steps, When
from mcpgov.policy.element import SECTIONS, Element, Step, hides, run

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.expression import Condition
    from mcpgov.policy.place import Attribute, Place

CONDITION: Final = When("condition", "when the elements are run")
DO: Final = Steps("do", "the elements to run", required=True)
WHEN: Final = Items("when", "the branches, in order", "when", (CONDITION, DO), required=True)
OTHERWISE: Final = Steps("otherwise", "what to run where no branch applies", "otherwise/*")


@frozen
class Choose(Element):
    """Branches in order; it may stand inside itself."""

    name: ClassVar[str] = "choose"
    sections: ClassVar[tuple[str, ...]] = SECTIONS
    attributes: ClassVar[tuple[Attribute[object], ...]] = (WHEN, OTHERWISE)
    branches: tuple[tuple[Condition, tuple[Step, ...]], ...]
    otherwise: tuple[Step, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`when`, a list of `condition` and `do`; and `otherwise`."""
        when = WHEN.read(place)
        branches = tuple(
            (CONDITION.read(branch), DO.read(replace(branch, rule=f"{place.rule}.{number}.")))
            for number, branch in enumerate(when, start=1)
        )
        return cls(branches, OTHERWISE.read(replace(place, rule=f"{place.rule}.{len(when) + 1}.")))

    def run(self, draft: Draft) -> Verdict:
        """Run the branch that applies. Raises ExpressionError."""
        taken = self._taken(draft)
        if draft.watch is not None:
            draft.watch.took(draft.at, self.ways[taken])
        return (yield from run(self._branch(taken), draft))

    def hides(self, draft: Draft, /) -> bool:
        """Whether the branch that applies hides the tool. Raises ExpressionError."""
        return hides(self._branch(self._taken(draft)), draft)

    def inner(self) -> tuple[Step, ...]:
        """The steps of every branch."""
        return (*(step for _, steps in self.branches for step in steps), *self.otherwise)

    @property
    def ways(self) -> tuple[str, ...]:
        """What each branch is called, in order; the last is for where no condition is true."""
        numbered = (f"branch {number}" for number in range(1, len(self.branches) + 1))
        return (*numbered, "otherwise" if self.otherwise else "no branch")

    def _taken(self, draft: Draft) -> int:
        """The number of the branch that applies, counted from 0; `otherwise` is the last."""
        holding = (number for number, (condition, _) in enumerate(self.branches) if condition.holds(draft))
        return next(holding, len(self.branches))

    def _branch(self, number: int) -> tuple[Step, ...]:
        return self.branches[number][1] if number < len(self.branches) else self.otherwise
