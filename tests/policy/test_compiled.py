"""Scopes run from broad to narrow; a narrower one may drop what is broader, except the kill switch."""

from __future__ import annotations

import pytest

from mcpgov.decision import Reason
from mcpgov.policy.compiled import ConnectionPolicy, Dropped, compile_policy
from mcpgov.policy.document import PolicyDocument, parse_document, read_document
from mcpgov.policy.expression import NO_REFERENCES
from tests.policy.calls import LOCAL, context, decision


def adds(header: str, base: str = "") -> PolicyDocument:
    """A document that adds `header` in its inbound and backend sections."""
    text = (
        f"inbound: [set-header: {{ name: {header}, value: i }}]\nbackend: [set-header: {{ name: {header}, value: b }}]"
    )
    return parse_document(f"{text}\n{base}", f"{header}.yaml")


def added(in_force: ConnectionPolicy, tool: str = "other") -> str:
    return " ".join(f"{edit.name}{edit.values[0]}" for edit in decision(in_force, context(tool=tool)).changes.headers)


def test_scopes_run_from_broad_to_narrow_and_backend_after_all_of_inbound() -> None:
    in_force = compile_policy([adds("g")], [adds("s"), adds("t")], [adds("c")], {"get_issue": [adds("o")]})
    assert added(in_force) == "gi si ti ci gb sb tb cb"
    assert added(in_force, "get_issue") == "gi si ti ci oi gb sb tb cb ob"


def test_document_without_base_drops_what_is_broader_and_keeps_its_own_scope() -> None:
    connection = [adds("c"), adds("d", "base: false")]
    in_force = compile_policy([adds("g")], [adds("s")], connection, {"get_issue": [adds("o", "base: false")]})
    assert added(in_force) == "ci di cb db"
    assert added(in_force, "get_issue") == "oi ob"


def test_tool_scope_is_only_for_calls_of_exactly_that_tool() -> None:
    in_force = compile_policy([], [], [], {"get_issue": [adds("o")]})
    assert added(in_force, "get_issue") == "oi ob"
    assert added(in_force, "Get_issue") == ""
    assert decision(in_force, context("prompts/get", "get_issue")).changes.headers == ()


def test_digest_tells_every_text_and_scope_apart() -> None:
    one, other = adds("a"), adds("b")
    renamed = parse_document("inbound: []", "x.yaml"), parse_document("inbound: []", "y.yaml")
    policies = [
        *(compile_policy([one], [], [], {}), compile_policy([], [one], [], {}), compile_policy([], [], [one], {})),
        *(compile_policy([one, other], [], [], {}), compile_policy([other, one], [], [], {})),
        *(compile_policy([], [], [], {"t": [one]}), compile_policy([], [], [], {"u": [one]})),
        *(compile_policy([renamed[0]], [], [], {}), compile_policy([renamed[1]], [], [], {})),
        compile_policy([], [], [], {}),
    ]
    assert len({in_force.digest for in_force in policies}) == len(policies)
    assert compile_policy([one], [], [], {}).digest == compile_policy([adds("a")], [], [], {}).digest


CHOICES = """\
inbound:
  - choose:
      when: [{ condition: 'true', do: [set-backend-service: { base-url: "https://europe-api.contoso.com" }] }]
      otherwise: [set-backend-service: { base-url: "https://evil.example" }]
"""


def test_backends_that_the_connection_does_not_name_are_found_with_their_place() -> None:
    in_force = compile_policy([parse_document(CHOICES, "policies/a.yaml")], [], [], {"t": [adds("o")]})
    (problem,) = in_force.foreign_backends(context().connection)
    assert str(problem) == (
        "policies/a.yaml:4:19: set-backend-service chooses a host that the connection github does not name "
        "(add https://evil.example to backends of github, or change the policy)"
    )
    assert len(in_force.foreign_backends(context(upstream=LOCAL).connection)) == 2


def test_provider_that_is_no_oauth2_connection_is_found_with_its_place() -> None:
    asking = "inbound: [get-authorization-context: { provider-id: gitub, context-variable-name: auth }]"
    in_force = compile_policy([parse_document(asking, "policies/a.yaml")], [], [], {"t": [adds("o")]})
    assert in_force.unknown_providers(["gitub"]) == ()
    (problem,) = in_force.unknown_providers(["github"])
    assert str(problem) == (
        "policies/a.yaml:1:11: get-authorization-context names gitub, which is no connection with authType OAuth2 "
        "(did you mean github?)"
    )
    assert "add such a connection to the catalog" in str(in_force.unknown_providers([])[0])


def test_policy_knows_whether_it_can_hide_a_tool() -> None:
    rules = parse_document(
        "inbound: [choose: { when: [{ condition: 'true', do: [tool-rules: { deny: [x] }] }] }]", "a.yaml"
    )
    assert compile_policy([], [rules], [], {}).hides_tools
    assert compile_policy([], [], [], {"t": [rules]}).hides_tools
    assert not compile_policy([adds("g")], [], [], {}).hides_tools


def xml(header: str, inbound: str = "<base />{}", more: str = "") -> PolicyDocument:
    """A document in XML that adds `header`, with what `inbound` says around it."""
    element = f'<set-header name="{header}"><value>i</value></set-header>'
    return parse_document(f"<policies><inbound>{inbound.format(element)}</inbound>{more}</policies>", f"{header}.xml")


@pytest.mark.parametrize(
    ("inbound", "expected"), [("<base />{}", "gi ni"), ("{}<base />", "ni gi"), ("{}", "ni"), ("<base />", "gi")]
)
def test_broader_scopes_run_where_base_stands_and_not_where_it_does_not(inbound: str, expected: str) -> None:
    in_force = compile_policy([xml("g")], [], [xml("n", inbound)], {})
    assert added(in_force) == expected


def test_section_that_a_document_does_not_have_leaves_the_broader_one_in_force() -> None:
    in_force = compile_policy([adds("g")], [], [xml("n")], {})
    assert added(in_force) == "gi ni gb"


def test_section_that_is_there_and_empty_drops_the_broader_one() -> None:
    in_force = compile_policy([adds("g")], [], [xml("n", more="<backend />")], {})
    assert added(in_force) == "gi ni"


def test_documents_of_one_scope_splice_the_broader_ones_once() -> None:
    in_force = compile_policy([xml("g")], [], [xml("a", "{}<base />"), xml("b")], {})
    assert added(in_force) == "ai gi bi"


def test_one_document_of_a_scope_without_base_drops_the_broader_ones() -> None:
    in_force = compile_policy([xml("g")], [], [xml("a"), xml("b", "{}")], {})
    assert added(in_force) == "ai bi"


QUARANTINE = "inbound: [set-header: { name: q, value: x }, quarantine: { tools: [get_issue] }]"


def test_kill_switch_runs_first_and_cannot_be_dropped() -> None:
    switch = parse_document(QUARANTINE, "switch.yaml")
    narrower = adds("n", "base: false")
    in_force = compile_policy([switch], [], [narrower], {"get_issue": [adds("o", "base: false")]})
    assert decision(in_force, context()).reason is Reason.QUARANTINED
    assert decision(in_force, context()).changes.headers == ()
    assert added(in_force) == "ni nb"
    assert in_force.general.inbound[0].rule == "switch#2 quarantine"


def test_nothing_in_force_is_known() -> None:
    assert compile_policy([], [], [], {}).is_empty
    assert compile_policy([parse_document("inbound: []", "a.yaml")], [], [], {}).is_empty
    assert not compile_policy([], [], [], {"t": [adds("o")]}).is_empty


def test_what_is_left_out_and_by_which_document_is_known() -> None:
    in_force = compile_policy([adds("g")], [adds("s")], [xml("a"), xml("b", "{}")], {})
    assert in_force.dropped == (Dropped("inbound", ("g", "s"), ("b",)),)
    assert added(in_force) == "ai bi gb sb"
    assert compile_policy([adds("g")], [], [adds("n")], {}).dropped == ()
    both = compile_policy([adds("g")], [adds("s", "base: false")], [adds("n", "base: false")], {}).dropped
    assert both == tuple(
        Dropped(section, documents, by)
        for section in ("inbound", "backend")
        for documents, by in ((("g",), ("s",)), (("s",), ("n",)))
    )


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("mode: report\nbase: false\ninbound: [set-header: { name: r, value: x }]", "r.yaml"),
        (
            '<policies mode="report"><inbound><set-header name="r"><value>x</value></set-header></inbound></policies>',
            "r.xml",
        ),
    ],
)
def test_document_that_is_only_reported_drops_nothing(text: str, file: str) -> None:
    in_force = compile_policy([adds("g")], [], [parse_document(text, file)], {})
    assert (added(in_force), in_force.dropped) == ("gi gb", ())


def test_kill_switch_in_a_fragment_cannot_be_dropped_either() -> None:
    fragment = read_document("fragment: [quarantine: { tools: [get_issue] }]", "f.yaml").fragment(NO_REFERENCES)
    including = parse_document(
        "inbound: [include-fragment: { fragment-id: f }]", "switch.yaml", NO_REFERENCES, {"f": fragment}
    )
    in_force = compile_policy([including], [], [adds("n", "base: false")], {})
    assert decision(in_force, context()).reason is Reason.QUARANTINED


def test_headers_with_credentials_are_known_wherever_in_the_policies_they_are_named() -> None:
    verifying = """\
inbound:
  - choose:
      when:
        - condition: "false"
          do: [validate-jwt: { header-name: X_Token, openid-config: { url: https://i.example/config } }]
  - validate-azure-ad-token: { tenant-id: 00000000-1111-2222-3333-444444444444, token-value: t }
"""
    document = parse_document(verifying, "policies/a.yaml")
    assert compile_policy([document], [], [], {}).credential_headers == {"x-token"}
    assert compile_policy([], [], [], {"t": [document]}, ["X-Key"]).credential_headers == {"x-token", "x-key"}
    assert compile_policy([], [], [], {}).credential_headers == frozenset()
