"""The kill switch: what it names is stopped, and nothing gets around it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mcpgov.decision import Reason
from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Principal, PrincipalKind
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.document import parse_document, read_document
from mcpgov.policy.evaluate import Evaluation
from mcpgov.policy.expression import NO_REFERENCES
from tests.policy.calls import assert_refused, context, decision, document, performed, policy, problems

if TYPE_CHECKING:
    from mcpgov.policy.context import Context
    from mcpgov.policy.place import Fragment

YAML = "inbound: [quarantine: { tools: [drop_*], message: Stopped. }]"
XML = '<inbound><quarantine message="Stopped."><tool>drop_*</tool></quarantine></inbound>'


def reason(element: str, asked: Context) -> Reason:
    return decision(f"inbound: [quarantine: {element}]", asked).reason


@pytest.mark.parametrize("text", [YAML, XML])
def test_tool_is_stopped_and_the_model_reads_why(text: str) -> None:
    verdict = decision(text, context(tool="drop_table"))
    assert (verdict.reason, verdict.message, verdict.as_tool_result) == (Reason.QUARANTINED, "Stopped.", True)
    assert verdict.rule == "test#1 quarantine"
    assert decision(text, context(tool="get_issue")).allowed
    assert decision(text, context("tools/list")).allowed


def test_quarantined_tool_stays_listed() -> None:
    assert not policy(YAML).hides_tools


@pytest.mark.parametrize("method", ["tools/call", "tools/list", "initialize", "prompts/get", ""])
def test_without_tools_every_request_is_refused(method: str) -> None:
    verdict = decision("inbound: [quarantine: {}]", context(method))
    assert (verdict.reason, verdict.as_tool_result) == (Reason.QUARANTINED, False)
    assert verdict.message == "The connection github is quarantined."


def test_message_names_the_tool_where_none_is_given() -> None:
    verdict = decision("inbound: [quarantine: { tools: [drop_table] }]", context(tool="drop_table"))
    assert verdict.message == "The tool drop_table is quarantined."


@pytest.mark.parametrize(
    ("element", "stopped"),
    [
        ("{ connections: [git*] }", True),
        ("{ connections: [gitlab] }", False),
        ("{ principals: ['key:k?'] }", True),
        ("{ principals: ['key:k2'] }", False),
        ("{ projects: [agents, others] }", True),
        ("{ projects: [others] }", False),
        ("{ connections: [github], projects: [agents], principals: ['key:*'], tools: [get_*] }", True),
        ("{ connections: [github], projects: [others] }", False),
        ("{ connections: [github], tools: [list_*] }", False),
        ("{ agents: ['*'] }", False),
        ("{ blueprints: ['*'] }", False),
    ],
)
def test_every_list_that_is_given_has_to_name_the_request(element: str, *, stopped: bool) -> None:
    assert (reason(element, context()) is Reason.QUARANTINED) is stopped


@pytest.mark.parametrize(
    ("until", "stopped"),
    [
        ("2026-11-21T00:00:00Z", False),
        ("2026-11-21T00:00:01Z", True),
        ("2026-11-21T00:30:00+01:00", False),
        ("9999-12-31T23:59:59-23:00", True),
        ("0001-01-01T00:00:00+23:00", False),
    ],
)
def test_it_ends_by_itself_at_the_moment_that_is_given(until: str, *, stopped: bool) -> None:
    assert (reason(f"{{ until: '{until}' }}", context()) is Reason.QUARANTINED) is stopped


def test_recorded_decision_is_made_again_later() -> None:
    in_force = policy("inbound: [quarantine: { until: '2026-11-21T00:00:00Z' }]")
    assert not performed(Evaluation(in_force, context(), given="f").decide()).allowed


NARROWER = [
    "base: false\ninbound: []",
    "<inbound></inbound>",
    "<inbound><return-response><set-status code='200' /></return-response></inbound>",
    "inbound: [tool-rules: { allow: [] }]",
]


@pytest.mark.parametrize("narrower", NARROWER)
@pytest.mark.parametrize("broader", ["inbound: [quarantine: {}]", "<inbound><quarantine /></inbound>"])
def test_no_narrower_document_can_leave_it_out(broader: str, narrower: str) -> None:
    global_, own = document(broader, "company"), document(narrower, "own")
    for compiled in (
        compile_policy([global_], [], [own], {}),
        compile_policy([], [global_], [own], {}),
        compile_policy([], [], [], {"get_issue": [own], "other": [global_]}),
    ):
        stopped = decision(compiled, context(tool="get_issue" if compiled.general.all else "other"))
        assert stopped.rule == "company#1 quarantine"


def test_it_runs_before_what_stands_above_it() -> None:
    text = (
        "inbound: [tool-rules: { deny: ['*'] }, ip-filter: { action: forbid, addresses: [10.0.0.7] }, quarantine: {}]"
    )
    assert decision(text, context()).rule == "test#3 quarantine"


def test_report_mode_stops_nothing() -> None:
    verdict = decision("mode: report\ninbound: [quarantine: {}]", context())
    assert verdict.allowed
    assert [str(one.reason) for one in verdict.reported] == ["quarantined"]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("{ tools: [é] }", ["é] } <- no tool has such a name"]),
        ("{ projects: [] }", ["[] } <- projects names nothing (remove it"]),
        ("{ principals: 5 }", ["5 } <- principals must be a list"]),
        ("{ connections: [5] }", ["5] } <- must be text"]),
        ("{ until: tomorrow }", ["tomorrow } <- until is no moment in time"]),
        ("{ until: '2026-12-01T08:00:00' }", ["'2026-12-01T08:00:00' } <- until is no moment in time"]),
        ("{ tool: x }", ["tool: x } <- there is no key tool here (did you mean tools?)"]),
        ("[]", ["[] <- must be a mapping"]),
    ],
)
def test_what_cannot_be_in_force_is_refused_at_load(element: str, expected: list[str]) -> None:
    assert_refused("quarantine", element, expected)


NESTED = [
    "choose: { when: [{ condition: 'true', do: [STOP] }] }",
    "choose: { when: [{ condition: 'true', do: [set-status: { code: 200 }] }], otherwise: [STOP] }",
    "limit-concurrency: { max-count: 1, do: [STOP] }",
    "return-response: { do: [STOP] }",
]


@pytest.mark.parametrize("element", NESTED)
def test_inside_another_element_it_is_refused_because_it_could_be_left_out(element: str) -> None:
    found = problems(f"inbound: [{element.replace('STOP', 'quarantine: {}')}]")
    assert any("quarantine " in one and ("stands only at the top" in one or "may not stand" in one) for one in found)


def fragments() -> dict[str, Fragment]:
    texts = {"stop": "fragment: [quarantine: {}]", "more": "fragment: [include-fragment: { fragment-id: stop }]"}
    return {name: read_document(text, f"{name}.yaml").fragment(NO_REFERENCES) for name, text in texts.items()}


@pytest.mark.parametrize("name", ["stop", "more"])
def test_it_may_stand_in_a_fragment_that_is_included_at_the_top_and_nowhere_else(name: str) -> None:
    included = f"include-fragment: {{ fragment-id: {name} }}"
    top = parse_document(f"inbound: [{included}]", "policies/test.yaml", NO_REFERENCES, fragments())
    in_force = compile_policy([], [], [top], {})
    assert decision(in_force, context()).reason is Reason.QUARANTINED
    inside = f"inbound: [limit-concurrency: {{ max-count: 1, do: [{included}] }}]"
    with pytest.raises(InvalidConfiguration, match="stands only at the top of a document or of a fragment"):
        parse_document(inside, "policies/test.yaml", NO_REFERENCES, fragments())


def test_api_management_would_refuse_it() -> None:
    assert "API Management has no element quarantine" in str(document(XML).remarks[0])


@pytest.mark.parametrize(
    "text",
    [
        "inbound: [quarantine: { blueprints: [B1] }]",
        "inbound: [quarantine: { agents: [a1], blueprints: ['b?'] }]",
        "<inbound><quarantine><agent>a1</agent><blueprint>b1</blueprint></quarantine></inbound>",
    ],
)
def test_every_agent_of_a_blueprint_is_stopped_at_once(text: str) -> None:
    asked = context("tools/list")
    agent = Principal("entra:t/a1", PrincipalKind.AGENT, agent_id="A1", blueprint_id="b1")
    assert decision(text, replace(asked, principal=agent)).reason is Reason.QUARANTINED
    assert decision(text, replace(asked, principal=replace(agent, blueprint_id="c1"))).allowed
