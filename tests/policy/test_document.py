"""A document is refused whole, with everything that is wrong in it; scopes run from broad to narrow."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.errors import InvalidConfiguration
from mcpgov.policy.document import ELEMENTS, ConnectionPolicy, PolicyDocument, compile_policy, parse_document
from tests.policy.calls import LOCAL, context, decision, problems

LIBRARY = sorted((Path(__file__).parents[2] / "policies").glob("*.yaml"))


@pytest.mark.parametrize("file", LIBRARY, ids=lambda file: file.stem)
def test_every_policy_of_the_library_loads_and_says_its_name(file: Path) -> None:
    text = file.read_text("utf-8")
    assert text.startswith(f"# policies/{file.name}\n")
    assert parse_document(text, f"policies/{file.name}").name == file.stem


def test_every_element_stands_in_the_library() -> None:
    texts = "".join(file.read_text("utf-8") for file in LIBRARY)
    assert [name for name in ELEMENTS if f"- {name}:" not in texts] == []


@pytest.mark.parametrize(
    "file", ["company.yaml", "policies/company.yml", "C:\\policies\\company.yaml", "/a/b/company.yaml"]
)
def test_name_of_a_document_is_that_of_its_file(file: str) -> None:
    assert parse_document("inbound: []", file).name == "company"


def test_document_keeps_its_sections_and_the_digest_of_its_text() -> None:
    text = """\
base: false
backend: [set-header: { name: b, value: c }]
inbound: [ip-filter: { action: forbid, addresses: ['::1'] }]
"""
    document = parse_document(text, "policies/a.yaml")
    assert [step.rule for step in document.inbound] == ["a#1 ip-filter"]
    assert [step.rule for step in document.backend] == ["a#backend.1 set-header"]
    assert (document.inbound[0].file, document.inbound[0].line, document.inbound[0].column) == (
        "policies/a.yaml",
        3,
        11,
    )
    assert (document.base, document.outbound, document.on_error) == (False, (), ())
    assert document.digest == hashlib.sha256(text.encode()).hexdigest()


def test_document_without_elements_is_written_so() -> None:
    document = parse_document("inbound: []", "a.yaml")
    assert (document.inbound, document.backend, document.base) == ((), (), True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [" the file is empty (write what it should say, or remove it)"]),
        ("# nothing", [" the file is empty (write what it should say, or remove it)"]),
        ("base: true", ["1:1: the document has no section (add inbound: [ … ]; inbound: [] does nothing)"]),
        (
            "- ip-filter: {}",
            ["1:1: a document is a mapping with inbound: (write inbound: and the list of elements below it)"],
        ),
        ("inbound:", ["1:9: inbound must be a list (write [a, b], or one - a line; [] for none)"]),
        ("inbound: {}", ["1:10: inbound must be a list (write [a, b], or one - a line; [] for none)"]),
        ("inbond: []\ninbound: []", ["1:1: there is no key inbond here (did you mean inbound?)"]),
        ("base: no\ninbound: []", ["1:7: base must be true or false (without quotes)"]),
        ("outbound: [x]", ["1:1: outbound is not supported yet (remove it)"]),
        ("outbound: []", ["1:1: outbound is not supported yet (remove it)"]),
        (
            "on-error:\noutbound: {}",
            ["1:1: on-error is not supported yet (remove it)", "2:1: outbound is not supported yet (remove it)"],
        ),
        ("inbound: []\ninbound: []", ["2:1: the key inbound is written twice (it stands at 1:1 already)"]),
    ],
)
def test_what_is_no_document_is_refused(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


def test_file_name_that_is_no_policy_name_is_refused() -> None:
    for file in ("Company.yaml", "a_b.yaml", ".yaml", "-a.yaml", f"{'a' * 64}.yaml"):
        (found,) = problems("inbound: []", file)
        assert "the file name gives the policy the name" in found


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
inbound:
  - ip-filter: { action: alow, addresses: [10.0.0.5/24] }
  - nothing: {}
  - choose: { when: [{ condition: nobody, do: [quota: {}] }] }
backend:
  - tool-rules: { deny: [x] }
on-error: [x]
"""
    assert [message.split(" ")[0] for message in problems(text)] == [
        *("2:26:", "2:44:", "3:5:", "4:35:", "4:48:", "6:5:", "7:1:")
    ]


@given(st.text(max_size=60))
def test_no_text_is_anything_but_a_document_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_document(f"inbound: [{text}]", "a.yaml"), PolicyDocument)
    except InvalidConfiguration:
        return


def adds(header: str, base: str = "") -> PolicyDocument:
    """A document that adds `header` in its inbound and backend sections."""
    text = (
        f"inbound: [set-header: {{ name: {header}, value: i }}]\nbackend: [set-header: {{ name: {header}, value: b }}]"
    )
    return parse_document(f"{text}\n{base}", f"{header}.yaml")


def added(in_force: ConnectionPolicy, tool: str = "other") -> str:
    return " ".join(f"{edit.name}{edit.values[0]}" for edit in decision(in_force, context(tool=tool)).header_edits)


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
    assert decision(in_force, context("prompts/get", "get_issue")).header_edits == ()


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


def test_policy_knows_whether_it_can_hide_a_tool() -> None:
    rules = parse_document(
        "inbound: [choose: { when: [{ condition: 'true', do: [tool-rules: { deny: [x] }] }] }]", "a.yaml"
    )
    assert compile_policy([], [rules], [], {}).hides_tools
    assert compile_policy([], [], [], {"t": [rules]}).hides_tools
    assert not compile_policy([adds("g")], [], [], {}).hides_tools
