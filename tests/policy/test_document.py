"""A document is refused whole, with everything that is wrong in it, in either syntax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpgov.errors import InvalidConfiguration
from mcpgov.models import Secret
from mcpgov.policy.compiled import compile_policy
from mcpgov.policy.document import PolicyDocument, parse_document, read_document
from mcpgov.policy.expression import NO_REFERENCES
from tests.policy.calls import context, decision, problems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcpgov.policy.place import Fragment


@pytest.mark.parametrize(
    "file", ["company.yaml", "policies/company.yml", "C:\\policies\\company.yaml", "/a/b/company.yaml"]
)
def test_name_of_a_document_is_that_of_its_file(file: str) -> None:
    assert parse_document("inbound: []", file).name == "company"


@pytest.mark.parametrize(("text", "allowed"), [("inbound: []", "a-z 0-9 -"), ("fragment: []", "A-Z a-z 0-9 _ -")])
def test_a_file_whose_name_no_policy_may_have_is_refused(text: str, allowed: str) -> None:
    with pytest.raises(InvalidConfiguration, match=f"use {allowed}, at most"):
        parse_document(text, "com pany.yaml")


def rules(document: PolicyDocument) -> dict[str, list[str]]:
    """The rule of every step at the top of each section."""
    return {name: [step.rule for step in steps] for name, steps in document.sections.items()}


def test_document_keeps_its_sections_and_the_places_of_its_elements() -> None:
    text = """\
base: false
backend: [set-header: { name: b, value: c }]
inbound: [ip-filter: { action: forbid, addresses: ['::1'] }]
"""
    document = parse_document(text, "policies/a.yaml")
    assert rules(document) == {
        "inbound": ["a#1 ip-filter"],
        "backend": ["a#backend.1 set-header"],
        "outbound": [],
        "on-error": [],
    }
    (step,) = document.sections["inbound"]
    assert (step.file, step.line, step.column) == ("policies/a.yaml", 3, 11)


def test_mark_of_the_broader_scopes_stands_first_in_yaml_and_only_in_sections_that_are_there() -> None:
    document = parse_document("inbound: [set-header: { name: b, value: c }]\noutbound: []", "a.yaml")
    assert rules(document) == {"inbound": ["a#base", "a#1 set-header"], "outbound": ["a#outbound.base"]}


def test_mark_stands_where_base_stands_in_xml() -> None:
    text = """<policies>
      <inbound>
        <set-header name="a"><value>b</value></set-header>
        <base/>
        <set-header name="c"><value>d</value></set-header>
      </inbound>
      <outbound/><on-error><base /></on-error>
    </policies>"""
    assert rules(parse_document(text, "a.xml")) == {
        "inbound": ["a#1 set-header", "a#base", "a#2 set-header"],
        "outbound": [],
        "on-error": ["a#on-error.base"],
    }


def test_section_without_base_and_mode_are_remarked_on_in_xml() -> None:
    document = parse_document('<policies mode="report"><inbound/></policies>', "a.xml")
    assert [str(remark) for remark in document.remarks] == [
        "a.xml:1:11: API Management has no mode, and refuses the attribute",
        "a.xml:1:25: there is no <base />: the broader scopes do not run in this section",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<inbound><base/><base/></inbound>", "1:17: base stands here a second time (keep one of them)"),
        (
            "<inbound><choose><when condition='true'><base/></when></choose></inbound>",
            "1:41: base stands only at the top of a section (move it out)",
        ),
        ("<inbound><quota-by-keys/></inbound>", "1:10: there is no policy element quota-by-keys"),
        (
            "<inbound><validate-client-certificate/></inbound>",
            "1:10: validate-client-certificate is not supported (callers",
        ),
        ("<fragment/>", "1:1: a fragment is included, it cannot stand in a scope (name a policy)"),
    ],
)
def test_what_is_wrong_in_xml_is_told_with_its_place(text: str, expected: str) -> None:
    (found,) = problems(text, "policies/test.xml")
    assert found.startswith(expected)


def test_digest_changes_with_the_text_with_fragments_and_with_named_values() -> None:
    text = "inbound: [include-fragment: { fragment-id: f }, set-header: { name: a, value: '{{team}}' }]"
    digests = {
        parse_document(one, "a.yaml", Names(names), fragments(part)).digest
        for one, names, part in (
            (text, {"team": "blue"}, "fragment: []"),
            (text + " ", {"team": "blue"}, "fragment: []"),
            (text, {"team": "red"}, "fragment: []"),
            (text, {"team": "blue", "unused": "x"}, "fragment: []"),
            (text, {"team": "blue"}, "fragment: [ ]"),
            (text, {"team": Secret("blue")}, "fragment: []"),
            (text, {"team": Secret("red")}, "fragment: []"),
        )
    }
    assert len(digests) == 5


def test_secret_stands_in_no_digest_and_no_repr() -> None:
    text = "inbound: [set-header: { name: a, value: 'Bearer {{token}}' }]"
    document = parse_document(text, "a.yaml", Names({"token": Secret("hunter2")}))
    assert "hunter2" not in repr(document)
    verdict = decision(compile_policy([document], [], [], {}), context())
    assert verdict.changes.headers[0].values == ("Bearer hunter2",)
    assert "hunter2" not in repr(verdict)


def test_reference_is_resolved_and_an_unknown_one_is_refused() -> None:
    text = "inbound: [set-header: { name: a, value: '${env:TOKEN}' }]"
    document = parse_document(text, "policies/test.yaml", Names({}))
    assert decision(compile_policy([document], [], [], {}), context()).changes.headers[0].values == ("env:TOKEN",)
    (found,) = problems("inbound: [set-header: { name: a, value: '{{nobody}}' }]")
    assert "there is no named value nobody" in found


@dataclass(frozen=True)
class Names:
    """Named values, and references that stand for their own text."""

    values: Mapping[str, str | Secret]

    def named(self, name: str) -> str | Secret | None:
        return self.values.get(name)

    def resolve(self, reference: str) -> Secret:
        return Secret(reference.removeprefix("${").removesuffix("}"))


def fragments(text: str) -> dict[str, Fragment]:
    """One fragment, f."""
    return {"f": read_document(text, "f.yaml").fragment(NO_REFERENCES)}


def test_element_beyond_ten_thousand_is_refused_once() -> None:
    text = "inbound:\n" + "  - set-header: { name: a, exists-action: delete }\n" * 10_005
    (found,) = problems(text)
    assert found == "10002:5: there are more than 10000 elements (split the document)"


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
        ("outbound: [x]", ["1:12: a step is one element (write - name: { … }, with one name to a step)"]),
        (
            "on-error:\noutbound: {}",
            [
                "1:10: on-error must be a list (write [a, b], or one - a line; [] for none)",
                "2:11: outbound must be a list (write [a, b], or one - a line; [] for none)",
            ],
        ),
        ("mode: maybe\ninbound: []", ["1:7: mode must be enforce or report"]),
        ("fragment: []", ["1:1: a fragment is included, it cannot stand in a scope (name a policy)"]),
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
  - choose: { when: [{ condition: nobody, do: [quotas: {}] }] }
backend:
  - tool-rules: { deny: [x] }
on-error: [x]
"""
    assert [message.split(" ")[0] for message in problems(text)] == [
        *("2:26:", "2:44:", "3:5:", "4:35:", "4:48:", "6:5:", "7:12:")
    ]


@given(st.text(max_size=60))
def test_no_text_is_anything_but_a_document_or_refused(text: str) -> None:
    try:
        assert isinstance(parse_document(f"inbound: [{text}]", "a.yaml"), PolicyDocument)
    except InvalidConfiguration:
        return
