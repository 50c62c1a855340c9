"""tool-rules: which tools may be called, and seen.

`deny` wins over `allow`; with an `allow` list everything else is hidden. A hidden tool is left out of tools/list and
its call is answered as that of an unknown tool; one that is denied with `hide: false` stays listed, and the call is
answered with a result that tells the model why. What is no tool name (look-alikes, line ends) is always hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from mcpgov.decision import Reason
from mcpgov.policy.element import Denial, PlainElement
from mcpgov.policy.glob import ToolNames, compile_names, is_tool_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcpgov.policy.context import Context
    from mcpgov.policy.element import Draft
    from mcpgov.policy.place import Place


@dataclass(frozen=True, slots=True)
class ToolRules(PlainElement):
    """`allowed` is None where nothing was said; `shown` are the denied tools that stay listed, with what is told."""

    name: ClassVar[str] = "tool-rules"
    hides_tools: ClassVar[bool] = True
    allowed: ToolNames | None
    hidden: ToolNames
    shown: tuple[tuple[ToolNames, str], ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`allow` and `deny`, at least one of them."""
        place.only("allow", "deny")
        if isinstance(place.value, dict) and not place.value.keys() & {"allow", "deny"}:
            place.note("tool-rules says nothing", "add allow: [ … ] or deny: [ … ]")
        allowed = _names(place.texts("allow")) if place.at("allow").value is not None else None
        hidden: list[tuple[Place, str]] = []
        shown: list[tuple[ToolNames, str]] = []
        for item in place.items("deny"):
            if isinstance(item.value, str):
                hidden.append((item, item.value))
                continue
            names, hide, message = _entry(item)
            if hide:
                hidden += names
            else:
                shown.append((_names(names), message))
        return cls(allowed, _names(hidden), tuple(shown))

    def decide(self, context: Context, _draft: Draft, /) -> Denial | None:
        """Deny the call of a tool that is hidden or denied."""
        if context.request.method != "tools/call":
            return None
        tool = context.request.tool
        if self.hides(context):
            return Denial(Reason.TOOL_HIDDEN, f"Unknown tool: {tool}")
        for names, message in self.shown:
            if tool in names:
                return Denial(Reason.TOOL_DENIED, message or f"The tool {tool} is not allowed.", as_tool_result=True)
        return None

    def hides(self, context: Context, /) -> bool:
        """Whether the tool may not even be seen."""
        tool = context.request.tool
        if not is_tool_name(tool) or tool in self.hidden:
            return True
        return (
            self.allowed is not None and tool not in self.allowed and not any(tool in names for names, _ in self.shown)
        )


def _entry(place: Place) -> tuple[list[tuple[Place, str]], bool, str]:
    """One entry of `deny` that is a mapping: the tools, whether they are hidden, and what is told."""
    place.only("tool", "tools", "hide", "message")
    names = list(place.texts("tools"))
    if tool := place.text("tool", ""):
        names.append((place.at("tool"), tool))
    if isinstance(place.value, dict) and place.at("tool").value is None and not place.at("tools").value:
        place.note("no tool is named", "add tool: NAME or tools: [ … ]")
    hide, message = place.flag("hide", default=True), place.text("message", "")
    if hide and message:
        place.at("message").note("nobody would read the message", "add hide: false: a hidden tool looks unknown")
    return names, hide, message


def _names(entries: Iterable[tuple[Place, str]]) -> ToolNames:
    names: list[str] = []
    for place, text in entries:
        try:
            compile_names((text,))
        except ValueError:
            place.note("no tool has such a name", "use A-Z a-z 0-9 _ . - and the wildcards * and ?")
        else:
            names.append(text)
    return compile_names(names)
