"""quarantine: the kill switch. What it names is stopped at once: tools, connections, callers, projects, agents.

It runs before everything else, and no narrower document can leave it out: it stands only where that can be kept, at the
top of a document or of a fragment. Whatever lists it has, all of them must name
the request; without any, everything in its scope is stopped. A tool that is quarantined stays listed, and the model
reads why it does not answer; a connection or a caller gets 403 for every request.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Reason
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Text
from mcpgov.policy.draft import Denial
from mcpgov.policy.element import PlainElement
from mcpgov.policy.named import CALLERS, CONNECTIONS, TOOLS, Callers, read_callers, read_names, read_tools, remark_own

if TYPE_CHECKING:
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.glob import ToolNames
    from mcpgov.policy.place import Attribute, Place

MESSAGE: Final = Text("message", "what the caller is told", "")
UNTIL: Final = Text("until", "when it ends by itself, like 2026-12-01T08:00:00Z", "")


@frozen
class Quarantine(PlainElement):
    """What is None is not asked. `until` is None where it does not end."""

    name: ClassVar[str] = "quarantine"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (TOOLS, CONNECTIONS, *CALLERS, MESSAGE, UNTIL)
    undroppable: ClassVar[bool] = True
    tools: ToolNames | None
    connections: ToolNames | None
    callers: Callers
    message: str
    until: datetime | None

    @classmethod
    def load(cls, place: Place) -> Self:
        """Every attribute may be left out."""
        if _is_nested(place):
            place.note("quarantine stands only at the top of a document or of a fragment", "move it out", at_key=True)
        remark_own(place, cls.name)
        connections, callers = read_names(CONNECTIONS, place), read_callers(place)
        return cls(read_tools(place), connections, callers, MESSAGE.read(place), _until(place))

    def decide(self, draft: Draft, /) -> Denial | None:
        """Deny what is named."""
        if not self._names(draft) or self._is_over(draft):
            return None
        tool = draft.context.request.tool
        what = f"The tool {tool}" if self.tools is not None else f"The connection {draft.context.connection.name}"
        message = self.message or f"{what} is quarantined."
        return Denial(Reason.QUARANTINED, message, as_tool_result=self.tools is not None)

    def _names(self, draft: Draft) -> bool:
        request = draft.context.request
        return (
            (self.tools is None or (request.method == "tools/call" and request.tool in self.tools))
            and (self.connections is None or draft.context.connection.name in self.connections)
            and draft.context.principal in self.callers
        )

    def _is_over(self, draft: Draft) -> bool:
        until = self.until
        if until is None:
            return False
        received = draft.context.request.head.received_at
        return draft.answers.ask(draft.at, f"is it {until.isoformat()}?", lambda: received >= until)


def _is_nested(place: Place) -> bool:
    """Whether it stands inside another element, also by way of a fragment: each of them adds a dot to the rule."""
    return place.rule.rpartition("#")[2].count(".") > len(place.including)


def _until(place: Place) -> datetime | None:
    text = UNTIL.read(place)
    if not text:
        return None
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        until = None
    if until is not None and until.tzinfo is not None:
        return until
    place.at(UNTIL.name).note("until is no moment in time", "write 2026-12-01T08:00:00Z (RFC 3339, with a zone)")
    return None
