"""`mode: report`: a document that is run and not enforced. What it would have said no to is noted; it changes nothing.

Its limits count in counters of their own, so that trying a rule out takes nothing from the rules in force.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from mcpgov.decision import Reported
from mcpgov.errors import Refusal
from mcpgov.frozen import frozen
from mcpgov.policy.draft import Denial
from mcpgov.policy.element import SECTIONS, Element, Step, run

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict

APART: Final = "report/"  # stands in the keys of its counters


@frozen
class Report(Element):
    """The steps of such a document."""

    name: ClassVar[str] = "report"
    sections: ClassVar[tuple[str, ...]] = SECTIONS
    steps: tuple[Step, ...]

    def run(self, draft: Draft) -> Verdict:
        """Run the steps on a draft that is thrown away."""
        scratch = replace(
            draft,
            apart=APART,
            variables=dict(draft.variables),
            header_edits=list(draft.header_edits),
            query_edits=[],
            forwarded=[],
            grants=[],
            limits=[],
            reply_headers=[],
            reply_edits=[],
            rewriters=[],
        )
        try:
            denial = yield from run(self.steps, scratch)
        except Refusal as refusal:  # something that it needs is not there: that stops nothing either
            denial = Denial(refusal.reason, refusal.message, scratch.at)
        if denial is not None:
            draft.reported.append(Reported(denial.reason, denial.rule))
        return None

    def inner(self) -> tuple[Step, ...]:
        """The steps."""
        return self.steps
