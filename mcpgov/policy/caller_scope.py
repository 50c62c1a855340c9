"""caller-scope: the tools that a gateway key may be used for. No document holds it; it comes with the caller.

It runs before the elements of the documents, wherever the caller has such a scope. What is out of scope is hidden: left
out of tools/list, and its call is answered as that of an unknown tool. Other methods than those of tools pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from mcpgov.decision import Reason
from mcpgov.frozen import frozen
from mcpgov.policy.draft import Denial
from mcpgov.policy.element import PlainElement, Step
from mcpgov.policy.glob import ToolNames, compile_wildcards, is_tool_name

if TYPE_CHECKING:
    from mcpgov.models import CallerScope
    from mcpgov.policy.draft import Draft

RULE: Final = "caller-scope"


@frozen
class InScope(PlainElement):
    """Hides every tool that is not among `tools`."""

    name: ClassVar[str] = RULE
    hides_tools: ClassVar[bool] = True
    tools: ToolNames

    def decide(self, draft: Draft, /) -> Denial | None:
        """Deny the call of a tool that is out of scope."""
        request = draft.context.request
        if request.method != "tools/call" or not self.hides(draft):
            return None
        return Denial(Reason.TOOL_HIDDEN, f"Unknown tool: {request.tool}")

    def hides(self, draft: Draft, /) -> bool:
        """Whether the tool is out of scope. What is no tool name is in nobody's scope."""
        tool = draft.context.request.tool
        return not is_tool_name(tool) or tool not in self.tools


def scope_steps(scope: CallerScope) -> tuple[Step, ...]:
    """What a scope asks of a request before anybody else does; nothing where it has no word on tools."""
    if scope.tools is None:
        return ()
    return (Step(InScope(compile_wildcards(scope.tools)), RULE, "", 0, 0),)
