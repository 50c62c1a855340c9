"""A Place knows where it stands, and refuses by name what is not there."""

from __future__ import annotations

import pytest

from mcpgov.errors import InvalidExpression
from mcpgov.policy.attributes import Text
from mcpgov.policy.dialects import Xml, Yaml
from mcpgov.policy.expression import NO_REFERENCES
from mcpgov.policy.place import Place, Reading
from mcpgov.policy.registry import ELEMENTS
from mcpgov.yaml_source import parse_yaml
from tests.policy.calls import problems


def place(text: str, *, xml: bool = False) -> Place:
    source = parse_yaml(text, "f.yaml")
    dialect = Xml(NO_REFERENCES) if xml else Yaml(NO_REFERENCES)
    return Place(source, (), source.value, dialect, Reading(ELEMENTS), "inbound", "f#")


def noted(here: Place) -> list[str]:
    return [str(problem).removeprefix("f.yaml:") for problem in here.reading.problems]


def test_place_that_is_no_mapping_is_noted_once() -> None:
    here = place("[1, 2]")
    here.only(ELEMENTS["ip-filter"].attributes)
    here.only(())
    here.missing("a")
    assert (here.has("a"), here.items("a")) == (False, ())
    assert noted(here) == ["1:1: must be a mapping (write { action: … })", "1:1: must be a mapping (write {})"]


def test_key_that_there_is_not_is_told_the_nearest() -> None:
    here = place("acton: allow")
    here.only(ELEMENTS["ip-filter"].attributes)
    assert noted(here) == ["1:1: there is no key acton here (did you mean action?)"]


@pytest.mark.parametrize(("xml", "expected"), [(True, []), (False, ["1:1: there is no key id here ("])])
def test_id_of_api_management_is_passed_over_in_xml_only(*, xml: bool, expected: list[str]) -> None:
    here = place("id: my-filter", xml=xml)
    here.only(ELEMENTS["ip-filter"].attributes)
    assert [message[:30] for message in noted(here)] == expected


def fails_at(offset: int | None) -> object:
    def compile_(text: str) -> str:
        raise InvalidExpression(f"no: {text[offset or 0]!a}", "mend", offset)

    return compile_


@pytest.mark.parametrize(
    ("offset", "xml", "expected"),
    [
        (None, True, "1:4: k: no: 'a' (mend)"),
        (2, True, "1:6: k: no: 'c' (mend)"),
        (2, False, "1:4: k: no: 'c' (mend)"),
    ],
)
def test_fault_in_an_expression_is_told_where_it_stands(*, offset: int | None, xml: bool, expected: str) -> None:
    here = place("k: abc", xml=xml)
    compile_ = fails_at(offset)
    assert callable(compile_)
    assert here.at("k").compiled(compile_, "x") == "x"
    assert noted(here) == [expected]


def test_fault_on_a_later_line_of_an_expression_is_told_by_that_line() -> None:
    here = place('k: "ab\\ncd"', xml=True)
    compile_ = fails_at(4)
    assert callable(compile_)
    here.at("k").compiled(compile_, "x")
    assert noted(here)[0].startswith("2:2: ")


def test_remarks_are_kept_apart_from_problems() -> None:
    here = place("k: abc")
    here.remark("otherwise", "mend")
    assert noted(here) == []
    assert [str(remark) for remark in here.reading.remarks] == ["f.yaml:1:1: otherwise (mend)"]


def test_what_looks_like_an_expression_and_is_none_is_remarked() -> None:
    here = place("k: a @(b)", xml=True)
    assert here.at("k").compiled(str.upper, "x") == "A @(B)"
    assert (noted(here), [str(remark) for remark in here.reading.remarks]) == (
        [],
        ["f.yaml:1:4: @( stands inside text, where it is no expression"],
    )


def test_unknown_element_is_told_the_nearest_name() -> None:
    assert problems("inbound: [ip-filtr: {}]") == [
        "1:11: there is no policy element ip-filtr (did you mean ip-filter?)"
    ]


@pytest.mark.parametrize("step", ["x", "5", "[]", "{}", "{ ip-filter: {}, set-header: {} }"])
def test_step_is_one_element(step: str) -> None:
    assert problems(f"inbound: [{step}]") == [
        "1:11: a step is one element (write - name: { … }, with one name to a step)"
    ]


def test_element_in_the_wrong_section_is_refused() -> None:
    assert problems("backend: [ip-filter: {}]") == ["1:11: ip-filter may not stand in backend (move it to inbound)"]


@pytest.mark.parametrize("xml", [True, False])
def test_remark_that_cannot_be_made_is_a_problem_and_no_crash(*, xml: bool) -> None:
    text = """<inbound><choose><when condition="@(context.Request.Header[&quot;a&quot;] == &quot;{{x}}&quot;)">
    </when></choose><rate-limit-by-key calls="1" renewal-period="1" counter-key="@({{y}}" /></inbound>"""
    yaml = "inbound: [choose: { when: [{ condition: 'a.b == \"{{x}}\"', do: [] }] }]"
    found = problems(text if xml else yaml, "policies/test.xml" if xml else "policies/test.yaml")
    assert found


def test_only_a_list_of_mappings_has_fields() -> None:
    assert Text("name", "what it is called").fields == ()


def test_what_must_be_a_list_and_is_none_is_noted() -> None:
    here = place("{ a: 1 }")
    assert (here.items("a"), here.items("b")) == ((), ())
    assert noted(here) == ["1:6: a must be a list (write [a, b], or one - a line; [] for none)"]


def test_named_value_that_there_is_not_is_told_where_it_stands() -> None:
    here = place("{ a: 'x {{nobody}}' }").at("a")
    assert here.literal == ""
    assert [text.startswith("1:6: a: ") for text in noted(here)] == [True]
