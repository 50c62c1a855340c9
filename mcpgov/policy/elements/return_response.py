"""return-response: ends the section it stands in, and answers in place of what would be answered.

As in Azure API Management: 200 with an empty body, unless the elements in it say otherwise. In inbound and backend the
server is not asked; in outbound its answer is thrown away; in on-error the refusal is answered so. What was done to the
reply before does not count. With a status of 400 and above and no set-body, the caller gets our JSON-RPC error, which
carries the id of its request.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Reason, Reply
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Steps, Text
from mcpgov.policy.draft import Denial
from mcpgov.policy.element import RETURN, SECTIONS, Element, Step, run

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.element import Verdict
    from mcpgov.policy.place import Attribute, Place

OK: Final = 200
ERROR: Final = 400
MESSAGE: Final = "A policy answered this call itself."
DO: Final = Steps("do", "what makes up the response: set-status, set-header, set-body")
VARIABLE: Final = Text("response-variable-name", "a response to begin with; none is supported", "")


@frozen
class ReturnResponse(Element):
    """The steps that make up a response."""

    name: ClassVar[str] = "return-response"
    sections: ClassVar[tuple[str, ...]] = SECTIONS
    attributes: ClassVar[tuple[Attribute[object], ...]] = (DO, VARIABLE)
    steps: tuple[Step, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`do`."""
        if VARIABLE.read(place):
            mend = "say it with set-status, set-header and set-body"
            place.at(VARIABLE.name).note("only send-request makes such a response, and that is not supported", mend)
        steps = DO.read(replace(place, section=RETURN, rule=f"{place.rule}."))
        if not steps:
            place.remark("an empty body is no JSON-RPC message: MCP clients read nothing else", at_key=True)
        return cls(steps)

    def run(self, draft: Draft) -> Verdict:
        """Make up the response, apart from what was done to the reply before. Raises ExpressionError."""
        before = draft.section, draft.reply_edits, draft.reply_status, draft.reply_body
        draft.section, draft.reply_edits, draft.reply_status, draft.reply_body = RETURN, [], None, None
        denial = yield from run(self.steps, draft)
        reply = response(draft)
        draft.section, draft.reply_edits, draft.reply_status, draft.reply_body = before
        return denial or Denial(Reason.POLICY_RESPONSE, MESSAGE, reply=reply)

    def inner(self) -> tuple[Step, ...]:
        """The steps."""
        return self.steps


def response(draft: Draft) -> Reply:
    """The reply that the steps have made up."""
    status = OK if draft.reply_status is None else draft.reply_status
    body = b"" if draft.reply_body is None and status < ERROR else draft.reply_body
    return Reply(status, tuple(draft.reply_edits), body)
