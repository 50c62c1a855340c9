"""tool-rules: which tools may be called, and seen: by name, by what the server says of them, by who calls.

`deny` wins over `allow`; with an `allow` list everything else is hidden. A hidden tool is left out of tools/list and
its call is answered as that of an unknown tool; one that is denied with `hide: false` stays listed, and the call is
answered with a result that tells the model why. What is no tool name (look-alikes, line ends) is always hidden.

Annotations are the server's own word. What it does not say, or was not heard to say, is what the specification takes
for granted: a tool writes, destroys and reaches out (MCP 2025-11-25, ToolAnnotations).
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, Final, Self

from mcpgov.decision import Reason
from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Choice, Flag, Items, Text, mapping_schema
from mcpgov.policy.draft import Denial
from mcpgov.policy.element import PlainElement
from mcpgov.policy.glob import ToolNames, is_tool_name
from mcpgov.policy.named import CALLERS, TOOLS, Callers, read_callers, read_entries, remark_own, tool_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.models import Json
    from mcpgov.policy.draft import Draft
    from mcpgov.policy.place import Attribute, Place

HINTS: Final[Mapping[str, bool]] = {  # what holds where nothing is said
    "readOnlyHint": False,
    "destructiveHint": True,
    "idempotentHint": False,
    "openWorldHint": True,
}
TOOL: Final = Text("tool", "a tool, or a pattern with * and ?", "")
ANNOTATION: Final = Choice(
    "annotation", "what has to be true of the tool", (*HINTS, *(f"not {hint}" for hint in HINTS)), ""
)
HIDE: Final = Flag("hide", "whether the tool looks unknown", default=True)
MESSAGE: Final = Text("message", "what the model is told of a tool that is not hidden", "")
_WHO: Final = (TOOL, TOOLS, ANNOTATION, *CALLERS)


@frozen
class _Entries(Items):
    """A list of tools: texts, or mappings that say more."""

    def read(self, place: Place, /) -> tuple[Place, ...]:
        """Where each entry stands."""
        items = place.items(self.name)
        for item in items:
            if not isinstance(item.value, str):
                item.only(self.fields_)
        return tuple(item for item in items if isinstance(item.value, str | dict))

    def schema(self) -> dict[str, Json]:
        """A list of texts and mappings."""
        return {"type": "array", "items": {"anyOf": [{"type": "string"}, mapping_schema(self.fields_)]}}


ALLOW: Final = _Entries("allow", "what may be called; everything else is hidden", "allow", _WHO)
DENY: Final = _Entries("deny", "what may not be called, whatever allow says", "deny", (*_WHO, HIDE, MESSAGE))


@frozen
class Rule:
    """Some tools, for some callers. What is None applies to all of them."""

    names: ToolNames | None
    annotation: str = ""
    callers: Callers = field(default_factory=Callers)
    hide: bool = True
    message: str = ""

    def applies(self, draft: Draft) -> bool:
        """Whether the tool that is called, and its caller, are among them."""
        return (
            (self.names is None or draft.context.request.tool in self.names)
            and draft.context.principal in self.callers
            and (not self.annotation or draft.answers.ask(draft.at, self.annotation, lambda: self._described(draft)))
        )

    def _described(self, draft: Draft) -> bool:
        hint = self.annotation.removeprefix("not ")
        return holds(hint, draft.annotations) is (hint == self.annotation)


def holds(hint: str, annotations: Mapping[str, object]) -> bool:
    """Whether a hint is true of a tool. One that only reads destroys nothing."""
    if hint == "destructiveHint" and annotations.get("readOnlyHint") is True:
        return False
    said = annotations.get(hint)
    return said if isinstance(said, bool) else HINTS[hint]


@frozen
class ToolRules(PlainElement):
    """`allowed` is None where nothing was said."""

    name: ClassVar[str] = "tool-rules"
    attributes: ClassVar[tuple[Attribute[object], ...]] = (ALLOW, DENY)
    hides_tools: ClassVar[bool] = True
    allowed: tuple[Rule, ...] | None
    denied: tuple[Rule, ...]

    @classmethod
    def load(cls, place: Place) -> Self:
        """`allow` and `deny`, at least one of them."""
        remark_own(place, cls.name)
        if isinstance(place.value, dict) and not place.value.keys() & {"allow", "deny"}:
            place.note("tool-rules says nothing", "add allow: [ … ] or deny: [ … ]")
        allowed = _rules(ALLOW.read(place)) if place.has("allow") else None
        return cls(allowed, _rules(DENY.read(place)))

    def decide(self, draft: Draft, /) -> Denial | None:
        """Deny the call of a tool that is hidden or denied."""
        if draft.context.request.method != "tools/call":
            return None
        tool = draft.context.request.tool
        rule = self._against(draft)
        if rule is None:
            return None
        if rule.hide:
            return Denial(Reason.TOOL_HIDDEN, f"Unknown tool: {tool}")
        return Denial(Reason.TOOL_DENIED, rule.message or f"The tool {tool} is not allowed.", as_tool_result=True)

    def hides(self, draft: Draft, /) -> bool:
        """Whether the tool may not even be seen."""
        rule = self._against(draft)
        return rule is not None and rule.hide

    def _against(self, draft: Draft) -> Rule | None:
        """What speaks against the call; of several rules, one that hides."""
        if not is_tool_name(draft.context.request.tool):
            return _HIDDEN
        applying = [rule for rule in self.denied if rule.applies(draft)]
        against = next((rule for rule in applying if rule.hide), applying[0] if applying else None)
        if against is None and self.allowed is not None and not any(rule.applies(draft) for rule in self.allowed):
            return _HIDDEN
        return against


_HIDDEN: Final = Rule(None)


def _rules(entries: tuple[Place, ...]) -> tuple[Rule, ...]:
    """The rules; all that are plain names together are one."""
    plain = [(entry, entry.value) for entry in entries if isinstance(entry.value, str)]
    rules = [_rule(entry) for entry in entries if not isinstance(entry.value, str)]
    return (*([Rule(tool_names(plain))] if plain else []), *rules)


def _rule(entry: Place) -> Rule:
    names = list(read_entries(TOOLS, entry))
    if tool := TOOL.read(entry):
        names.append((entry.at("tool"), tool))
    annotation, hide, message = ANNOTATION.read(entry), HIDE.read(entry), MESSAGE.read(entry)
    if not names and not annotation:
        entry.note("no tool is named", "add tool: NAME, tools: [ … ] or annotation:")
    if hide and message:
        entry.at("message").note("nobody would read the message", "add hide: false: a hidden tool looks unknown")
    return Rule(
        tool_names(names) if names else None,
        annotation,
        read_callers(entry),
        hide,
        message,
    )
