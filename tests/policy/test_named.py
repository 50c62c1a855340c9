"""A list names what it says, no list names everything, and an empty one is refused."""

from __future__ import annotations

import pytest

from mcpgov.models import Principal, PrincipalKind
from mcpgov.policy.draft import Draft
from mcpgov.policy.elements.quarantine import Quarantine
from tests.policy.calls import context, document, problems


def quarantine(text: str) -> Quarantine:
    (element,) = (step.element for step in document(text).sections["inbound"] if isinstance(step.element, Quarantine))
    return element


@pytest.mark.parametrize(
    "text",
    [
        "inbound: [quarantine: { tools: [get_*, x], projects: ['team *'] }]",
        "<inbound><quarantine><tool>get_*</tool><tool>x</tool><project>team *</project></quarantine></inbound>",
    ],
)
def test_list_names_what_it_says_and_no_list_names_everything(text: str) -> None:
    element = quarantine(text)
    assert element.tools is not None
    assert [name in element.tools for name in ("get_a", "x", "y")] == [True, True, False]
    callers = element.callers
    assert callers.projects is not None
    assert "team 1\u00e9" in callers.projects
    assert (element.connections, callers.principals, callers.agents, callers.blueprints) == (None, None, None, None)
    assert element.decide(Draft(context(tool="x"))) is None  # the caller's project is agents


@pytest.mark.parametrize("attribute", ["tools", "connections", "principals", "projects", "agents", "blueprints"])
def test_empty_list_is_refused_where_it_stands(attribute: str) -> None:
    (found,) = problems(f"inbound: [quarantine: {{ {attribute}: [] }}]")
    assert found.endswith(f": {attribute} names nothing (remove it, if all of them are meant)")


def test_every_name_that_no_tool_can_have_is_noted() -> None:
    first, second = problems("inbound: [quarantine: { tools: [a b, ok, 'é'] }]")
    assert first.startswith("1:33: no tool has such a name (use A-Z")
    assert second.startswith("1:42: no tool has such a name")


def test_remark_is_for_xml_only() -> None:
    assert document("inbound: [quarantine: {}]").remarks == ()
    remark = document("<inbound><base /><quarantine /></inbound>").remarks[0]
    assert str(remark) == "policies/test.xml:1:18: API Management has no element quarantine, and refuses the document"


@pytest.mark.parametrize(
    ("lists", "named"),
    [
        ("agents: [ABC-1]", True),
        ("agents: ['abc-*'], blueprints: [b1]", True),
        ("blueprints: ['*']", True),
        ("agents: [abc-2]", False),
        ("agents: [abc-1], blueprints: [b2]", False),
    ],
)
def test_agents_are_named_by_their_ids_in_any_case(lists: str, *, named: bool) -> None:
    agent = Principal("entra:t/o", PrincipalKind.AGENT, agent_id="Abc-1", blueprint_id="B1")
    assert (agent in quarantine(f"inbound: [quarantine: {{ {lists} }}]").callers) is named


def test_caller_that_is_no_agent_is_in_no_list_of_agents() -> None:
    for lists in ("agents: ['*']", "blueprints: ['*']"):
        callers = quarantine(f"inbound: [quarantine: {{ {lists} }}]").callers
        assert Principal("key:k1", PrincipalKind.KEY) not in callers
