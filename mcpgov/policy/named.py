"""Whom and what a rule names: tools, callers, connections. By name, or by pattern with * and ?.

A list that is written and empty is refused: whether it means all or none is not for us to guess. The ids of agents are
compared in lower case; a caller that is no agent is in no list of agents, also where that is `*`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mcpgov.frozen import frozen
from mcpgov.policy.attributes import Texts
from mcpgov.policy.glob import ToolNames, compile_names, compile_wildcards

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcpgov.models import Principal
    from mcpgov.policy.place import Place

TOOLS: Final = Texts("tools", "tools by name, * and ? allowed", "tool")
PRINCIPALS: Final = Texts("principals", "callers by id, * and ? allowed", "principal")
PROJECTS: Final = Texts("projects", "callers by project, * and ? allowed", "project")
AGENTS: Final = Texts("agents", "agents by the id of their identity, * and ? allowed", "agent")
BLUEPRINTS: Final = Texts("blueprints", "agents by the blueprint they were made from, * and ? allowed", "blueprint")
CONNECTIONS: Final = Texts("connections", "connections by name, * and ? allowed", "connection")

CALLERS: Final = (PRINCIPALS, PROJECTS, AGENTS, BLUEPRINTS)


@frozen
class Callers:
    """The callers that a rule is for: those whom all of its lists name. What is None is not asked."""

    principals: ToolNames | None = None
    projects: ToolNames | None = None
    agents: ToolNames | None = None
    blueprints: ToolNames | None = None

    def __contains__(self, principal: Principal) -> bool:
        return (
            (self.principals is None or principal.id in self.principals)
            and (self.projects is None or principal.project in self.projects)
            and _is_agent(self.agents, principal.agent_id)
            and _is_agent(self.blueprints, principal.blueprint_id)
        )


def _is_agent(names: ToolNames | None, id_: str) -> bool:
    return names is None or (bool(id_) and id_.lower() in names)


def read_callers(place: Place) -> Callers:
    """The callers that the attributes CALLERS name."""
    agents, blueprints = (_lower(one, place) for one in (AGENTS, BLUEPRINTS))
    return Callers(read_names(PRINCIPALS, place), read_names(PROJECTS, place), agents, blueprints)


def _lower(attribute: Texts, place: Place) -> ToolNames | None:
    entries = read_entries(attribute, place)
    return compile_wildcards(text.lower() for _, text in entries) if place.has(attribute.name) else None


def read_entries(attribute: Texts, place: Place) -> tuple[tuple[Place, str], ...]:
    """The texts of a list, each with its place. Where the list is written and empty, that is noted."""
    entries, here = attribute.read(place), place.at(attribute.name)
    if here.value == []:
        here.note(f"{attribute.name} names nothing", "remove it, if all of them are meant")
    return entries


def read_tools(place: Place) -> ToolNames | None:
    """The tools that `tools` names; None where it is not written, which is every tool."""
    entries = read_entries(TOOLS, place)
    return tool_names(entries) if place.has(TOOLS.name) else None


def read_names(attribute: Texts, place: Place) -> ToolNames | None:
    """The callers or connections that an attribute names; None where it is not written, which is all of them."""
    entries = read_entries(attribute, place)
    return compile_wildcards(text for _, text in entries) if place.has(attribute.name) else None


def tool_names(entries: Iterable[tuple[Place, str]]) -> ToolNames:
    """The tools that texts name; one that no tool can have is noted at its place."""
    names: list[str] = []
    for place, text in entries:
        try:
            compile_names((text,))
        except ValueError:
            place.note("no tool has such a name", "use A-Z a-z 0-9 _ . - and the wildcards * and ?")
        else:
            names.append(text)
    return compile_names(names)


def remark_own(place: Place, name: str) -> None:
    """Remark, in API Management's syntax, that the element `name` is not one of its own."""
    if place.dialect.xml:
        place.remark(f"API Management has no element {name}, and refuses the document", at_key=True)
