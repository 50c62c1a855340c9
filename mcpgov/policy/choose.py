"""choose: the first `when` whose condition is true has its elements run, else those of `otherwise`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

from mcpgov.policy.element import BACKEND, INBOUND, Element, Step, hides, run

if TYPE_CHECKING:
    from mcpgov.policy.context import Context
    from mcpgov.policy.element import Draft, Verdict
    from mcpgov.policy.expression import Condition
    from mcpgov.policy.place import Place


@dataclass(frozen=True, slots=True)
class Choose(Element):
    """Branches in order; it may stand inside itself."""

    name: ClassVar[str] = "choose"
    sections: ClassVar[tuple[str, ...]] = (INBOUND, BACKEND)
    branches: tuple[tuple[Condition, tuple[Step, ...]], ...]
    otherwise: tuple[Step, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`when`, a list of `condition` and `do`; and `otherwise`."""
        place.only("when", "otherwise")
        when = place.items("when")
        if isinstance(place.value, dict) and not place.at("when").value:
            place.note("choose has no branch", 'add when: [{ condition: "…", do: [ … ] }]')
        branches: list[tuple[Condition, tuple[Step, ...]]] = []
        for number, branch in enumerate(when, start=1):
            branch.only("condition", "do")
            condition = branch.condition("condition")
            if branch.at("do").value is None and isinstance(branch.value, dict):
                branch.note("do is missing", "add do: [ … ]; [] to do nothing")
            branches.append((condition, replace(branch, rule=f"{place.rule}.{number}.").steps("do")))
        otherwise = replace(place, rule=f"{place.rule}.{len(when) + 1}.").steps("otherwise")
        return cls(tuple(branches), otherwise)

    def inbound(self, context: Context, draft: Draft) -> Verdict:
        """Run the branch that applies. Raises ExpressionError."""
        return (yield from run(self._taken(context), context, draft))

    def hides(self, context: Context, /) -> bool:
        """Whether the branch that applies hides the tool. Raises ExpressionError."""
        return hides(self._taken(context), context)

    def inner(self) -> tuple[Step, ...]:
        """The steps of every branch."""
        return (*(step for _, steps in self.branches for step in steps), *self.otherwise)

    def _taken(self, context: Context) -> tuple[Step, ...]:
        for condition, steps in self.branches:
            if condition.holds(context):
                return steps
        return self.otherwise
