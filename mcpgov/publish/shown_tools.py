"""Which tools a connection's policies let every caller see, where the policies alone say so. Pure.

They do where a `tool-rules` that always runs names the tools it allows, without a pattern, an annotation or a caller.
Anything else is known only with the server's list and a caller, so nothing is said: a list that is too long would show
tools that cannot be called, and one that is too short would take tools away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcpgov.policy.elements.include_fragment import IncludeFragment
from mcpgov.policy.elements.tool_rules import ToolRules
from mcpgov.policy.named import Callers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mcpgov.policy.compiled import ConnectionPolicy
    from mcpgov.policy.element import Step
    from mcpgov.policy.elements.tool_rules import Rule


def shown_tools(policy: ConnectionPolicy) -> tuple[str, ...] | None:
    """The tools that are shown, by name; None where the policies alone do not say."""
    always = tuple(_always(policy.general.inbound))
    named = next((names for rules in always if (names := _named(rules.allowed)) is not None), None)
    if named is None:
        return None
    return tuple(tool for tool in sorted(named) if _allowed(tool, always) and not _denied(tool, policy, always))


def _always(steps: Iterable[Step]) -> Iterator[ToolRules]:
    """The rules that no condition leaves out, in fragments too."""
    for step in steps:
        if isinstance(step.element, ToolRules):
            yield step.element
        elif isinstance(step.element, IncludeFragment):
            yield from _always(step.element.inner())


def _named(allowed: tuple[Rule, ...] | None) -> frozenset[str] | None:
    """The tools that rules allow, each for everybody; None where a pattern, an annotation or a caller is asked for."""
    names: set[str] = set()
    for rule in allowed or ():
        if rule.names is None or rule.names.globs or rule.annotation or rule.callers != Callers():
            return None
        names |= rule.names.exact
    return frozenset(names) if allowed is not None else None


def _allowed(tool: str, always: tuple[ToolRules, ...]) -> bool:
    """Whether everybody is allowed it, by each of the rules that allow only some."""
    lists = (rules.allowed for rules in always if rules.allowed is not None)
    return all(any(_applies(rule, tool) for rule in allowed) for allowed in lists)


def _denied(tool: str, policy: ConnectionPolicy, always: tuple[ToolRules, ...]) -> bool:
    """Whether it is denied to everybody, here or in its own scope."""
    own = tuple(_always(policy.by_tool[tool].inbound)) if tool in policy.by_tool else ()
    return any(_applies(rule, tool) for rules in (*always, *own) for rule in rules.denied)


def _applies(rule: Rule, tool: str) -> bool:
    everybody = rule.callers == Callers() and not rule.annotation
    return everybody and (rule.names is None or tool in rule.names)
