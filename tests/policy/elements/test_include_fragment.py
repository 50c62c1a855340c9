"""A fragment's elements run where it is included, in either syntax; one that is not there, or goes round, is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import InvalidConfiguration
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.document import parse_document, read_document
from mcpgov.policy.evaluate import PolicyFilter
from mcpgov.policy.expression import NO_REFERENCES
from tests.policy.calls import context, decision

if TYPE_CHECKING:
    from mcpgov.policy.compiled import ConnectionPolicy

YAML = "fragment: [tool-rules: { deny: [delete_*] }, set-header: { name: X-A, value: b }]"
XML = (
    '<fragment><tool-rules><deny tool="delete_*"/></tool-rules>'
    '<set-header name="X-A"><value>b</value></set-header></fragment>'
)
INCLUDING = "inbound: [include-fragment: { fragment-id: careful }]"


def including(text: str, **fragments: str) -> ConnectionPolicy:
    known = {
        name: read_document(one, f"{name}.{'xml' if one.startswith('<') else 'yaml'}").fragment(NO_REFERENCES)
        for name, one in fragments.items()
    }
    return compile_policy([], [], [parse_document(text, "policies/test.yaml", NO_REFERENCES, known)], {})


@pytest.mark.parametrize("fragment", [YAML, XML], ids=["yaml", "xml"])
def test_elements_run_where_the_fragment_is_included(fragment: str) -> None:
    in_force = including(INCLUDING, careful=fragment)
    assert [edit.name for edit in decision(in_force, context()).changes.headers] == ["x-a"]
    denied = decision(in_force, context(tool="delete_it"))
    assert (denied.reason, denied.rule) == (Reason.TOOL_HIDDEN, "test#1.1 tool-rules")


def test_fragment_hides_from_lists_and_its_steps_are_known() -> None:
    in_force = including(INCLUDING, careful=YAML)
    assert in_force.hides_tools
    assert PolicyFilter(in_force, context("tools/list")).hides("delete_it", {})
    assert [(step.rule, step.file) for step in in_force.all_steps()] == [
        ("test#1 include-fragment", "policies/test.yaml"),
        ("test#1.1 tool-rules", "careful.yaml"),
        ("test#1.2 set-header", "careful.yaml"),
    ]


def refused(text: str, **fragments: str) -> list[str]:
    with pytest.raises(InvalidConfiguration) as raised:
        including(text, **fragments)
    return [str(problem) for problem in raised.value.problems]


def test_fragment_that_is_not_there_is_refused() -> None:
    assert refused(INCLUDING, carefull=YAML) == [
        "policies/test.yaml:1:44: there is no fragment careful (did you mean carefull?)"
    ]
    (found,) = refused(INCLUDING)
    assert found.endswith("(write careful.yaml with fragment: [ … ] beside this file)")
    xml = '<policies><inbound><base /><include-fragment fragment-id="careful" /></inbound></policies>'
    with pytest.raises(InvalidConfiguration, match=r"write careful\.xml with <fragment> … </fragment>"):
        parse_document(xml, "policies/test.xml")
    assert refused("inbound: [include-fragment: {}]")[0].endswith("fragment-id is missing (add fragment-id:)")


def test_fragment_that_includes_itself_is_refused() -> None:
    circle = "fragment: [include-fragment: { fragment-id: {other} }]"
    found = refused(INCLUDING, careful=circle.replace("{other}", "b"), b=circle.replace("{other}", "careful"))
    assert found == ["b.yaml:1:45: the fragment careful includes itself, or lies too deep (take it apart)"]


def test_what_is_wrong_in_a_fragment_is_told_once_and_in_its_file() -> None:
    twice = "inbound: [include-fragment: { fragment-id: careful }, include-fragment: { fragment-id: careful }]"
    assert refused(twice, careful="fragment: [nothing: {}]")[0].startswith(
        "careful.yaml:1:12: there is no policy element"
    )
    assert len(refused(twice, careful="fragment: [nothing: {}]")) == 1


def test_element_of_a_fragment_must_fit_the_section_that_includes_it() -> None:
    (found,) = refused("backend: [include-fragment: { fragment-id: careful }]", careful=YAML)
    assert "tool-rules may not stand in backend" in found
